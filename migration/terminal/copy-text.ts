import type { CopySummary } from '../copy/copy.ts';
import type { Counts } from '../copy/counts.ts';
import { noticeTexts, type NoticeSummary } from '../copy/notices.ts';
import type { MirrorKind } from '../mirror/registers.ts';
import { bytes, count, duration, plural, shownKey } from './format.ts';

const kindNames: Readonly<Record<MirrorKind, string>> = {
  kv: 'keys',
  node: 'nodes',
  service: 'services',
  check: 'checks',
};

const examplesShown = 5;

/** The summary of a copy: what happened first, then each thing that was not simply copied. */
export function copyText(
  summary: CopySummary,
  selected: { readonly kv: boolean; readonly catalog: boolean },
): string {
  const lines: string[] = [headline(summary)];
  if (summary.fork.length > 0) lines.push(forkLine(summary));
  const kinds: readonly MirrorKind[] = [
    ...(selected.kv ? (['kv'] as const) : []),
    ...(selected.catalog ? (['node', 'service', 'check'] as const) : []),
  ];
  for (const kind of kinds) lines.push(`  ${kindNames[kind].padEnd(9)} ${countsText(summary.counts[kind])}`);
  if (summary.resumed) {
    const since = new Date(summary.startedAtMs).toISOString();
    lines.push(`Taken up where an earlier run ended; the counts include what it did since ${since}.`);
  }
  for (const notice of orderedNotices(summary.notices)) lines.push(...noticeLines(notice));
  return lines.join('\n');
}

/** Whether something stayed behind that a human should decide on. */
export function needsDecision(summary: CopySummary): boolean {
  return Object.values(summary.counts).some((counts) => counts.withheld > 0 || counts.refused > 0);
}

function headline(summary: CopySummary): string {
  const all = Object.values(summary.counts);
  const sum = (name: keyof Counts): number => all.reduce((total, counts) => total + counts[name], 0);
  const did = summary.dryRun
    ? `Dry run: would copy ${count(sum('copied'))} and delete ${count(sum('deleted'))}`
    : `${summary.end === 'done' ? 'Copied' : 'Interrupted: so far copied'} ${count(sum('copied'))}, deleted ${count(sum('deleted'))}`;
  const took = `in ${duration(summary.tookMs)} (${bytes(summary.bytes)} of values read)`;
  return `${did}, ${count(sum('unchanged'))} unchanged ${took}.`;
}

function countsText(counts: Counts): string {
  const names: readonly (keyof Counts)[] = [
    'copied',
    'deleted',
    'unchanged',
    'skipped',
    'withheld',
    'kept',
    'refused',
    'overtaken',
  ];
  const always: ReadonlySet<keyof Counts> = new Set(['copied', 'deleted', 'unchanged']);
  return names
    .filter((name) => always.has(name) || counts[name] > 0)
    .map((name) => `${count(counts[name])} ${name}`)
    .join(', ');
}

function forkLine(summary: CopySummary): string {
  const [first] = summary.fork;
  const where = first === undefined ? '' : ` (first seen at ${shownKey(first.key)})`;
  return `The source's history was replaced, by a restored snapshot or a rebuilt cluster${where}: everything was taken anew as timeline ${summary.timeline}.`;
}

const actionOrder = ['refused', 'withheld', 'skipped', 'kept', 'copied'];

function orderedNotices(notices: readonly NoticeSummary[]): readonly NoticeSummary[] {
  return notices.toSorted((a, b) => actionOrder.indexOf(a.action) - actionOrder.indexOf(b.action));
}

function noticeLines(notice: NoticeSummary): readonly string[] {
  const text = noticeTexts[notice.code];
  const action = `${notice.action.slice(0, 1).toUpperCase()}${notice.action.slice(1)}`;
  const shown = notice.examples
    .filter((key) => key !== '')
    .slice(0, examplesShown)
    .map(shownKey);
  const more = notice.count - shown.length;
  const rest = more > 0 && shown.length > 0 ? ` and ${plural(more, 'more', 'more')}` : '';
  const head = `${action} ${count(notice.count)}: ${text}`;
  return shown.length === 0 ? [head] : [head, `    ${shown.join(', ')}${rest}`];
}
