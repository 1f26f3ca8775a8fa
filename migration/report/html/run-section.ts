import { count } from '../../terminal/format.ts';
import type { Report } from '../model.ts';
import { msText } from '../numbers.ts';
import { html, type Child, type Markup } from './markup.ts';
import { table } from './tables.ts';

export function runSection(report: Report): Markup {
  const { run, coverage, totals } = report;
  const facts: readonly (readonly [name: string, value: Child])[] = [
    ['from', `${run.startedAt} to ${run.finishedAt} (${msText(run.durationMs)})`],
    ['without a gap', coverage.continuousMs === undefined ? null : msText(coverage.continuousMs)],
    ['source', sideText(run.source)],
    ['gateway', sideText(run.target)],
    [
      'identity of the source',
      run.sourceId === undefined ? null : `${run.sourceId}, history ${run.timeline ?? 0}`,
    ],
    ['one comparison', run.reads],
    ['looked at again after', run.recheck.delaysMs.map(msText).join(', ')],
    [
      'sampled',
      run.sampling.percent === undefined
        ? run.sampling.kind
        : `${run.sampling.percent} % of keys; of these compares ${run.sampling.noisePercent ?? 0} % also against the source itself`,
    ],
    [
      'reads and writes',
      coverage.reads === undefined
        ? null
        : `${count(coverage.reads)} reads (${count(coverage.sampled ?? 0)} sampled, ${count(coverage.busy ?? 0)} passed over while busy), ${count(coverage.writes ?? 0)} writes`,
    ],
    [
      'load',
      run.load === undefined
        ? null
        : `${Number(run.load.readsPerSecond.toPrecision(3))} reads/s, ${Number(run.load.writesPerSecond.toPrecision(3))} writes/s`,
    ],
    ['dropped', totals.dropped === undefined ? null : count(totals.dropped)],
    [
      'failed reads',
      totals.errors === undefined
        ? null
        : `${count(totals.errors.source)} at the source, ${count(totals.errors.target)} here`,
    ],
    [
      'clocks differ by',
      run.clockSkewMsMax === undefined
        ? null
        : run.clockSkewMsMax === null
          ? 'unknown'
          : `${msText(run.clockSkewMsMax)} at most`,
    ],
    ['rules', html`version ${run.rules.version}, <span class="mono">${run.rules.sha256.slice(0, 16)}</span>`],
    ['redaction', `${run.redaction.mode}, secret ${run.redaction.secret}`],
  ];
  const { sweeps = [] } = coverage;
  return html`<section id="run">
    <h2>Run and coverage</h2>
    <dl>
      ${facts
        .filter(([, value]) => value !== null && value !== '')
        .map(
          ([name, value]) =>
            html`<dt>${name}</dt>
              <dd>${value}</dd>`,
        )}
    </dl>
    ${
      (run.phases ?? []).length > 0 &&
      html`<h3>Rules</h3>
        ${table(run.phases ?? [], [
          {
            head: 'rule',
            className: 'name-cell',
            cell: (rule) =>
              rule.of === 'catalog'
                ? 'catalog'
                : html`<code>${rule.prefix === '' ? '(all keys)' : rule.prefix}</code>`,
          },
          { head: 'phase', cell: (rule) => rule.phase },
          { head: 'step', isNumber: true, cell: (rule) => rule.step },
          { head: 'term', isNumber: true, cell: (rule) => rule.term },
          { head: 'since', className: 'nowrap', cell: (rule) => rule.since.slice(0, 16).replace('T', ' ') },
          { head: 'reason', cell: (rule) => rule.reason },
        ])}`
    }${
      sweeps.length > 0 &&
      html`<h3>Full comparisons, both ways</h3>
        ${table(sweeps, [
          {
            head: 'rule',
            className: 'name-cell',
            cell: (sweep) =>
              sweep.of === 'catalog'
                ? 'catalog'
                : html`<code>${sweep.prefix === '' ? '(all keys)' : sweep.prefix}</code>`,
          },
          {
            head: 'finished',
            className: 'nowrap',
            cell: (sweep) => sweep.finishedAt.slice(0, 16).replace('T', ' '),
          },
          { head: 'entries', isNumber: true, cell: (sweep) => count(sweep.compared) },
          { head: 'stayed different', isNumber: true, cell: (sweep) => count(sweep.persistent) },
          { head: 'up to index', isNumber: true, cell: (sweep) => String(sweep.throughIndex) },
          { head: '', cell: (sweep) => sweep.failure || (sweep.filtered ? 'ACLs hid entries' : '') },
        ])}`
    }
  </section>`;
}

function sideText(side: Report['run']['source']): string {
  const { address, node, datacenter, version } = side;
  const where = [node, datacenter === '' ? '' : `in ${datacenter}`].filter((part) => part !== '').join(' ');
  const facts = [where, `version ${version === '' ? 'unknown' : version}`].filter((part) => part !== '');
  return address === '' ? facts.join(', ') : `${address} (${facts.join(', ')})`;
}

const about: readonly (readonly [name: string, what: string])[] = [
  [
    'Differ for good',
    'Read of the source, of the gateway, of the source again; different, and still so after all re-checks while nothing changed. A change in between makes a comparison undecided, never different.',
  ],
  [
    'Bounds at 95 %',
    'Wilson intervals; where differences cluster by key, keys are resampled and the wider interval is printed. Zero of n is not zero: the bound is 3/n.',
  ],
  ['Noise floor', 'How often the source differs from itself when it is asked twice.'],
  [
    't-visibility, staleness',
    'After Probabilistically Bounded Staleness (PBS): how likely a read sees a write t after its acknowledgement, and how old answers are.',
  ],
  [
    'φ, session guarantees',
    'After the consistency study of TAO (SOSP 2015): how often gateways asked at once agree, and how often a client could notice.',
  ],
  [
    'Γ',
    'After Golab and others (ICDCS 2014): how often operations are out of order, and by how much when they are.',
  ],
];

export function aboutSection(): Markup {
  return html`<section id="about">
    <details class="about">
      <summary><b>How to read this</b></summary>
      <dl>
        ${about.map(
          ([name, what]) =>
            html`<dt>${name}</dt>
              <dd>${what}</dd>`,
        )}
      </dl>
    </details>
  </section>`;
}
