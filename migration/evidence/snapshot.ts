import type { MigrationKind, Phase } from '../../src/state/migration.ts';
import type { Histogram } from './histogram.ts';

// Evidence of how well this fleet answers in the source's place, as plain JSON. Each gateway counts its own part and is
// its only writer; parts are replaced by their newer selves when they meet (`mergeSnapshots`) and added up only when
// they are read (`sums.ts`): so gathering is associative, commutative and idempotent, whoever gathers from whom.

export const evidenceSchema = 'evidence/1';

export interface EvidenceSnapshot {
  readonly schema: typeof evidenceSchema;
  /** One of each gateway, by id. */
  readonly parts: readonly EvidencePart[];
  /** Names of gateways that were asked and did not answer, sorted: what they saw is not in here. */
  readonly absent: readonly string[];
}

/** How two answers differ; `here` is judged by what the source says. */
export const differenceKinds = [
  /** The source has it, here not. */
  'missing',
  /** Here has it, the source not. */
  'extra',
  'value',
  'flags',
  'session',
  /** Same entries in another order, where Consul promises one. */
  'order',
  /** HTTP status, or the Status of a health check. */
  'status',
  /** A response header that clients use. */
  'header',
  /** Content is the same; CreateIndex, LockIndex or the like is not what it should be. */
  'metadata-only',
  /** Here shows a version that the source has not got: bypassing writes, a restored snapshot. */
  'target-newer',
] as const;

export type DifferenceKind = (typeof differenceKinds)[number];

export interface EvidencePart {
  readonly gateway: { readonly id: string; readonly name: string; readonly region: string };
  /** Greater with every start of the gateway: milliseconds since the epoch. */
  epoch: number;
  /** Greater with every snapshot of one epoch. */
  seq: number;
  /** Wall clock of this gateway when it began to count (kept across restarts), and when this was taken. */
  sinceMs: number;
  untilMs: number;
  /** How often the gateway was started in between: what it had not yet written down then is not in here. */
  restarts: number;
  /** Under which secret keys and values are shown. Keys correlate between parts of equal `secretId` only. */
  redaction: {
    mode: 'redacted' | 'revealed';
    secretName: string;
    /** A digest of the secret; nothing that it could be guessed by. */
    secretId: string;
  };
  /** Version and hash of the rules by which differences are passed over (shadow/ignore.ts). */
  rules: { version: number; sha256: string };
  sampling: Sampling;
  cells: EvidenceCell[];
  scopes: ScopeEvidence[];
  timeline: TimelineBucket[];
  marks: Mark[];
  samples: EvidenceSample[];
  sweeps: SweepEvidence[];
  /** Caveats that travel with the numbers: unique, in the order in which they came up. */
  notes: string[];
}

export interface Sampling {
  /** Of keys, in percent: a key is either always compared or never. */
  percent: number;
  /** Of compared reads that are compared Consul against Consul. */
  noisePercent: number;
  /** Of keys whose operations are all recorded and checked for linearizability. */
  linearizablePercent: number;
  /** When a difference is looked at again, counted from the first look. */
  recheckDelaysMs: number[];
  concurrencyMax: number;
  perSecondMax: number;
}

export interface CellKey {
  readonly of: MigrationKind;
  /** Of the rule. */
  readonly prefix: string;
  readonly phase: Phase;
  /** `kv-get`, `kv-recurse`, `kv-keys`, `health-service` …; blocking ones end in `?index`. */
  readonly endpoint: string;
}

/** What became of the comparisons of one rule, phase and endpoint. */
export interface EvidenceCell extends CellKey {
  counts: Counts;
  /** First looks that differed, and what came of them. `transient` and `persistent` count when they are settled. */
  kinds: Record<DifferenceKind, { transient: number; persistent: number }>;
  /** Longest time that a difference was seen open, also of those that still are. */
  longestOpenMs: number;
  /** How long transient differences stood open: from the first look to the look that found them gone. */
  openMs: Histogram;
  /** Consul against Consul: the noise floor. */
  noise: { compared: number; differed: number; kinds: Partial<Record<DifferenceKind, number>> };
  /** Differences per key (HMAC), for intervals that respect that they cluster. The greatest are kept. */
  clusters: Cluster[];
  /** Differences of keys that found no place among `clusters`: how many keys (once each at most), how many differences. */
  otherClusters: { keys: number; transient: number; persistent: number };
  latency: { source: Histogram; here: Histogram };
  /** Blocking reads: how much later here woke than the source did (negative: earlier, in `earlier`), milliseconds. */
  wake: { later: Histogram; earlier: Histogram; indexSteps: number; missedWakes: number };
  /** Nines by age: of `n` comparisons so old, `open` still differed at that age. */
  ages: { readonly ageMs: number; n: number; open: number }[];
}

export interface Counts {
  /** matched + ignored + indeterminate + transient + persistent + open. Errors and drops are none. */
  compared: number;
  matched: number;
  /** Differed only in what the rules pass over. */
  ignored: number;
  /** The source changed while it was compared, or kept changing for as long as was looked. */
  indeterminate: number;
  transient: number;
  persistent: number;
  /** Differed and are to be looked at again. */
  open: number;
  /** Sampled, but not compared: queue full, or too large. Never counted as compared. */
  dropped: number;
  sourceErrors: number;
  hereErrors: number;
}

