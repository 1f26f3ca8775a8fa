import type { ScopeKey } from './evidence.ts';
import type { TimelineBucket } from './snapshot.ts';

/** Widths in which spans are counted, from fresh to old. */
const widthsMs = [10_000, 60_000, 600_000, 3_600_000] as const;
const bucketsMax = 4_096;

/** Counts by time and rule. When there are too many, the older half is counted in wider spans. */
export class Timeline {
  #buckets = new Map<string, TimelineBucket>();

  constructor(before: readonly TimelineBucket[]) {
    for (const bucket of structuredClone(before)) this.#buckets.set(bucketId(bucket), bucket);
  }

  at(of: ScopeKey, atMs: number): TimelineBucket {
    const widthMs = widthsMs[0];
    const key = { of: of.of, prefix: of.prefix, phase: of.phase, atMs: atMs - (atMs % widthMs), widthMs };
    const id = bucketId(key);
    const held = this.#buckets.get(id);
    if (held !== undefined) return held;
    if (this.#buckets.size >= bucketsMax) this.#coarsen();
    const made = { ...key, ...zeros };
    this.#buckets.set(id, made);
    return made;
  }

  /** Oldest first. */
  buckets(): TimelineBucket[] {
    return [...this.#buckets.values()].toSorted((a, b) => a.atMs - b.atMs);
  }

  #coarsen(): void {
    const ordered = this.buckets();
    const old = ordered.slice(0, ordered.length / 2);
    const kept = new Map(ordered.slice(old.length).map((bucket) => [bucketId(bucket), bucket]));
    for (const bucket of old) {
      const widthMs = widthsMs.find((width) => width > bucket.widthMs);
      // Of the widest the oldest are given up.
      if (widthMs === undefined) continue;
      const wider = { ...bucket, atMs: bucket.atMs - (bucket.atMs % widthMs), widthMs };
      const there = kept.get(bucketId(wider));
      if (there === undefined) kept.set(bucketId(wider), wider);
      else addBucket(there, bucket);
    }
    this.#buckets = kept;
  }
}

const zeros = {
  compared: 0,
  differed: 0,
  transient: 0,
  persistent: 0,
  indeterminate: 0,
  dropped: 0,
  errors: 0,
  readYourWrites: 0,
  monotonicReads: 0,
  indexRegressions: 0,
  stalenessMsMax: 0,
};

function addBucket(into: TimelineBucket, more: TimelineBucket): void {
  for (const name of Object.keys(zeros) as (keyof typeof zeros)[]) {
    into[name] = name === 'stalenessMsMax' ? Math.max(into[name], more[name]) : into[name] + more[name];
  }
}

function bucketId(key: Pick<TimelineBucket, 'of' | 'prefix' | 'phase' | 'atMs' | 'widthMs'>): string {
  return `${key.atMs}\n${key.widthMs}\n${key.of}\n${key.phase}\n${key.prefix}`;
}
