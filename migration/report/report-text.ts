import { count, plural, shownKey } from '../terminal/format.ts';
import type { Comparison } from './diff.ts';
import { gatesState, ruleName, upperOf } from './gates.ts';
import { headline, verdictWords } from './headline.ts';
import { visible } from './html/markup.ts';
import type { Gate, Report } from './model.ts';
import { msText, probabilityText, rateText } from './numbers.ts';

// What `grapevine report` prints. Names and reasons come from a file: control characters are shown, never sent.

/** The verdict first, about ten lines, then what to do next. */
export function reportText(report: Report, next: string): string {
  const { run, totals, verdict } = report;
  const reasons = verdict.reasons.filter((reason) => !headline(report).includes(reason));
  const lines = [
    `${verdictWords[verdict.result]}: ${headline(report)}`,
    ...reasons.map((reason) => row('because', reason)),
    row(
      'run',
      `${run.startedAt.slice(0, 16).replace('T', ' ')}, ${msText(run.durationMs)}; ${phasesText(report)}`,
    ),
    row(
      'sides',
      `${run.source.address} (${run.source.version || 'version unknown'}) against ${run.target.address || run.target.node}`,
    ),
    row('cleared', clearedText(report)),
    ...optional('noise', noiseText(report)),
    ...optional('stale', staleText(report)),
    ...optional('clients', sessionsText(report)),
    ...optional('worst', worstText(report)),
    ...optional('gates', gatesLine(report.gate ?? [])),
    ...(run.overrides ?? []).map((each) =>
      row(
        'OVERRIDE',
        `${each.by} passed over ${each.gates.join(', ')} for ${each.phase} of ${ruleName(each)}: ${each.reason}`,
      ),
    ),
    ...(run.redaction.mode === 'revealed'
      ? [row('REVEALED', 'this report holds keys and values in clear')]
      : []),
    row(
      'samples',
      `${count(report.samples.length)} single differences; ${count(report.notes.length)} caveats (report html shows all)`,
    ),
    row(
      'next',
      totals.compared === 0 ? 'let clients read through the gateways, then make a new report' : next,
    ),
  ];
  return lines.join('\n');
}

/** A sensible next command for a report at a path. */
export function nextFor(report: Report, path: string): string {
  const file = path === '-' ? 'report.json' : path;
  const isSweep = report.run.mode === 'sweep';
  switch (report.verdict.result) {
    case 'different':
      if (isSweep) return `${sweepCommand(report, 'copy')}   then compare again`;
      // Hashed keys are no names: who wants to mend them asks both sides for the names.
      return report.samples.some((sample) => sample.key.key !== undefined)
        ? `grapevine migrate repair -from=${word(file)}   then let it run and make a new report`
        : 'grapevine migrate verify -json > verify.json, then grapevine migrate repair -from=verify.json';
    case 'unknown':
      return isSweep
        ? `${sweepCommand(report, 'compare')}   with a token that sees all, or when less changes`
        : 'let it run on, or sample more keys; then make a new report';
    case 'equal':
      if (isSweep) return 'grapevine migrate plan   says what the way on from here asks';
      return stepCommand(report) ?? `grapevine report gate ${word(file)}   says what is still missing`;
  }
}

/** The first rule that is not there yet, if nothing but its own gates is in the way. */
function stepCommand({ run, gate = [] }: Report): string | undefined {
  if (!gate.every(({ state }) => state === 'green' || state === 'off')) return undefined;
  const after: Readonly<Record<string, string>> = { shadow: 'local-reads', 'local-reads': 'cutover' };
  const rule = (run.phases ?? []).find(({ phase }) => after[phase] !== undefined);
  if (rule === undefined) return undefined;
  const kind = rule.of === 'kv' ? '' : ` -kind=${word(rule.of)}`;
  return `grapevine migrate phase${kind} ${word(rule.prefix)} ${after[rule.phase]} -dry-run`;
}

