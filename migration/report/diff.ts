import { obstaclesTo, type Obstacle } from './comparable.ts';
import type { Metric, MetricVerdict } from './judge.ts';
import { metricsOf } from './metrics.ts';
import type { Report, ReportSample } from './model.ts';
import type { DiffLimits, Thresholds } from './thresholds.ts';

export const diffSchemaName = 'readconsistency-diff/1';

/** 0 no regression, 1 regression, 3 not comparable, 4 too little data. 2 is usage or I/O. */
export type DiffExitCode = 0 | 1 | 3 | 4;

export type KeySets =
  | { readonly known: false; readonly why: string }
  | {
      readonly known: true;
      readonly appeared: readonly ShownSample[];
      readonly gone: readonly ShownSample[];
      readonly same: readonly ShownSample[];
    };

export type ShownSample = { readonly key: string; readonly hmac: string; readonly mismatch: string };

export type Comparison = {
  readonly schema: typeof diffSchemaName;
  readonly result: MetricVerdict | 'incomparable';
  readonly exitCode: DiffExitCode;
  /** Compared all the same, though there are obstacles: stamped wherever this is shown. */
  readonly forced: boolean;
  readonly obstacles: readonly Obstacle[];
  readonly a: RunRef;
  readonly b: RunRef;
  readonly metrics: readonly Metric[];
  readonly keys: KeySets;
  readonly reasons: readonly string[];
};

export type RunRef = {
  readonly id: string;
  readonly finishedAt: string;
  readonly verdict: string;
  readonly compared: number;
};

/**
 * What changed from A to B. Comparability first: without it nothing is said, unless forced. One metric that is worse
 * makes it worse; one that cannot be judged keeps it from being the same or better. Prefixes with too little data on
 * both sides do not decide, and are named with the result.
 */
export function compareReports(
  a: Report,
  b: Report,
  thresholds: Thresholds,
  options: { readonly force: boolean } = { force: false },
): Comparison {
  const limits = thresholds.diff;
  const obstacles = obstaclesTo(a, b, limits);
  const forced = obstacles.length > 0 && options.force;
  const shared = { schema: diffSchemaName, forced, obstacles, a: refOf(a), b: refOf(b) } as const;
  if (obstacles.length > 0 && !forced) {
    const reasons = obstacles.map((each) => `${each.what}: ${each.a} against ${each.b}`);
    const keys = { known: false, why: 'The reports are not comparable.' } as const;
    return { ...shared, result: 'incomparable', exitCode: 3, metrics: [], keys, reasons };
  }
  const metrics = metricsOf(a, b, limits);
  const keys = keySets(a, b);
  const { result, reasons } = overall(a, b, metrics, limits);
  const exitCode = result === 'worse' ? 1 : result === 'unknown' ? 4 : 0;
  return { ...shared, result, exitCode, metrics, keys, reasons };
}

function overall(
  a: Report,
  b: Report,
  metrics: readonly Metric[],
  limits: DiffLimits,
): { result: MetricVerdict; reasons: readonly string[] } {
  const of = (verdict: MetricVerdict): readonly Metric[] =>
    metrics.filter((each) => each.verdict === verdict);
  const worse = of('worse').map((each) => `${each.title}: ${each.change}`);
  if (worse.length > 0) return { result: 'worse', reasons: worse };
  if (metrics.every((each) => each.verdict === 'same' || each.isAbsent) && a.run.id === b.run.id)
    return { result: 'same', reasons: [] };
  const few = Math.min(a.totals.compared, b.totals.compared);
  const isCensus = a.run.mode === 'sweep' && b.run.mode === 'sweep';
  if (few < (isCensus ? 1 : limits.comparisonsMin)) {
    const needed = `at least ${limits.comparisonsMin.toLocaleString('en-US')} comparisons on each side`;
    return { result: 'unknown', reasons: [`${few.toLocaleString('en-US')} are too few: ${needed}`] };
  }
  const unknown = of('unknown').filter((each) => !each.isAbsent && !each.isMinor);
  if (unknown.length > 0)
    return { result: 'unknown', reasons: unknown.map((each) => `${each.title}: ${each.why}`) };
  const better = of('better').map((each) => `${each.title}: ${each.change}`);
  return { result: better.length > 0 ? 'better' : 'same', reasons: better };
}

function keySets(a: Report, b: Report): KeySets {
  const why = whyApart(a, b);
  if (why !== undefined) return { known: false, why };
  const [before, after] = [persistentOf(a), persistentOf(b)];
  const only = (of: ReadonlyMap<string, ShownSample>, has: (id: string) => boolean): readonly ShownSample[] =>
    [...of].filter(([id]) => has(id)).map(([, shown]) => shown);
  return {
    known: true,
    appeared: only(after, (id) => !before.has(id)),
    gone: only(before, (id) => !after.has(id)),
    same: only(after, (id) => before.has(id)),
  };
}

function whyApart(a: Report, b: Report): string | undefined {
  const [x, y] = [a.run.redaction, b.run.redaction];
  if (x.secretId !== undefined && y.secretId !== undefined)
    return x.secretId === y.secretId ? undefined : 'Keys were hashed under different secrets.';
  if (x.secret === y.secret && x.secret !== 'per-run' && x.secret !== 'several') return undefined;
  return 'Keys were not hashed under one named secret.';
}

function persistentOf(report: Report): ReadonlyMap<string, ShownSample> {
  const held = report.samples.filter((sample) => sample.outcome === 'persistent');
  return new Map(held.map((sample) => [`${sample.entry} ${sample.key.hmac}`, shownOf(sample)]));
}

function shownOf(sample: ReportSample): ShownSample {
  const { key, mismatch } = sample;
  return { key: key.key ?? `${key.prefix}…${key.hmac.slice(0, 12)}`, hmac: key.hmac, mismatch };
}

function refOf(report: Report): RunRef {
  const { run, verdict, totals } = report;
  return { id: run.id, finishedAt: run.finishedAt, verdict: verdict.result, compared: totals.compared };
}
