import type { EvidencePart, TimelineBucket } from '../evidence/snapshot.ts';
import { ruleText } from '../../src/state/migration-commands.ts';
import type { Report } from './model.ts';
import type { RunFacts } from './run-facts.ts';
import { groupBy } from './counted.ts';

type Row = NonNullable<Report['timeline']>[number];

/** Equal spans of all gateways added up; by time. */
export function timelineOf(parts: readonly EvidencePart[]): readonly Row[] {
  const buckets = parts.flatMap((part) => part.timeline);
  return groupBy(buckets, ({ of, prefix, phase, atMs, widthMs }) =>
    JSON.stringify([of, prefix, phase, atMs, widthMs]),
  )
    .map((same) => same.map(rowOf).reduce(addRows))
    .toSorted((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
}

function rowOf(bucket: TimelineBucket): Row {
  const { of, atMs, readYourWrites, monotonicReads, indexRegressions, ...others } = bucket;
  return {
    ...others,
    kind: of,
    at: new Date(atMs).toISOString(),
    violations: readYourWrites + monotonicReads + indexRegressions,
  };
}

function addRows(a: Row, b: Row): Row {
  return {
    ...a,
    compared: a.compared + b.compared,
    differed: a.differed + b.differed,
    transient: a.transient + b.transient,
    persistent: a.persistent + b.persistent,
    indeterminate: a.indeterminate + b.indeterminate,
    dropped: a.dropped + b.dropped,
    errors: a.errors + b.errors,
    violations: a.violations + b.violations,
    stalenessMsMax: Math.max(a.stalenessMsMax, b.stalenessMsMax),
  };
}

/** A rule that nobody reads for longer than this is not being compared. */
const gapMsMax = 3_600_000;

/** How long every rule was compared without a gap, up to the end: that of the rule with the least. */
export function continuousMs(timeline: readonly Row[], rules: RunFacts['rules'], atMs: number): number {
  const perRule = rules.map((rule) =>
    continuousOf(
      timeline.filter((row) => row.kind === rule.of && row.prefix === rule.prefix),
      atMs,
    ),
  );
  return perRule.length === 0 ? 0 : Math.min(...perRule);
}

function continuousOf(rows: readonly Row[], atMs: number): number {
  let since = atMs;
  for (const row of rows.toReversed()) {
    if (row.compared === 0) continue;
    const from = Date.parse(row.at);
    if (since - (from + row.widthMs) > gapMsMax) break;
    since = Math.min(since, from);
  }
  return Math.max(0, atMs - since);
}

const marksMax = 1000;

/** With `scope` those of steps of other rules are left out; what is of no rule alone concerns all. */
export function marksOf(
  parts: readonly EvidencePart[],
  more: RunFacts['marks'],
  scope?: RunFacts['scope'],
): NonNullable<Report['marks']> {
  const all = [
    ...parts.flatMap((part) => part.marks.map((mark) => ({ ...mark, gateway: part.gateway.name }))),
    ...more,
  ];
  const own =
    scope === undefined ? '' : `${ruleText(scope.of === 'catalog' ? 'catalog' : 'kv', scope.prefix)}: `;
  return all
    .filter(({ what, detail }) => what !== 'step' || detail.startsWith(own))
    .toSorted((a, b) => a.atMs - b.atMs)
    .slice(-marksMax)
    .map(({ atMs, what, detail, gateway }) => ({ at: new Date(atMs).toISOString(), what, detail, gateway }));
}
