import type { Dot, OriginId } from '../crdt/dot.ts';
import {
  addRange,
  hasSeq,
  headOf,
  missingRanges,
  noSeqs,
  unionRanges,
  type SeqRanges,
} from '../crdt/seq-ranges.ts';
import type { Instant } from '../kernel/instant.ts';
import type { ReplicatedLog } from './log.ts';
import { bodyOf, type DotBody, type OriginRanges } from './body.ts';
import { newlySuperseded, Superseded } from './superseded.ts';
import { bodyBytes } from './sizes.ts';
import type { OriginTable } from './origins.ts';
import type { ReplicationStats } from './stats.ts';

interface Deferred {
  seqs: SeqRanges;
  /** Of some of them, the dots themselves; the others are asked for again. */
  readonly dots: Map<number, DotBody>;
}

const deferredBytesMax = 8 << 20;

/** What came in of one origin: what of it was not here, and up to where the origin is now whole. */
export interface Taken {
  readonly row: number;
  /** Merged now, or put off now for the first time: what is to be handed on. */
  readonly fresh: readonly DotBody[];
  readonly whole: number;
}

/**
 * Merges dots, by whatever way they came, and keeps those that must wait for a zone's term: they are neither seen nor
 * missing, and are merged again as soon as zones change.
 */
export class Intake {
  readonly #log: ReplicatedLog;
  readonly #origins: OriginTable;
  readonly #stats: ReplicationStats;
  readonly #deferred = new Map<OriginId, Deferred>();
  readonly #superseded: Superseded;
  #deferredBytes = 0;

  constructor(log: ReplicatedLog, origins: OriginTable, stats: ReplicationStats) {
    this.#log = log;
    this.#origins = origins;
    this.#stats = stats;
    this.#superseded = new Superseded(log);
  }

  get deferredDots(): number {
    let dots = 0;
    for (const { seqs } of this.#deferred.values()) {
      for (const { from, to } of seqs) dots += to - from + 1;
    }
    return dots;
  }

  get deferredOrigins(): number {
    return this.#deferred.size;
  }

  /** What is neither seen nor to be asked for: it waits for zones to change, or for what overwrote it. */
  deferredOf(origin: OriginId): SeqRanges {
    const deferred = this.#deferred.get(origin)?.seqs ?? noSeqs;
    return unionRanges(deferred, this.#superseded.of(origin));
  }

  /** Merges dots of an introduced origin in the order given; the superseded and the partial wait for `settle`. */
  take(origin: OriginId, dots: readonly DotBody[], context: readonly OriginRanges[], now: Instant): Taken {
    const row = this.#origins.row(origin);
    const overwritten = newlySuperseded(dots, this.#origins.seen(row), this.#superseded.of(origin));
    if (overwritten.length > 0) this.takeSuperseded(origin, overwritten, context, now);
    const fresh = dots.filter((body) => {
      if (body.records.length === 0) return hasSeq(overwritten, body.seq);
      return this.#put(row, body, context, now);
    });
    return { row, fresh: fresh.length === dots.length ? dots : fresh, whole: this.#origins.refresh(row) };
  }

  /** Ranges of an origin that their holder says are superseded. */
  takeSuperseded(origin: OriginId, ranges: SeqRanges, context: readonly OriginRanges[], now: Instant): void {
    this.#superseded.add(origin, ranges, context, now.monoMs);
    this.#learn(context);
  }

  /** Superseded dots of which all is here by now that overwrote them become seen; answers of which origins. */
  settle(now: Instant): readonly Taken[] {
    const settled = this.#superseded.settle(now);
    if (settled.size === 0) return [];
    for (const [origin, { bodies }] of settled) for (const body of bodies) this.#merge(origin, body, now);
    this.#log.adoptContext(
      new Map(
        [...settled].map(([origin, { seqs, bodies }]) => {
          // What was put off after all is not seen.
          const { seqs: off } = this.#deferred.get(origin) ?? { seqs: noSeqs };
          return [origin, bodies.length === 0 ? seqs : missingRanges(seqs, off)];
        }),
      ),
    );
    return [...settled.keys()].map((origin) => {
      const row = this.#origins.row(origin);
      return { row, fresh: [], whole: this.#origins.refresh(row) };
    });
  }

  /** Merges again what was put off; answers the origins of which something was merged. */
  retryDeferred(now: Instant): readonly Taken[] {
    const taken: Taken[] = [];
    for (const [origin, deferred] of [...this.#deferred]) {
      this.#deferred.delete(origin);
      for (const body of deferred.dots.values()) this.#deferredBytes -= bodyBytes(body);
      // In the order of the log: a term that one of them brings helps the next.
      const dots = [...deferred.dots.values()].toSorted((a, b) => a.seq - b.seq);
      taken.push(this.take(origin, dots, [], now));
    }
    return taken;
  }

  /** What is left of a partial dot is merged once that is here which overwrote the rest. */
  #put(row: number, body: DotBody, context: readonly OriginRanges[], now: Instant): boolean {
    const origin = this.#origins.originAt(row);
    const waits = body.size !== undefined && this.#log.isAwaited?.(body) !== true;
    if (!waits || hasSeq(this.#origins.seen(row), body.seq)) return this.#merge(origin, body, now);
    if (hasSeq(this.#superseded.of(origin), body.seq)) return false;
    if (!this.#superseded.keep(origin, body, context, now.monoMs)) return this.#merge(origin, body, now);
    this.#learn(context);
    this.#origins.learnHead(row, body.seq);
    return true;
  }

  #learn(context: readonly OriginRanges[]): void {
    for (const { origin, ranges } of context) {
      if (origin !== this.#log.origin) this.#origins.learnHead(this.#origins.row(origin), headOf(ranges));
    }
  }

  #merge(origin: OriginId, body: DotBody, now: Instant): boolean {
    const dot: Dot = { origin, ...bodyOf(body) };
    switch (this.#log.merge(dot, now)) {
      case 'applied':
        this.#stats.applied += 1;
        return true;
      case 'seen':
        this.#stats.duplicates += 1;
        return false;
      case 'deferred':
        return this.#defer(origin, body);
    }
  }

  #defer(origin: OriginId, body: DotBody): boolean {
    let deferred = this.#deferred.get(origin);
    if (deferred === undefined) {
      deferred = { seqs: noSeqs, dots: new Map() };
      this.#deferred.set(origin, deferred);
    }
    const own = [{ from: body.seq, to: body.seq }];
    if (missingRanges(own, deferred.seqs).length === 0) return false;
    this.#stats.deferred += 1;
    deferred.seqs = addRange(deferred.seqs, { from: body.seq, to: body.seq });
    this.#origins.learnHead(this.#origins.row(origin), body.seq);
    const bytes = bodyBytes(body);
    if (this.#deferredBytes + bytes <= deferredBytesMax) {
      this.#deferredBytes += bytes;
      deferred.dots.set(body.seq, body);
    }
    return true;
  }
}
