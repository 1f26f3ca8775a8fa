import { h } from './dom.js';
import { count, counted } from './format.js';
import { chip } from './overview.js';

/**
 * @param {readonly import('./model.js').Gateway[]} gateways
 * @param {string | null} runner
 */
export function gatewayCards(gateways, runner) {
  const modes = new Set(gateways.map(({ sessions }) => sessions?.mode).filter((mode) => mode !== undefined));
  return h(
    'ul',
    { class: 'gateways' },
    gateways.map((gateway) =>
      h(
        'li',
        { class: 'card', 'data-key': gateway.name },
        h(
          'h3',
          {},
          gateway.name,
          ' ',
          gateway.alive ? chip('good', 'alive') : chip('bad', 'not reachable'),
          gateway.name === runner && [' ', chip('off', 'copies')],
        ),
        gateway.answers
          ? h(
              'dl',
              {},
              !gateway.hasSource && row('Source', 'not configured: it refuses what the source answers'),
              gateway.trouble !== null && row('Source', gateway.trouble),
              !gateway.known && row('Steps', 'has not heard of the newest ones yet'),
              row('Writes not done on both sides', count(gateway.open)),
              gateway.repairs > 0 &&
                row(
                  'Keys to be repaired',
                  `${count(gateway.repairs)}${gateway.repairProblem === null ? '' : `: ${gateway.repairProblem}`}`,
                ),
              // What all say alike stands above.
              gateway.sessions !== null &&
                (modes.size > 1 || gateway.sessions.problem !== null) &&
                row(
                  'Sessions',
                  `${gateway.sessions.mode}, ${counted(gateway.sessions.paired, 'pair')}${gateway.sessions.problem === null ? '' : `: ${gateway.sessions.problem}`}`,
                ),
              gateway.busy !== null &&
                row('Makes a step', `${gateway.busy}${gateway.stage === null ? '' : ` (${gateway.stage})`}`),
              gateway.lastMove !== null && row('Last move', gateway.lastMove),
            )
          : h('p', { class: 'hint' }, gateway.problem ?? 'it does not answer'),
      ),
    ),
  );
}

/**
 * @param {string} name
 * @param {string} value
 */
function row(name, value) {
  return h('div', { 'data-key': name }, h('dt', {}, name), h('dd', {}, value));
}
