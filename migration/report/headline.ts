import { count } from '../terminal/format.ts';
import { upperOf } from './gates.ts';
import type { Report } from './model.ts';
import { rateText } from './numbers.ts';

export const verdictWords = { equal: 'EQUAL', different: 'DIFFERENT', unknown: 'UNKNOWN' } as const;

/** The finding in one sentence. */
export function headline(report: Report): string {
  const { totals, run } = report;
  const what = run.mode === 'sweep' ? 'entries' : 'compared reads';
  if (totals.compared === 0) return 'Nothing was compared: nothing can be said.';
  const hits = totals.rate.hits ?? totals.persistent;
  const bound = `below ${rateText(upperOf(totals.rate))} with 95 % confidence`;
  if (hits === 0) {
    const answered = run.mode === 'sweep' ? 'differ' : 'would have been answered differently for good';
    return `None of ${count(totals.compared)} ${what} ${answered} (${bound}).`;
  }
  const verb = hits === 1 ? 'differs' : 'differ';
  const open = hits - totals.persistent;
  const still = open > 0 ? `, ${count(open)} of them still to be looked at again` : ' for good';
  return `${count(hits)} of ${count(totals.compared)} ${what} ${verb}${still}: ${rateText(totals.rate.value)} (${bound}).`;
}
