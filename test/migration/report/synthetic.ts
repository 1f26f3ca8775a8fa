import { addHash } from '../../../migration/evidence/distinct.ts';
import { addValue, emptyHistogram, type Histogram } from '../../../migration/evidence/histogram.ts';
import {
  ageTimesMs,
  differenceKinds,
  evidenceSchema,
  visibilityTimesMs,
  type DifferenceKind,
  type EvidenceCell,
  type EvidencePart,
  type EvidenceSample,
  type EvidenceSnapshot,
  type ScopeEvidence,
  type TimelineBucket,
  type VisibilityBin,
} from '../../../migration/evidence/snapshot.ts';
import { seededChance } from '../../../migration/evidence/statistics.ts';
import type { RunFacts } from '../../../migration/report/run-facts.ts';

// Jest looks globals up slowly, and this asks for them a million times.
const { exp, log, floor, round, sqrt, cos, imul, max, min, PI } = Math;

// Evidence of a fleet that never ran, drawn from a seed: what a report should say of it is known.

export interface Process {
  readonly seed: number;
  /** Comparisons of each gateway, rule and endpoint. */
  readonly reads: number;
  readonly gateways: number;
  readonly prefixes: readonly string[];
  /** Share of comparisons. */
  readonly persistent: number;
  readonly transient: number;
  readonly noise: number;
  readonly indeterminate: number;
  readonly dropped: number;
  /** Medians, milliseconds. */
  readonly sourceMs: number;
  readonly hereMs: number;
  readonly stalenessMs: number;
  /** Violations per million checked reads. */
  readonly violationsPerMillion: number;
  readonly hours: number;
  readonly secretId: string;
  /** Reads timed after a write, per time: about this many thousand on each gateway and rule. */
  readonly timedThousands: number;
}

export const healthy: Process = {
  seed: 1,
  reads: 60_000,
  gateways: 3,
  prefixes: ['app/', 'config/', 'locks/'],
  persistent: 0,
  transient: 4e-4,
  noise: 2e-4,
  indeterminate: 3e-3,
  dropped: 1e-4,
  sourceMs: 3.2,
  hereMs: 0.6,
  stalenessMs: 14,
  violationsPerMillion: 0,
  hours: 26,
  secretId: 'a1b2c3d4',
  timedThousands: 2,
};

export const endMs = Date.UTC(2026, 10, 20, 12, 0, 0);
const endpoints = ['kv-get', 'kv-recurse', 'kv-get?index'] as const;

export function syntheticEvidence(given: Partial<Process> = {}): EvidenceSnapshot {
  const process = { ...healthy, ...given };
  const chance = seededChance(process.seed);
  const parts = Array.from({ length: process.gateways }, (_, at) => partOf(process, at, chance));
  return { schema: evidenceSchema, parts, absent: [] };
}

export function facts(given: Partial<RunFacts> = {}, process: Process = healthy): RunFacts {
  const rules = process.prefixes.map((prefix) => ({
    of: 'kv',
    prefix,
    phase: 'shadow',
    step: 3,
    term: 2,
    sinceMs: endMs - process.hours * 3_600_000,
    reason: 'step 3 of the runbook',
  }));
  const gateways = names(process).map((name, at) => ({
    id: `id-${at}`,
    name,
    region: at === 2 ? 'eu-west' : 'eu-north',
    version: '0.1.0',
    alive: true,
  }));
  return {
    id: 'run-1',
    atMs: endMs,
    toolVersion: '0.1.0',
    source: { address: 'http://10.0.0.1:8500', datacenter: 'dc1', node: 'consul-1', version: '1.20.1' },
    target: { address: 'gw-1', datacenter: 'dc1', node: 'gw-1', version: '0.1.0' },
    sourceId: 'dc1/abc',
    timeline: 1,
    rules,
    gateways,
    clockSkewMsMax: 12,
    overrides: [],
    operations: {
      repairQueue: { length: 0, oldestMs: 0 },
      tailLagP99Ms: 420,
      copyTroubles: [],
      bypassWrites: 0,
      heldLocks: 0,
      unsupportedCalls: 0,
      changedSinceSweep: 0,
      rehearsals: rules.map(({ of, prefix, term }) => ({ of, prefix, term, at: iso(endMs - 3_600_000) })),
      terms: rules.flatMap(({ of, prefix, term }) =>
        gateways.map((gateway) => ({ gateway: gateway.name, of, prefix, term })),
      ),
    },
    marks: [],
    notes: [],
    ...given,
  };
}

