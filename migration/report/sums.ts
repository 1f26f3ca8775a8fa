import { addHistogram, emptyHistogram, quantile, type Histogram } from '../evidence/histogram.ts';
import type { EvidenceCell, EvidencePart } from '../evidence/snapshot.ts';
import { rateInterval, type HitCluster } from '../evidence/statistics.ts';
import { upperBound95, wilson95 } from '../compare/intervals.ts';
import type { Counted, ReportQuantiles, ReportRate } from './model.ts';

// Adding up the cells of all gateways.

/** Chance of the bootstrap: equal evidence gives an equal report. */
const seed = 20_261_122;

export interface PlacedCell {
  readonly part: EvidencePart;
  readonly cell: EvidenceCell;
}

export interface CellSum {
  readonly counted: Counted;
  readonly rate: ReportRate;
  /** On demand: the interval takes a moment. */
  readonly firstLook: () => ReportRate;
  readonly noise: { compared: number; differed: number; byKind: Record<string, number> };
  readonly open: Histogram;
  readonly latency: { readonly source: Histogram; readonly target: Histogram };
  readonly wake: { later: Histogram; earlier: Histogram; indexSteps: number; missed: number };
  readonly ages: readonly { ageMs: number; n: number; open: number }[];
}

export function sumCells(placed: readonly PlacedCell[]): CellSum {
  const cells = placed.map((each) => each.cell);
  const total = (of: (cell: EvidenceCell) => number): number =>
    cells.reduce((sum, cell) => sum + of(cell), 0);
  const counts = {
    compared: total((cell) => cell.counts.compared),
    persistent: total((cell) => cell.counts.persistent),
    transient: total((cell) => cell.counts.transient),
    open: total((cell) => cell.counts.open),
  };
  const hits = counts.persistent + counts.open;
  return {
    counted: {
      ...counts,
      matched: total((cell) => cell.counts.matched),
      indeterminate: total((cell) => cell.counts.indeterminate),
      unchecked: 0,
      ignored: total((cell) => cell.counts.ignored),
      dropped: total((cell) => cell.counts.dropped),
      errors: {
        source: total((cell) => cell.counts.sourceErrors),
        target: total((cell) => cell.counts.hereErrors),
      },
      byKind: kindsOf(cells, 'persistent'),
      transientByKind: kindsOf(cells, 'transient'),
      longestOpenMs: Math.max(0, ...cells.map((cell) => cell.longestOpenMs)),
    },
    rate: rateOf(hits, counts.compared, clustersOf(placed, 'persistent', counts.open)),
    firstLook: () =>
      rateOf(hits + counts.transient, counts.compared, clustersOf(placed, 'both', counts.open)),
    noise: {
      compared: total((cell) => cell.noise.compared),
      differed: total((cell) => cell.noise.differed),
      byKind: addCounts(cells.map((cell) => cell.noise.kinds)),
    },
    open: addHistograms(cells.map((cell) => cell.openMs)),
    latency: {
      source: addHistograms(cells.map((cell) => cell.latency.source)),
      target: addHistograms(cells.map((cell) => cell.latency.here)),
    },
    wake: {
      later: addHistograms(cells.map((cell) => cell.wake.later)),
      earlier: addHistograms(cells.map((cell) => cell.wake.earlier)),
      indexSteps: total((cell) => cell.wake.indexSteps),
      missed: total((cell) => cell.wake.missedWakes),
    },
    ages: addAges(cells),
  };
}

export function rateOf(hits: number, of: number, clusters?: readonly HitCluster[]): ReportRate {
  const bounded = Math.min(hits, of);
  // Without keys each hit counts as one of its own.
  const interval = rateInterval(bounded, of, clusters ?? [{ hits: bounded, keys: bounded }], seed);
  return {
    value: interval.rate,
    wilson95: pair(wilson95(bounded, of)),
    upper95: upperBound95(bounded, of),
    hits: bounded,
    of,
    interval95: [interval.low, interval.high],
    method: interval.method,
  };
}

function pair([low, high]: readonly [number, number]): [number, number] {
  return [low, high];
}

/** Keys correlate between gateways where they were hashed under one secret. */
function clustersOf(
  placed: readonly PlacedCell[],
  of: 'persistent' | 'both',
  open: number,
): readonly HitCluster[] {
  const hitsOf = (each: { readonly transient: number; readonly persistent: number }): number =>
    each.persistent + (of === 'both' ? each.transient : 0);
  const byKey = new Map<string, number>();
  const clusters: HitCluster[] = [];
  for (const { part, cell } of placed) {
    for (const cluster of cell.clusters) {
      const key = `${part.redaction.secretId} ${cluster.key}`;
      byKey.set(key, (byKey.get(key) ?? 0) + hitsOf(cluster));
    }
    const others = hitsOf(cell.otherClusters);
    if (others > 0)
      clusters.push({ hits: others, keys: Math.max(1, Math.min(cell.otherClusters.keys, others)) });
  }
  // Keys of equally many hits are drawn as one: the sum of their draws has the same distribution.
  const byHits = new Map<number, number>();
  for (const hits of byKey.values()) if (hits > 0) byHits.set(hits, (byHits.get(hits) ?? 0) + 1);
  for (const [hits, keys] of byHits) clusters.push({ hits: hits * keys, keys });
  if (open > 0) clusters.push({ hits: open, keys: open });
  return clusters;
}

function kindsOf(cells: readonly EvidenceCell[], of: 'transient' | 'persistent'): Record<string, number> {
  return addCounts(
    cells.map((cell) =>
      Object.fromEntries(Object.entries(cell.kinds).map(([kind, each]) => [kind, each[of]])),
    ),
  );
}

export function addCounts(all: readonly Readonly<Partial<Record<string, number>>>[]): Record<string, number> {
  const sum = new Map<string, number>();
  for (const counts of all)
    for (const [name, many] of Object.entries(counts)) sum.set(name, (sum.get(name) ?? 0) + (many ?? 0));
  return Object.fromEntries([...sum].filter(([, many]) => many > 0));
}

export function addHistograms(all: readonly Histogram[]): Histogram {
  const sum = emptyHistogram();
  for (const each of all) addHistogram(sum, each);
  return sum;
}

function addAges(cells: readonly EvidenceCell[]): CellSum['ages'] {
  const byAge = new Map<number, { ageMs: number; n: number; open: number }>();
  for (const { ageMs, n, open } of cells.flatMap((cell) => cell.ages)) {
    const sum = byAge.get(ageMs) ?? { ageMs, n: 0, open: 0 };
    byAge.set(ageMs, { ageMs, n: sum.n + n, open: sum.open + open });
  }
  return [...byAge.values()].toSorted((a, b) => a.ageMs - b.ageMs);
}

export function quantilesOf(histogram: Histogram): ReportQuantiles {
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
