import { quantile, type Histogram } from '../evidence/histogram.ts';
import { differenceInterval, type RateInterval } from '../evidence/statistics.ts';
import { intervalOf } from './build.ts';
import { rateOf } from './counted.ts';
import { ruleName } from './gates.ts';
import type { Report, ReportHistogram, ReportRate } from './model.ts';
import { hitsText, msText, probabilityText, rateText, signedRateText } from './numbers.ts';
import type { DiffLimits } from './thresholds.ts';

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
  /** A part of another metric: where it is unknown, the whole still decides. */
  readonly isDetail: boolean;
};

type Part = Omit<Metric, 'name' | 'title' | 'isDetail'>;

/** All metrics of two reports, each held against the same of the other. */
export function metricsOf(a: Report, b: Report, limits: DiffLimits): readonly Metric[] {
  const planned = [...ratesOf(a, b), ...sharesOf(a, b), ...quantilesOf(a, b)];
  // Many metrics at once: chance alone would make one of them look worse. Bonferroni, with Chernoff's bound of the tail.
  const widen = Math.sqrt(2 * Math.log(Math.max(1, planned.length) / 0.05)) / 1.96;
  const isOneReport = JSON.stringify(a) === JSON.stringify(b);
  return planned.map(({ name, title, isDetail = false, judge }) => {
    const judged = { name, title, isDetail, ...judge(limits, widen) };
    // However little is known: a report is the same as itself.
    return isOneReport && !judged.isAbsent ? { ...judged, verdict: 'same', why: '' } : judged;
  });
}

type Plan = {
  readonly name: string;
  readonly title: string;
  readonly isDetail?: boolean;
  readonly judge: (limits: DiffLimits, widen: number) => Part;
};

function ratesOf(a: Report, b: Report): readonly Plan[] {
  const plan = (
    name: string,
    title: string,
    of: (report: Report) => ReportRate | undefined,
    effect: 'rateEffectMin' | 'shareEffectMin' = 'rateEffectMin',
  ): Plan => ({
    name,
    title,
    judge: (limits, widen) =>
      judgeRate(rateIn(a, of(a)), rateIn(b, of(b)), limits[effect], limits, widen, differing),
  });
  const share =
    (of: (report: Report) => readonly [hits: number, n: number]) =>
    (report: Report): ReportRate =>
      rateOf(...of(report));
  const plans = [
    plan('persistent', 'differences that did not clear', (report) => report.totals.rate),
    plan(
      'first-look',
      'differences at the first look',
      (report) =>
        report.totals.firstLook ??
        rateOf(
          report.totals.compared - report.totals.matched - report.totals.indeterminate,
          report.totals.compared,
        ),
    ),
    ...prefixPairs(a, b).map(([name, of]) => ({
      isDetail: true,
      ...plan(`persistent:${name}`, `differences that did not clear, ${name}`, (report) => {
        const rows = of(report);
        if (rows.length === 0) return undefined;
        if (rows.length === 1 && rows[0]?.rate !== undefined) return rows[0].rate;
        const sum = (pick: (row: Report['prefixes'][number]) => number): number =>
          rows.reduce((total, row) => total + pick(row), 0);
        return rateOf(
          sum((row) => row.persistent + (row.open ?? 0)),
          sum((row) => row.compared),
        );
      }),
    })),
  ];
  if (a.run.mode === 'sweep' && b.run.mode === 'sweep') return plans;
  return [
    ...plans,
    plan('read-your-writes', 'own writes not read', (report) => report.sessions?.readYourWrites.rate),
    plan('monotonic-reads', 'reads that went back', (report) => report.sessions?.monotonicReads.rate),
    plan('index-regressions', 'indexes that fell', (report) => report.sessions?.indexRegressions.rate),
    plan(
      'not-linearizable',
      'histories that are not linearizable',
      (report) => report.lin?.rate,
      'shareEffectMin',
    ),
    plan('gamma', 'operations out of order (Γ)', (report) => report.gamma?.rate, 'shareEffectMin'),
    plan(
      'missed-wakes',
      'wakes of blocking reads that were missed',
      share((report) => {
        const wakes = (report.endpoints ?? []).map((row) => row.wake).filter((wake) => wake !== undefined);
        const missed = wakes.reduce((sum, wake) => sum + wake.missed, 0);
        return [missed, wakes.reduce((sum, wake) => sum + wake.later.n + wake.earlier.n, missed)];
      }),
      'shareEffectMin',
    ),
    plan(
      'gateway-errors',
      'reads that failed at gateways',
      share(({ totals }) => [totals.errors?.target ?? 0, totals.compared + (totals.errors?.target ?? 0)]),
    ),
  ];
}

function prefixPairs(
  a: Report,
  b: Report,
): readonly (readonly [name: string, of: (report: Report) => Report['prefixes']])[] {
  const names = new Map<string, (report: Report) => Report['prefixes']>();
  for (const row of [...a.prefixes, ...b.prefixes]) {
    const name = row.kind === 'kv' ? ruleName({ of: 'kv', prefix: row.prefix }) : row.kind;
    names.set(name, (report) =>
      report.prefixes.filter((each) => each.kind === row.kind && each.prefix === row.prefix),
    );
  }
  // With one prefix it is the total over again; of very many only the first ones, which are the worst.
  return names.size < 2 ? [] : [...names].slice(0, 50);
}

