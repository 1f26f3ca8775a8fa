import type { OriginId } from '../crdt/dot.ts';
import { addRange, coversRanges, hasSeq, noSeqs, unionRanges, type SeqRanges } from '../crdt/seq-ranges.ts';
import type { Instant } from '../kernel/instant.ts';
import type { ReplicatedLog } from './log.ts';
import { bodyBytes } from './sizes.ts';
import { isOverwritten, type DotBody, type OriginRanges } from './body.ts';
import { contextMax } from './messages.ts';

/** For so long it may take until what overwrote them is here; then they are asked for again. */
const patienceMs = 5000;

/** So much of partial dots is kept; what is more shows at once, in part. Guess. */
const heldBytesMax = 32 << 20;

/** Of one origin; later ones join the last. Guess. */
const groupsMax = 8;

/** Runs of one log that a context tells. */
const toldMax = 32;

/** Some dots of one origin that wait for the same. */
class Pending {
  readonly origin: OriginId;
  sinceMs: number;
  seqs: SeqRanges = noSeqs;
  readonly needs = new Map<OriginId, SeqRanges>();
  /** Of those that are partial, what is left. */
  readonly bodies = new Map<number, DotBody>();

  constructor(origin: OriginId, nowMs: number) {
    this.origin = origin;
    this.sinceMs = nowMs;
  }

  get bytes(): number {
    return [...this.bodies.values()].reduce((sum, body) => sum + bodyBytes(body), 0);
  }

  add(seqs: SeqRanges): void {
    this.seqs = unionRanges(this.seqs, seqs);
  }

  need(context: readonly OriginRanges[]): void {
    for (const { origin, ranges } of context) {
      this.needs.set(origin, unionRanges(this.needs.get(origin) ?? noSeqs, ranges));
    }
  }

  covers(context: readonly OriginRanges[]): boolean {
    return context.every(({ origin, ranges }) => coversRanges(this.needs.get(origin) ?? noSeqs, ranges));
  }
}

/** What became of those that waited: all that overwrote them is here. */
export interface Settled {
  readonly seqs: SeqRanges;
  readonly bodies: readonly DotBody[];
}

/**
 * What must be here before the superseded and partial dots among these count as seen: the logs of their origin and of whoever else
 * may write its registers, as far as the sender has them (there may be holes that nobody can fill).
 */
export function contextOf(
  log: ReplicatedLog,
  origin: OriginId,
  dots: readonly DotBody[],
): readonly OriginRanges[] {
  return dots.some(isOverwritten) ? seenOver(log, [origin]) : [];
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
 * Superseded dots, and partial ones, that are not seen yet. Somebody who has what overwrote them says that nothing, or
 * only this, is left of them; here it may be on its way. Were they seen at once, their registers would show what stood
 * there *before* them, and yet everything would count as complete: a client would not read what it wrote, a consistent
 * read something overwritten, a new owner would decide on it; and of a transaction a part would show.
 *
 * They are seen, all together, as soon as all they need is seen or is itself among those that become seen with them.
 */
export class Superseded {
  readonly #log: ReplicatedLog;
  readonly #pending: Pending[] = [];
  #heldBytes = 0;

  constructor(log: ReplicatedLog) {
    this.#log = log;
  }

  /** Neither seen nor to be asked for. */
  of(origin: OriginId): SeqRanges {
    return seqsOf(origin, this.#pending);
  }

  add(origin: OriginId, seqs: SeqRanges, context: readonly OriginRanges[], nowMs: number): void {
    this.#group(origin, context, nowMs).add(seqs);
  }

  /** Keeps what is left of a partial dot that waits; false: there is no room. */
  keep(origin: OriginId, body: DotBody, context: readonly OriginRanges[], nowMs: number): boolean {
    const bytes = bodyBytes(body);
    if (this.#heldBytes + bytes > heldBytesMax) return false;
    this.#heldBytes += bytes;
    const group = this.#group(origin, context, nowMs);
    group.add([{ from: body.seq, to: body.seq }]);
    group.bodies.set(body.seq, body);
    return true;
  }

  /** Takes out those that count as seen now; and those that waited too long, which are missing again. */
  settle(now: Instant): ReadonlyMap<OriginId, Settled> {
    const settled = new Map<OriginId, Settled>();
    if (this.#pending.length === 0) return settled;
    let candidates: readonly Pending[] = this.#pending;
    for (;;) {
      const left = candidates.filter((each) => this.#isWhole(each, candidates) && !this.#mustWait(each, now));
      const done = left.length === candidates.length;
      candidates = left;
      if (done) break;
    }
    for (const { origin, seqs, bodies } of candidates) {
      const before = settled.get(origin);
      settled.set(origin, {
        seqs: unionRanges(before?.seqs ?? noSeqs, seqs),
        bodies: [...(before?.bodies ?? []), ...bodies.values()].toSorted((x, y) => x.seq - y.seq),
      });
    }
    const out = new Set(candidates);
    const kept = this.#pending.filter((each) => !out.has(each) && now.monoMs - each.sinceMs <= patienceMs);
    this.#pending.splice(0, this.#pending.length, ...kept);
    this.#heldBytes = kept.reduce((sum, each) => sum + each.bytes, 0);
    return settled;
  }

  /** Where it belongs with others of its origin, which need as much: else newer ones would hold up older ones. */
  #group(origin: OriginId, context: readonly OriginRanges[], nowMs: number): Pending {
    const own = this.#pending.filter((each) => each.origin === origin);
    const last = own.at(-1);
    if (last !== undefined && (own.length >= groupsMax || last.covers(context))) {
      last.need(context);
      // What is kept need not be asked for again as long as more of it comes.
      last.sinceMs = nowMs;
      return last;
    }
    const made = new Pending(origin, nowMs);
    made.need(context);
    this.#pending.push(made);
    return made;
  }

  #isWhole({ needs }: Pending, candidates: readonly Pending[]): boolean {
    for (const [origin, needed] of needs) {
      if (origin === this.#log.origin) continue;
      const seen = this.#log.originLog(origin)?.seen ?? noSeqs;
      if (coversRanges(seen, needed)) continue;
      if (!coversRanges(unionRanges(seen, seqsOf(origin, candidates)), needed)) return false;
    }
    return true;
  }

  /** Zones of what is left of one of them are not known here yet. */
  #mustWait({ origin, bodies }: Pending, now: Instant): boolean {
    for (const { seq, records } of bodies.values()) {
      if (this.#log.defers?.({ origin, seq, records }, now) === true) return true;
    }
    return false;
  }
}

function seqsOf(origin: OriginId, pending: readonly Pending[]): SeqRanges {
  let seqs = noSeqs;
  for (const each of pending) if (each.origin === origin) seqs = unionRanges(seqs, each.seqs);
  return seqs;
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
