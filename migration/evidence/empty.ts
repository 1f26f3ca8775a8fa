import { emptyHistogram } from './histogram.ts';
import {
  ageTimesMs,
  differenceKinds,
  visibilityTimesMs,
  type CellKey,
  type DifferenceKind,
  type EvidenceCell,
  type ScopeEvidence,
  type VisibilityBin,
} from './snapshot.ts';

/** What a cell counts, without what it is of. */
export type EmptyCell = Omit<EvidenceCell, keyof CellKey>;
export type EmptyScope = Omit<ScopeEvidence, 'of' | 'prefix' | 'phase'>;

export const visibilityScopes = ['own', 'zone', 'all'] as const;
/** Versions behind from 0 on; the last one counts all beyond. */
const versionsBehindMax = 16;

export function emptyCell(): EmptyCell {
  const kinds = differenceKinds.map((kind) => [kind, { transient: 0, persistent: 0 }] as const);
  return {
    counts: {
      compared: 0,
      matched: 0,
      ignored: 0,
      indeterminate: 0,
      transient: 0,
      persistent: 0,
      open: 0,
      dropped: 0,
      sourceErrors: 0,
      hereErrors: 0,
    },
    kinds: Object.fromEntries(kinds) as Record<DifferenceKind, { transient: number; persistent: number }>,
    longestOpenMs: 0,
    openMs: emptyHistogram(),
    noise: { compared: 0, differed: 0, kinds: {} },
    clusters: [],
    otherClusters: { keys: 0, transient: 0, persistent: 0 },
    latency: { source: emptyHistogram(), here: emptyHistogram() },
    wake: { later: emptyHistogram(), earlier: emptyHistogram(), indexSteps: 0, missedWakes: 0 },
    ages: ageTimesMs.map((ageMs) => ({ ageMs, n: 0, open: 0 })),
  };
}

export function emptyScope(): EmptyScope {
  return {
    coverage: { reads: 0, writes: 0, sampled: 0, busy: 0, keys: [] },
    staleness: { low: emptyHistogram(), high: emptyHistogram(), exact: 0, bounded: 0 },
    versionsBehind: Array.from({ length: versionsBehindMax + 1 }, () => 0),
    visibility: { own: emptyBins(), zone: emptyBins(), all: emptyBins() },
    agreement: { zone: { asked: 0, agreed: 0, unknown: 0 }, all: { asked: 0, agreed: 0, unknown: 0 } },
    sessions: {
      readYourWrites: { checked: 0, violations: 0 },
      monotonicReads: { checked: 0, violations: 0 },
      indexRegressions: { checked: 0, violations: 0 },
      forgotten: 0,
    },
    linearizable: { yes: 0, no: 0, unknown: 0, operations: 0 },
    gamma: { writes: 0, violations: 0, badness: emptyHistogram() },
  };
}

function emptyBins(): VisibilityBin[] {
  return visibilityTimesMs.map((tMs) => ({ tMs, fresh: 0, stale: 0, unknown: 0 }));
}
