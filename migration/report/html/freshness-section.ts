import { count } from '../../terminal/format.ts';
import type { Report } from '../model.ts';
import { msText, probabilityText, rateText } from '../numbers.ts';
import { cdfPlot, visibilityPlot } from './charts.ts';
import { quantilesOf } from '../counted.ts';
import { html, type Child } from './markup.ts';
import { section } from './section.ts';
import { boundText, comparedColumn, kindColumns, latencyColumns, quantileText, table } from './tables.ts';
import { visibilitySeries } from './visibility-series.ts';

// How soon writes are seen, how far answers are behind, and how fast they come.

export function visibility(report: Report): Child {
  const { tvis } = report;
  return (
    tvis !== undefined &&
    section('visibility', 'How soon a write is seen', [
      html`<p class="hint">
        Share of reads that saw a write, by time since it was acknowledged (t-visibility). Bands: 95 %. Bars:
        how many reads each point rests on.
      </p>`,
      visibilityPlot('t-visibility', visibilitySeries(tvis)),
      table(
        [1, 10, 100, 1000, 10_000, 60_000],
        [
          { head: 'after', cell: (tMs) => msText(tMs) },
          ...(['own', 'zone', 'all'] as const).map((where) => ({
            head: { own: 'gateway of the write', zone: 'its region', all: 'all gateways' }[where],
            cell: (tMs: number): Child => {
              const bin = tvis.find((each) => each.where === where && each.tMs === tMs);
              if (bin === undefined || bin.probability === null)
                return html`<span class="hint">unknown</span>`;
              return html`${probabilityText(bin.probability)}
                <span class="hint">≥ ${probabilityText(bin.wilson95[0])}, n ${count(bin.n)}</span>`;
            },
          })),
        ],
      ),
    ])
  );
}

export function ageOfAnswers(report: Report): Child {
  const { histograms, versionsBehind = [], ages = [] } = report;
  if (histograms === undefined) return null;
  const { low, high, bounded } = histograms.staleness;
  const series =
    bounded > 0
      ? [
          { name: 'at least', look: 1, histogram: low },
          { name: 'at most', look: 2, histogram: high },
        ]
      : [{ name: 'staleness', look: 1, histogram: high }];
  const reads = versionsBehind.reduce((sum, many) => sum + many, 0);
  const behind = versionsBehind
    .map((many, at) => ({ many, at }))
    .filter(({ many, at }) => many > 0 || at === 0);
  return section('staleness', 'How far answers are behind', [
    html`<p class="hint">
      Age of what a gateway answers with, per compared read. The scale is one of nines, so that tails can be
      read: p99 is where the curve crosses 99 %.
    </p>`,
    html`<div class="columns">
      <div>${cdfPlot('Staleness', 'behind the source by', series)}</div>
      <div>
        <h3>Versions behind (k-staleness)</h3>
        ${
          reads === 0
            ? html`<p class="nothing">Nothing was measured.</p>`
            : table(behind, [
                {
                  head: 'versions',
                  cell: ({ at }) => (at === versionsBehind.length - 1 ? `${at} or more` : String(at)),
                },
                { head: 'reads', isNumber: true, cell: ({ many }) => count(many) },
                {
                  head: 'share',
                  isNumber: true,
                  cell: ({ many }) =>
                    many * 2 > reads ? probabilityText(many / reads) : rateText(many / reads),
                },
              ])
        }
        <h3>Consistent within (nines by age)</h3>
        ${table(ages, [
          { head: 'age', cell: (age) => msText(age.ageMs) },
          {
            head: 'consistent',
            isNumber: true,
            cell: (age) => (age.consistent === null ? 'unknown' : probabilityText(age.consistent)),
          },
          {
            head: 'at least (95 %)',
            isNumber: true,
            cell: (age) => (age.n === 0 ? 'unknown' : probabilityText(1 - age.upper95)),
          },
          { head: 'n', isNumber: true, cell: (age) => count(age.n) },
        ])}
      </div>
    </div>`,
  ]);
}

export function latency(report: Report): Child {
  const { histograms, endpoints = [] } = report;
  if (histograms === undefined) return null;
  const blocking = endpoints.filter((row) => row.wake !== undefined);
  return section('latency', 'Latency of both sides', [
    html`<p class="hint">The same questions asked of both. Scale of nines, as above.</p>`,
    html`<div class="columns">
      <div>
        ${cdfPlot('Latency', 'time to the answer', [
          { name: 'source', look: 2, histogram: histograms.latency.source },
          { name: 'gateway', look: 1, histogram: histograms.latency.target },
        ])}
      </div>
      <div>
        <h3>To the answer</h3>
        ${table(
          [
            ['source', quantilesOf(histograms.latency.source)] as const,
            ['gateway', quantilesOf(histograms.latency.target)] as const,
          ],
          [
            { head: 'of', cell: ([name]) => name },
            { head: 'p50', isNumber: true, cell: ([, all]) => quantileText(all.p50) },
            { head: 'p90', isNumber: true, cell: ([, all]) => quantileText(all.p90) },
            { head: 'p99', isNumber: true, cell: ([, all]) => quantileText(all.p99) },
            { head: 'p99.9', isNumber: true, cell: ([, all]) => quantileText(all.p999) },
          ],
        )}
        ${
          blocking.length > 0 &&
          html`<h3>Blocking queries: who wakes first</h3>
            ${table(blocking, [
              { head: 'endpoint', className: 'name-cell', cell: (row) => html`<code>${row.endpoint}</code>` },
              {
                head: 'gateway later, p50 / p99',
                isNumber: true,
                cell: (row) => `${quantileText(row.wake?.later.p50)} / ${quantileText(row.wake?.later.p99)}`,
              },
              { head: 'earlier', isNumber: true, cell: (row) => count(row.wake?.earlier.n ?? 0) },
              { head: 'missed', isNumber: true, cell: (row) => count(row.wake?.missed ?? 0) },
            ])}`
        }
      </div>
    </div>`,
    html`<h3>By endpoint</h3>
      ${table(endpoints, [
        { head: 'endpoint', className: 'name-cell', cell: (row) => html`<code>${row.endpoint}</code>` },
        comparedColumn(),
        ...kindColumns(endpoints),
        { head: 'stayed, 95 %', isNumber: true, cell: (row) => boundText(row.rate, row.compared) },
        ...latencyColumns<(typeof endpoints)[number]>(),
      ])}`,
  ]);
}
