/**
 * A histogram with a bounded relative error (after DDSketch): a value falls into bucket ⌈log γ (value)⌉, so that the
 * middle of its bucket is at most 2 % off. Two of them add up bucket by bucket, in any order, to what one would have
 * counted: that is what lets gateways count on their own.
 */
export interface Histogram {
  count: number;
  sum: number;
  max: number;
  /** Values of (nearly) zero: below `leastValue`. */
  zero: number;
  /** Pairs of bucket and count, by bucket. */
  buckets: [bucket: number, count: number][];
}

export const relativeError = 0.02;
const gamma = (1 + relativeError) / (1 - relativeError);
const logGamma = Math.log(gamma);
/** What is below counts as zero, what is above as this much: so there are at most ~690 buckets. */
export const leastValue = 1e-3;
const greatestValue = 1e9;

/** One that is only read. */
export type ReadonlyHistogram = Readonly<Omit<Histogram, 'buckets'>> & {
  readonly buckets: readonly (readonly [bucket: number, count: number])[];
};

export function emptyHistogram(): Histogram {
  return { count: 0, sum: 0, max: 0, zero: 0, buckets: [] };
}

/** Negative values (a clock that jitters) count as zero. */
export function addValue(histogram: Histogram, value: number): void {
  const bounded = Math.min(greatestValue, Math.max(0, value));
  histogram.count += 1;
  histogram.sum += bounded;
  if (bounded > histogram.max) histogram.max = bounded;
  if (bounded < leastValue) histogram.zero += 1;
  else addToBucket(histogram.buckets, Math.ceil(Math.log(bounded) / logGamma), 1);
}

/** Adds `other` to `into`. */
export function addHistogram(into: Histogram, other: Histogram): void {
  into.count += other.count;
  into.sum += other.sum;
  into.max = Math.max(into.max, other.max);
  into.zero += other.zero;
  for (const [bucket, count] of other.buckets) addToBucket(into.buckets, bucket, count);
}

/** The value that a share `q` in [0, 1] of all values does not exceed, at most 2 % off; undefined when empty. */
export function quantile(histogram: ReadonlyHistogram, q: number): number | undefined {
  if (histogram.count === 0) return undefined;
  const rank = Math.max(1, Math.ceil(q * histogram.count));
  let below = histogram.zero;
  if (rank <= below) return 0;
  for (const [bucket, count] of histogram.buckets) {
    below += count;
    if (rank <= below) return Math.min(histogram.max, middleOf(bucket));
  }
  return histogram.max;
}

/** The share of values that do not exceed `value` (by buckets, as `quantile`); undefined when empty. */
export function shareUpTo(histogram: Histogram, value: number): number | undefined {
  if (histogram.count === 0) return undefined;
  let upTo = histogram.zero;
  for (const [bucket, count] of histogram.buckets) if (middleOf(bucket) <= value) upTo += count;
  return upTo / histogram.count;
}

/** The value that stands for a bucket. */
export function middleOf(bucket: number): number {
  return (2 * gamma ** bucket) / (gamma + 1);
}

function addToBucket(buckets: [number, number][], bucket: number, count: number): void {
  let [low, high] = [0, buckets.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((buckets[middle]?.[0] ?? 0) < bucket) low = middle + 1;
    else high = middle;
  }
  const there = buckets[low];
  if (there !== undefined && there[0] === bucket) there[1] += count;
  else buckets.splice(low, 0, [bucket, count]);
}
