import type { EvidencePart } from '../evidence/snapshot.ts';
import { count, plural } from '../terminal/format.ts';
import { readsForBound, ruleName, upperOf } from './gates.ts';
import type { Report } from './model.ts';
import { msText, rateText } from './numbers.ts';
import type { RunFacts } from './run-facts.ts';
import type { Thresholds } from './thresholds.ts';

/**
 * Whether clients would get the same answers. Unknown is never green: zero differences in few reads is unknown, with
 * how many more reads would do.
 */
export function verdictOf(report: Report, thresholds: Thresholds): Report['verdict'] {
  const different = differences(report);
  const unknown = doubts(report, thresholds);
  if (different.length > 0) return { result: 'different', reasons: [...different, ...unknown] };
  return { result: unknown.length > 0 ? 'unknown' : 'equal', reasons: unknown };
}

function differences(report: Report): readonly string[] {
  const { totals, sessions, coverage } = report;
  const reasons: string[] = [];
  if (totals.persistent > 0)
    reasons.push(`${count(totals.persistent)} of ${count(totals.compared)} compared reads differ for good`);
  for (const sweep of coverage.sweeps ?? []) {
    if (sweep.persistent > 0)
      reasons.push(
        `the sweep found ${count(sweep.persistent)} of ${count(sweep.compared)} entries to differ`,
      );
  }
  const [ryw, monotonic] = [sessions?.readYourWrites, sessions?.monotonicReads];
  if (ryw !== undefined && ryw.violations > 0)
    reasons.push(`${plural(ryw.violations, 'read')} did not see the client's own write`);
  if (monotonic !== undefined && monotonic.violations > 0)
    reasons.push(`${plural(monotonic.violations, 'read')} went back to an older version`);
  return reasons;
}

function doubts(report: Report, thresholds: Thresholds): readonly string[] {
  const { totals } = report;
  const reasons: string[] = [];
  const { nonTransientUpperMax: bound, droppedShareMax } = thresholds.gate;
  const open = (totals.open ?? 0) + totals.unchecked;
  if (totals.compared === 0) return ['nothing was compared'];
  if (open > 0) reasons.push(`${plural(open, 'difference')} not settled yet`);
  if (bound !== null && totals.persistent + open === 0 && upperOf(totals.rate) > bound) {
    const missing = readsForBound(bound) - totals.compared;
    reasons.push(
      `0 of ${count(totals.compared)} is too few: ${count(missing)} more reads without a difference would show a rate below ${rateText(bound)}`,
    );
  }
  const dropped = totals.dropped ?? 0;
  if (droppedShareMax !== null && dropped > 0 && dropped / (totals.compared + dropped) >= droppedShareMax)
    reasons.push(`${count(dropped)} comparisons were dropped`);
  const { indeterminate } = totals;
  if (indeterminate > totals.compared / 2) reasons.push(`${count(indeterminate)} could not be decided`);
  return reasons;
}

/** Caveats travel with the numbers. */
export function notesOf(report: Report, parts: readonly EvidencePart[], facts: RunFacts): readonly string[] {
  const notes: string[] = [...facts.notes];
  const { totals, coverage, run } = report;
  if (run.redaction.mode === 'revealed') notes.push('REVEALED: this report holds keys and values in clear.');
  for (const each of run.overrides ?? []) {
    notes.push(
      `OVERRIDDEN by ${each.by} at ${each.at}, for ${each.phase} of ${ruleName(each)}: ${each.gates.join(', ')}. Reason: ${each.reason}`,
    );
  }
  if (totals.compared > 0 && totals.rate.hits === 0)
    notes.push(
      'Zero differences in n reads bound the rate at 3/n (95 %); they do not prove that it is zero.',
    );
  if (totals.compared > 0)
    notes.push(
      `Reads of one key are not independent: ${count(totals.compared)} comparisons are of about ${count(coverage.keys ?? 0)} keys. Where differences cluster by key the wider interval is printed.`,
    );
  if ((report.histograms?.staleness.bounded ?? 0) > 0)
    notes.push(
      'Writes that went past the fleet have no known time of acknowledgement: staleness is then a range.',
    );
  if ((totals.noise?.compared ?? 0) === 0)
    notes.push('No noise floor: the source was not compared with itself.');
  if (run.clockSkewMsMax === null)
    notes.push('How far wall clocks differ is not known: times of different gateways compare roughly.');
  for (const name of coverage.absent ?? []) notes.push(`Gateway ${name} gave no evidence.`);
  for (const part of parts) {
    const ageMs = facts.atMs - part.untilMs;
    if (ageMs > 60_000) notes.push(`What gateway ${part.gateway.name} counted is ${msText(ageMs)} old.`);
    if (part.restarts > 0)
      notes.push(
        `Gateway ${part.gateway.name} was restarted ${plural(part.restarts, 'time')}: what it had not written down is not in here.`,
      );
  }
  const distinct = (of: (part: EvidencePart) => string): boolean => new Set(parts.map(of)).size > 1;
  if (distinct((part) => part.rules.sha256))
    notes.push('Gateways compared under different rules: are all of the same version?');
  if (distinct((part) => part.redaction.secretId))
    notes.push('Gateways hash keys under different secrets: one key may appear as several.');
  return [...new Set([...notes, ...parts.flatMap((part) => part.notes)])];
}
