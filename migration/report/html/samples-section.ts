import { count } from '../../terminal/format.ts';
import type { Report, ReportSample } from '../model.ts';
import { msText } from '../numbers.ts';
import { html, type Child, type Markup } from './markup.ts';
import { chip, tools } from './tables.ts';
import { shortTime } from './timeline-plot.ts';

export function samplesSection(report: Report): Markup {
  const { samples, run } = report;
  const outcomes = [...new Set(samples.map((sample) => sample.outcome))];
  const shown =
    run.redaction.mode === 'redacted'
      ? 'Keys are shown as prefix and hash, values as length and hash. Equal hashes mean equal content.'
      : 'Keys and values are shown in clear.';
  return html`<section id="samples">
    <h2>Samples</h2>
    <p class="hint">Single differences; counts elsewhere are of all. ${shown}</p>
    ${
      samples.length === 0
        ? html`<p class="nothing">None.</p>`
        : html`${tools('sample-list', 'samples', outcomes)}
            <div id="sample-list">${samples.map(one)}</div>`
    }
  </section>`;
}

function one(sample: ReportSample): Markup {
  const { key } = sample;
  const name = key.key ?? `${key.prefix}…${key.hmac.slice(0, 12)}`;
  const where = [sample.endpoint, sample.gateway].filter((text) => text !== undefined).join(' · ');
  return html`<details class="sample" data-item="${sample.outcome}">
    <summary>
      ${chip(sample.outcome)} <b>${sample.mismatch}</b> <bdi class="mono name-cell">${name}</bdi>
      <span class="hint">${where}</span>
      <span class="hint">${sample.at !== undefined && shortTime(sample.at)}</span>
    </summary>
    ${sides(sample)}
  </details>`;
}

function sides(sample: ReportSample): Markup {
  const { source, target } = sample;
  const rows: readonly (readonly [name: string, of: (side: NonNullable<ReportSample['source']>) => Child])[] =
    [
      ['status', (side) => side.status ?? ''],
      ['length', (side) => `${count(side.length)} bytes`],
      ['content', (side) => html`<bdi class="mono">${side.text ?? side.hmac.slice(0, 16)}</bdi>`],
      ['index', (side) => String(side.modifyIndex)],
      ['flags', (side) => side.flags ?? ''],
      ['lock', (side) => (side.held === undefined ? '' : side.held ? 'held' : 'free')],
    ];
  const compared = {
    status: 'status',
    length: 'length',
    content: 'hmac',
    flags: 'flags',
    lock: 'held',
  } as const;
  const differs = (name: string): boolean => {
    if (source === null || target === null) return false;
    const field = compared[name as keyof typeof compared];
    return field !== undefined && source[field] !== target[field];
  };
  const cell = (
    side: ReportSample['source'],
    of: (side: NonNullable<ReportSample['source']>) => Child,
  ): Child => (side === null ? html`<span class="hint">not there</span>` : of(side));
  return html`<div class="scroll">
    <table>
      <thead>
        <tr>
          <th scope="col"></th>
          <th scope="col">source</th>
          <th scope="col">gateway</th>
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ([name, of]) =>
            html`<tr><td>${name}</td><td${differs(name) && html` class="differs"`}>${cell(source, of)}</td><td${differs(name) && html` class="differs"`}>${cell(target, of)}</td></tr>`,
        )}
        <tr>
          <td>looked at</td>
          <td colspan="2">${count(sample.looks)} times, open for ${msText(sample.openMs)}</td>
        </tr>
        ${
          sample.fields.length > 0 &&
          html`<tr>
            <td>fields</td>
            <td colspan="2"><bdi>${sample.fields.join(', ')}</bdi></td>
          </tr>`
        }${
          sample.rule !== undefined &&
          html`<tr>
            <td>rule</td>
            <td colspan="2">
              <bdi class="mono">${sample.rule === '' ? '(all)' : sample.rule}</bdi> ${sample.phase}
            </td>
          </tr>`
        }
        <tr>
          <td>hash of the key</td>
          <td colspan="2"><span class="mono">${sample.key.hmac}</span></td>
        </tr>
      </tbody>
    </table>
  </div>`;
}
