import { z } from 'zod';
import { emptySnapshot, mergeSnapshots } from '../../evidence/merge.ts';
import {
  ageTimesMs,
  differenceKinds,
  evidenceSchema,
  visibilityTimesMs,
  type EvidencePart,
  type EvidenceSnapshot,
} from '../../evidence/snapshot.ts';
import { phases } from '../../../src/state/migration.ts';

// Parts come from other gateways and from disk: their shape is checked before anything adds them up.

const count = z.number().min(0);
const text = z.string().max(64 * 1024);
const scope = { of: z.enum(['kv', 'catalog']), prefix: text, phase: z.enum(phases) };

const histogram = z.object({
  count,
  sum: count,
  max: count,
  zero: count,
  buckets: z.array(z.tuple([z.int(), count])).max(2_000),
});

const byOutcome = z.object({ transient: count, persistent: count });
const guarantee = z.object({ checked: count, violations: count });
const agreement = z.object({ asked: count, agreed: count, unknown: count });
const bins = z
  .array(z.object({ tMs: count, fresh: count, stale: count, unknown: count }))
  .length(visibilityTimesMs.length);

const cell = z.object({
  ...scope,
  endpoint: text,
  counts: z.object({
    compared: count,
    matched: count,
    ignored: count,
    indeterminate: count,
    transient: count,
    persistent: count,
    open: count,
    dropped: count,
    sourceErrors: count,
    hereErrors: count,
  }),
  kinds: z.record(z.enum(differenceKinds), byOutcome),
  longestOpenMs: count,
  openMs: histogram,
  noise: z.object({
    compared: count,
    differed: count,
    kinds: z.partialRecord(z.enum(differenceKinds), count),
  }),
  clusters: z.array(z.object({ key: text, transient: count, persistent: count })).max(1_000),
  otherClusters: z.object({ keys: count, transient: count, persistent: count }),
  latency: z.object({ source: histogram, here: histogram }),
  wake: z.object({ later: histogram, earlier: histogram, indexSteps: count, missedWakes: count }),
  ages: z.array(z.object({ ageMs: count, n: count, open: count })).length(ageTimesMs.length),
});

const scopeEvidence = z.object({
  ...scope,
  coverage: z.object({
    ...{ reads: count, writes: count, sampled: count, keys: z.array(count).max(1_000) },
    // What was written down before there was such a count has none.
    busy: count.default(0),
  }),
  staleness: z.object({ low: histogram, high: histogram, exact: count, bounded: count }),
  versionsBehind: z.array(count).max(64),
  visibility: z.object({ own: bins, zone: bins, all: bins }),
  agreement: z.object({ zone: agreement, all: agreement }),
  sessions: z.object({
    readYourWrites: guarantee,
    monotonicReads: guarantee,
    indexRegressions: guarantee,
    forgotten: count,
  }),
  linearizable: z.object({ yes: count, no: count, unknown: count, operations: count }),
  gamma: z.object({ writes: count, violations: count, badness: histogram }),
});

const bucket = z.object({
  ...scope,
  atMs: count,
  widthMs: count,
  compared: count,
  differed: count,
  transient: count,
  persistent: count,
  indeterminate: count,
  dropped: count,
  errors: count,
  readYourWrites: count,
  monotonicReads: count,
  indexRegressions: count,
  stalenessMsMax: count,
});

const side = z.object({
  status: count,
  length: count,
  hmac: text,
  index: count,
  flags: z.exactOptional(text),
  held: z.exactOptional(z.boolean()),
  text: z.exactOptional(text),
});

const sample = z.object({
  ...scope,
  endpoint: text,
  atMs: count,
  outcome: z.enum(['open', 'transient', 'persistent', 'indeterminate', 'violation', 'noise']),
  kind: z.enum([
    ...differenceKinds,
    'read-your-writes',
    'monotonic-reads',
    'index-regression',
    'not-linearizable',
  ]),
  key: z.object({ prefix: text, hmac: text, key: z.exactOptional(text) }),
  source: side.nullable(),
  here: side.nullable(),
  fields: z.array(text).max(64),
  looks: count,
  openMs: count,
});

const sweep = z.object({
  of: scope.of,
  prefix: text,
  startedMs: count,
  finishedMs: count,
  throughIndex: count,
  compared: count,
  matched: count,
  transient: count,
  persistent: count,
  indeterminate: count,
  unchecked: count,
  kinds: z.partialRecord(z.enum(differenceKinds), count),
  longestOpenMs: count,
  filtered: z.boolean(),
  ignored: z.record(text, count),
  failure: text,
});

const partForm: z.ZodType<EvidencePart> = z.object({
  gateway: z.object({ id: text, name: text, region: text }),
  epoch: count,
  seq: count,
  sinceMs: count,
  untilMs: count,
  restarts: count,
  redaction: z.object({ mode: z.enum(['redacted', 'revealed']), secretName: text, secretId: text }),
  rules: z.object({ version: count, sha256: text }),
  sampling: z.object({
    percent: count,
    noisePercent: count,
    linearizablePercent: count,
    recheckDelaysMs: z.array(count).max(16),
    concurrencyMax: count,
    perSecondMax: count,
  }),
  cells: z.array(cell).max(2_000),
  scopes: z.array(scopeEvidence).max(2_000),
  timeline: z.array(bucket).max(10_000),
  marks: z.array(z.object({ atMs: count, what: text, detail: text })).max(2_000),
  samples: z.array(sample).max(5_000),
  sweeps: z.array(sweep).max(1_000),
  notes: z.array(text).max(1_000),
});

/** Throws what is wrong with it. */
export function parsePart(value: unknown): EvidencePart {
  return partForm.parse(value);
}

/** One gateway's evidence, as a snapshot. */
export function snapshotOfParts(parts: readonly EvidencePart[], absent: readonly string[]): EvidenceSnapshot {
  return parts
    .map((part): EvidenceSnapshot => ({ schema: evidenceSchema, parts: [part], absent: [] }))
    .reduce(mergeSnapshots, { ...emptySnapshot(), absent });
}