export interface Cluster {
  readonly key: string;
  transient: number;
  persistent: number;
}

/** What is known of one rule and phase regardless of endpoint. */
export interface ScopeEvidence {
  readonly of: MigrationKind;
  readonly prefix: string;
  readonly phase: Phase;
  coverage: {
    /** Reads and writes that clients made here, sampled or not. */
    reads: number;
    writes: number;
    sampled: number;
    /** Reads of sampled keys that were passed over because the gateway was busy: neither in `sampled` nor `dropped`. */
    busy: number;
    /** Distinct compared keys, estimated from their hashes (`distinct.ts`). */
    keys: number[];
  };
  /**
   * How long the answers here were behind the source, milliseconds, per read that was compared or checked. Exact for
   * writes that went through this fleet; of writes that went past it only bounds are known, and both are counted.
   */
  staleness: { low: Histogram; high: Histogram; exact: number; bounded: number };
  /** How many versions behind: reads with 0, 1, 2 … 15, and 16 or more. */
  versionsBehind: number[];
  /** P(fresh at t after the acknowledgement), by where the reader is. */
  visibility: { own: VisibilityBin[]; zone: VisibilityBin[]; all: VisibilityBin[] };
  /** Shares of reads at which all asked gateways (of the own region; of all) had the same. */
  agreement: { zone: Agreement; all: Agreement };
  sessions: SessionCounts;
  linearizable: { yes: number; no: number; unknown: number; operations: number };
  /** How often operations on sampled keys were out of order, and by how much (milliseconds) when they were. */
  gamma: { writes: number; violations: number; badness: Histogram };
}

export interface VisibilityBin {
  readonly tMs: number;
  fresh: number;
  stale: number;
  /** Not decidable within what is known of the time it took to ask. */
  unknown: number;
}

export const visibilityTimesMs = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000, 60_000,
] as const;

export const ageTimesMs = [60_000, 300_000, 600_000] as const;

export interface Agreement {
  asked: number;
  agreed: number;
  /** A gateway did not answer, or the key was written at the same time: not in `asked`. */
  unknown: number;
}

/** Checked operations, and how many of them broke the guarantee. */
export interface Guarantee {
  checked: number;
  violations: number;
}

export interface SessionCounts {
  readYourWrites: Guarantee;
  monotonicReads: Guarantee;
  /** X-Consul-Index of the same question going backwards. */
  indexRegressions: Guarantee;
  /** Clients that were forgotten to bound memory: what they did later was checked against nothing. */
  forgotten: number;
}

export type GuaranteeName = Exclude<keyof SessionCounts, 'forgotten'>;

/** Counts of a span of time, of one rule. Spans grow with age, so that days fit. */
export interface TimelineBucket {
  readonly of: MigrationKind;
  readonly prefix: string;
  readonly phase: Phase;
  /** Wall clock of the gateway. */
  readonly atMs: number;
  readonly widthMs: number;
  compared: number;
  /** First looks that differed. */
  differed: number;
  transient: number;
  persistent: number;
  indeterminate: number;
  dropped: number;
  errors: number;
  readYourWrites: number;
  monotonicReads: number;
  indexRegressions: number;
  /** Greatest lower bound of staleness that was seen, milliseconds. */
  stalenessMsMax: number;
}

export interface Mark {
  readonly atMs: number;
  readonly what: string;
  readonly detail: string;
}

export type SampleOutcome = 'open' | 'transient' | 'persistent' | 'indeterminate' | 'violation' | 'noise';

export interface EvidenceSample extends CellKey {
  readonly atMs: number;
  readonly outcome: SampleOutcome;
  /** `violation`: which guarantee was broken. */
  readonly kind:
    | DifferenceKind
    | 'read-your-writes'
    | 'monotonic-reads'
    | 'index-regression'
    | 'not-linearizable';
  readonly key: SampleKey;
  readonly source: SampleSide | null;
  readonly here: SampleSide | null;
  /** Names of differing fields or entries (HMAC), at most 16. */
  readonly fields: readonly string[];
  readonly looks: number;
  readonly openMs: number;
}

/** As migration/compare/redaction.ts shows keys. */
export interface SampleKey {
  readonly prefix: string;
  readonly hmac: string;
  readonly key?: string;
}

export interface SampleSide {
  readonly status: number;
  readonly length: number;
  readonly hmac: string;
  /** ModifyIndex of a key, else X-Consul-Index. */
  readonly index: number;
  readonly flags?: string;
  readonly held?: boolean;
  readonly text?: string;
}

/** A full comparison, both ways, that was asked for. */
export interface SweepEvidence {
  readonly of: MigrationKind;
  readonly prefix: string;
  readonly startedMs: number;
  readonly finishedMs: number;
  /** X-Consul-Index of the source before the first read: everything up to here was looked at. */
  readonly throughIndex: number;
  readonly compared: number;
  readonly matched: number;
  readonly transient: number;
  readonly persistent: number;
  readonly indeterminate: number;
  /** Differed at the first look and were too many to be looked at again. */
  readonly unchecked: number;
  readonly kinds: Readonly<Partial<Record<DifferenceKind, number>>>;
  readonly longestOpenMs: number;
  /** ACLs hid something. */
  readonly filtered: boolean;
  /** What was passed over, by rule. */
  readonly ignored: Readonly<Record<string, number>>;
  /** Why it ended early; empty when it did not. */
  readonly failure: string;
}
