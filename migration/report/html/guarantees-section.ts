import { count } from '../../terminal/format.ts';
import { lowerOf, upperOf } from '../gates.ts';
import type { Report } from '../model.ts';
import { probabilityText, rateText } from '../numbers.ts';
import { html, type Child } from './markup.ts';
import { section } from './section.ts';
import { quantileText, rateCell, table } from './tables.ts';

// What clients may rely on, and how often it was broken.

export function guarantees(report: Report): Child {
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
              ${lin.operations === 0 && 'Of no key was every operation recorded yet. '}${count(lin.yes)} keys
              yes, <b>${count(lin.no)} no</b>, ${count(lin.unknown)} unknown (${count(lin.operations)}
              operations).
              <span class="hint"
                >Keys of which every operation was recorded; a stronger system would have prevented the
                “no”.</span
              >
            </p>`
        }${
          gamma !== undefined &&
          html`<h3>Γ: how often, and how bad</h3>
            ${
              gamma.writes === 0
                ? html`<p>No writes of such keys: nothing to judge by.</p>`
                : html`<p>
                    ${rateCell(gamma.rate)} operations were out of
                    order${gamma.violations > 0 && html`; by ${quantileText(gamma.badness.p50)} in the middle, ${quantileText(gamma.badness.max)} at worst`}.
                  </p>`
            }`
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
