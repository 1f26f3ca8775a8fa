import { upperBound95, wilson95 } from '../compare/intervals.ts';

// Intervals of rates. Chance comes from a seed, so that equal evidence prints equal intervals.

// A report draws a million numbers: not one look-up of a global for each.
const { imul, exp, log, sqrt, cos, max, min, PI } = Math;

/** Numbers in [0, 1) that follow from a seed (mulberry32). */
export function seededChance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** Hits of one key; `keys` of them with as many each (for what was counted without its key). */
export interface HitCluster {
  readonly hits: number;
  readonly keys: number;
}

export interface RateInterval {
  readonly hits: number;
  readonly of: number;
  /** 0 for an empty sample. */
  readonly rate: number;
  /** 95 %. */
  readonly low: number;
  readonly high: number;
  /** Which of the intervals is printed: the wider one. */
  readonly method: 'none' | 'rule-of-three' | 'wilson' | 'bootstrap-by-key';
}

const resamples = 2_000;

/**
 * The 95 % interval of a rate whose hits come in clusters: Wilson's, or the one that comes of drawing keys anew,
 * whichever is wider. No hits: 3/n above (rule of three). Nothing looked at: nothing known.
 */
export function rateInterval(
  hits: number,
  of: number,
  clusters: readonly HitCluster[],
  seed: number,
): RateInterval {
  if (of === 0) return { hits, of, rate: 0, low: 0, high: 1, method: 'none' };
  if (hits === 0) return { hits, of, rate: 0, low: 0, high: upperBound95(0, of), method: 'rule-of-three' };
  const [low, high] = wilson95(hits, of);
  const [keyLow, keyHigh] = bootstrapByKey95(of, clusters, seed);
  const rate = hits / of;
  if (keyHigh - keyLow > high - low) {
    return {
      hits,
      of,
      rate,
      low: Math.min(keyLow, rate),
      high: Math.max(keyHigh, rate),
      method: 'bootstrap-by-key',
    };
  }
  return { hits, of, rate, low, high, method: 'wilson' };
}

/**
 * Draws keys with replacement, 2000 times: of many keys each is drawn a Poisson(1) number of times, and those without
 * hits only add to the denominator, which is held fixed. So only the keys with hits need be known.
 */
export function bootstrapByKey95(
  of: number,
  clusters: readonly HitCluster[],
  seed: number,
): readonly [low: number, high: number] {
  if (of === 0) return [0, 1];
  // Keys with equally many hits are drawn together: a sum of Poisson numbers is one.
  const keysByHits = new Map<number, number>();
  for (const { hits, keys } of clusters) {
    if (keys > 0) keysByHits.set(hits / keys, (keysByHits.get(hits / keys) ?? 0) + keys);
  }
  const chance = seededChance(seed);
  const rates = new Float64Array(resamples);
  for (let round = 0; round < resamples; round += 1) {
    let hits = 0;
    for (const [each, keys] of keysByHits) hits += each * poisson(keys, chance);
    rates[round] = min(1, hits / of);
  }
  rates.sort();
  return [rates[Math.floor(resamples * 0.025)] ?? 0, rates[Math.ceil(resamples * 0.975) - 1] ?? 1];
}

/** Knuth's for small means, the normal one beyond. */
function poisson(mean: number, chance: () => number): number {
  if (mean > 30) {
    const normal = sqrt(-2 * log(1 - chance())) * cos(2 * PI * chance());
    return max(0, Math.round(mean + normal * sqrt(mean)));
  }
  const limit = exp(-mean);
  let product = chance();
  let drawn = 0;
  while (product > limit) {
    drawn += 1;
    product *= chance();
  }
  return drawn;
}

/** 95 % interval of the difference b − a of two rates, from an interval of each (Newcombe's square-and-add). */
export function differenceInterval(a: RateInterval, b: RateInterval): readonly [low: number, high: number] {
  const difference = b.rate - a.rate;
  return [
    difference - Math.hypot(b.rate - b.low, a.high - a.rate),
    difference + Math.hypot(b.high - b.rate, a.rate - a.low),
  ];
}
