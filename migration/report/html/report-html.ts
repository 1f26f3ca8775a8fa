import { count } from '../../terminal/format.ts';
import { verdictWords } from '../headline.ts';
import type { Report } from '../model.ts';
import { rateText } from '../numbers.ts';
import { ageOfAnswers, latency, visibility } from './freshness-section.ts';
import { guarantees } from './guarantees-section.ts';
import { html, type Child, type Markup } from './markup.ts';
import { page } from './page.ts';
import { aboutSection, runSection } from './run-section.ts';
import { samplesSection } from './samples-section.ts';
import { section } from './section.ts';
import { banner, navigation, stamps, tiles } from './summary-section.ts';
import {
  boundText,
  comparedColumn,
  gatesTable,
  kindColumns,
  latencyColumns,
  prose,
  quantileText,
  table,
  tools,
} from './tables.ts';
import { timelinePlot } from './timeline-plot.ts';

/** One file that needs nothing else: for a change board, a ticket, a printer. */
export function reportHtml(report: Report): string {
  const { run } = report;
  const what = run.mode === 'sweep' ? 'Comparison' : 'Read consistency';
  return page(`${verdictWords[report.verdict.result]}: ${what.toLowerCase()} of ${run.source.datacenter}`, [
    html`<h1>Grapevine · ${what} · ${run.source.address} → ${run.target.address || run.target.node}</h1>`,
    banner(report),
    stamps(report),
    navigation(report),
    tiles(report),
    gates(report),
    visibility(report),
    ageOfAnswers(report),
    timeline(report),
    prefixes(report),
    latency(report),
    guarantees(report),
    samplesSection(report),
    notes(report),
    runSection(report),
    aboutSection(),
    html`<footer>
      Made by grapevine ${run.tool.version} of run <span class="mono">${run.id}</span> at ${run.finishedAt}.
      Schema ${report.schema}.
    </footer>`,
  ]);
}

function gates(report: Report): Child {
  const { gate = [] } = report;
  return (
    gate.length > 0 &&
    section('gates', 'Gates', [
      html`<p class="hint">
        What must hold before clients are answered by the gateways. Unknown is treated as red.
      </p>`,
      gatesTable(gate),
    ])
  );
}

function timeline(report: Report): Child {
  return report.timeline !== undefined && section('timeline', 'Over time', timelinePlot(report));
}

function prefixes(report: Report): Markup {
  const rows = report.prefixes;
  return section('prefixes', 'Where it differs', [
    html`<p class="hint">
      Worst first. Of each kind: <b>stayed</b>, then cleared by itself. Colour: share of the comparisons. The
      bound is that of what stayed, at 95 %.
    </p>`,
    tools('prefix-table', 'prefixes'),
    table(
      rows,
      [
        {
          head: 'prefix',
          className: 'name-cell',
          cell: (row) =>
            html`${row.kind === 'kv' ? html`<code>${row.prefix === '' ? '(all keys)' : row.prefix}</code>` : row.kind}${row.phase !== undefined && html`<br /><span class="hint">${row.phase}</span>`}`,
        },
        comparedColumn(),
        { head: 'keys', isNumber: true, cell: (row) => (row.keys === undefined ? '' : count(row.keys)) },
        ...kindColumns(rows),
        {
          head: 'undecided',
          isNumber: true,
          cell: (row) => count(row.indeterminate + row.unchecked + (row.open ?? 0)),
        },
        {
          head: 'stayed, 95 %',
          isNumber: true,
          cell: (row) =>
            row.rate === undefined ? `≤ ${rateText(row.upper95)}` : boundText(row.rate, row.compared),
        },
        ...(rows.some((row) => row.staleness !== undefined)
          ? [
              {
                head: 'staleness p99',
                isNumber: true,
                cell: (row: (typeof rows)[number]) => quantileText(row.staleness?.p99),
              },
            ]
          : []),
      ],
      { id: 'prefix-table', item: (row) => row.kind },
    ),
    (report.gateways ?? []).length > 0 &&
      html`<h3>By gateway</h3>
        ${table(report.gateways ?? [], [
          {
            head: 'gateway',
            className: 'name-cell',
            cell: (row) =>
              html`${row.name} <span class="hint">${row.region}${row.alive === false && ', gone'}</span>`,
          },
          comparedColumn(),
          ...kindColumns(report.gateways ?? []),
          { head: 'dropped', isNumber: true, cell: (row) => count(row.dropped ?? 0) },
          {
            head: html`errors`,
            isNumber: true,
            cell: (row) => `${count(row.errors?.source ?? 0)} / ${count(row.errors?.target ?? 0)}`,
          },
          { head: 'stayed, 95 %', isNumber: true, cell: (row) => boundText(row.rate, row.compared) },
          ...latencyColumns<NonNullable<Report['gateways']>[number]>(),
        ])}`,
  ]);
}

function notes(report: Report): Markup {
  return section(
    'notes',
    'Caveats',
    html`<ul>
      ${report.notes.map((note) => html`<li>${prose(note)}</li>`)}
    </ul>`,
  );
}
