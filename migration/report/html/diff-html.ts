import { count } from '../../terminal/format.ts';
import type { Comparison, KeySets } from '../diff.ts';
import type { Report } from '../model.ts';
import { comparisonHeadline } from '../report-text.ts';
import { cdfPlot, visibilityPlot } from './charts.ts';
import { html, type Child, type Markup } from './markup.ts';
import { page } from './page.ts';
import { section } from './section.ts';
import { chip, table } from './tables.ts';
import { seriesOf } from './visibility-series.ts';

/** Two reports on one page, their curves over each other. */
export function diffHtml(comparison: Comparison, a: Report, b: Report): string {
  const [word = '', rest = ''] = splitOnce(comparisonHeadline(comparison), ': ');
  return page(`${word}: two reports compared`, [
    html`<h1>Grapevine · Two reports compared</h1>`,
    html`<div class="verdict ${comparison.result}" id="verdict">
      <div class="word">${word}</div>
      <p class="headline">${rest}</p>
      <ul>
        ${comparison.reasons.slice(0, 20).map((reason) => html`<li>${reason}</li>`)}
      </ul>
    </div>`,
    comparison.forced &&
      html`<p class="stamp">FORCED: these reports are not comparable. What follows may mean nothing.</p>`,
    runs(comparison),
    obstacles(comparison),
    comparison.metrics.length > 0 && metrics(comparison),
    comparison.result !== 'incomparable' && curves(a, b),
    comparison.result !== 'incomparable' && keys(comparison.keys),
    html`<footer>Schema ${comparison.schema}.</footer>`,
  ]);
}

function splitOnce(text: string, at: string): readonly string[] {
  const index = text.indexOf(at);
  return index === -1 ? [text] : [text.slice(0, index), text.slice(index + at.length)];
}

function runs(comparison: Comparison): Markup {
  return section(
    'runs',
    'The reports',
    table(
      [
        { name: 'A, before', run: comparison.a },
        { name: 'B, after', run: comparison.b },
      ],
      [
        { head: '', cell: ({ name }) => html`<b>${name}</b>` },
        { head: 'run', className: 'name-cell', cell: ({ run }) => html`<span class="mono">${run.id}</span>` },
        { head: 'finished', cell: ({ run }) => run.finishedAt },
        { head: 'comparisons', isNumber: true, cell: ({ run }) => count(run.compared) },
        { head: 'verdict', cell: ({ run }) => chip(run.verdict) },
      ],
    ),
  );
}

function obstacles({ obstacles: found }: Comparison): Child {
  return (
    found.length > 0 &&
    section(
      'obstacles',
      'Why they are not comparable',
      table(found, [
        { head: '', cell: (each) => each.what },
        { head: 'A', cell: (each) => each.a },
        { head: 'B', cell: (each) => each.b },
      ]),
    )
  );
}

function metrics(comparison: Comparison): Markup {
  const order = { worse: 0, unknown: 1, better: 2, same: 3 };
  const symbols = { worse: '✕ worse', unknown: '? unknown', better: '↑ better', same: '= same' };
  const shown = comparison.metrics
    .filter((metric) => !metric.isAbsent)
    .toSorted((x, y) => order[x.verdict] - order[y.verdict]);
  const absent = comparison.metrics.length - shown.length;
  return section('metrics', 'Metrics', [
    html`<p class="hint">
      Intervals are at 95 %. Worse and better hold for all metrics together: chance alone would else make one
      in twenty look changed.
    </p>`,
    table(shown, [
      { head: 'B is', cell: (metric) => chip(metric.verdict, symbols[metric.verdict]) },
      { head: 'metric', className: 'name-cell', cell: (metric) => metric.title },
      { head: 'A', cell: (metric) => metric.a },
      { head: 'B', cell: (metric) => metric.b },
      {
        head: 'change',
        cell: (metric) =>
          html`${metric.change}${metric.why !== '' && html` <span class="hint">${metric.why}</span>`}`,
      },
    ]),
    absent > 0 && html`<p class="hint">${absent} metrics were measured by neither.</p>`,
  ]);
}

function curves(a: Report, b: Report): Child {
  if (a.histograms === undefined && b.histograms === undefined) return null;
  const both = (
    of: (histograms: NonNullable<Report['histograms']>) => NonNullable<Report['histograms']>['open'],
  ): Parameters<typeof cdfPlot>[2] =>
    [
      { name: 'A, before', look: 2, report: a },
      { name: 'B, after', look: 1, report: b },
    ].flatMap(({ name, look, report }) =>
      report.histograms === undefined ? [] : [{ name, look, histogram: of(report.histograms) }],
    );
  const visible = [
    seriesOf(a.tvis ?? [], 'all', 'A, before: all gateways', 2),
    seriesOf(b.tvis ?? [], 'all', 'B, after: all gateways', 1),
  ];
  return [
    section('visibility', 'How soon a write is seen', visibilityPlot('t-visibility of both', visible)),
    section(
      'curves',
      'Staleness and latency',
      html`<div class="columns">
        <div>
          <h3>Staleness</h3>
          ${cdfPlot(
            'Staleness of both',
            'behind the source by',
            both((histograms) => histograms.staleness.high),
          )}
        </div>
        <div>
          <h3>Latency of gateways</h3>
          ${cdfPlot(
            'Latency of both',
            'time to the answer',
            both((histograms) => histograms.latency.target),
          )}
        </div>
      </div>`,
    ),
  ];
}

function keys(sets: KeySets): Markup {
  if (!sets.known)
    return section('keys', 'Keys that differ', html`<p class="nothing">Unknown: ${sets.why}</p>`);
  const rows = [
    ...sets.appeared.map((each) => ({ ...each, state: 'new', look: 'worse' })),
    ...sets.same.map((each) => ({ ...each, state: 'still', look: 'unknown' })),
    ...sets.gone.map((each) => ({ ...each, state: 'gone', look: 'better' })),
  ];
  return section('keys', 'Keys that differ', [
    html`<p class="hint">
      Among the samples: ${sets.appeared.length} new, ${sets.gone.length} gone, ${sets.same.length} still.
    </p>`,
    rows.length > 0 &&
      table(rows, [
        { head: '', cell: (each) => chip(each.look, each.state) },
        { head: 'key', className: 'name-cell', cell: (each) => html`<bdi class="mono">${each.key}</bdi>` },
        { head: 'kind', cell: (each) => each.mismatch },
      ]),
  ]);
}
