import { z } from 'zod';

// The report, as it is written and read: one definition, from which the types and the published JSON Schema come
// (docs/report-schema). Minors are additive: readers pass over what they do not know, and names of kinds, phases,
// endpoints and gates are open text. What one mode does not have is absent.

export const reportSchemaName = 'readconsistency/1';
/** Of this writer. Reports of `migrate compare` carry none: they are of minor 0. */
export const reportMinor = 1;

const count = z.int().min(0).meta({ id: 'count' });
const share = z.number().min(0).max(1).meta({ id: 'share' });
const ms = z.number().min(0).meta({ id: 'ms', description: 'Milliseconds.' });
const time = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/)
  .meta({ id: 'time' });
const interval95 = z
  .tuple([share, share])
  .meta({ id: 'interval95', description: 'Bounds of a share at 95 %.' });
const hmac = z
  .string()
  .regex(/^[0-9a-f]{32}$/)
  .meta({ id: 'hmac' });
const counts = z.record(z.string(), count).meta({ id: 'counts' });
const bothCounts = z.object({ source: count, target: count }).meta({ id: 'bothCounts' });

const rate = z
  .object({
    value: share,
    wilson95: interval95,
    upper95: share.describe('3/n where none of n differ; else the upper end of the widest interval.'),
    hits: count.optional(),
    of: count.optional(),
    interval95: interval95.optional().describe('The widest interval: the one to print.'),
    method: z.string().optional().describe('none, rule-of-three, wilson or bootstrap-by-key.'),
  })
  .meta({ id: 'rate' });

const histogram = z
  .object({
    count,
    sum: z.number(),
    max: z.number(),
    zero: count.describe('Values below 0.001.'),
    buckets: z
      .array(z.tuple([z.int(), count]))
      .describe('Bucket b holds values in (g^(b-1), g^b], g = 1.02/0.98: the middle is 2 % off at most.'),
  })
  .meta({ id: 'histogram', description: 'Milliseconds, mergeable by adding up bucket by bucket.' });

const quantiles = z
  .object({
    n: count,
    p50: ms.nullable(),
    p90: ms.nullable(),
    p99: ms.nullable(),
    p999: ms.nullable(),
    max: ms.nullable(),
  })
  .meta({ id: 'quantiles', description: 'Milliseconds; null where nothing was measured.' });

const side = z
  .object({ address: z.string(), datacenter: z.string(), node: z.string(), version: z.string() })
  .meta({ id: 'side' });

const countedShape = {
  compared: count,
  matched: count.describe('Equal at the first look.'),
  transient: count.describe('Differed, then cleared by itself.'),
  persistent: count.describe('Differed through all re-checks with nothing changing.'),
  indeterminate: count.describe('Kept changing for as long as was looked.'),
  unchecked: count.describe('Differed at the first look; too many to look again.'),
  byKind: counts.describe(
    'Kinds of all that did not match in the end: missing, extra, value, flags, session, order, status, header, metadata-only, target-newer.',
  ),
  ignored: count.optional().describe('Differed only in what the rules pass over.'),
  open: count.optional().describe('Differed and are still to be looked at again.'),
  dropped: count.optional().describe('Sampled, not compared. Not among `compared`.'),
  errors: bothCounts.optional().describe('Reads that failed. Not among `compared`.'),
  transientByKind: counts.optional(),
  longestOpenMs: ms.optional(),
};

const noise = z
  .object({ compared: count, differed: count, rate, byKind: counts })
  .meta({ id: 'noise', description: 'Source against source: what differs with no gateway involved.' });

const bothQuantiles = z.object({ source: quantiles, target: quantiles }).meta({ id: 'bothQuantiles' });

const guarantee = z
  .object({ checked: count, violations: count, perMillion: z.number().nullable(), rate })
  .meta({ id: 'guarantee' });

const agreement = z
  .object({ asked: count, agreed: count, unknown: count, share: share.nullable(), wilson95: interval95 })
  .meta({ id: 'agreement', description: 'Shares of reads at which all asked gateways had the same.' });

const shownEntry = z
  .object({
    length: count,
    hmac,
    modifyIndex: count,
    status: count.optional(),
    flags: z.string().regex(/^\d+$/).optional(),
    held: z.boolean().optional(),
    text: z.string().optional(),
  })
  .nullable()
  .meta({ id: 'entry', description: 'null: not there.' });

const sample = z
  .object({
    outcome: z.string(),
    entry: z.string(),
    mismatch: z.string(),
    key: z.object({ prefix: z.string(), hmac, key: z.string().optional() }),
    source: shownEntry,
    target: shownEntry,
    fields: z.array(z.string()),
    looks: count,
    openMs: ms,
    at: time.optional(),
    rule: z.string().optional(),
    phase: z.string().optional(),
    endpoint: z.string().optional(),
    gateway: z.string().optional(),
  })
  .meta({ id: 'sample' });

export const gateStates = ['green', 'red', 'unknown', 'off'] as const;

const gate = z
  .object({
    name: z.string(),
    title: z.string(),
    state: z.enum(gateStates),
    observed: z.string(),
    limit: z.string(),
    why: z.string().describe('What makes it so, and what would change it.'),
  })
  .meta({ id: 'gate' });

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

