import { h } from './dom.js';
import { counted, ruleName } from './format.js';
import { chip } from './overview.js';

/** @typedef {import('./looks.js').Gate} Gate */

/** @type {Readonly<Record<string, string>>} */
const words = { green: '✓ green', red: '✕ red', unknown: '? unknown' };
/** @type {Readonly<Record<string, 'good' | 'bad' | 'unknown'>>} */
const looks = { green: 'good', red: 'bad' };

/**
 * @param {readonly Gate[]} gates
 * @param {string} label
 */
export function gateList(gates, label) {
  return h(
    'ul',
    { class: 'gates', 'aria-label': label },
    gates.map(({ name, state, detail }) =>
      h(
        'li',
        { 'data-key': name, 'data-state': state },
        h('span', {}, chip(looks[state] ?? 'unknown', words[state] ?? state)),
        h('strong', {}, name),
        h('span', { class: 'hint' }, detail),
      ),
    ),
  );
}

/**
 * What a card says of the ways that its rule may go: gates that stop it at once, the green ones unfolded.
 * @param {import('./model.js').Rule} rule
 * @param {import('./looks.js').Look | undefined} look
 */
export function waysOf(rule, look) {
  if (rule.phase === 6) return null;
  const name = ruleName(rule);
  if (look === undefined || look.step !== rule.step)
    return h('p', { class: 'hint', 'data-key': 'ways' }, 'Gates of the next step: not looked at yet');
  return h(
    'div',
    { class: 'ways', 'data-key': 'ways' },
    look.ways.map(({ to, gates }) => {
      const stopping = gates.filter(({ state }) => state !== 'green');
      const green = gates.filter(({ state }) => state === 'green');
      const red = stopping.filter(({ state }) => state === 'red').length;
      const said =
        stopping.length === 0
          ? chip('good', gates.length === 1 ? 'the gate is green' : `all ${gates.length} gates are green`)
          : chip(red > 0 ? 'bad' : 'unknown', summary(red, stopping.length - red, gates.length));
      const head = h('h4', {}, `To ${to} `, said);
      const folded = gateList(green, `Green gates of ${name} to ${to}`);
      return h(
        'section',
        { class: 'way', 'data-key': to, 'aria-label': `Gates of ${name} to ${to}` },
        stopping.length === 0
          ? h('details', { 'data-key': 'all' }, h('summary', {}, head), folded)
          : [
              head,
              gateList(stopping, `Gates that stop ${name} before ${to}`),
              green.length > 0 &&
                h(
                  'details',
                  { 'data-key': 'green' },
                  h('summary', {}, counted(green.length, 'green gate')),
                  folded,
                ),
            ],
      );
    }),
  );
}

/**
 * @param {number} red
 * @param {number} unknown
 * @param {number} all
 */
function summary(red, unknown, all) {
  const parts = [red > 0 && `${red} red`, unknown > 0 && `${unknown} unknown`].filter(Boolean);
  return `${parts.join(', ')} of ${counted(all, 'gate')}`;
}
