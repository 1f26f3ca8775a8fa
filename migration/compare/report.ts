import type { SourceSelf } from '../source/consul-reader.ts';
import { namesOfDifference, type MismatchKind } from './entries.ts';
import { ignoreRules, ignoreRulesHash, ignoreRulesVersion } from './ignore-rules.ts';
import { upperBound95, wilson95 } from './intervals.ts';
import { resetsMax } from './recheck.ts';
import { showEntry, showKey, type Redaction, type ShownEntry, type ShownKey } from './redaction.ts';
import type { SideCounts, SweepResult } from './sweep.ts';
import type { Outcome, RowCounts, Sample } from './tally.ts';

export const reportSchema = 'readconsistency/1';

export type Verdict = 'equal' | 'different' | 'unknown';

export type ReportSide = {
  readonly address: string;
  readonly datacenter: string;
  readonly node: string;
  readonly version: string;
};

type Counted = RowCounts & { readonly byKind: Readonly<Record<MismatchKind, number>> };

export type Report = {
  readonly schema: typeof reportSchema;
  readonly verdict: { readonly result: Verdict; readonly reasons: readonly string[] };
  readonly run: {
    readonly id: string;
    readonly mode: 'sweep';
    readonly startedAt: string;
    readonly finishedAt: string;
    readonly durationMs: number;
    readonly tool: { readonly name: 'grapevine'; readonly version: string };
    readonly source: ReportSide;
    readonly target: ReportSide;
    readonly sampling: { readonly kind: 'all' };
    readonly reads: 'source, target, source; consistent';
    readonly recheck: { readonly delaysMs: readonly number[]; readonly resetsMax: number };
    readonly rules: { readonly version: number; readonly sha256: string; readonly names: readonly string[] };
    readonly redaction: { readonly mode: Redaction['mode']; readonly secret: string };
  };
  readonly coverage: {
    readonly kv: boolean;
    readonly catalog: boolean;
    readonly prefixes: readonly string[];
    readonly leaves: number;
    readonly seen: { readonly source: SideCounts; readonly target: SideCounts };
    readonly bytes: { readonly source: number; readonly target: number };
    readonly ignored: Readonly<Record<string, number>>;
    readonly filteredByAcl: { readonly source: boolean; readonly target: boolean };
  };
  readonly totals: Counted & {
    readonly longestOpenMs: number;
    readonly retries: { readonly source: number; readonly target: number };
    /** Share of compared entries that differ for good. */
    readonly rate: {
      readonly value: number;
      readonly wilson95: readonly [number, number];
      readonly upper95: number;
    };
  };
  readonly prefixes: readonly (Counted & {
    readonly kind: string;
    readonly prefix: string;
    readonly upper95: number;
  })[];
  readonly samples: readonly ReportSample[];
  readonly notes: readonly string[];
};

export type ReportSample = {
  readonly outcome: Outcome;
  readonly entry: string;
  readonly mismatch: MismatchKind;
  readonly key: ShownKey;
  readonly source: ShownEntry | null;
  readonly target: ShownEntry | null;
  /** Names of the differing fields of a catalog entry. */
  readonly fields: readonly string[];
  readonly looks: number;
  readonly openMs: number;
};

export type ReportInput = {
  readonly id: string;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  readonly toolVersion: string;
  readonly source: { readonly address: string; readonly self: SourceSelf };
  readonly target: { readonly address: string; readonly self: SourceSelf };
  readonly prefixes: readonly string[];
  readonly kv: boolean;
  readonly catalog: boolean;
  readonly recheckDelaysMs: readonly number[];
  readonly redaction: Redaction;
  readonly retries: { readonly source: number; readonly target: number };
  readonly result: SweepResult;
};

