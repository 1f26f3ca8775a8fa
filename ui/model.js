import { fields, list, number, text, texts } from './shape.js';

// What `/v1/grapevine/migration/status` says, as the page shows it: by rule, not by gateway.

export const phases = ['passthrough', 'mirror', 'dual', 'shadow', 'local-reads', 'cutover', 'final'];

/** What each phase means, for those who hover and those who listen. */
export const meanings = [
  'the source answers everything',
  'the source answers; everything is copied here',
  'writes go to the source first, then here',
  'reads of both sides are compared',
  'reads are answered here, writes go to both',
  'this fleet decides; changes are copied back',
  'this fleet decides alone',
];

/** @typedef {ReturnType<typeof readStatus>} View */
/** @typedef {ReturnType<typeof readRule>} Rule */
/** @typedef {ReturnType<typeof readGateway>} Gateway */

/** @param {unknown} body */
export function readStatus(body) {
  const said = fields(body);
  const source = fields(said['source']);
  const rehearsal = fields(said['rehearsal']);
  const gateways = list(said['gateways']).map(readGateway);
  const runner = text(said['runner']);
  const runs = gateways.find(({ name }) => name === runner);
  return {
    source:
      text(source['id']) === null ? null : { id: String(source['id']), timeline: number(source['timeline']) },
    runner,
    copying: readCopying(runs?.tail ?? {}),
    rehearsal:
      number(rehearsal['atMs']) === null
        ? null
        : {
            atMs: Number(rehearsal['atMs']),
            ok: rehearsal['ok'] === true,
            by: text(rehearsal['by']),
          },
    rules: list(said['rules'])
      .map((rule) => readRule(fields(rule), gateways, runner))
      // Rules of keys first, the widest at the top.
      .toSorted((a, b) => Number(a.kind === 'catalog') - Number(b.kind === 'catalog')),
    gateways,
  };
}

/** Of the runner. @param {import('./shape.js').Fields} tail */
function readCopying(tail) {
  const source = fields(tail['source']);
  const other = fields(tail['otherCluster']);
  return {
    running: tail['running'] === true,
    paused: text(tail['paused']),
    problem: text(tail['problem']),
    isUp: text(source['datacenter']) !== null || Object.keys(source).length > 0,
    otherCluster: text(other['found']),
  };
}

/** @param {unknown} each */
function readGateway(each) {
  const gateway = fields(each);
  const status = fields(gateway['status']);
  const parts = fields(status['parts']);
  const dual = fields(parts['dual']);
  const sessions = fields(parts['sessions']);
  const steps = fields(status['steps']);
  const upstream = fields(dual['source']);
  return {
    name: text(gateway['name']) ?? '?',
    alive: gateway['alive'] === true,
    answers: gateway['status'] !== null && gateway['status'] !== undefined,
    problem: text(gateway['problem']),
    hasSource: status['hasSource'] === true,
    known: status['known'] === true,
    address: text(upstream['address']),
    trouble: text(upstream['trouble']),
    busy: text(steps['busy']),
    stage: text(steps['stage']),
    lastMove: text(steps['lastMove']),
    open: number(dual['open']),
    repairs: number(dual['repairs']) ?? 0,
    repairProblem: text(dual['repairProblem']),
    sessions:
      Object.keys(sessions).length === 0
        ? null
        : {
            mode: text(sessions['mode']) ?? '?',
            paired: number(sessions['paired']) ?? 0,
            problem: text(sessions['problem']),
          },
    tail: fields(parts['tail']),
    rules: list(status['rules']).map(fields),
  };
}

/**
 * @param {import('./shape.js').Fields} rule
 * @param {readonly Gateway[]} gateways
 * @param {string | null} runner
 */
function readRule(rule, gateways, runner) {
  const kind = text(rule['kind']) ?? 'kv';
  const prefix = text(rule['prefix']) ?? '';
  const step = number(rule['step']) ?? 0;
  const told = gateways.map((gateway) => ({
    gateway,
    own: gateway.rules.find((own) => own['kind'] === kind && (text(own['prefix']) ?? '') === prefix),
  }));
  const byRunner = told.find(({ gateway }) => gateway.name === runner)?.own;
  const tail = fields(byRunner?.['tail']);
  const repairs = told.map(({ own }) => fields(own?.['repairs']));
  const reverse = told
    .map(({ own }) => fields(own?.['reverse']))
    .filter((each) => number(each['pending']) !== null);
  return {
    kind,
    prefix,
    /** It is there for a rehearsal alone. */
    ofRehearsal: rule['rehearsal'] === true,
    phase: Math.max(0, phases.indexOf(text(rule['phase']) ?? '')),
    step,
    sinceMs: number(rule['sinceMs']) ?? 0,
    reason: text(rule['reason']),
    overridden: texts(rule['overridden']),
    tail:
      number(tail['items']) === null
        ? null
        : {
            backfilled: tail['backfilled'] === true,
            items: Number(tail['items']),
            itemsTotal: number(tail['itemsTotal']),
            bytes: number(tail['bytes']) ?? 0,
            perSecond: number(tail['itemsPerSecond']),
            lagMs: number(tail['lagMs']),
            etaMs: number(tail['etaMs']),
            throttledBy: texts(tail['throttledBy']),
            breaker: text(tail['breaker']),
            problem: text(tail['problem']),
            through: number(tail['verifiedThroughIndex']),
          },
    repairs: {
      keys: repairs.reduce((sum, each) => sum + (number(each['keys']) ?? 0), 0),
      oldestMs: Math.max(0, ...repairs.map((each) => number(each['oldestMs']) ?? 0)),
    },
    reverse:
      reverse.length === 0
        ? null
        : {
            pending: reverse.reduce((sum, each) => sum + (number(each['pending']) ?? 0), 0),
            lagMs: reverse.some((each) => number(each['lagMs']) === null)
              ? null
              : Math.max(...reverse.map((each) => number(each['lagMs']) ?? 0)),
            quarantined: reverse.reduce((sum, each) => sum + (number(each['quarantined']) ?? 0), 0),
            lost: reverse.some((each) => each['lost'] === true),
            problem: reverse.map((each) => text(each['problem'])).find((each) => each !== null) ?? null,
          },
    acks: told.map(({ gateway, own }) => ({ name: gateway.name, ...acknowledgement(gateway, own, step) })),
  };
}

/**
 * @param {Gateway} gateway
 * @param {import('./shape.js').Fields | undefined} own
 * @param {number} step
 */
function acknowledgement(gateway, own, step) {
  if (!gateway.alive) return { acts: false, why: 'not reachable' };
  if (!gateway.answers) return { acts: false, why: gateway.problem ?? 'does not answer' };
  const at = number(own?.['step']);
  if (at === null) return { acts: false, why: 'has not heard of this rule' };
  if (at < step) return { acts: false, why: `still at step ${at}` };
  const older = number(own?.['older']) ?? 0;
  return older > 0 ? { acts: false, why: `still answers ${older} older requests` } : { acts: true, why: '' };
}