function names(process: Process): readonly string[] {
  return Array.from({ length: process.gateways }, (_, at) => `gw-${at + 1}`);
}

function partOf(process: Process, at: number, chance: () => number): EvidencePart {
  const cells = process.prefixes.flatMap((prefix, row) =>
    endpoints.map((endpoint) => cellOf(process, prefix, row, endpoint, chance)),
  );
  const sinceMs = endMs - process.hours * 3_600_000;
  return {
    gateway: {
      id: `id-${at}`,
      name: names(process)[at] ?? '',
      region: at === 2 ? 'eu-west' : 'eu-north',
    },
    epoch: 1,
    seq: 1,
    sinceMs,
    untilMs: endMs - 3000,
    restarts: 0,
    redaction: { mode: 'redacted', secretName: 'ops', secretId: process.secretId },
    rules: { version: 2, sha256: 'ab'.repeat(32) },
    sampling: {
      percent: 25,
      noisePercent: 10,
      linearizablePercent: 1,
      recheckDelaysMs: [1000, 5000, 30_000],
      concurrencyMax: 8,
      perSecondMax: 500,
    },
    cells,
    scopes: process.prefixes.map((prefix) => scopeOf(process, prefix, chance)),
    timeline: process.prefixes.flatMap((prefix) => timelineOf(process, prefix, sinceMs, chance)),
    marks:
      at === 0
        ? [
            { atMs: sinceMs, what: 'phase', detail: 'app/: dual -> shadow' },
            { atMs: endMs - 8 * 3_600_000, what: 'fault', detail: "the source's leader changed" },
            {
              atMs: endMs - 4 * 3_600_000,
              what: 'fork',
              detail: 'snapshot restored at the source: timeline 2',
            },
          ]
        : [],
    samples: samplesOf(process, cells, chance),
    sweeps:
      at === 0
        ? process.prefixes.map((prefix) => ({
            of: 'kv' as const,
            prefix,
            startedMs: endMs - 1_900_000,
            finishedMs: endMs - 1_800_000,
            throughIndex: 91_200,
            compared: 12_000,
            matched: 12_000,
            transient: 0,
            persistent: 0,
            indeterminate: 0,
            unchecked: 0,
            kinds: {},
            longestOpenMs: 0,
            filtered: false,
            ignored: {},
            failure: '',
          }))
        : [],
    notes: [],
  };
}

function cellOf(
  process: Process,
  prefix: string,
  row: number,
  endpoint: string,
  chance: () => number,
): EvidenceCell {
  const compared = max(1, round(process.reads / (row + 1)));
  const persistent = drawn(compared, process.persistent, chance);
  const transient = drawn(compared, process.transient, chance);
  const indeterminate = drawn(compared, process.indeterminate, chance);
  const ignored = drawn(compared, 0.01, chance);
  const kinds = emptyKinds();
  const pick = (weights: readonly DifferenceKind[]): DifferenceKind =>
    weights[floor(chance() * weights.length)] ?? 'value';
  for (let i = 0; i < persistent; i++) kinds[pick(['value', 'value', 'missing', 'flags'])].persistent += 1;
  for (let i = 0; i < transient; i++)
    kinds[pick(['value', 'value', 'value', 'missing', 'extra'])].transient += 1;
  const clusters = Array.from({ length: min(40, persistent + transient) }, (_, at) => ({
    key: hmacOf(`${prefix} ${at}`),
    transient: 0,
    persistent: 0,
  }));
  for (let i = 0; i < persistent; i++)
    (clusters[floor(chance() * clusters.length)] ?? never()).persistent += 1;
  for (let i = 0; i < transient; i++) (clusters[floor(chance() * clusters.length)] ?? never()).transient += 1;
  const isBlocking = endpoint.endsWith('?index');
  return {
    of: 'kv',
    prefix,
    phase: 'shadow',
    endpoint,
    counts: {
      compared,
      matched: compared - persistent - transient - indeterminate - ignored,
      ignored,
      indeterminate,
      transient,
      persistent,
      open: 0,
      dropped: drawn(compared, process.dropped, chance),
      sourceErrors: drawn(compared, 2e-5, chance),
      hereErrors: 0,
    },
    kinds,
    longestOpenMs: persistent > 0 ? 86_000 : transient > 0 ? 5010 : 0,
    openMs: logNormal(transient, 800, 1.1, chance),
    noise: {
      compared: round(compared / 10),
      differed: drawn(compared / 10, process.noise, chance),
      kinds: {},
    },
    clusters,
    otherClusters: { keys: 0, transient: 0, persistent: 0 },
    latency: {
      source: logNormal(compared, process.sourceMs * (isBlocking ? 1.2 : 1), 0.5, chance),
      here: logNormal(compared, process.hereMs, 0.6, chance),
    },
    wake: {
      later: isBlocking ? logNormal(compared / 20, 9, 0.8, chance) : emptyHistogram(),
      earlier: isBlocking ? logNormal(compared / 60, 1.5, 0.8, chance) : emptyHistogram(),
      indexSteps: isBlocking ? round(compared / 15) : 0,
      missedWakes: 0,
    },
    ages: ageTimesMs.map((ageMs) => ({ ageMs, n: compared, open: persistent })),
  };
}