const visibilityTimesMs = [10, 100, 1000, 10_000];

function sharesOf(a: Report, b: Report): readonly Plan[] {
  if (a.run.mode === 'sweep' && b.run.mode === 'sweep') return [];
  const plan = (
    name: string,
    title: string,
    of: (report: Report) => readonly [good: number, n: number],
  ): Plan => ({
    name,
    title,
    judge: (limits, widen) => {
      // What is not good is the rate: less of it is better.
      const bad = (report: Report): RateInterval => {
        const [good, n] = of(report);
        return intervalOf(rateOf(n - good, n));
      };
      return judgeRate(bad(a), bad(b), limits.shareEffectMin, limits, widen, agreeing);
    },
  });
  return [
    ...(['own', 'zone', 'all'] as const).flatMap((where) =>
      visibilityTimesMs.map((tMs) =>
        plan(`visible:${where}:${tMs}`, `${whereNames[where]} saw it after ${msText(tMs)}`, (report) => {
          const bin = report.tvis?.find((each) => each.where === where && each.tMs === tMs);
          return [bin?.fresh ?? 0, bin?.n ?? 0];
        }),
      ),
    ),
    ...(['zone', 'all'] as const).map((where) =>
      plan(`phi:${where}`, `gateways agree (φ), ${where === 'zone' ? 'own region' : 'all'}`, (report) => [
        report.phi?.[where].agreed ?? 0,
        report.phi?.[where].asked ?? 0,
      ]),
    ),
  ];
}

const whereNames = { own: 'gateway of the write', zone: 'its region', all: 'all gateways' } as const;

function quantilesOf(a: Report, b: Report): readonly Plan[] {
  if (a.run.mode === 'sweep' && b.run.mode === 'sweep') return [];
  const sources: readonly (readonly [
    name: string,
    title: string,
    of: (report: Report) => ReportHistogram | undefined,
  ])[] = [
    ['staleness', 'staleness', (report) => report.histograms?.staleness.high],
    ['latency', 'latency of gateways', (report) => report.histograms?.latency.target],
    ['wake', 'blocking reads woken later', (report) => report.histograms?.wakeLater],
  ];
  return sources.flatMap(([name, title, of]) =>
    [0.5, 0.99].map((q) => ({
      name: `${name}:p${q * 100}`,
      title: `${title}, p${q * 100}`,
      judge: (limits: DiffLimits, widen: number) => judgeQuantile(of(a), of(b), q, limits, widen),
    })),
  );
}

function rateIn(report: Report, rate: ReportRate | undefined): RateInterval {
  if (rate === undefined) return intervalOf(rateOf(0, 0));
  // Reports of minor 0 do not say of how many.
  const { totals } = report;
  return intervalOf(rate.of === undefined ? rateOf(totals.persistent, totals.compared) : rate);
}

function judgeRate(
  a: RateInterval,
  b: RateInterval,
  effectMin: number,
  limits: DiffLimits,
  widen: number,
  { shown, sign }: Wording,
): Part {
  const sides = { a: shown(a), b: shown(b), isAbsent: a.of === 0 && b.of === 0 };
  if (a.of === 0 || b.of === 0)
    return unknown(sides, sides.isAbsent ? 'Not measured.' : 'Measured in one only.');
  const change = b.rate - a.rate;
  const [low, high] = differenceInterval(a, b);
  const bounds = sign === 1 ? [low, high] : [-high, -low];
  const text = `${signedRateText(sign * change)} (${bounds.map(signedRateText).join(' to ')})`;
  const judged = { ...sides, change: text, why: '' };
  // The interval that holds for all metrics at once.
  const [lowest, highest] = [change - (change - low) * widen, change + (high - change) * widen];
  if (lowest > 0 && change >= effectMin) return { ...judged, verdict: 'worse' };
  if (highest < 0 && -change >= effectMin) return { ...judged, verdict: 'better' };
  const reach = Math.max(high - change, change - low);
  const wanted = Math.max(effectMin, limits.rateToleranceMax * Math.max(a.rate, b.rate));
  if (reach <= wanted) return { ...judged, verdict: 'same' };
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
type Wording = { readonly shown: (rate: RateInterval) => string; readonly sign: 1 | -1 };

const differing: Wording = { shown: rateShown, sign: 1 };
const agreeing: Wording = { shown: shareShown, sign: -1 };

function rateShown(rate: RateInterval): string {
  return rate.of === 0 ? 'not measured' : hitsText(rate.hits, rate.of, rate.low, rate.high);
}

function shareShown(bad: RateInterval): string {
  if (bad.of === 0) return 'not measured';
  return `${probabilityText(1 - bad.rate)} (${probabilityText(1 - bad.high)} to ${probabilityText(1 - bad.low)})`;
}

/** Fewer values beyond a quantile than this, and it is hardly known. */
const beyondMin = 20;

function judgeQuantile(
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
