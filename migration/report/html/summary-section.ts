import { count } from '../../terminal/format.ts';
import { upperOf } from '../gates.ts';
import { headline, verdictWords } from '../headline.ts';
import type { Report } from '../model.ts';
import { msText, probabilityText, rateText } from '../numbers.ts';
import { html, type Child, type Markup } from './markup.ts';
import { prose, quantileText } from './tables.ts';

// What is read first: the verdict, what it is stamped with, and the figures that matter most.

export function banner(report: Report): Markup {
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

export function stamps(report: Report): Child {
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

export function navigation(report: Report): Markup {
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

export function tiles(report: Report): Markup {
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
