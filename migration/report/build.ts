import { wilson95 } from '../compare/intervals.ts';
import { distinctCount } from '../evidence/distinct.ts';
import type {
  Agreement,
  EvidenceCell,
  EvidencePart,
  EvidenceSnapshot,
  Guarantee as CheckedGuarantee,
  ScopeEvidence,
  SweepEvidence,
  VisibilityBin,
} from '../evidence/snapshot.ts';
import { differenceInterval, type RateInterval } from '../evidence/statistics.ts';
import { sumScopes, type ScopeSum } from '../evidence/sums.ts';
import { countedOf, firstLookOf, groupBy, quantilesOf, rateOf, type CountedCells } from './counted.ts';
import { evaluateGates } from './gates.ts';
import { reportMinor, reportSchemaName, type Guarantee, type Report, type ReportRate } from './model.ts';
import type { RunFacts } from './run-facts.ts';
import { samplesOf } from './samples.ts';
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
  const cells = parts.flatMap((part) => part.cells);
  const scopes = parts.flatMap((part) => part.scopes);
  const counted = countedOf(cells);
  const scope = sumScopes(scopes);
  const { sum } = counted;
  const startedMs = Math.min(facts.atMs, ...parts.map((part) => part.sinceMs));
  const timeline = timelineOf(parts);
  const report: Report = {
    schema: reportSchemaName,
    minor: reportMinor,
    verdict: { result: 'unknown', reasons: [] },
    run: runOf(parts, facts, rules, startedMs, scope),
    coverage: {
      ...coverageOf(parts, scopes, scope, rules),
      absent: absentOf(evidence, facts),
      continuousMs: continuousMs(timeline, rules, facts.atMs),
    },
    totals: totalsOf(counted),
    prefixes: prefixRows(cells, scopes),
    endpoints: endpointRows(cells),
    gateways: gatewayRows(parts, facts),
    histograms: {
      staleness: scope.staleness,
      latency: counted.latency,
      open: sum.openMs,
      wakeLater: sum.wake.later,
      wakeEarlier: sum.wake.earlier,
    },
    staleness: { low: quantilesOf(scope.staleness.low), high: quantilesOf(scope.staleness.high) },
    versionsBehind: scope.versionsBehind,
    tvis: (['own', 'zone', 'all'] as const).flatMap((where) => visibilityOf(where, scope.visibility[where])),
    sessions: {
      readYourWrites: guaranteeOf(scope.sessions.readYourWrites),
      monotonicReads: guaranteeOf(scope.sessions.monotonicReads),
      indexRegressions: guaranteeOf(scope.sessions.indexRegressions),
      forgotten: scope.sessions.forgotten,
    },
    phi: { zone: agreementOf(scope.agreement.zone), all: agreementOf(scope.agreement.all) },
    lin: {
      ...scope.linearizable,
      rate: rateOf(scope.linearizable.no, scope.linearizable.yes + scope.linearizable.no),
    },
    gamma: {
      writes: scope.gamma.writes,
      violations: scope.gamma.violations,
      rate: rateOf(scope.gamma.violations, scope.gamma.writes),
      badness: quantilesOf(scope.gamma.badness),
    },
    ages: sum.ages.map(({ ageMs, n, open }) => {
      const still = rateOf(open, n);
      return { ageMs, n, open, consistent: n === 0 ? null : 1 - still.value, upper95: still.upper95 };
    }),
    timeline,
    marks: marksOf(parts, facts.marks, facts.scope),
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

/** Those that did not answer, and live ones that nobody asked. */
function absentOf(evidence: EvidenceSnapshot, facts: RunFacts): readonly string[] {
  const told = new Set(evidence.parts.map((part) => part.gateway.id));
  const silent = facts.gateways.filter((gateway) => gateway.alive && !told.has(gateway.id));
  return [...new Set([...evidence.absent, ...silent.map((gateway) => gateway.name)])].toSorted();
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

function runOf(
  parts: readonly EvidencePart[],
  facts: RunFacts,
  rules: RunFacts['rules'],
  startedMs: number,
  scope: ScopeSum,
): Report['run'] {
  const newest = parts.toSorted((a, b) => b.untilMs - a.untilMs)[0];
  const same = (of: (part: EvidencePart) => string): boolean => new Set(parts.map(of)).size <= 1;
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
      readsPerSecond: scope.coverage.reads / seconds,
      writesPerSecond: scope.coverage.writes / seconds,
    },
    clockSkewMsMax: facts.clockSkewMsMax,
    overrides: facts.overrides.map(({ atMs, ...each }) => ({ ...each, at: iso(atMs) })),
  };
}

