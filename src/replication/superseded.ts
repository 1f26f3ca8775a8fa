import type { OriginId } from '../crdt/dot.ts';
import { addRange, coversRanges, hasSeq, noSeqs, unionRanges, type SeqRanges } from '../crdt/seq-ranges.ts';
import type { ReplicatedLog } from './log.ts';
import type { DotBody, OriginRanges } from './body.ts';
import { contextMax } from './messages.ts';

/** For so long it may take until what overwrote them is here; then they are asked for again. */
const patienceMs = 5000;

/** Runs of one log that a context tells. */
const toldMax = 32;

interface Pending {
  seqs: SeqRanges;
  readonly needs: Map<OriginId, SeqRanges>;
  readonly sinceMs: number;
}

/**
 * What must be here before the superseded dots among these count as seen: the logs of their origin and of whoever else
 * may write its registers, as far as the sender has them (there may be holes that nobody can fill).
 */
export function contextOf(
  log: ReplicatedLog,
  origin: OriginId,
  dots: readonly DotBody[],
): readonly OriginRanges[] {
  return dots.some(({ records }) => records.length === 0) ? seenOver(log, [origin]) : [];
}

/** As `contextOf`, of several origins that all have superseded dots. */
export function seenOver(log: ReplicatedLog, origins: Iterable<OriginId>): readonly OriginRanges[] {
  const named = new Set<OriginId>(origins);
  for (const origin of [...named]) for (const other of log.overwriters?.(origin) ?? []) named.add(other);
  const context: OriginRanges[] = [];
  for (const origin of named) {
    const seen = log.originLog(origin)?.seen ?? noSeqs;
    if (seen.length > 0 && context.length < contextMax) context.push({ origin, ranges: told(seen) });
  }
  return context;
}

/** Of very many holes the oldest are told as if they were none: that asks for more than is needed, never for less. */
function told(seen: SeqRanges): SeqRanges {
  if (seen.length <= toldMax) return seen;
  const [first, last] = [seen[0], seen[seen.length - toldMax]];
  if (first === undefined || last === undefined) return seen;
  return [{ from: first.from, to: last.to }, ...seen.slice(-toldMax + 1)];
}

/**
 * Superseded dots that are not seen yet. Somebody who has what overwrote them says that nothing is left of them; here
 * it may be on its way. Were they seen at once, their registers would show what stood there *before* them, and yet
 * everything would count as complete: a client would not read what it wrote, a consistent read something overwritten,
 * and a new owner would decide on it.
 *
 * They are seen, all together, as soon as all they need is seen or is itself among those that become seen with them.
 */
export class Superseded {
  readonly #log: ReplicatedLog;
  readonly #pending = new Map<OriginId, Pending>();

  constructor(log: ReplicatedLog) {
    this.#log = log;
  }

  /** Neither seen nor to be asked for. */
  of(origin: OriginId): SeqRanges {
    return this.#pending.get(origin)?.seqs ?? noSeqs;
  }

  add(origin: OriginId, seqs: SeqRanges, context: readonly OriginRanges[], nowMs: number): void {
    const held = this.#pending.get(origin);
    const needs = new Map(held?.needs);
    for (const { origin: other, ranges } of context) {
      needs.set(other, unionRanges(needs.get(other) ?? noSeqs, ranges));
    }
    this.#pending.set(origin, {
      seqs: unionRanges(held?.seqs ?? noSeqs, seqs),
      needs,
      sinceMs: held?.sinceMs ?? nowMs,
    });
  }

  /** Takes out those that count as seen now; and those that waited too long, which are missing again. */
  settle(nowMs: number): ReadonlyMap<OriginId, SeqRanges> {
    const settled = new Map<OriginId, SeqRanges>();
    if (this.#pending.size === 0) return settled;
    const candidates = new Map(this.#pending);
    for (let again = true; again;) {
      again = false;
      for (const [origin, { needs }] of candidates) {
        const whole = [...needs].every(([other, needed]) => this.#reaches(other, needed, candidates));
        if (whole) continue;
        candidates.delete(origin);
        again = true;
      }
    }
    for (const [origin, { seqs }] of candidates) {
      settled.set(origin, seqs);
      this.#pending.delete(origin);
    }
    for (const [origin, { sinceMs }] of this.#pending) {
      if (nowMs - sinceMs > patienceMs) this.#pending.delete(origin);
    }
    return settled;
  }

  #reaches(origin: OriginId, needed: SeqRanges, candidates: ReadonlyMap<OriginId, Pending>): boolean {
    if (origin === this.#log.origin) return true;
    const seen = this.#log.originLog(origin)?.seen ?? noSeqs;
    if (coversRanges(seen, needed)) return true;
    const along = candidates.get(origin)?.seqs;
    return along !== undefined && coversRanges(unionRanges(seen, along), needed);
  }
}

/** Seqs of the superseded among these dots that are news here: neither seen nor pending. */
export function newlySuperseded(dots: readonly DotBody[], seen: SeqRanges, pending: SeqRanges): SeqRanges {
  let news = noSeqs;
  for (const { seq, records } of dots) {
    if (records.length > 0 || hasSeq(seen, seq) || hasSeq(pending, seq)) continue;
    news = addRange(news, { from: seq, to: seq });
  }
  return news;
}
