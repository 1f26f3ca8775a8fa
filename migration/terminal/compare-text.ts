import type { Report } from '../compare/report.ts';
import { bytes, count, duration, percent, shownKey } from './format.ts';

const kindNames: Readonly<Record<string, string>> = {
  kv: 'keys',
  node: 'nodes',
  service: 'services',
  check: 'checks',
};

/** A comparison in about ten lines: the verdict first, then where it is worst, then what to do next. */
export function compareText(report: Report, reportPath: string, nextCommand: string): string {
  const { totals, coverage, run } = report;
  const lines = [
    verdictLine(report),
    row('source', sideText(run.source)),
    row('target', sideText(run.target)),
    row('compared', comparedText(report)),
  ];
  const kinds = Object.entries(totals.byKind).filter(([, many]) => many > 0);
  if (kinds.length > 0)
    lines.push(row('kinds', kinds.map(([kind, many]) => `${kind} ${count(many)}`).join(', ')));
  lines.push(row('rate', rateText(report)));
  const worst = report.prefixes.filter((each) => each.persistent + each.unchecked + each.indeterminate > 0);
  if (worst.length > 0) lines.push(row('worst', worst.slice(0, 4).map(prefixText).join('; ')));
  lines.push(row('looked', lookedText(report)));
  const redacted =
    run.redaction.mode === 'redacted' ? 'keys and values redacted' : 'keys and values IN CLEAR';
  lines.push(
    row('report', `${reportPath} (${report.schema}, ${redacted}, ${bytes(coverage.bytes.source)} compared)`),
  );
  lines.push(row('next', nextCommand));
  return lines.join('\n');
}

function verdictLine(report: Report): string {
  const { totals, verdict } = report;
  switch (verdict.result) {
    case 'equal':
      return `EQUAL: all ${count(totals.compared)} entries are the same on both sides.`;
    case 'different': {
      const onlySessions = totals.byKind.session === totals.persistent;
      const why = onlySessions ? ' Only locks that a session holds: these are never copied.' : '';
      return `DIFFERENT: ${count(totals.persistent)} of ${count(totals.compared)} entries differ.${why}`;
    }
    case 'unknown':
      return `NOT SHOWN TO BE EQUAL: ${verdict.reasons.join('; ')}.`;
  }
}

function comparedText(report: Report): string {
  const { seen, ignored } = report.coverage;
  const parts = Object.keys(kindNames)
    .filter((kind) => (kind === 'kv' ? report.coverage.kv : report.coverage.catalog))
    .map((kind) => {
      const [source, target] = [
        seen.source[kind as keyof typeof seen.source],
        seen.target[kind as keyof typeof seen.target],
      ];
      const both = source === target ? count(source) : `${count(source)} against ${count(target)}`;
      return `${kindNames[kind] ?? kind} ${both}`;
    });
  const left = Object.values(ignored).reduce((sum, many) => sum + many, 0);
  return `${parts.join(', ')}${left > 0 ? `; ${count(left)} nodes left out by rule` : ''}`;
}

function rateText(report: Report): string {
  const { rate, compared } = report.totals;
  if (compared === 0) return 'nothing to compare';
  if (rate.value === 0) return `0 of ${count(compared)}: below ${percent(rate.upper95)} (95 %)`;
  return `${percent(rate.value)} (95 %: ${percent(rate.wilson95[0])} to ${percent(rate.wilson95[1])})`;
}

function lookedText(report: Report): string {
  const { totals, run } = report;
  const again =
    run.recheck.delaysMs.length === 0
      ? 'once'
      : `again after ${run.recheck.delaysMs.map(duration).join(', ')}`;
  const cleared = `${count(totals.transient)} cleared by themselves, ${count(totals.indeterminate)} undecided`;
  return `${again}; ${cleared}; took ${duration(run.durationMs)}`;
}

function prefixText(each: Report['prefixes'][number]): string {
  const name =
    each.kind === 'kv'
      ? each.prefix === ''
        ? '(top level)'
        : shownKey(each.prefix)
      : (kindNames[each.kind] ?? each.kind);
  return `${name} ${count(each.persistent + each.unchecked + each.indeterminate)} of ${count(each.compared)}`;
}

function sideText(side: Report['run']['source']): string {
  const node = side.node === '' ? '' : `${side.node} in `;
  return `${side.address} (${node}${side.datacenter}, version ${side.version === '' ? 'unknown' : side.version})`;
}

function row(name: string, text: string): string {
  return `  ${name.padEnd(9)} ${text}`;
}
