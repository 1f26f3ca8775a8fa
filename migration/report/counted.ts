import { upperBound95, wilson95 } from '../compare/intervals.ts';
import { quantile, type Histogram, type ReadonlyHistogram } from '../evidence/histogram.ts';
import type { DifferenceKind, EvidenceCell } from '../evidence/snapshot.ts';
import { rateInterval, type HitCluster } from '../evidence/statistics.ts';
import { clustersOf, sumCells, type CellSum } from '../evidence/sums.ts';
import type { Counted, ReportQuantiles, ReportRate } from './model.ts';

/** Chance of the bootstrap: equal evidence gives an equal report. */
const seed = 20_261_122;

export interface CountedCells {
  readonly sum: CellSum;
  readonly counted: Counted;
  readonly rate: ReportRate;
  readonly latency: { readonly source: Histogram; readonly target: Histogram };
}

/** What became of the comparisons of some cells, as reports say it. */
export function countedOf(cells: readonly EvidenceCell[]): CountedCells {
  const sum = sumCells(cells);
  const { sourceErrors, hereErrors, ...counts } = sum.counts;
  return {
    sum,
    counted: {
      ...counts,
      unchecked: 0,
      errors: { source: sourceErrors, target: hereErrors },
      byKind: kindsOf(sum, 'persistent'),
      transientByKind: kindsOf(sum, 'transient'),
      longestOpenMs: sum.longestOpenMs,
    },
    rate: rateOf(
      counts.persistent + counts.open,
      counts.compared,
      clusters(sum, 'persistent', counts.persistent),
    ),
    latency: { source: sum.latency.source, target: sum.latency.here },
  };
}

/** What differed at the first look. */
export function firstLookOf({ sum }: CountedCells): ReportRate {
  const { persistent, transient, open, compared } = sum.counts;
  return rateOf(persistent + transient + open, compared, clusters(sum, 'all', persistent + transient));
}

export function rateOf(hits: number, of: number, byKey?: readonly HitCluster[]): ReportRate {
  const bounded = Math.min(hits, of);
  // Without keys there is nothing to resample: the interval is Wilson's.
  const interval = rateInterval(bounded, of, byKey ?? [], seed);
  const [low, high] = wilson95(bounded, of);
  return {
    value: interval.rate,
    wilson95: [low, high],
    upper95: upperBound95(bounded, of),
    hits: bounded,
    of,
    interval95: [interval.low, interval.high],
    method: interval.method,
  };
}

/** Keys of equally many hits are drawn as one, which is the same and much faster; what is open has no key yet. */
function clusters(sum: CellSum, of: 'persistent' | 'all', settled: number): readonly HitCluster[] {
  const byHits = new Map<number, HitCluster>();
  let named = 0;
  for (const { hits, keys } of clustersOf(sum, of)) {
    const each = hits / keys;
    const held = byHits.get(each) ?? { hits: 0, keys: 0 };
    byHits.set(each, { hits: held.hits + hits, keys: held.keys + keys });
    named += hits;
  }
  const keyless = Math.max(0, settled - named) + sum.counts.open;
  return keyless > 0 ? [...byHits.values(), { hits: keyless, keys: keyless }] : [...byHits.values()];
}

function kindsOf(sum: CellSum, of: 'transient' | 'persistent'): Record<string, number> {
  const kinds = Object.entries(sum.kinds) as [DifferenceKind, CellSum['kinds'][DifferenceKind]][];
  return Object.fromEntries(
    kinds.map(([kind, each]) => [kind, each[of]] as const).filter(([, many]) => many > 0),
  );
}

export function quantilesOf(histogram: ReadonlyHistogram): ReportQuantiles {
  const at = (q: number): number | null => quantile(histogram, q) ?? null;
  return {
    n: histogram.count,
    p50: at(0.5),
    p90: at(0.9),
    p99: at(0.99),
    p999: at(0.999),
    max: histogram.count === 0 ? null : histogram.max,
  };
}

/** Groups in the order in which they come up. */
export function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): readonly (readonly T[])[] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}
