import type { OriginId } from '../crdt/dot.ts';
import type { Instant } from '../kernel/instant.ts';
import type { Replication } from '../replication/replication.ts';
import type { Swim } from '../swim/swim.ts';
import type { Replica } from './replica.ts';
import type { Settling } from './settling.ts';

export interface RebirthParts {
  readonly replica: Replica;
  readonly replication: Replication;
  readonly swim: Swim;
  readonly settling: Settling;
  readonly newOrigin: () => OriginId;
  readonly warn: (text: string, facts: Readonly<Record<string, string | number>>) => void;
}

/**
 * Goes on under a new origin where the numbers of the old one are used up, or may be: others have more of this gateway's
 * log than its own database, which is a restored backup then.
 */
export class Rebirth {
  readonly #parts: RebirthParts;
  /** Head of the own log when this process started: what a restored backup wrote since is logged again. */
  readonly #startHead: number;

  constructor(parts: RebirthParts) {
    this.#parts = parts;
    this.#startHead = parts.replica.headSeq;
  }

  /** Somebody knows the own log up to `known`, which is more than there is here. */
  behind(known: number, now: Instant): void {
    const { replica, replication, settling } = this.#parts;
    const before = replica.origin;
    const text =
      'this database is older than what it wrote before: a restored backup. Going on under a new origin';
    this.#renew(text, known, now);
    settling.catchUp(now, () => replication.seenUpTo(before, replication.headKnown(before)));
    replica.quiet = true;
  }

  /** Not everybody has told how far the own log goes: what is not known must not be written over. */
  doubtful(now: Instant): void {
    const text =
      'not everybody told in time how far the log of this gateway goes: going on under a new origin, ' +
      'as if its database were a restored backup';
    this.#renew(text, this.#parts.replica.headSeq, now);
  }

  #renew(text: string, known: number, now: Instant): void {
    const { replica, replication, swim, newOrigin, warn } = this.#parts;
    const origin = newOrigin();
    warn(text, { origin: replica.origin, head: replica.headSeq, known, new_origin: origin });
    replica.remint(origin, this.#startHead);
    replication.reminted(known, now);
    swim.updateSelf({ ...swim.self.facts, origin }, now.monoMs);
  }
}
