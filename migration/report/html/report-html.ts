import { count } from '../../terminal/format.ts';
import { headline, verdictWords } from '../headline.ts';
import type { Report } from '../model.ts';
import { msText, probabilityText, rateText } from '../numbers.ts';
import { lowerOf, upperOf } from '../gates.ts';
import { cdfPlot, visibilityPlot } from './charts.ts';
import { html, type Child, type Markup } from './markup.ts';
import { page } from './page.ts';
import { aboutSection, runSection } from './run-section.ts';
import { samplesSection } from './samples-section.ts';
import { section } from './section.ts';
import {
  boundText,
  comparedColumn,
  gatesTable,
  prose,
  kindColumns,
  latencyColumns,
  quantileText,
  rateCell,
  table,
  tools,
} from './tables.ts';
import { timelinePlot } from './timeline-plot.ts';
import { visibilitySeries } from './visibility-series.ts';

/** One file that needs nothing else: for a change board, a ticket, a printer. */
export function reportHtml(report: Report): string {
  const { run } = report;
  const what = run.mode === 'sweep' ? 'Comparison' : 'Read consistency';
  return page(`${verdictWords[report.verdict.result]}: ${what.toLowerCase()} of ${run.source.datacenter}`, [
    html`<h1>Grapevine · ${what} · ${run.source.address} → ${run.target.address}</h1>`,
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

function banner(report: Report): Markup {
  const { result } = report.verdict;
  const reasons = report.verdict.reasons.filter((reason) => !headline(report).includes(reason));
  const symbol = { equal: '✓', different: '✕', unknown: '?' }[result];
  const counted = (report.gate ?? []).filter((gate) => gate.state !== 'off');
  const of = (state: string): number => counted.filter((gate) => gate.state === state).length;
  return html`<div class="verdict ${result}" id="verdict">
    <div class="word">${symbol} ${verdictWords[result]}</div>
    <p class="headline">${headline(report)}</p>
    ${
      reasons.length > 0 &&
      html`<ul>
        ${reasons.map((reason) => html`<li>${prose(reason)}</li>`)}
      </ul>`
    }${
      counted.length > 0 &&
      html`<p>
        Gates for a cutover: <b>${of('green')} green</b>, <b>${of('red')} red</b>,
        <b>${of('unknown')} unknown</b>. Unknown counts as red.
      </p>`
    }
  </div>`;
}

function stamps(report: Report): Child {
  const { redaction, overrides = [] } = report.run;
  return [
    redaction.mode === 'revealed' &&
      html`<p class="stamp">
        REVEALED: this page holds keys and values in clear. Handle it as you handle the data.
      </p>`,
    overrides.map(
      (each) =>
        html`<p class="stamp">
          OVERRIDDEN by ${each.by} at ${each.at}: ${each.gates.join(', ')} passed over for ${each.phase} of
          ${each.prefix === '' ? 'everything' : each.prefix}. Reason: ${each.reason}
        </p>`,
    ),
  ];
}

function navigation(report: Report): Markup {
  const links = [
    ['gates', 'Gates', (report.gate ?? []).length > 0],
    ['visibility', 'Time to visibility', report.tvis !== undefined],
    ['staleness', 'Staleness', report.histograms !== undefined],
    ['timeline', 'Over time', report.timeline !== undefined],
    ['prefixes', 'Prefixes', true],
    ['latency', 'Latency', report.histograms !== undefined],
    ['sessions', 'Guarantees', report.sessions !== undefined],
    ['samples', 'Samples', true],
    ['notes', 'Caveats', true],
    ['run', 'Run', true],
  ] as const;
  return html`<nav aria-label="Sections">
    ${links.filter(([, , there]) => there).map(([id, name]) => html`<a href="#${id}">${name}</a>`)}
  </nav>`;
}

function tile(name: string, value: Child, hint: Child): Markup {
  return html`<div class="tile"><span class="name">${name}</span><b>${value}</b><span>${hint}</span></div>`;
}

function tiles(report: Report): Markup {
  const { totals, sessions, phi, staleness, histograms } = report;
  const hits = totals.rate.hits ?? totals.persistent;
  const known = totals.compared > 0;
  const second = report.tvis?.find((bin) => bin.where === 'all' && bin.tMs === 1000);
  const [source, target] = [histograms?.latency.source, histograms?.latency.target];
  const { endpoints } = report;
  const p50 = (of: 'source' | 'target'): string =>
    quantileText(endpoints?.toSorted((a, b) => b.compared - a.compared)[0]?.latency[of].p50);
  const ryw = sessions?.readYourWrites;
  return html`<div class="tiles">
    ${[
      tile(
        'Differ for good',
        !known ? 'unknown' : hits === 0 ? `< ${rateText(upperOf(totals.rate))}` : rateText(totals.rate.value),
        known
          ? `${count(hits)} of ${count(totals.compared)}; at most ${rateText(upperOf(totals.rate))} (95 %)`
          : 'nothing was compared',
      ),
      tile(
        'Differed, then cleared',
        known ? rateText(totals.transient / totals.compared) : 'unknown',
        `${count(totals.transient)} reads; longest open ${msText(totals.longestOpenMs ?? 0)}`,
      ),
      totals.noise !== undefined &&
        tile(
          'Noise floor',
          totals.noise.compared === 0 ? 'unknown' : rateText(totals.noise.rate.value),
          `source against itself, n ${count(totals.noise.compared)}`,
        ),
      staleness !== undefined &&
        tile(
          'Staleness p99',
          staleness.high.p99 === null
            ? 'unknown'
            : staleness.low.p99 === staleness.high.p99
              ? msText(staleness.high.p99)
              : `${quantileText(staleness.low.p99)} – ${quantileText(staleness.high.p99)}`,
          `p50 ${quantileText(staleness.high.p50)}, p99.9 ${quantileText(staleness.high.p999)}, n ${count(staleness.high.n)}`,
        ),
      report.tvis !== undefined &&
        tile(
          'Seen everywhere after 1 s',
          second?.probability === null || second === undefined
            ? 'unknown'
            : probabilityText(second.probability),
          second === undefined
            ? 'not measured'
            : `at least ${probabilityText(second.wilson95[0])} (95 %), n ${count(second.n)}`,
        ),
      ryw !== undefined &&
        tile(
          'Own writes not read',
          ryw.checked === 0 ? 'unknown' : ryw.violations === 0 ? '0' : rateText(ryw.rate.value),
          `of ${count(ryw.checked)} checked; at most ${rateText(upperOf(ryw.rate))}`,
        ),
      phi !== undefined &&
        tile(
          'Gateways agree (φ)',
          phi.all.share === null ? 'unknown' : probabilityText(phi.all.share),
          `n ${count(phi.all.asked)}; own region ${phi.zone.share === null ? 'unknown' : probabilityText(phi.zone.share)}`,
        ),
      source !== undefined &&
        target !== undefined &&
        tile(
          'Latency p50',
          html`${p50('source')} → ${p50('target')}`,
          'source → gateway, commonest endpoint',
        ),
    ]}
  </div>`;
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

function visibility(report: Report): Child {
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

function ageOfAnswers(report: Report): Child {
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

function latency(report: Report): Child {
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

function guarantees(report: Report): Child {
  const { sessions: held, lin, gamma, phi } = report;
  if (held === undefined) return null;
  const rows = [
    {
      name: 'Read your writes',
      what: "a client's read shows its own earlier write",
      each: held.readYourWrites,
    },
    {
      name: 'Monotonic reads',
      what: 'a client never sees an older version than before',
      each: held.monotonicReads,
    },
    { name: 'Index never falls', what: 'X-Consul-Index of one question', each: held.indexRegressions },
  ];
  return section('sessions', 'What each client may rely on', [
    table(rows, [
      { head: 'guarantee', cell: ({ name, what }) => html`${name}<br /><span class="hint">${what}</span>` },
      { head: 'checked', isNumber: true, cell: ({ each }) => count(each.checked) },
      { head: 'broken', isNumber: true, cell: ({ each }) => count(each.violations) },
      {
        head: 'per million',
        isNumber: true,
        cell: ({ each }) =>
          each.perMillion === null ? 'unknown' : String(Number(each.perMillion.toPrecision(3))),
      },
      {
        head: '95 %',
        isNumber: true,
        cell: ({ each }) =>
          each.checked === 0
            ? 'unknown'
            : `${rateText(lowerOf(each.rate))} – ${rateText(upperOf(each.rate))}`,
      },
    ]),
    html`<div class="columns">
      <div>
        ${
          lin !== undefined &&
          html`<h3>Linearizable histories</h3>
            <p>
              ${count(lin.yes)} keys yes, <b>${count(lin.no)} no</b>, ${count(lin.unknown)} unknown
              (${count(lin.operations)} operations).
              <span class="hint"
                >Keys of which every operation was recorded; a stronger system would have prevented the
                “no”.</span
              >
            </p>`
        }${
          gamma !== undefined &&
          html`<h3>Γ: how often, and how bad</h3>
            <p>
              ${rateCell(gamma.rate)} operations were out of order; by ${quantileText(gamma.badness.p50)} in
              the middle, ${quantileText(gamma.badness.max)} at worst.
            </p>`
        }
      </div>
      <div>
        ${
          phi !== undefined &&
          html`<h3>φ: gateways asked at once that answer the same</h3>
            <p>
              all: ${phi.all.share === null ? 'unknown' : probabilityText(phi.all.share)}
              <span class="hint">n ${count(phi.all.asked)}, ${count(phi.all.unknown)} undecided</span
              ><br />own region: ${phi.zone.share === null ? 'unknown' : probabilityText(phi.zone.share)}
              <span class="hint">n ${count(phi.zone.asked)}, ${count(phi.zone.unknown)} undecided</span>
            </p>`
        }${held.forgotten > 0 && html`<p class="hint">${count(held.forgotten)} clients were forgotten to bound memory.</p>`}
      </div>
    </div>`,
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
