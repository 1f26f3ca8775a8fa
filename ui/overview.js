import { h } from './dom.js';
import { count, counted, duration, moment } from './format.js';

/**
 * The source, who copies, and what is about all rules.
 * @param {import('./model.js').View} view
 * @param {boolean} mayOrder
 */
export function overview(view, mayOrder) {
  return [
    sourceFact(view, mayOrder),
    copyingFact(view, mayOrder),
    sessionsFact(view),
    rehearsalFact(view, mayOrder),
  ];
}

/**
 * @param {string} name
 * @param {import('./dom.js').Child} value
 * @param {readonly import('./dom.js').Child[]} lines
 * @param {import('./dom.js').Child} [button]
 */
function fact(name, value, lines, button) {
  return h(
    'div',
    { class: 'card fact', 'data-key': name },
    h('h3', {}, name),
    h('p', { class: 'value' }, value),
    lines.filter(Boolean).map((line) => h('p', { class: 'hint' }, line)),
    button,
  );
}

/**
 * @param {import('./model.js').View} view
 * @param {boolean} mayOrder
 */
function sourceFact({ source, gateways, copying, runner }, mayOrder) {
  const troubled = gateways.filter(({ trouble }) => trouble !== null);
  const asked = gateways.filter(({ hasSource }) => hasSource);
  const state =
    copying.otherCluster !== null
      ? chip('bad', 'another cluster answers')
      : asked.length === 0
        ? chip('unknown', 'not configured')
        : troubled.length > 0 || copying.problem !== null
          ? chip('bad', 'trouble')
          : copying.isUp
            ? chip('good', 'answers')
            : chip('unknown', 'not asked yet');
  return fact(
    'Source',
    state,
    [
      asked.find(({ address }) => address !== null)?.address,
      source === null
        ? 'not agreed on yet'
        : [h('code', {}, source.id), `, timeline ${count(source.timeline)}`],
      copying.problem,
      ...troubled.map(({ name, trouble }) => `${name}: ${trouble ?? ''}`),
    ],
    h(
      'button',
      {
        type: 'button',
        class: 'small',
        'data-key': 'plan',
        'data-action': 'plan',
        disabled: !mayOrder || runner === null,
      },
      'Plan…',
    ),
  );
}

/**
 * @param {import('./model.js').View} view
 * @param {boolean} mayOrder
 */
function copyingFact({ runner, copying }, mayOrder) {
  const state =
    copying.paused !== null
      ? chip('unknown', 'paused')
      : runner === null
        ? chip('bad', 'nobody')
        : copying.running
          ? chip('good', 'runs')
          : chip('off', 'idle');
  const button =
    copying.paused === null
      ? h(
          'button',
          {
            type: 'button',
            class: 'small',
            'data-key': 'pause',
            'data-action': 'pause',
            disabled: !mayOrder || runner === null,
          },
          'Pause copying…',
        )
      : h(
          'button',
          {
            type: 'button',
            class: 'small',
            'data-key': 'resume',
            'data-action': 'resume',
            disabled: !mayOrder,
          },
          'Resume copying',
        );
  return fact(
    'Copying',
    state,
    [
      runner === null ? null : `at ${runner}`,
      copying.paused === null ? null : `“${copying.paused}”`,
      runner === null ? 'no gateway that lives has the source configured' : null,
    ],
    button,
  );
}

/** @type {Readonly<Record<string, string>>} */
const sessionModes = {
  none: 'not asked yet',
  source: 'the source’s',
  paired: 'on both sides',
  here: 'this fleet’s',
};

/** @param {import('./model.js').View} view */
function sessionsFact({ gateways }) {
  const told = gateways.map(({ sessions }) => sessions).filter((each) => each !== null);
  const [first] = told;
  if (first === undefined) return fact('Sessions', 'not known', []);
  const paired = Math.max(...told.map((each) => each.paired));
  const problems = told.map(({ problem }) => problem).filter((each) => each !== null);
  const modes = [...new Set(told.map(({ mode }) => sessionModes[mode] ?? mode))].join(', ');
  return fact(
    'Sessions',
    [problems.length > 0 ? [chip('bad', 'trouble'), ' '] : null, modes],
    [counted(paired, 'session is', 'sessions are') + ' paired', ...problems],
  );
}

/**
 * @param {import('./model.js').View} view
 * @param {boolean} mayOrder
 */
function rehearsalFact({ rehearsal, runner }, mayOrder) {
  const state =
    rehearsal === null ? 'never' : rehearsal.ok ? chip('good', 'went well') : chip('bad', 'failed');
  return fact(
    'Rehearsal',
    state,
    [
      rehearsal === null
        ? 'a cutover needs one: walked there and back on keys of its own'
        : [
            `${duration(Math.max(0, Date.now() - rehearsal.atMs)).replace(/ \d+ (s|min)$/, '')} ago`,
            rehearsal.by !== null && ` by ${rehearsal.by}`,
          ],
      rehearsal !== null && moment(rehearsal.atMs),
    ],
    h(
      'button',
      {
        type: 'button',
        class: 'small',
        'data-key': 'rehearse',
        'data-action': 'rehearse',
        disabled: !mayOrder || runner === null,
      },
      'Rehearse…',
    ),
  );
}

/**
 * @param {'good' | 'bad' | 'unknown' | 'off'} state
 * @param {string} word
 */
export function chip(state, word) {
  return h('span', { class: `chip ${state}` }, word);
}
