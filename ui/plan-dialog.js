import { ask, orderMs } from './api.js';
import { openDialog } from './dialog.js';
import { h } from './dom.js';
import { bytes, count, counted, duration } from './format.js';
import { fields, list, number, text, texts } from './shape.js';

/** What there is to be moved, and what stands in the way. */
export function openPlan() {
  const title = 'What there is to be moved';
  const update = openDialog({
    title,
    busy: true,
    body: [h('p', { class: 'hint' }, 'Reading the names of all keys at the source…')],
    buttons: [],
    closeLabel: 'Close',
  });
  void ask('plan', orderMs).then((answer) =>
    update({
      title,
      body: answer.ok
        ? planOf(fields(answer.body))
        : [h('p', { class: 'notice bad', role: 'alert' }, answer.why)],
      buttons: [],
      closeLabel: 'Close',
    }),
  );
}

/** @param {import('./shape.js').Fields} plan */
function planOf(plan) {
  const source = fields(plan['source']);
  const keys = number(plan['keys']);
  const prefixes = list(plan['prefixes'])
    .map(fields)
    .map((each) => ({ prefix: text(each['prefix']) ?? '', keys: number(each['keys']) ?? 0 }));
  const remarks = list(plan['remarks']).map(fields);
  const refused = Object.entries(fields(plan['refusedEndpoints']));
  const blind = texts(plan['blind']);
  return [
    h(
      'p',
      { class: 'hint' },
      `${text(source['address']) ?? ''}, datacenter ${text(source['datacenter']) ?? '?'}, Consul ${text(source['version']) ?? '?'}`,
    ),
    h(
      'dl',
      { class: 'figures' },
      fact('Keys', count(keys), `about ${bytes(number(plan['bytesEstimated']) ?? 0)}`),
      fact('Services', count(number(plan['services'])), `on ${counted(number(plan['nodes']) ?? 0, 'node')}`),
      fact('Sessions', count(number(plan['sessions'])), null),
      fact('First copy', `about ${duration(number(plan['backfillMsEstimated']))}`, null),
    ),
    blind.length > 0 &&
      section(
        'Not to be seen with this token',
        blind.map((each) => [each]),
      ),
    remarks.length > 0 &&
      section(
        'To be looked at',
        remarks.map((each) => [
          h('strong', {}, text(each['what']) ?? ''),
          `: ${count(number(each['count']))}, `,
          texts(each['some']).map((key, i) => [i > 0 && ', ', h('code', {}, key)]),
        ]),
      ),
    refused.length > 0 &&
      section(
        'Endpoints that clients use and that are refused here',
        refused.map(([path, many]) => [h('code', {}, path), `: ${count(number(many))}`]),
      ),
    prefixes.length > 0 && h('h3', {}, 'Biggest prefixes'),
    h(
      'ul',
      { class: 'bars' },
      prefixes.map((each) =>
        h(
          'li',
          {},
          h('code', {}, each.prefix === '' ? 'keys without “/”' : each.prefix),
          h('meter', { min: 0, max: Math.max(1, keys ?? 1), value: each.keys, 'aria-label': each.prefix }),
          h('span', {}, count(each.keys)),
        ),
      ),
    ),
  ];
}

/**
 * @param {string} name
 * @param {string} value
 * @param {string | null} more
 */
function fact(name, value, more) {
  return h(
    'div',
    {},
    h('dt', {}, name),
    h('dd', {}, value),
    more !== null && h('dd', { class: 'hint' }, more),
  );
}

/**
 * @param {string} title
 * @param {readonly (readonly import('./dom.js').Child[])[]} lines
 */
function section(title, lines) {
  return h(
    'div',
    {},
    h('h3', {}, title),
    h(
      'ul',
      { class: 'lines' },
      lines.map((line) => h('li', {}, line)),
    ),
  );
}
