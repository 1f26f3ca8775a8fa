import { distinctCount, addHash } from '../evidence/distinct.ts';
import type {
  Agreement,
  EvidencePart,
  EvidenceSnapshot,
  Guarantee as CheckedGuarantee,
  ScopeEvidence,
  SweepEvidence,
  VisibilityBin,
} from '../evidence/snapshot.ts';
import { differenceInterval, type RateInterval } from '../evidence/statistics.ts';
import { wilson95 } from '../compare/intervals.ts';
import { evaluateGates } from './gates.ts';
import { reportMinor, reportSchemaName, type Guarantee, type Report, type ReportRate } from './model.ts';
import type { RunFacts } from './run-facts.ts';
import { samplesOf } from './samples.ts';
import {
  addHistograms,
  groupBy,
  quantilesOf,
  rateOf,
  sumCells,
  type CellSum,
  type PlacedCell,
} from './sums.ts';
import { defaultThresholds, type Thresholds } from './thresholds.ts';
import { continuousMs, marksOf, timelineOf } from './timeline.ts';
import { notesOf, verdictOf } from './verdict.ts';

/**
 * Adds the evidence of all gateways up to a report. Pure, and equal for equal arguments. With `facts.scope` only the
 * evidence of that rule counts: so a cutover is judged by its own prefix.
 */
export function buildReport(
  evidence: EvidenceSnapshot,
  facts: RunFacts,
  thresholds: Thresholds = defaultThresholds,
): Report {
  const parts = evidence.parts.map((part) => scoped(part, facts.scope));
  const rules = facts.rules.filter((rule) => inScope(rule, facts.scope));
  const placed = parts.flatMap((part) => part.cells.map((cell): PlacedCell => ({ part, cell })));
  const scopes = parts.flatMap((part) => part.scopes);
  const sum = sumCells(placed);
  const startedMs = Math.min(facts.atMs, ...parts.map((part) => part.sinceMs));
  const timeline = timelineOf(parts);
  const coverage = coverageOf(parts, scopes, rules, facts.atMs, timeline);
  const sessions = sessionsOf(scopes);
  const staleness = {
    low: addHistograms(scopes.map((scope) => scope.staleness.low)),
    high: addHistograms(scopes.map((scope) => scope.staleness.high)),
  };
  const report: Report = {
    schema: reportSchemaName,
    minor: reportMinor,
    verdict: { result: 'unknown', reasons: [] },
    run: runOf(parts, facts, rules, startedMs, scopes),
    coverage,
    totals: totalsOf(sum),
    prefixes: prefixRows(placed, scopes),
    endpoints: endpointRows(placed),
    gateways: gatewayRows(parts, facts),
    histograms: {
      staleness: {
        ...staleness,
        exact: total(scopes, (scope) => scope.staleness.exact),
        bounded: total(scopes, (scope) => scope.staleness.bounded),
      },
      latency: sum.latency,
      open: sum.open,
      wakeLater: sum.wake.later,
      wakeEarlier: sum.wake.earlier,
    },
    staleness: { low: quantilesOf(staleness.low), high: quantilesOf(staleness.high) },
    versionsBehind: addColumns(scopes.map((scope) => scope.versionsBehind)),
    tvis: (['own', 'zone', 'all'] as const).flatMap((where) =>
      visibilityOf(
        where,
        scopes.flatMap((scope) => scope.visibility[where]),
      ),
    ),
    sessions,
    phi: {
      zone: agreementOf(scopes.map((scope) => scope.agreement.zone)),
      all: agreementOf(scopes.map((scope) => scope.agreement.all)),
    },
    lin: linOf(scopes),
    gamma: gammaOf(scopes),
    ages: sum.ages.map(({ ageMs, n, open }) => {
      const still = rateOf(open, n);
      return { ageMs, n, open, consistent: n === 0 ? null : 1 - still.value, upper95: still.upper95 };
    }),
    timeline,
    marks: marksOf(parts, facts.marks),
    operations: facts.operations,
    samples: samplesOf(parts),
    gate: [],
    notes: [],
  };
  const judged = {
    ...report,
    verdict: verdictOf(report, thresholds),
    notes: notesOf(report, parts, facts),
  };
  return { ...judged, gate: evaluateGates(judged, thresholds, facts.atMs) };
}

