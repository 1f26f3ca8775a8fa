import { z } from 'zod';

// What a report is held against, by `evaluateGates` and `compareReports`. A limit of null leaves its gate out.

export const thresholdsSchemaName = 'readconsistency-thresholds/1';

const limit = z.number().min(0).nullable();
const dayMs = 86_400_000;

const gateLimits = z.strictObject({
  persistentMax: limit.default(0).describe('Differences that stayed.'),
  nonTransientUpperMax: limit
    .default(1e-5)
    .describe('Upper bound, at 95 %, of the share of comparisons whose difference did not clear.'),
  noiseMax: limit
    .default(null)
    .describe(
      'Share of comparisons of the source with itself that differ: above it, little can be told apart.',
    ),
  sweepAgeMsMax: limit
    .default(3_600_000)
    .describe('Age of the newest full comparison of a rule: an older one does not count.'),
  sweepChangedMax: limit
    .default(null)
    .describe('Keys that changed since they were last swept. Null: as many as may, within that age.'),
  violationsMax: limit.default(0).describe('Read-your-writes and monotonic-read violations, each.'),
  sessionChecksMin: limit.default(1000).describe('Below so many checked reads nothing is said of sessions.'),
  stalenessP99MsMax: limit.default(1000).describe('The SLO.'),
  stalenessReadsMin: limit.default(1000),
  repairQueueMax: limit.default(0),
  repairOldestMsMax: limit.default(5000),
  tailLagP99MsMax: limit.default(5000),
  bypassWritesMax: limit.default(0),
  heldLocksMax: limit.default(0),
  unsupportedCallsMax: limit.default(0),
  droppedShareMax: limit.default(0.001).describe('Comparisons that were to be made and were not.'),
  reportAgeMsMax: limit.default(600_000),
  windowMsMin: limit.default(dayMs).describe('One continuous span of comparing.'),
  rehearsed: z.boolean().default(true).describe('The way back was rehearsed in this term.'),
  sameTerm: z.boolean().default(true).describe('All live gateways act on this term.'),
});

const diffLimits = z.strictObject({
  rateEffectMin: z
    .number()
    .min(0)
    .default(1e-5)
    .describe('A rate of differences or violations that changed by less is the same.'),
  shareEffectMin: z
    .number()
    .min(0)
    .default(0.005)
    .describe('A share of fresh, agreeing or orderly operations that changed by less is the same.'),
  rateToleranceMax: z
    .number()
    .min(0)
    .default(0.5)
    .describe('Where the interval of the change is wider than this share of the rate, it is unknown.'),
  quantileTolerance: z
    .number()
    .min(0)
    .default(0.15)
    .describe(
      'Quantiles within this share of each other are the same. Histograms are 2 % off by themselves.',
    ),
  quantileEffectMsMin: z
    .number()
    .min(0)
    .default(0.25)
    .describe('Quantiles that changed by less are the same.'),
  loadTolerance: z.number().min(0).default(0.2).describe('Loads further apart are not comparable.'),
  comparisonsMin: z
    .number()
    .min(0)
    .default(1000)
    .describe('Of each side; with less there is too little data.'),
});

export const thresholdsModel = z.strictObject({
  schema: z.literal(thresholdsSchemaName).optional(),
  gate: gateLimits.prefault({}),
  diff: diffLimits.prefault({}),
});

export type Thresholds = z.infer<typeof thresholdsModel>;
export type GateLimits = Thresholds['gate'];
export type DiffLimits = Thresholds['diff'];

/** Those of the design: what a cutover asks. */
export const defaultThresholds: Thresholds = thresholdsModel.parse({});
