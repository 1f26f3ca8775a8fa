import { addHash } from './distinct.ts';
import { emptyCell, emptyScope, visibilityScopes, type EmptyCell, type EmptyScope } from './empty.ts';
import { addHistogram } from './histogram.ts';
import { differenceKinds, type EvidenceCell, type EvidenceSnapshot, type ScopeEvidence } from './snapshot.ts';
import type { HitCluster } from './statistics.ts';

// Adding up what gateways counted on their own. Every sum is of sums, histograms and smallest hashes: in any order.

export type CellSum = EmptyCell;
export type ScopeSum = EmptyScope;

/** All cells of a snapshot with the gateway that counted them. */
export function cellsOf(
  snapshot: EvidenceSnapshot,
): readonly { readonly gateway: string; readonly cell: EvidenceCell }[] {
  return snapshot.parts.flatMap((part) => part.cells.map((cell) => ({ gateway: part.gateway.name, cell })));
}

/** All scopes of a snapshot with the gateway that counted them. */
export function scopesOf(
  snapshot: EvidenceSnapshot,
): readonly { readonly gateway: string; readonly scope: ScopeEvidence }[] {
  return snapshot.parts.flatMap((part) =>
    part.scopes.map((scope) => ({ gateway: part.gateway.name, scope })),
  );
}

/** Clusters of one key are added up: they all count under the same secret (see `redaction.secretId`). */
export function sumCells(cells: Iterable<EvidenceCell>): CellSum {
  const sum = emptyCell();
  const clusters = new Map<string, { key: string; transient: number; persistent: number }>();
  for (const cell of cells) {
    addNumbers(sum.counts, cell.counts);
    for (const kind of differenceKinds) addNumbers(sum.kinds[kind], cell.kinds[kind]);
    sum.longestOpenMs = Math.max(sum.longestOpenMs, cell.longestOpenMs);
    addHistogram(sum.openMs, cell.openMs);
    sum.noise.compared += cell.noise.compared;
    sum.noise.differed += cell.noise.differed;
    for (const kind of differenceKinds) {
      const more = cell.noise.kinds[kind] ?? 0;
      if (more > 0) sum.noise.kinds[kind] = (sum.noise.kinds[kind] ?? 0) + more;
    }
    for (const { key, transient, persistent } of cell.clusters) {
      const held = clusters.get(key) ?? { key, transient: 0, persistent: 0 };
      clusters.set(key, held);
      held.transient += transient;
      held.persistent += persistent;
    }
    addNumbers(sum.otherClusters, cell.otherClusters);
    addHistogram(sum.latency.source, cell.latency.source);
    addHistogram(sum.latency.here, cell.latency.here);
    addHistogram(sum.wake.later, cell.wake.later);
    addHistogram(sum.wake.earlier, cell.wake.earlier);
    sum.wake.indexSteps += cell.wake.indexSteps;
    sum.wake.missedWakes += cell.wake.missedWakes;
    for (const [at, age] of cell.ages.entries()) {
      const into = sum.ages[at];
      if (into === undefined) continue;
      into.n += age.n;
      into.open += age.open;
    }
  }
  sum.clusters = [...clusters.values()];
  return sum;
}

/** Hits by key for `rateInterval`: of persistent differences, or of all that were seen. */
export function clustersOf(sum: CellSum, of: 'persistent' | 'transient' | 'all'): readonly HitCluster[] {
  const hitsOf = (counts: { readonly transient: number; readonly persistent: number }): number =>
    (of === 'transient' ? 0 : counts.persistent) + (of === 'persistent' ? 0 : counts.transient);
  const named = sum.clusters.map((cluster) => ({ hits: hitsOf(cluster), keys: 1 }));
  const others = hitsOf(sum.otherClusters);
  const all = [...named, { hits: others, keys: Math.min(sum.otherClusters.keys, others) }];
  return all.filter(({ hits }) => hits > 0);
}

export function sumScopes(scopes: Iterable<ScopeEvidence>): ScopeSum {
  const sum = emptyScope();
  for (const scope of scopes) {
    sum.coverage.reads += scope.coverage.reads;
    sum.coverage.writes += scope.coverage.writes;
    sum.coverage.sampled += scope.coverage.sampled;
    sum.coverage.busy += scope.coverage.busy;
    for (const hash of scope.coverage.keys) addHash(sum.coverage.keys, hash);
    addHistogram(sum.staleness.low, scope.staleness.low);
    addHistogram(sum.staleness.high, scope.staleness.high);
    sum.staleness.exact += scope.staleness.exact;
    sum.staleness.bounded += scope.staleness.bounded;
    for (const [behind, reads] of scope.versionsBehind.entries()) {
      sum.versionsBehind[behind] = (sum.versionsBehind[behind] ?? 0) + reads;
    }
    for (const where of visibilityScopes) {
      for (const [at, bin] of scope.visibility[where].entries()) {
        const into = sum.visibility[where][at];
        if (into !== undefined) addCounts(into, bin, ['fresh', 'stale', 'unknown']);
      }
    }
    addNumbers(sum.agreement.zone, scope.agreement.zone);
    addNumbers(sum.agreement.all, scope.agreement.all);
    addNumbers(sum.sessions.readYourWrites, scope.sessions.readYourWrites);
    addNumbers(sum.sessions.monotonicReads, scope.sessions.monotonicReads);
    addNumbers(sum.sessions.indexRegressions, scope.sessions.indexRegressions);
    sum.sessions.forgotten += scope.sessions.forgotten;
    addNumbers(sum.linearizable, scope.linearizable);
    sum.gamma.writes += scope.gamma.writes;
    sum.gamma.violations += scope.gamma.violations;
    addHistogram(sum.gamma.badness, scope.gamma.badness);
  }
  return sum;
}

function addNumbers<T extends { [K in keyof T]: number }>(into: T, more: T): void {
  addCounts(into, more, Object.keys(into) as (keyof T)[]);
}

function addCounts<K extends PropertyKey>(
  into: Record<K, number>,
  more: Readonly<Record<K, number>>,
  names: readonly K[],
): void {
  for (const name of names) into[name] += more[name];
}