type Rule = { readonly of: string; readonly prefix: string };

function inScope(rule: Rule, scope: Rule | undefined): boolean {
  return scope === undefined || (rule.of === scope.of && rule.prefix === scope.prefix);
}

function scoped(part: EvidencePart, scope: Rule | undefined): EvidencePart {
  if (scope === undefined) return part;
  const within = (each: Rule): boolean => inScope(each, scope);
  return {
    ...part,
    cells: part.cells.filter(within),
    scopes: part.scopes.filter(within),
    timeline: part.timeline.filter(within),
    samples: part.samples.filter(within),
    sweeps: part.sweeps.filter(within),
  };
}

function total<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((sum, item) => sum + of(item), 0);
}

function runOf(
  parts: readonly EvidencePart[],
  facts: RunFacts,
  rules: RunFacts['rules'],
  startedMs: number,
  scopes: readonly ScopeEvidence[],
): Report['run'] {
  const newest = parts.toSorted((a, b) => b.untilMs - a.untilMs)[0];
  const same = <T>(of: (part: EvidencePart) => T): boolean => new Set(parts.map(of)).size <= 1;
  const revealed = parts.some((part) => part.redaction.mode === 'revealed');
  const sameSecret = same((part) => part.redaction.secretId);
  const seconds = Math.max(1, (facts.atMs - startedMs) / 1000);
  return {
    id: facts.id,
    mode: 'shadow',
    startedAt: iso(startedMs),
    finishedAt: iso(facts.atMs),
    durationMs: Math.max(0, facts.atMs - startedMs),
    tool: { name: 'grapevine', version: facts.toolVersion },
    source: facts.source,
    target: facts.target,
    sourceId: facts.sourceId,
    timeline: facts.timeline,
    phases: rules.map(({ sinceMs, ...rule }) => ({ ...rule, since: iso(sinceMs) })),
    ...(facts.scope === undefined ? {} : { scope: facts.scope }),
    sampling: {
      kind: 'key-hash',
      percent: newest?.sampling.percent ?? 0,
      noisePercent: newest?.sampling.noisePercent ?? 0,
      linearizablePercent: newest?.sampling.linearizablePercent ?? 0,
    },
    reads: 'source, target, source; sampled by key; off the path of clients',
    recheck: { delaysMs: newest?.sampling.recheckDelaysMs ?? [] },
    rules: newest === undefined ? { version: 0, sha256: '' } : newest.rules,
    redaction: {
      mode: revealed ? 'revealed' : 'redacted',
      secret: sameSecret ? (newest?.redaction.secretName ?? 'none') : 'several',
      ...(sameSecret && newest !== undefined ? { secretId: newest.redaction.secretId } : {}),
    },
    load: {
      readsPerSecond: total(scopes, (scope) => scope.coverage.reads) / seconds,
      writesPerSecond: total(scopes, (scope) => scope.coverage.writes) / seconds,
    },
    clockSkewMsMax: facts.clockSkewMsMax,
    overrides: facts.overrides.map(({ atMs, ...each }) => ({ ...each, at: iso(atMs) })),
  };
}

function coverageOf(
  parts: readonly EvidencePart[],
  scopes: readonly ScopeEvidence[],
  rules: RunFacts['rules'],
  atMs: number,
  timeline: NonNullable<Report['timeline']>,
): Report['coverage'] {
  const hashes: number[] = [];
  for (const scope of scopes) for (const hash of scope.coverage.keys) addHash(hashes, hash);
  const sweeps = groupBy(
    parts.flatMap((part) => part.sweeps),
    (sweep) => `${sweep.of} ${sweep.prefix}`,
  ).map((of) => of.reduce((newest, each) => (each.finishedMs > newest.finishedMs ? each : newest)));
  return {
    kv: [...rules, ...scopes].some((each) => each.of === 'kv'),
    catalog: [...rules, ...scopes].some((each) => each.of === 'catalog'),
    prefixes: [
      ...new Set([...rules, ...scopes].filter((each) => each.of === 'kv').map((each) => each.prefix)),
    ],
    reads: total(scopes, (scope) => scope.coverage.reads),
    writes: total(scopes, (scope) => scope.coverage.writes),
    sampled: total(scopes, (scope) => scope.coverage.sampled),
    keys: distinctCount(hashes),
    gateways: parts.length,
    continuousMs: continuousMs(timeline, rules, atMs),
    sweeps: sweeps.map(sweepOf),
  };
}