function sweepCommand({ run, coverage }: Report, what: 'copy' | 'compare'): string {
  const prefixes = coverage.prefixes.filter((prefix) => prefix !== '').map((each) => `-prefix=${each}`);
  const flags = [`-from=${run.source.address}`, `-to=${run.target.address}`, ...prefixes];
  return `grapevine migrate ${what} ${flags.map(word).join(' ')}`;
}

/** Names come from a file, and the line is there to be copied into a shell. */
function word(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

function optional(name: string, text: string | undefined): readonly string[] {
  return text === undefined ? [] : [row(name, text)];
}

function row(name: string, text: string): string {
  return `  ${name.padEnd(9)} ${visible(text)}`;
}

function phasesText({ run }: Report): string {
  const phases = new Map<string, number>();
  for (const rule of run.phases ?? []) phases.set(rule.phase, (phases.get(rule.phase) ?? 0) + 1);
  if (phases.size === 0) return run.mode === 'sweep' ? 'one comparison of everything' : 'no rules';
  return [...phases].map(([phase, many]) => `${count(many)} in ${phase}`).join(', ');
}

function clearedText({ totals }: Report): string {
  const undecided = totals.indeterminate + totals.unchecked;
  const parts = [
    `${count(totals.transient)} differed and cleared (longest ${msText(totals.longestOpenMs ?? 0)})`,
    `${count(undecided)} undecided`,
    totals.open === undefined || totals.open === 0 ? undefined : `${count(totals.open)} still open`,
    totals.dropped === undefined ? undefined : `${count(totals.dropped)} dropped`,
  ];
  return parts.filter((part) => part !== undefined).join(', ');
}

function noiseText({ totals: { noise, firstLook } }: Report): string | undefined {
  if (noise === undefined) return undefined;
  if (noise.compared === 0) return 'unknown: the source was not compared with itself';
  const raw = firstLook === undefined ? '' : `; ${rateText(firstLook.value)} differed at the first look`;
  return `the source differs from itself in ${rateText(noise.rate.value)} of ${count(noise.compared)}${raw}`;
}

function staleText(report: Report): string | undefined {
  const { staleness, tvis } = report;
  if (staleness === undefined) return undefined;
  if (staleness.high.p99 === null) return 'unknown: nothing was measured';
  const second = tvis?.find((bin) => bin.where === 'all' && bin.tMs === 1000);
  const seen =
    second === undefined || second.probability === null
      ? 'seen everywhere after 1 s: unknown'
      : `${probabilityText(second.probability)} seen everywhere 1 s after the acknowledgement (n ${count(second.n)})`;
  return `p50 ${msText(staleness.high.p50 ?? 0)}, p99 ${msText(staleness.high.p99)}; ${seen}`;
}

function sessionsText({ sessions }: Report): string | undefined {
  if (sessions === undefined) return undefined;
  const one = (name: string, each: typeof sessions.readYourWrites): string =>
    each.checked === 0
      ? `${name} unknown`
      : `${name} ${count(each.violations)} of ${count(each.checked)} (below ${rateText(upperOf(each.rate))})`;
  return `${one('own writes not read', sessions.readYourWrites)}; ${one('went back', sessions.monotonicReads)}`;
}

function worstText(report: Report): string | undefined {
  const bad = (each: Report['prefixes'][number]): number =>
    each.persistent + each.unchecked + (each.open ?? 0);
  const worst = report.prefixes.filter((each) => bad(each) > 0).slice(0, 4);
  if (worst.length === 0) return undefined;
  const nameOf = (each: (typeof worst)[number]): string =>
    each.kind === 'kv' ? (each.prefix === '' ? '(top level)' : shownKey(each.prefix)) : each.kind;
  return worst.map((each) => `${nameOf(each)} ${count(bad(each))} of ${count(each.compared)}`).join('; ');
}

function gatesLine(gates: readonly Gate[]): string | undefined {
  const counted = gates.filter((gate) => gate.state !== 'off');
  if (counted.length === 0) return undefined;
  const bad = counted.filter((gate) => gate.state !== 'green').map((gate) => `${gate.name} ${gate.state}`);
  const green = `${count(counted.length - bad.length)} of ${count(counted.length)} green`;
  return bad.length === 0 ? green : `${green}; ${bad.join(', ')}`;
}

export function gatesText(gates: readonly Gate[]): string {
  const words = { green: 'GREEN', red: 'RED', unknown: 'UNKNOWN', off: 'off' } as const;
  const state = gatesState(gates);
  const bad = gates.filter((gate) => gate.state === 'red' || gate.state === 'unknown').length;
  const first =
    state === 'green'
      ? 'GREEN: every gate holds.'
      : `${words[state]}: ${count(bad)} of ${count(gates.filter((gate) => gate.state !== 'off').length)} gates do not hold.`;
  const order = { red: 0, unknown: 1, green: 2, off: 3 };
  const lines = gates
    .toSorted((a, b) => order[a.state] - order[b.state])
    .map((gate) => {
      const asked = gate.state === 'off' ? '' : `${gate.observed} (asked: ${gate.limit})`;
      return `  ${words[gate.state].padEnd(8)} ${gate.name.padEnd(18)} ${visible(asked)}${gate.why === '' ? '' : ` ${visible(gate.why)}`}`.trimEnd();
    });
  return [first, ...lines].join('\n');
}

export function comparisonText(comparison: Comparison): string {
  const { result, obstacles, forced, metrics, keys, a, b } = comparison;
  const lines = [comparisonHeadline(comparison)];
  if (forced) lines.push('  FORCED: these reports are not comparable; what follows may mean nothing.');
  for (const each of obstacles) lines.push(row('differs', `${each.what}: ${each.a} against ${each.b}`));
  lines.push(row('before', `${a.id}, ${a.finishedAt}, ${count(a.compared)} comparisons, ${a.verdict}`));
  lines.push(row('after', `${b.id}, ${b.finishedAt}, ${count(b.compared)} comparisons, ${b.verdict}`));
  if (result === 'incomparable') {
    lines.push(row('next', 'make both alike, or -force to compare all the same'));
    return lines.join('\n');
  }
  const order = { worse: 0, unknown: 1, better: 2, same: 3 };
  for (const metric of metrics.toSorted((x, y) => order[x.verdict] - order[y.verdict])) {
    if (metric.isAbsent || metric.verdict === 'same') continue;
    const change = metric.change === '' ? '' : `; ${metric.change}`;
    const why = metric.why === '' ? '' : ` ${metric.why}`;
    lines.push(
      `  ${metric.verdict.toUpperCase().padEnd(9)} ${visible(`${metric.title}: ${metric.a} -> ${metric.b}${change}.${why}`)}`,
    );
  }
  const same = metrics.filter((metric) => metric.verdict === 'same').map((metric) => metric.name);
  if (same.length > 0) lines.push(row('SAME', same.join(', ')));
  const absent = metrics.filter((metric) => metric.isAbsent).length;
  if (absent > 0) lines.push(row('not shown', `${count(absent)} metrics that neither report measured`));
  lines.push(
    row(
      'keys',
      keys.known
        ? `${count(keys.appeared.length)} new, ${count(keys.gone.length)} gone, ${count(keys.same.length)} the same among the samples`
        : `unknown: ${keys.why}`,
    ),
  );
  return lines.join('\n');
}

export function comparisonHeadline({ result, reasons, metrics }: Comparison): string {
  const judged = metrics.filter((metric) => !metric.isAbsent && !metric.isMinor).length;
  const minor = metrics.filter((metric) => metric.isMinor).length;
  const but = minor === 0 ? '' : ` ${plural(minor, 'prefix', 'prefixes')} with too little data to tell.`;
  switch (result) {
    case 'incomparable':
      return 'NOT COMPARABLE: the reports were not made alike.';
    case 'worse':
      return `WORSE: ${count(reasons.length)} of ${count(judged)} metrics regressed.`;
    case 'unknown':
      return `UNKNOWN: too little data. ${visible(reasons[0] ?? '')}`.trimEnd();
    case 'better':
      return `BETTER: ${count(reasons.length)} of ${count(judged)} metrics improved, none regressed.${but}`;
    case 'same':
      return `SAME: none of ${count(judged)} metrics changed.${but}`;
  }
}
