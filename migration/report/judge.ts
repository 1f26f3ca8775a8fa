import { count } from '../terminal/format.ts';
import { quantile, type Histogram } from '../evidence/histogram.ts';
import { differenceInterval, type RateInterval } from '../evidence/statistics.ts';
import type { ReportHistogram } from './model.ts';
import { hitsText, msText, probabilityText, rateText, signedRateText } from './numbers.ts';
import type { DiffLimits } from './thresholds.ts';

// Whether one metric is better, the same, worse or unknown.

export type MetricVerdict = 'better' | 'same' | 'worse' | 'unknown';

export type Metric = {
  readonly name: string;
  readonly title: string;
  readonly verdict: MetricVerdict;
  readonly a: string;
  readonly b: string;
  /** B less A, with its 95 % interval. */
  readonly change: string;
  readonly why: string;
  /** Neither side measured it: it is unknown, and nothing that got lost. */
  readonly isAbsent: boolean;
  /** Part of another metric, with too little data on both sides to be judged: the whole decides, and says so. */
  readonly isMinor: boolean;
};

/** A metric without its name. */
export type Part = Omit<Metric, 'name' | 'title' | 'isMinor'> & { readonly isMinor?: boolean };

/** What a rate must change by to count, and how far it may be unknown and still be called the same. */
export interface Effect {
  readonly changeMin: number;
  readonly sameMax: number;
}

export function judgeRate(
  a: RateInterval,
  b: RateInterval,
  { changeMin, sameMax }: Effect,
  limits: DiffLimits,
  widen: number,
  { shown, sign }: Wording,
): Part {
  const sides = { a: shown(a), b: shown(b), isAbsent: a.of === 0 && b.of === 0 };
  // Where all was looked at, none there is an answer.
  const isMissing = a.of === 0 || b.of === 0;
  if (isMissing && (sides.isAbsent || a.method !== 'none'))
    return unknown(sides, sides.isAbsent ? 'Not measured.' : 'Measured in one only.');
  const change = b.rate - a.rate;
  const [low, high] = differenceInterval(a, b);
  const bounds = sign === 1 ? [low, high] : [-high, -low];
  const text = `${signedRateText(sign * change)} (${bounds.map(signedRateText).join(' to ')})`;
  const judged = { ...sides, change: text, why: '' };
  // The interval that holds for all metrics at once.
  const [lowest, highest] = [change - (change - low) * widen, change + (high - change) * widen];
  if (lowest > 0 && change >= changeMin) return { ...judged, verdict: 'worse' };
  if (highest < 0 && -change >= changeMin) return { ...judged, verdict: 'better' };
  const reach = Math.max(high - change, change - low);
  const wanted = Math.max(sameMax, limits.rateToleranceMax * Math.max(a.rate, b.rate));
  if (reach <= wanted) return { ...judged, verdict: 'same' };
  if (a.method === 'none') return { ...judged, verdict: 'unknown', why: 'Not all could be decided.' };
  const short = Math.min(a.of, b.of);
  // The bound of zero hits falls with n, the width of an interval with its square root.
  const times = a.hits + b.hits === 0 ? reach / wanted : (reach / wanted) ** 2;
  const why = `Too few: about ${Math.ceil(short * Math.min(1e6, times)).toLocaleString('en-US')} are needed, not ${short.toLocaleString('en-US')}.`;
  return { ...judged, verdict: 'unknown', why };
}

function unknown(sides: Pick<Part, 'a' | 'b' | 'isAbsent'>, why: string): Part {
  return { ...sides, verdict: 'unknown', change: '', why };
}

/** How a rate reads. Shares of what is good are judged by the rest, and so change the other way. */
export type Wording = { readonly shown: (rate: RateInterval) => string; readonly sign: 1 | -1 };

export const differing: Wording = { shown: rateShown, sign: 1 };
export const agreeing: Wording = { shown: shareShown, sign: -1 };

function rateShown(rate: RateInterval): string {
  if (rate.of === 0 && rate.method === 'none' && rate.high === 0) return 'none there';
  if (rate.of > 0 && rate.low === rate.high) return `${count(rate.hits)} of ${count(rate.of)}`;
  return rate.of === 0 ? 'not measured' : hitsText(rate.hits, rate.of, rate.low, rate.high);
}

function shareShown(bad: RateInterval): string {
  if (bad.of === 0) return 'not measured';
  return `${probabilityText(1 - bad.rate)} (${probabilityText(1 - bad.high)} to ${probabilityText(1 - bad.low)})`;
}

/** Fewer values beyond a quantile than this, and it is hardly known. */
const beyondMin = 20;

export function judgeQuantile(
  a: Histogram | ReportHistogram | undefined,
  b: Histogram | ReportHistogram | undefined,
  q: number,
  limits: DiffLimits,
  widen: number,
): Part {
  const [x, y] = [quantileRange(a, q, widen), quantileRange(b, q, widen)];
  const shown = (range: QuantileRange): string =>
    range === undefined
      ? 'not measured'
      : `${msText(range.at)} (${msText(range.low)} to ${msText(range.high)})`;
  const sides = { a: shown(x), b: shown(y), isAbsent: x === undefined && y === undefined };
  if (x === undefined || y === undefined)
    return unknown(sides, sides.isAbsent ? 'Not measured.' : 'Measured in one only.');
  const change = y.at - x.at;
  const sign = change > 0 ? '+' : change < 0 ? '−' : '±';
  const relative = x.at === 0 ? '' : `, ${sign}${rateText(Math.abs(change) / x.at)}`;
  const judged = { ...sides, change: `${sign}${msText(Math.abs(change))}${relative}`, why: '' };
  if (Math.min(x.n, y.n) * (1 - q) < beyondMin)
    return { ...judged, verdict: 'unknown', why: `Fewer than ${beyondMin} values beyond it.` };
  const isNear =
    Math.abs(change) <= limits.quantileEffectMsMin ||
    Math.abs(change) <= limits.quantileTolerance * Math.max(x.at, y.at);
  if (isNear) return { ...judged, verdict: 'same' };
  if (y.low > x.high) return { ...judged, verdict: 'worse' };
  if (y.high < x.low) return { ...judged, verdict: 'better' };
  return { ...judged, verdict: 'unknown', why: 'The intervals overlap: more values are needed.' };
}

type QuantileRange = { at: number; low: number; high: number; n: number } | undefined;

/** A quantile and the ones that its rank may be off by, chance being what it is. */
function quantileRange(histogram: ReportHistogram | undefined, q: number, widen: number): QuantileRange {
  if (histogram === undefined || histogram.count === 0) return undefined;
  const held: Histogram = {
    ...histogram,
    buckets: histogram.buckets.map(([bucket, many]) => [bucket, many]),
  };
  const reach = 1.96 * widen * Math.sqrt((q * (1 - q)) / held.count);
  const at = (share: number): number => quantile(held, Math.min(1, Math.max(0, share))) ?? 0;
  return { at: at(q), low: at(q - reach), high: at(q + reach), n: held.count };
}
