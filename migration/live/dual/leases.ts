import type { PhaseRule } from '../../../src/state/migration.ts';
import type { SourceAsker } from '../proxy/source-client.ts';
import { fenceKey, type FenceOf, type Fences } from './fence.ts';
import { readKey } from './read-key.ts';

/**
 * How long a gateway may write without a fence after it has seen that its term is the source's. Whoever moves the
 * authority waits for as long after the fence is raised, if a gateway does not take part.
 */
export const leaseMs = 500;

/**
 * - `held`: until then (monotonic), the term of each rule was the source's;
 * - `stale`: the source knows of a later one;
 * - `trouble`: it could not be proved.
 */
export type Lease =
  | { readonly kind: 'held'; readonly untilMs: number }
  | { readonly kind: 'stale'; readonly rule: PhaseRule; readonly term: number }
  | { readonly kind: 'trouble'; readonly why: string; readonly denied: boolean };

/** Writes that no transaction can fence (too large, or with a token that may not use our keys) are bounded by time. */
export class Leases {
  readonly #source: SourceAsker;
  readonly #token: () => string;
  readonly #fences: Fences;
  readonly #monoMs: () => number;
  readonly #held = new Map<string, FenceOf & { readonly untilMs: number }>();

  constructor(source: SourceAsker, token: () => string, fences: Fences, monoMs: () => number) {
    this.#source = source;
    this.#token = token;
    this.#fences = fences;
    this.#monoMs = monoMs;
  }

  /** `anew`: what was proved before does not count. */
  async prove(rules: readonly PhaseRule[], anew = false): Promise<Lease> {
    let untilMs = Infinity;
    for (const rule of rules) {
      const held = this.#held.get(rule.prefix);
      if (!anew && held?.term === rule.term && held.untilMs > this.#monoMs()) {
        untilMs = Math.min(untilMs, held.untilMs);
        continue;
      }
      // oxlint-disable-next-line no-await-in-loop -- as a rule there is one
      const lease = await this.#look(rule);
      if (lease.kind !== 'held') return lease;
      this.#held.set(rule.prefix, { prefix: rule.prefix, term: rule.term, untilMs: lease.untilMs });
      untilMs = Math.min(untilMs, lease.untilMs);
    }
    return { kind: 'held', untilMs };
  }

  /** By a read of its own: one that began for somebody else may be older. */
  async #look(rule: PhaseRule): Promise<Lease> {
    for (let attempt = 0; attempt < 3; attempt += 1) {
      // What is read is no older than this, however long the answer takes.
      const untilMs = this.#monoMs() + leaseMs;
      // oxlint-disable-next-line no-await-in-loop -- a retry
      const reading = await readKey(this.#source, this.#token(), fenceKey(rule.prefix));
      if (reading.kind === 'trouble') {
        return { kind: 'trouble', why: reading.why, denied: reading.why.startsWith('403') };
      }
      const term = reading.kind === 'entry' ? Number(Buffer.from(reading.entry.value).toString()) : 0;
      if (term > rule.term) return { kind: 'stale', rule, term };
      if (term === rule.term) return { kind: 'held', untilMs };
      // oxlint-disable-next-line no-await-in-loop -- a retry
      const fence = await this.#fences.set(rule);
      if (fence.kind === 'stale') return { kind: 'stale', rule, term: fence.term };
      if (fence.kind === 'trouble') return fence;
    }
    return { kind: 'trouble', why: 'the fence of its keys changes all the time', denied: false };
  }
}
