import { h } from './dom.js';
import { count, counted, duration, ruleName } from './format.js';
import { confirm } from './orders.js';
import { chip } from './overview.js';
import { fields, number, text, texts } from './shape.js';

const keysShown = 20;

/**
 * Compares everything of a rule, and shows what differs.
 * @param {import('./model.js').Rule} rule
 * @param {(said: string) => void} tell
 */
export function openVerify(rule, tell) {
  const isCatalog = rule.kind === 'catalog';
  confirm(
    {
      title: `Verify ${ruleName(rule)}`,
      text: [
        h(
          'p',
          {},
          isCatalog
            ? 'Reads every node, service and check of both sides. '
            : 'Reads every key of both sides below the prefix. ',
          'What differs is looked at again, for up to half a minute; nothing is changed. The report counts it as a sweep.',
        ),
      ],
      ...{ label: 'Compare everything', what: 'verify' },
      body: () => ({ prefix: rule.prefix, kind: rule.kind }),
      said: (body) => found(body, isCatalog),
    },
    tell,
  );
}

/**
 * @param {unknown} body
 * @param {boolean} isCatalog
 */
function found(body, isCatalog) {
  const all = fields(body);
  const said = isCatalog ? fields(all['catalog']) : all;
  const compared = number(said['compared']) ?? 0;
  const equal = number(said['equal']) ?? 0;
  const failure = text(said['failure']);
  const differing = texts(said[isCatalog ? 'entries' : 'keys']);
  const more = compared - equal - Math.min(differing.length, keysShown);
  const isEqual = failure === null && compared === equal;
  const what = isCatalog ? counted(compared, 'entry', 'entries') : counted(compared, 'key');
  return [
    h(
      'p',
      { class: 'said' },
      failure !== null
        ? chip('unknown', 'not known')
        : isEqual
          ? chip('good', 'equal')
          : chip('bad', 'different'),
      failure !== null
        ? ` ${failure}`
        : isEqual
          ? ` ${what}, the same on both sides`
          : ` ${count(compared - equal)} of ${what}`,
      ` (${duration(number(said['tookMs']))})`,
    ),
    !isEqual &&
      failure === null &&
      h(
        'dl',
        { class: 'figures' },
        h('div', {}, h('dt', {}, 'Missing here'), h('dd', {}, count(number(said['missing'])))),
        h('div', {}, h('dt', {}, 'Not at the source'), h('dd', {}, count(number(said['extra'])))),
        h('div', {}, h('dt', {}, 'Different'), h('dd', {}, count(number(said['different'])))),
      ),
    differing.length > 0 &&
      h(
        'ul',
        { class: 'lines', 'aria-label': 'What differs' },
        differing.slice(0, keysShown).map((key) => h('li', {}, h('code', {}, key))),
        more > 0 && h('li', { class: 'hint' }, `and ${count(more)} more`),
      ),
    !isEqual &&
      !isCatalog &&
      h(
        'p',
        { class: 'hint' },
        '“grapevine migrate verify -json” writes a file of them, and “grapevine migrate repair” reads each once more at the source.',
      ),
  ];
}