function scopeOf(process: Process, prefix: string, chance: () => number): ScopeEvidence {
  const reads = process.reads * 3;
  const checked = reads * 2;
  const keys: number[] = [];
  for (let i = 0; i < 1000; i++) addHash(keys, floor(chance() * 2 ** 48));
  const violations = drawn(checked, process.violationsPerMillion / 1e6, chance);
  const low = logNormal(reads, process.stalenessMs, 1, chance, 0.8);
  return {
    of: 'kv',
    prefix,
    phase: 'shadow',
    coverage: { reads: reads * 4, writes: reads / 5, sampled: reads, busy: 0, keys },
    staleness: { low, high: structuredClone(low), exact: reads, bounded: 0 },
    versionsBehind: [reads * 0.995, reads * 0.004, reads * 0.001].map(round),
    visibility: {
      own: visibility(process, 0.2, chance),
      zone: visibility(process, 1, chance),
      all: visibility(process, 2.5, chance),
    },
    agreement: {
      zone: { asked: reads / 10, agreed: round((reads / 10) * 0.9996), unknown: 4 },
      all: { asked: reads / 10, agreed: round((reads / 10) * 0.9991), unknown: 9 },
    },
    sessions: {
      readYourWrites: { checked: round(checked / 4), violations },
      monotonicReads: { checked, violations: 0 },
      indexRegressions: { checked, violations: 0 },
      forgotten: 12,
    },
    linearizable: { yes: 840, no: 0, unknown: 11, operations: 9100 },
    gamma: { writes: 9100, violations: 12, badness: logNormal(12, 20, 0.6, chance) },
  };
}

function visibility(process: Process, slow: number, chance: () => number): VisibilityBin[] {
  return visibilityTimesMs.map((tMs) => {
    const n = round((100 + 1900 * chance()) * process.timedThousands);
    const z = log(tMs / (process.stalenessMs * slow)) / 0.9;
    const share = 1 / (1 + exp(-1.7 * z));
    const fresh = round(n * share);
    return { tMs, fresh, stale: n - fresh, unknown: round(n * 0.02) };
  });
}

function timelineOf(
  process: Process,
  prefix: string,
  sinceMs: number,
  chance: () => number,
): TimelineBucket[] {
  const widthMs = 600_000;
  const buckets = round((process.hours * 3_600_000) / widthMs);
  return Array.from({ length: buckets }, (_, at) => {
    const atMs = sinceMs + at * widthMs;
    const near = exp(-(((endMs - 4 * 3_600_000 - atMs) / 1_800_000) ** 2));
    const compared = round((process.reads * 3 * (0.7 + 0.6 * chance())) / buckets);
    const transient = drawn(compared, process.transient * (1 + 30 * near), chance);
    const persistent = drawn(compared, process.persistent * (0.4 + 6 * near), chance);
    return {
      of: 'kv' as const,
      prefix,
      phase: 'shadow' as const,
      atMs,
      widthMs,
      compared,
      differed: transient + persistent,
      transient,
      persistent,
      indeterminate: drawn(compared, process.indeterminate, chance),
      dropped: 0,
      errors: near > 0.8 ? 2 : 0,
      readYourWrites: 0,
      monotonicReads: 0,
      indexRegressions: 0,
      stalenessMsMax: process.stalenessMs * (4 + 10 * chance() + 60 * near),
    };
  });
}

