import type { JsonObject } from '../wire/go-json.ts';

export type MetricLabels = Readonly<Record<string, string>>;

/** What was seen of a series in one interval. */
interface Window {
  count: number;
  sum: number;
  sumOfSquares: number;
  min: number;
  max: number;
}

/**
 * Counts how often something happened. Counting costs one addition: what is shown is worked out when somebody looks.
 */
export class Counter {
  readonly labels: MetricLabels;
  total = 0;
  #totalBefore = 0;
  #last = 0;

  constructor(labels: MetricLabels) {
    this.labels = labels;
  }

  add(by = 1): void {
    this.total += by;
  }

  /** Begins the next interval. */
  roll(): void {
    this.#last = this.total - this.#totalBefore;
    this.#totalBefore = this.total;
  }

  /** The row of the last whole interval, or of the one that runs; undefined when nothing happened in it. */
  render(name: string, running: boolean, intervalMs: number): JsonObject | undefined {
    const count = running ? this.total - this.#totalBefore : this.#last;
    if (count === 0) return undefined;
    const window = { count, sum: count, sumOfSquares: count, min: 1, max: 1 };
    return renderWindow(name, window, this.labels, intervalMs);
  }
}

/** Milliseconds fall into buckets of microseconds: four to each power of two, so a quantile is right to an eighth. */
const bucketCount = 120;
const usMax = 2 ** 31 - 1;

/** Takes durations in milliseconds: how many, how long together, and how they are spread. */
export class Timings {
  readonly labels: MetricLabels;
  #countBefore = 0;
  #sumBefore = 0;
  #running = emptyWindow();
  #buckets = new Uint32Array(bucketCount);
  #last = emptyWindow();
  #lastBuckets = new Uint32Array(bucketCount);

  constructor(labels: MetricLabels) {
    this.labels = labels;
  }

  get count(): number {
    return this.#countBefore + this.#running.count;
  }

  get sumMs(): number {
    return this.#sumBefore + this.#running.sum;
  }

  observe(ms: number): void {
    const window = this.#running;
    window.count += 1;
    window.sum += ms;
    window.sumOfSquares += ms * ms;
    if (ms < window.min) window.min = ms;
    if (ms > window.max) window.max = ms;
    const bucket = bucketOf(ms);
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
  }

  /** Begins the next interval. */
  roll(): void {
    this.#countBefore += this.#running.count;
    this.#sumBefore += this.#running.sum;
    this.#last = this.#running;
    this.#running = emptyWindow();
    [this.#lastBuckets, this.#buckets] = [this.#buckets, this.#lastBuckets];
    this.#buckets.fill(0);
  }

  /** As `Counter.render`. */
  render(name: string, running: boolean, intervalMs: number): JsonObject | undefined {
    const window = running ? this.#running : this.#last;
    return window.count === 0 ? undefined : renderWindow(name, window, this.labels, intervalMs);
  }

  /** Milliseconds that this share of the last whole interval, or of the running one, stayed within; NaN for none. */
  quantile(share: number, running: boolean): number {
    const window = running ? this.#running : this.#last;
    const buckets = running ? this.#buckets : this.#lastBuckets;
    let left = share * window.count;
    if (window.count === 0) return Number.NaN;
    for (const [bucket, count] of buckets.entries()) {
      left -= count;
      if (count > 0 && left <= 0) return Math.min(Math.max(bucketMs(bucket), window.min), window.max);
    }
    return window.max;
  }
}

function emptyWindow(): Window {
  return { count: 0, sum: 0, sumOfSquares: 0, min: Infinity, max: -Infinity };
}

function bucketOf(ms: number): number {
  const us = Math.min(Math.max(Math.trunc(ms * 1000), 0), usMax);
  if (us < 4) return us;
  const power = 31 - Math.clz32(us);
  return (power - 1) * 4 + ((us >> (power - 2)) & 3);
}

/** The middle of a bucket. */
function bucketMs(bucket: number): number {
  if (bucket < 4) return bucket / 1000;
  const power = Math.floor(bucket / 4) + 1;
  return ((4 + (bucket % 4) + 0.5) * 2 ** (power - 2)) / 1000;
}

/** With the names of `/v1/agent/metrics`. */
function renderWindow(name: string, window: Window, labels: MetricLabels, intervalMs: number): JsonObject {
  const { count, sum, min, max } = window;
  return {
    Name: name,
    Count: count,
    Rate: sum / (intervalMs / 1000),
    Sum: sum,
    Min: min,
    Max: max,
    Mean: sum / count,
    Stddev: deviation(window),
    Labels: labels,
  };
}

function deviation({ count, sum, sumOfSquares }: Window): number {
  const variance = count * sumOfSquares - sum * sum;
  return count < 2 || variance <= 0 ? 0 : Math.sqrt(variance / (count * (count - 1)));
}