export function buildReport(input: ReportInput): Report {
  const { result, redaction } = input;
  const totals = result.tally.total();
  return {
    schema: reportSchema,
    verdict: verdictOf(input, totals),
    run: {
      id: input.id,
      mode: 'sweep',
      startedAt: new Date(input.startedAtMs).toISOString(),
      finishedAt: new Date(input.finishedAtMs).toISOString(),
      durationMs: input.finishedAtMs - input.startedAtMs,
      tool: { name: 'grapevine', version: input.toolVersion },
      source: sideOf(input.source),
      target: sideOf(input.target),
      sampling: { kind: 'all' },
      reads: 'source, target, source; consistent',
      recheck: { delaysMs: input.recheckDelaysMs, resetsMax },
      rules: {
        version: ignoreRulesVersion,
        sha256: ignoreRulesHash(),
        names: ignoreRules.map((rule) => rule.name),
      },
      redaction: { mode: redaction.mode, secret: redaction.secretName },
    },
    coverage: {
      kv: input.kv,
      catalog: input.catalog,
      prefixes: input.kv ? input.prefixes : [],
      leaves: result.leaves,
      seen: result.seen,
      bytes: result.bytes,
      ignored: result.ignored,
      filteredByAcl: result.filtered,
    },
    totals: {
      ...totals,
      longestOpenMs: result.tally.longestOpenMs,
      retries: input.retries,
      rate: {
        value: totals.compared === 0 ? 0 : totals.persistent / totals.compared,
        wilson95: wilson95(totals.persistent, totals.compared),
        upper95: upperBound95(totals.persistent, totals.compared),
      },
    },
    prefixes: result.tally
      .rows()
      .map((row) => ({ ...row, upper95: upperBound95(row.persistent, row.compared) })),
    samples: result.tally.samples().map((sample) => sampleOf(redaction, sample)),
    notes: notesOf(input, totals),
  };
}

/** Unknown is never green: what could not be decided, or not be seen, keeps a report from saying equal. */
function verdictOf(input: ReportInput, totals: RowCounts): Report['verdict'] {
  const { filtered } = input.result;
  const reasons: string[] = [];
  if (totals.persistent > 0) reasons.push(`${totals.persistent} entries differ`);
  if (totals.unchecked > 0) reasons.push(`${totals.unchecked} differing entries were not looked at again`);
  if (totals.indeterminate > 0) reasons.push(`${totals.indeterminate} entries kept changing`);
  if (filtered.source) reasons.push('ACLs hid entries of the source');
  if (filtered.target) reasons.push('ACLs hid entries of the target');
  if (totals.persistent > 0) return { result: 'different', reasons };
  return { result: reasons.length > 0 ? 'unknown' : 'equal', reasons };
}

function notesOf(
  input: ReportInput,
  totals: RowCounts & { byKind: Record<MismatchKind, number> },
): readonly string[] {
  const { result, redaction } = input;
  const notes: string[] = [];
  if (totals.compared > 0 && totals.persistent === 0) {
    notes.push(
      'Zero differences in n entries bound the rate at 3/n (95 %); they do not prove that it is zero.',
    );
  }
  if (totals.byKind.session > 0) {
    notes.push('Kind session: keys that a session holds on one side only. Held locks are never copied.');
  }
  if (input.source.self.aclsEnabled) {
    notes.push(
      'The source has ACLs on: what the token may not see was not compared, and older Consuls do not say so.',
    );
  }
  if (totals.unchecked > 0)
    notes.push('Differences beyond a cap were counted at the first look, to bound memory.');
  if ((result.ignored['target-own-node'] ?? 0) > 0)
    notes.push("The nodes of the target's gateways were left out on both sides.");
  notes.push(
    'Each leaf is one atomic snapshot per side; leaves are read one after another, not at one index.',
  );
  notes.push(
    'Every entry was looked at once or until settled, so entries are the sample and need no bootstrap by key.',
  );
  if (redaction.mode === 'revealed') notes.push('REVEALED: this report holds keys and values in clear.');
  return notes;
}

function sampleOf(redaction: Redaction, sample: Sample): ReportSample {
  const { suspect } = sample;
  return {
    outcome: sample.outcome,
    entry: sample.entry,
    mismatch: suspect.kind,
    key: showKey(redaction, sample.entry, sample.key),
    source: showEntry(redaction, suspect.source),
    target: showEntry(redaction, suspect.target),
    fields: namesOfDifference(suspect.source, suspect.target),
    looks: suspect.looks,
    openMs: sample.openMs,
  };
}

function sideOf(side: { readonly address: string; readonly self: SourceSelf }): ReportSide {
  const { datacenter, nodeName, version } = side.self;
  return { address: side.address, datacenter, node: nodeName, version };
}