function coverageOf(
  parts: readonly EvidencePart[],
  scopes: readonly ScopeEvidence[],
  scope: ScopeSum,
  rules: RunFacts['rules'],
): Report['coverage'] {
  const sweeps = groupBy(
    parts.flatMap((part) => part.sweeps),
    (sweep) => `${sweep.of} ${sweep.prefix}`,
  ).map((of) => of.reduce((newest, each) => (each.finishedMs > newest.finishedMs ? each : newest)));
  const all = [...rules, ...scopes];
  return {
    kv: all.some((each) => each.of === 'kv'),
    catalog: all.some((each) => each.of === 'catalog'),
    prefixes: [...new Set(all.filter((each) => each.of === 'kv').map((each) => each.prefix))],
    reads: scope.coverage.reads,
    writes: scope.coverage.writes,
    sampled: scope.coverage.sampled,
    busy: scope.coverage.busy,
    keys: distinctCount(scope.coverage.keys),
    gateways: parts.length,
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

function totalsOf(counted: CountedCells): Report['totals'] {
  const { compared, differed, kinds } = counted.sum.noise;
  const noise = rateOf(differed, compared);
  const firstLook = firstLookOf(counted);
  const [low, high] = differenceInterval(intervalOf(noise), intervalOf(firstLook));
  const isKnown = counted.counted.compared > 0 && compared > 0;
  return {
    ...counted.counted,
    rate: counted.rate,
    firstLook,
    noise: { compared, differed, byKind: { ...kinds }, rate: noise },
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

function prefixRows(cells: readonly EvidenceCell[], scopes: readonly ScopeEvidence[]): Report['prefixes'] {
  const nameOf = (each: { of: string; prefix: string; phase: string }): string =>
    JSON.stringify([each.of, each.prefix, each.phase]);
  return groupBy(cells, nameOf)
    .flatMap((same) => {
      const [first] = same;
      if (first === undefined) return [];
      const counted = countedOf(same);
      const scope = sumScopes(scopes.filter((each) => nameOf(each) === nameOf(first)));
      return [
        {
          kind: first.of,
          prefix: first.prefix,
          phase: first.phase,
          ...counted.counted,
          upper95: Math.max(counted.rate.upper95, counted.rate.interval95?.[1] ?? 0),
          rate: counted.rate,
          keys: distinctCount(scope.coverage.keys),
          staleness: quantilesOf(scope.staleness.high),
          latency: bothQuantiles(counted),
        },
      ];
    })
    .toSorted((a, b) => badness(b) - badness(a) || b.transient - a.transient || b.compared - a.compared);
}

function endpointRows(cells: readonly EvidenceCell[]): NonNullable<Report['endpoints']> {
  return groupBy(cells, (cell) => `${cell.of} ${cell.endpoint}`)
    .flatMap((same) => {
      const [first] = same;
      if (first === undefined) return [];
      const counted = countedOf(same);
      const { later, earlier, missedWakes, indexSteps } = counted.sum.wake;
      const wake = {
        later: quantilesOf(later),
        earlier: quantilesOf(earlier),
        missed: missedWakes,
        indexSteps,
      };
      return [
        {
          kind: first.of,
          endpoint: first.endpoint,
          ...counted.counted,
          rate: counted.rate,
          latency: bothQuantiles(counted),
          ...(later.count + earlier.count + missedWakes > 0 ? { wake } : {}),
        },
      ];
    })
    .toSorted((a, b) => badness(b) - badness(a) || b.compared - a.compared);
}

function gatewayRows(parts: readonly EvidencePart[], facts: RunFacts): NonNullable<Report['gateways']> {
  return parts.map((part) => {
    const counted = countedOf(part.cells);
    const member = facts.gateways.find((each) => each.id === part.gateway.id);
    return {
      ...part.gateway,
      ...(member === undefined ? {} : { version: member.version }),
      alive: member?.alive ?? false,
      since: iso(part.sinceMs),
      until: iso(part.untilMs),
      restarts: part.restarts,
      ...counted.counted,
      rate: counted.rate,
      latency: bothQuantiles(counted),
    };
  });
}

function bothQuantiles({ latency }: CountedCells): NonNullable<Report['prefixes'][number]['latency']> {
  return { source: quantilesOf(latency.source), target: quantilesOf(latency.target) };
}

function visibilityOf(where: string, bins: readonly VisibilityBin[]): NonNullable<Report['tvis']> {
  return bins.map(({ tMs, fresh, stale, unknown }) => {
    const n = fresh + stale;
    const probability = n === 0 ? null : fresh / n;
    return { where, tMs, n, fresh, unknown, probability, wilson95: wilsonPair(fresh, n) };
  });
}

function wilsonPair(hits: number, of: number): [number, number] {
  const [low, high] = wilson95(hits, of);
  return [low, high];
}

function agreementOf({ asked, agreed, unknown }: Agreement): NonNullable<Report['phi']>['all'] {
  const share = asked === 0 ? null : agreed / asked;
  return { asked, agreed, unknown, share, wilson95: wilsonPair(agreed, asked) };
}

function guaranteeOf({ checked, violations }: CheckedGuarantee): Guarantee {
  const perMillion = checked === 0 ? null : (violations / checked) * 1e6;
  return { checked, violations, perMillion, rate: rateOf(violations, checked) };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