const run = z.object({
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

const coverage = z.object({
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
  keys: count.optional().describe('Distinct compared keys, estimated.'),
  gateways: count.optional(),
  absent: z
    .array(z.string())
    .optional()
    .describe('Gateways that were asked for their evidence and did not answer.'),
  continuousMs: ms.optional().describe('How long, up to the end, without a gap in comparing.'),
  sweeps: z.array(sweep).optional(),
});

const operations = z
  .object({
    repairQueue: z.object({ length: count, oldestMs: ms }).nullable(),
    tailLagP99Ms: ms.nullable(),
    bypassWrites: count.nullable(),
    heldLocks: count.nullable(),
    unsupportedCalls: count.nullable(),
    changedSinceSweep: count.nullable().describe('Keys that changed since they were last swept.'),
    rehearsals: z.array(z.object({ of: z.string(), prefix: z.string(), term: count, at: time })).nullable(),
    terms: z
      .array(z.object({ gateway: z.string(), of: z.string(), prefix: z.string(), term: count }))
      .nullable()
      .describe('What each gateway acts on.'),
  })
  .meta({ id: 'operations', description: 'What the gates ask beside comparisons; null: not known.' });

const staleness = z.object({
  low: histogram,
  high: histogram,
  exact: count,
  bounded: count.describe('Reads for which only bounds are known, of writes that went past the fleet.'),
});

export const reportModel = z.object({
  schema: z.literal(reportSchemaName),
  minor: count.optional(),
  verdict: z.object({
    result: z.enum(['equal', 'different', 'unknown']),
    reasons: z.array(z.string()),
  }),
  run,
  coverage,
  totals: z.object({
    ...countedShape,
    retries: bothCounts.optional(),
    rate: rate.describe('Differences that did not clear, per comparison.'),
    firstLook: rate.optional().describe('What differed at the first look, per comparison.'),
    noise: noise.optional(),
    net: z
      .object({ value: z.number(), interval95: z.tuple([z.number(), z.number()]) })
      .optional()
      .describe('First look less noise floor.'),
  }),
  prefixes: z.array(
    z.object({
      ...countedShape,
      kind: z.string(),
      prefix: z.string(),
      phase: z.string().optional(),
      upper95: share,
      rate: rate.optional(),
      keys: count.optional(),
      staleness: quantiles.optional(),
      latency: bothQuantiles.optional(),
    }),
  ),
  endpoints: z
    .array(
      z.object({
        ...countedShape,
        kind: z.string(),
        endpoint: z.string(),
        rate,
        latency: bothQuantiles,
        wake: z
          .object({ later: quantiles, earlier: quantiles, missed: count, indexSteps: z.number() })
          .optional()
          .describe('Blocking reads: how much later, or earlier, than the source a gateway woke.'),
      }),
    )
    .optional(),
  gateways: z
    .array(
      z.object({
        ...countedShape,
        id: z.string(),
        name: z.string(),
        region: z.string(),
        version: z.string().optional(),
        alive: z.boolean().optional(),
        since: time,
        until: time,
        restarts: count,
        rate,
        latency: bothQuantiles,
      }),
    )
    .optional(),
  histograms: z
    .object({
      staleness,
      latency: z.object({ source: histogram, target: histogram }),
      open: histogram,
      wakeLater: histogram,
      wakeEarlier: histogram,
    })
    .optional(),
  staleness: z.object({ low: quantiles, high: quantiles }).optional(),
  versionsBehind: z
    .array(count)
    .optional()
    .describe('Reads that were 0, 1, 2 … versions behind; the last: or more.'),
  tvis: z
    .array(
      z.object({
        where: z.string().describe('own: the gateway of the write; zone: its region; all.'),
        tMs: ms,
        n: count,
        fresh: count,
        unknown: count,
        probability: share.nullable(),
        wilson95: interval95,
      }),
    )
    .optional(),
  sessions: z
    .object({
      readYourWrites: guarantee,
      monotonicReads: guarantee,
      indexRegressions: guarantee,
      forgotten: count,
    })
    .optional(),
  phi: z.object({ zone: agreement, all: agreement }).optional(),
  lin: z
    .object({ yes: count, no: count, unknown: count, operations: count, rate: rate.describe('of `no`') })
    .optional(),
  gamma: z.object({ writes: count, violations: count, rate, badness: quantiles }).optional(),
  ages: z
    .array(z.object({ ageMs: ms, n: count, open: count, consistent: share.nullable(), upper95: share }))
    .optional()
    .describe('Share that was consistent within an age ("nines by age").'),
  timeline: z
    .array(
      z.object({
        at: time,
        widthMs: ms,
        kind: z.string(),
        prefix: z.string(),
        phase: z.string(),
        compared: count,
        differed: count,
        transient: count,
        persistent: count,
        indeterminate: count,
        dropped: count,
        errors: count,
        violations: count,
        stalenessMsMax: ms,
      }),
    )
    .optional(),
  marks: z
    .array(z.object({ at: time, what: z.string(), detail: z.string(), gateway: z.string() }))
    .optional(),
  operations: operations.optional(),
  samples: z.array(sample),
  gate: z.array(gate).optional(),
  notes: z.array(z.string()),
});

type Immutable<T> = T extends (infer Item)[]
  ? number extends T['length']
    ? readonly Immutable<Item>[]
    : { readonly [K in keyof T]: Immutable<T[K]> }
  : T extends object
    ? { readonly [K in keyof T]: Immutable<T[K]> }
    : T;

export type Report = Immutable<z.infer<typeof reportModel>>;
export type ReportRate = Report['totals']['rate'];
export type ReportQuantiles = NonNullable<Report['staleness']>['low'];
export type ReportHistogram = NonNullable<Report['histograms']>['open'];
export type ReportSample = Report['samples'][number];
export type Gate = NonNullable<Report['gate']>[number];
export type GateState = Gate['state'];
export type Guarantee = NonNullable<Report['sessions']>['readYourWrites'];
export type Counted = Pick<Report['totals'], keyof typeof countedShape>;
export type RunFactsOperations = NonNullable<Report['operations']>;