function sweepOf(sweep: SweepEvidence): NonNullable<Report['coverage']['sweeps']>[number] {
  const { of, prefix, throughIndex, compared, persistent, transient, indeterminate, unchecked } = sweep;
  return {
    ...{ of, prefix, throughIndex, compared, persistent, transient, indeterminate, unchecked },
    startedAt: iso(sweep.startedMs),
    finishedAt: iso(sweep.finishedMs),
    filtered: sweep.filtered,
    failure: sweep.failure,
  };
}

function totalsOf(sum: CellSum): Report['totals'] {
  const noise = rateOf(sum.noise.differed, sum.noise.compared);
  const firstLook = sum.firstLook();
  const [low, high] = differenceInterval(intervalOf(noise), intervalOf(firstLook));
  const isKnown = sum.counted.compared > 0 && sum.noise.compared > 0;
  return {
    ...sum.counted,
    rate: sum.rate,
    firstLook,
    noise: { ...sum.noise, rate: noise },
    ...(isKnown ? { net: { value: firstLook.value - noise.value, interval95: [low, high] } } : {}),
  };
}

/** As evidence/statistics.ts takes it. */
export function intervalOf(rate: ReportRate): RateInterval {
  const [low, high] = rate.interval95 ?? [rate.wilson95[0], rate.upper95];
  return { hits: rate.hits ?? 0, of: rate.of ?? 0, rate: rate.value, low, high, method: 'wilson' };
}

const badness = (row: { persistent: number; unchecked: number; open?: number | undefined }): number =>
  row.persistent + row.unchecked + (row.open ?? 0);

function prefixRows(placed: readonly PlacedCell[], scopes: readonly ScopeEvidence[]): Report['prefixes'] {
  const nameOf = (each: { of: string; prefix: string; phase: string }): string =>
    JSON.stringify([each.of, each.prefix, each.phase]);
  return groupBy(placed, ({ cell }) => nameOf(cell))
    .map((cells) => {
      const { of, prefix, phase } = (cells[0] as PlacedCell).cell;
      const sum = sumCells(cells);
      const own = scopes.filter((scope) => nameOf(scope) === nameOf({ of, prefix, phase }));
      const hashes: number[] = [];
      for (const scope of own) for (const hash of scope.coverage.keys) addHash(hashes, hash);
      return {
        kind: of,
        prefix,
        phase,
        ...sum.counted,
        upper95: Math.max(sum.rate.upper95, sum.rate.interval95?.[1] ?? 0),
        rate: sum.rate,
        keys: distinctCount(hashes),
        staleness: quantilesOf(addHistograms(own.map((scope) => scope.staleness.high))),
        latency: bothQuantiles(sum),
      };
    })
    .toSorted((a, b) => badness(b) - badness(a) || b.transient - a.transient || b.compared - a.compared);
}

function endpointRows(placed: readonly PlacedCell[]): NonNullable<Report['endpoints']> {
  return groupBy(placed, ({ cell }) => `${cell.of} ${cell.endpoint}`)
    .map((cells) => {
      const { of, endpoint } = (cells[0] as PlacedCell).cell;
      const sum = sumCells(cells);
      const woke = sum.wake.later.count + sum.wake.earlier.count + sum.wake.missed;
      const wake = {
        later: quantilesOf(sum.wake.later),
        earlier: quantilesOf(sum.wake.earlier),
        missed: sum.wake.missed,
        indexSteps: sum.wake.indexSteps,
      };
      const row = { kind: of, endpoint, ...sum.counted, rate: sum.rate, latency: bothQuantiles(sum) };
      return woke > 0 ? { ...row, wake } : row;
    })
    .toSorted((a, b) => badness(b) - badness(a) || b.compared - a.compared);
}

