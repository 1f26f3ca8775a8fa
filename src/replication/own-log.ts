import type { Dot, OriginId } from '../crdt/dot.ts';
import { headOf, type SeqRange } from '../crdt/seq-ranges.ts';
import type { ReplicatedLog } from './log.ts';
import type { HeadsMessage } from './messages.ts';
import type { OriginTable } from './origins.ts';
import type { Outbox } from './outbox.ts';
import { secondUs } from './stamps.ts';

/** Of what was written at once so much is spread; what is older is fetched by those who see it missing. */
const spreadDotsMax = 4096;

/**
 * Watches over the log that this gateway writes: where peers know more of it than is here, a backup was restored, and
 * its numbers are used up. Said once for an origin.
 */
export class OwnLog {
  readonly #log: ReplicatedLog;
  readonly #origins: OriginTable;
  readonly #outbox: Outbox;
  readonly #startOrigin: OriginId;
  readonly #startHead: number;
  readonly #startStamp: number;
  readonly #startStampS: number;
  #behindSaid: OriginId | undefined;

  /** `startStamp`: clock reading before the first write of this run. */
  constructor(log: ReplicatedLog, origins: OriginTable, outbox: Outbox, startStamp: number) {
    this.#log = log;
    this.#origins = origins;
    this.#outbox = outbox;
    this.#startOrigin = log.origin;
    this.#startHead = headOf(log.originLog(log.origin)?.seen ?? []);
    this.#startStamp = startStamp;
    this.#startStampS = Math.floor(startStamp / secondUs);
  }

  /** As it was when this run began; undefined once the run writes another one, which no earlier run can have written. */
  get atStart(): { readonly origin: OriginId; readonly head: number; readonly stamp: number } | undefined {
    if (this.#log.origin !== this.#startOrigin) return undefined;
    return { origin: this.#startOrigin, head: this.#startHead, stamp: this.#startStamp };
  }

  /** A peer knows this much of it. */
  check(head: number): void {
    const { origin } = this.#log;
    if (head <= headOf(this.#log.originLog(origin)?.seen ?? [])) return;
    this.#origins.learnHead(this.#origins.row(origin), head);
    this.#sayBehind(head);
  }

  /** A peer has seen other entries under numbers that this run used: up to this one, at least. */
  contradicted(head: number): void {
    this.#sayBehind(head);
  }

  /**
   * A peer says that our log was longer, before this run began, than it was when this run began: its end was restored
   * away, even if the log has grown beyond that since.
   */
  checkLife(heads: HeadsMessage['heads']): void {
    if (this.#log.origin !== this.#startOrigin) return;
    for (const { origin, head, stampS } of heads) {
      if (origin !== this.#startOrigin || head <= this.#startHead || stampS >= this.#startStampS) continue;
      this.#sayBehind(head);
      return;
    }
  }

  /** Oldest first; of very many, the newest. */
  read(range: SeqRange): readonly Dot[] {
    const dots: Dot[] = [];
    let { to } = range;
    while (to >= range.from && dots.length < spreadDotsMax) {
      const read = this.#log.read(this.#log.origin, { from: range.from, to }, spreadDotsMax, 16 << 20);
      const last = read.at(-1);
      if (last === undefined) break;
      dots.push(...read);
      to = last.seq - 1;
    }
    return dots.toReversed();
  }

  #sayBehind(head: number): void {
    const ownOrigin = this.#log.origin;
    if (this.#behindSaid === ownOrigin) return;
    this.#behindSaid = ownOrigin;
    this.#outbox.push({ kind: 'behind', ownOrigin, head });
  }
}
