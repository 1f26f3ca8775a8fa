import type { RateInterval } from '../evidence/statistics.ts';
import { intervalOf } from './build.ts';
import { rateOf } from './counted.ts';
import { ruleName } from './gates.ts';
import {
  agreeing,
  differing,
  judgeQuantile,
  judgeRate,
  type Effect,
  type Metric,
  type Part,
} from './judge.ts';
import type { Report, ReportHistogram, ReportRate } from './model.ts';
import { msText } from './numbers.ts';
import type { DiffLimits } from './thresholds.ts';

/** All metrics of two reports, each held against the same of the other. */
export function metricsOf(a: Report, b: Report, limits: DiffLimits): readonly Metric[] {
  const planned = [...ratesOf(a, b), ...sharesOf(a, b), ...quantilesOf(a, b)];
  // Many metrics at once: chance alone would make one of them look worse. Bonferroni, with Chernoff's bound of the tail.
  const widen = Math.sqrt(2 * Math.log(Math.max(1, planned.length) / 0.05)) / 1.96;
  const isOneReport = JSON.stringify(a) === JSON.stringify(b);
  return planned.map(({ name, title, judge }) => {
    const judged = { name, title, isMinor: false, ...judge(limits, widen) };
    // However little is known: a report is the same as itself.
    return isOneReport && !judged.isAbsent ? { ...judged, verdict: 'same', why: '', isMinor: false } : judged;
  });
}

type Plan = {
  readonly name: string;
  readonly title: string;
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
      judgeRate(rateIn(of(a)), rateIn(of(b)), plain(limits[effect]), limits, widen, differing),
  });
  const share =
    (of: (report: Report) => readonly [hits: number, n: number]) =>
    (report: Report): ReportRate =>
      rateOf(...of(report));
  const prefixes = prefixPairs(a, b).map(([name, of]) => prefixPlan(name, a, b, of));
  if (isCensus(a, b)) return [...censusOf(a, b), ...prefixes];
  return [
    plan('persistent', 'differences that did not clear', (report) => report.totals.rate),
    plan('first-look', 'differences at the first look', (report) => report.totals.firstLook),
    ...prefixes,
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

function plain(effectMin: number): Effect {
  return { changeMin: effectMin, sameMax: effectMin };
}

/**
 * A prefix is the same where whatever may have changed in it is too little to change the whole. One with too few
 * comparisons on both sides says nothing by itself; with enough on one side only, data got lost, and that counts.
 */
function prefixPlan(name: string, a: Report, b: Report, of: (report: Report) => Report['prefixes']): Plan {
  return {
    name: `persistent:${name}`,
    title: `differences that did not clear, ${name}`,
    judge: (limits, widen) => {
      const isExact = isCensus(a, b);
      const [x, y] = [prefixRate(of(a), isExact), prefixRate(of(b), isExact)];
      const all = Math.min(a.totals.compared, b.totals.compared);
      const least = Math.max(1, Math.min(x.of, y.of));
      const inWhole = Math.min(limits.shareEffectMin, (limits.rateEffectMin * all) / least);
      const effect = {
        changeMin: limits.rateEffectMin,
        sameMax: Math.max(limits.rateEffectMin, inWhole),
      };
      const judged = judgeRate(x, y, effect, limits, widen, differing);
      const most = Math.max(x.of, y.of);
      if (isExact) return judged;
      if (judged.verdict === 'worse' || judged.verdict === 'better' || most >= limits.comparisonsMin)
        return judged;
      const why = `Fewer than ${limits.comparisonsMin.toLocaleString('en-US')} comparisons on both sides.`;
      return { ...judged, verdict: 'unknown', isMinor: !judged.isAbsent, why };
    },
  };
}

/** Of all phases of a prefix. */
function prefixRate(rows: Report['prefixes'], isExact: boolean): RateInterval {
  const [only] = rows;
  if (!isExact && rows.length === 1 && only?.rate !== undefined) return intervalOf(only.rate);
  const sum = (pick: (row: Row) => number): number => rows.reduce((total, row) => total + pick(row), 0);
  const compared = sum((row) => row.compared);
  const persistent = sum((row) => row.persistent);
  if (!isExact) return intervalOf(rateOf(persistent + sum((row) => row.open ?? 0), compared));
  const [indeterminate, unchecked] = [sum((row) => row.indeterminate), sum((row) => row.unchecked)];
  return exactly({ compared, matched: 0, persistent, indeterminate, unchecked }, persistent);
}

function censusOf(a: Report, b: Report): readonly Plan[] {
  const plan = (name: string, title: string, hitsOf: (row: Row) => number): Plan => {
    const of = ({ totals }: Report): RateInterval => exactly(totals, hitsOf(totals));
    return {
      name,
      title,
      judge: (limits, widen) =>
        judgeRate(of(a), of(b), plain(limits.rateEffectMin), limits, widen, differing),
    };
  };
  return [
    plan('persistent', 'differences that did not clear', (row) => row.persistent),
    plan(
      'first-look',
      'differences at the first look',
      ({ compared, matched, indeterminate }) => compared - matched - indeterminate,
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
  if (isCensus(a, b)) return [];
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
      return judgeRate(bad(a), bad(b), plain(limits.shareEffectMin), limits, widen, agreeing);
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
  if (isCensus(a, b)) return [];
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

type Row = Pick<
  Report['totals'],
  'compared' | 'matched' | 'persistent' | 'indeterminate' | 'unchecked' | 'open'
>;

/** All were looked at, none drawn: what differs is known exactly, but for what could not be decided. */
function exactly(row: Row, hits: number): RateInterval {
  const of = row.compared;
  const share = (many: number): number => (of === 0 ? 0 : Math.min(1, many / of));
  const undecided = row.indeterminate + row.unchecked + (row.open ?? 0);
  return {
    hits,
    of,
    rate: share(hits),
    low: share(hits),
    high: share(hits + undecided),
    method: 'none',
  };
}

function isCensus(a: Report, b: Report): boolean {
  return a.run.mode === 'sweep' && b.run.mode === 'sweep';
}

function rateIn(rate: ReportRate | undefined): RateInterval {
  return intervalOf(rate ?? rateOf(0, 0));
}
