import { z } from 'zod';
import { count, ms, time, counts, bothCounts } from './model-values.ts';

// What a report says of how it was made, of what it covers, and of how the fleet stood.

const side = z
  .object({ address: z.string(), datacenter: z.string(), node: z.string(), version: z.string() })
  .meta({ id: 'side' });

const override = z
  .object({
    of: z.string(),
    prefix: z.string(),
    phase: z.string(),
    at: time,
    by: z.string(),
    reason: z.string(),
    gates: z.array(z.string()),
  })
  .meta({ id: 'override' });

const rulePhase = z
  .object({
    of: z.string(),
    prefix: z.string(),
    phase: z.string(),
    step: count,
    term: count,
    since: time,
    reason: z.string(),
  })
  .meta({ id: 'rulePhase' });

export const run = z.object({
  id: z.string().min(1),
  mode: z.enum(['sweep', 'shadow']),
  startedAt: time,
  finishedAt: time,
  durationMs: ms,
  tool: z.object({ name: z.string(), version: z.string() }),
  source: side,
  target: side,
  sourceId: z.string().optional(),
  timeline: count.optional().describe("How often the source's history was replaced by another one."),
  phases: z.array(rulePhase).optional(),
  scope: z
    .object({ of: z.string(), prefix: z.string() })
    .optional()
    .describe('The one rule that this is about.'),
  sampling: z.object({
    kind: z.string(),
    percent: z.number().optional(),
    noisePercent: z.number().optional(),
    linearizablePercent: z.number().optional(),
  }),
  reads: z.string().describe('How one comparison is made.'),
  recheck: z.object({ delaysMs: z.array(ms), resetsMax: count.optional() }),
  rules: z.object({
    version: count,
    sha256: z.string(),
    names: z.array(z.string()).optional(),
  }),
  redaction: z.object({
    mode: z.enum(['redacted', 'revealed']),
    secret: z.string().describe("The secret's name, never the secret."),
    secretId: z.string().optional().describe('Keys of two reports correlate where this is equal.'),
  }),
  load: z.object({ readsPerSecond: z.number().min(0), writesPerSecond: z.number().min(0) }).optional(),
  clockSkewMsMax: ms.nullable().optional().describe('Bound of what wall clocks differ; null: not known.'),
  overrides: z.array(override).optional(),
});

const sweep = z
  .object({
    of: z.string(),
    prefix: z.string(),
    startedAt: time,
    finishedAt: time,
    throughIndex: count,
    compared: count,
    persistent: count,
    transient: count,
    indeterminate: count,
    unchecked: count,
    filtered: z.boolean(),
    failure: z.string(),
  })
  .meta({ id: 'sweep', description: 'The latest full comparison of a rule, both ways.' });

export const coverage = z.object({
  kv: z.boolean(),
  catalog: z.boolean(),
  prefixes: z.array(z.string()),
  leaves: count.optional(),
  seen: z.object({ source: counts, target: counts }).optional(),
  bytes: bothCounts.optional(),
  ignored: counts.optional(),
  filteredByAcl: z.object({ source: z.boolean(), target: z.boolean() }).optional(),
  reads: count.optional(),
  writes: count.optional(),
  sampled: count.optional(),
  busy: count
    .optional()
    .describe(
      'Reads of sampled keys that were not looked at because the gateway was busy: none of `sampled`.',
    ),
  keys: count.optional().describe('Distinct compared keys, estimated.'),
  gateways: count.optional(),
  absent: z
    .array(z.string())
    .optional()
    .describe('Gateways that were asked for their evidence and did not answer.'),
  continuousMs: ms.optional().describe('How long, up to the end, without a gap in comparing.'),
  sweeps: z.array(sweep).optional(),
});

export const operations = z
  .object({
    repairQueue: z.object({ length: count, oldestMs: ms }).nullable(),
    tailLagP99Ms: ms.nullable(),
    copyTroubles: z
      .array(z.string())
      .nullable()
      .optional()
      .describe('What is wrong with copying from the source, rule by rule.'),
    bypassWrites: count.nullable(),
    heldLocks: count.nullable(),
    unsupportedCalls: count.nullable(),
    changedSinceSweep: count
      .nullable()
      .describe('Keys that changed since they were last swept, deleted ones too; null: not known.'),
    rehearsals: z.array(z.object({ of: z.string(), prefix: z.string(), term: count, at: time })).nullable(),
    terms: z
      .array(z.object({ gateway: z.string(), of: z.string(), prefix: z.string(), term: count }))
      .nullable()
      .describe('What each gateway acts on.'),
  })
  .meta({ id: 'operations', description: 'What the gates ask beside comparisons; null: not known.' });
