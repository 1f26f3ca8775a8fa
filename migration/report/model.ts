import { z } from 'zod';
import { coverage, operations, run } from './model-run.ts';
import {
  count,
  share,
  ms,
  time,
  interval95,
  hmac,
  counts,
  bothCounts,
  rate,
  histogram,
  quantiles,
  bothQuantiles,
} from './model-values.ts';

// The report, as it is written and read: one definition, from which the types and the published JSON Schema come
// (docs/report-schema). Minors are additive: readers pass over what they do not know, and names of kinds, phases,
// endpoints and gates are open text. What one mode does not have is absent.

export const reportSchemaName = 'readconsistency/1';
/** Of this writer. Reports of `migrate compare` carry none: they are of minor 0. */
export const reportMinor = 1;

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
