import type { CellKey, TimelineBucket } from './snapshot.ts';

/** Widths in which spans are counted, from fresh to old. */
const widthsMs = [10_000, 60_000, 600_000, 3_600_000] as const;
const bucketsMax = 4_096;

/** Counts by time and rule. When there are too many, the older half is counted in wider spans. */
export class Timeline {
  #buckets = new Map<string, TimelineBucket>();

  constructor(before: readonly TimelineBucket[]) {
    for (const bucket of structuredClone(before)) this.#buckets.set(bucketId(bucket), bucket);
  }

  at(of: Omit<CellKey, 'endpoint'>, atMs: number): TimelineBucket {
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
    for (const [at, widthMs] of widthsMs.entries()) {
      const ordered = this.buckets();
      if (ordered.length <= bucketsMax * 0.75) return;
      const wider = widthsMs[at + 1];
      if (wider === undefined) {
        // All of the older half are of the widest: the oldest are given up.
        this.#buckets = new Map(ordered.slice(bucketsMax / 4).map((bucket) => [bucketId(bucket), bucket]));
        return;
      }
      const old = new Set(
        ordered.slice(0, ordered.length / 2).filter((bucket) => bucket.widthMs === widthMs),
      );
      this.#buckets = new Map(
        ordered.filter((bucket) => !old.has(bucket)).map((bucket) => [bucketId(bucket), bucket]),
      );
      for (const bucket of old)
        this.#addWider({ ...bucket, atMs: bucket.atMs - (bucket.atMs % wider), widthMs: wider });
    }
  }

  #addWider(bucket: TimelineBucket): void {
    const there = this.#buckets.get(bucketId(bucket));
    if (there === undefined) this.#buckets.set(bucketId(bucket), bucket);
    else addBucket(there, bucket);
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
