import { h } from './dom.js';
import { ruleName } from './format.js';

/**
 * What waits for an operator: questions of the breaker, another cluster, what was lost.
 * @param {import('./model.js').View} view
 * @param {boolean} mayOrder
 */
export function notices({ rules, copying, runner }, mayOrder) {
  return [
    copying.otherCluster !== null &&
      notice('other', 'bad', [
        h('strong', {}, 'Another cluster answers at the address of the source: '),
        copying.otherCluster,
        '. Nothing is copied until that is settled.',
      ]),
    runner === null &&
      rules.length > 0 &&
      notice('runner', 'bad', [
        h('strong', {}, 'Nobody copies: '),
        'no gateway that lives has the source configured.',
      ]),
    ...rules.filter(({ tail }) => tail?.breaker).map((rule) => question(rule, mayOrder)),
    ...rules
      .filter(({ reverse }) => (reverse?.quarantined ?? 0) > 0)
      .map((rule) =>
        notice(`quarantine ${rule.kind} ${rule.prefix}`, 'bad', [
          h('strong', {}, `Written past the gateways, below ${ruleName(rule)}: `),
          `${rule.reverse?.quarantined ?? 0} keys are in quarantine.`,
        ]),
      ),
  ].filter((each) => each !== false);
}

/**
 * @param {import('./model.js').Rule} rule
 * @param {boolean} mayOrder
 */
function question(rule, mayOrder) {
  const rest = {
    type: 'button',
    'data-action': 'breaker',
    'data-prefix': rule.prefix,
    'data-kind': rule.kind,
    disabled: !mayOrder,
  };
  return notice(`breaker ${rule.kind} ${rule.prefix}`, 'ask', [
    h('strong', {}, 'Many deletes, held back: '),
    rule.tail?.breaker ?? '',
    h(
      'div',
      { class: 'row' },
      h(
        'button',
        {
          ...rest,
          'data-key': 'refuse',
          'data-answer': 'refuse',
          'aria-label': `Keep them here: ${ruleName(rule)}`,
        },
        'Keep them here',
      ),
      h(
        'button',
        {
          ...rest,
          class: 'danger',
          'data-key': 'allow',
          'data-answer': 'allow',
          'aria-label': `Remove them here too: ${ruleName(rule)}`,
        },
        'Remove them here too…',
      ),
    ),
  ]);
}

/**
 * @param {string} key
 * @param {'bad' | 'ask'} state
 * @param {readonly import('./dom.js').Child[]} children
 */
function notice(key, state, children) {
  return h('div', { class: `notice ${state}`, role: 'alert', 'data-key': key }, children);
}