function samplesOf(process: Process, cells: readonly EvidenceCell[], chance: () => number): EvidenceSample[] {
  return cells.flatMap((cell) =>
    cell.clusters
      .filter((cluster) => cluster.persistent + cluster.transient > 0)
      .slice(0, 6)
      .map((cluster, at): EvidenceSample => ({
        of: cell.of,
        prefix: cell.prefix,
        phase: cell.phase,
        endpoint: cell.endpoint,
        atMs: round(endMs - chance() * process.hours * 3_600_000),
        outcome: cluster.persistent > 0 ? 'persistent' : 'transient',
        kind: at % 4 === 3 ? 'missing' : 'value',
        key: { prefix: cell.prefix, hmac: cluster.key },
        source: {
          status: 200,
          length: 40 + at,
          hmac: hmacOf(`s${at}`),
          index: 4000 + at,
          flags: '0',
          held: false,
        },
        here:
          at % 4 === 3
            ? null
            : {
                status: 200,
                length: 38 + at,
                hmac: hmacOf(`h${at}`),
                index: 3990 + at,
                flags: '0',
                held: false,
              },
        fields: [],
        looks: cluster.persistent > 0 ? 4 : 2,
        openMs: cluster.persistent > 0 ? 36_000 : 1004,
      })),
  );
}

function emptyKinds(): EvidenceCell['kinds'] {
  return Object.fromEntries(
    differenceKinds.map((kind) => [kind, { transient: 0, persistent: 0 }]),
  ) as EvidenceCell['kinds'];
}

/** About log-normal, of `count` values; each stands for many where there are many. */
function logNormal(count: number, median: number, spread: number, chance: () => number, zero = 0): Histogram {
  const histogram = emptyHistogram();
  const many = round(count);
  const draws = min(many, 200);
  // Evenly over the ranks: a few drawn at random would not say what so many values say.
  for (let i = 0; i < draws; i++) {
    const rank = (i + 0.2 + 0.6 * chance()) / draws;
    const beyond = (rank - zero) / (1 - zero);
    addValue(histogram, beyond <= 0 ? 0 : median * exp((spread * log(beyond / (1 - beyond))) / 1.7));
  }
  if (many > draws && draws > 0) {
    const times = floor(many / draws);
    histogram.buckets = histogram.buckets.map(([bucket, held]) => [bucket, held * times]);
    histogram.zero *= times;
    histogram.sum *= times;
    histogram.count = draws * times;
  }
  return histogram;
}

/** How many of `n` happen to be hits: exact for small means, normal beyond. */
export function drawn(n: number, rate: number, chance: () => number): number {
  const mean = n * rate;
  if (mean <= 0) return 0;
  if (mean > 30) {
    const normal = sqrt(-2 * log(1 - chance())) * cos(2 * PI * chance());
    return max(0, round(mean + normal * sqrt(mean)));
  }
  let [many, product] = [0, chance()];
  while (product > exp(-mean)) {
    many += 1;
    product *= chance();
  }
  return many;
}

const hmacs = new Map<string, string>();

export function hmacOf(text: string): string {
  const known = hmacs.get(text);
  if (known !== undefined) return known;
  let hash = 0x811c9dc5;
  let hex = '';
  for (let turn = 0; hex.length < 32; turn++) {
    for (const char of `${turn}${text}`) hash = imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0;
    hex += hash.toString(16).padStart(8, '0');
  }
  hmacs.set(text, hex.slice(0, 32));
  return hex.slice(0, 32);
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function never(): never {
  throw new Error('unreachable');
}