function gatewayRows(parts: readonly EvidencePart[], facts: RunFacts): NonNullable<Report['gateways']> {
  return parts.map((part) => {
    const sum = sumCells(part.cells.map((cell) => ({ part, cell })));
    const member = facts.gateways.find((each) => each.id === part.gateway.id);
    return {
      ...part.gateway,
      ...(member === undefined ? {} : { version: member.version }),
      alive: member?.alive ?? false,
      since: iso(part.sinceMs),
      until: iso(part.untilMs),
      restarts: part.restarts,
      ...sum.counted,
      rate: sum.rate,
      latency: bothQuantiles(sum),
    };
  });
}

function bothQuantiles(sum: CellSum): {
  source: ReturnType<typeof quantilesOf>;
  target: ReturnType<typeof quantilesOf>;
} {
  return { source: quantilesOf(sum.latency.source), target: quantilesOf(sum.latency.target) };
}

function visibilityOf(where: string, bins: readonly VisibilityBin[]): NonNullable<Report['tvis']> {
  return groupBy(bins, (bin) => String(bin.tMs))
    .map((same) => {
      const fresh = total(same, (bin) => bin.fresh);
      const n = fresh + total(same, (bin) => bin.stale);
      return {
        where,
        tMs: same[0]?.tMs ?? 0,
        n,
        fresh,
        unknown: total(same, (bin) => bin.unknown),
        probability: n === 0 ? null : fresh / n,
        wilson95: wilsonPair(fresh, n),
      };
    })
    .toSorted((a, b) => a.tMs - b.tMs);
}

function wilsonPair(hits: number, of: number): [number, number] {
  const [low, high] = wilson95(hits, of);
  return [low, high];
}

function agreementOf(all: readonly Agreement[]): NonNullable<Report['phi']>['all'] {
  const [asked, agreed] = [total(all, (each) => each.asked), total(all, (each) => each.agreed)];
  const unknown = total(all, (each) => each.unknown);
  return {
    asked,
    agreed,
    unknown,
    share: asked === 0 ? null : agreed / asked,
    wilson95: wilsonPair(agreed, asked),
  };
}

function sessionsOf(scopes: readonly ScopeEvidence[]): NonNullable<Report['sessions']> {
  const sum = (of: 'readYourWrites' | 'monotonicReads' | 'indexRegressions'): Guarantee =>
    guaranteeOf(scopes.map((scope) => scope.sessions[of]));
  return {
    readYourWrites: sum('readYourWrites'),
    monotonicReads: sum('monotonicReads'),
    indexRegressions: sum('indexRegressions'),
    forgotten: total(scopes, (scope) => scope.sessions.forgotten),
  };
}

function guaranteeOf(all: readonly CheckedGuarantee[]): Guarantee {
  const checked = total(all, (each) => each.checked);
  const violations = total(all, (each) => each.violations);
  const perMillion = checked === 0 ? null : (violations / checked) * 1e6;
  return { checked, violations, perMillion, rate: rateOf(violations, checked) };
}

function linOf(scopes: readonly ScopeEvidence[]): NonNullable<Report['lin']> {
  const of = (name: keyof ScopeEvidence['linearizable']): number =>
    total(scopes, (scope) => scope.linearizable[name]);
  const [yes, no, unknown] = [of('yes'), of('no'), of('unknown')];
  return { yes, no, unknown, operations: of('operations'), rate: rateOf(no, yes + no) };
}

function gammaOf(scopes: readonly ScopeEvidence[]): NonNullable<Report['gamma']> {
  const writes = total(scopes, (scope) => scope.gamma.writes);
  const violations = total(scopes, (scope) => scope.gamma.violations);
  const badness = quantilesOf(addHistograms(scopes.map((scope) => scope.gamma.badness)));
  return { writes, violations, rate: rateOf(violations, writes), badness };
}

function addColumns(rows: readonly (readonly number[])[]): number[] {
  const length = Math.max(0, ...rows.map((row) => row.length));
  return Array.from({ length }, (_, at) => total(rows, (row) => row[at] ?? 0));
}

export function iso(ms: number): string {
  return new Date(ms).toISOString();
}
