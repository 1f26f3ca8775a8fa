import { ask, order, orderMs, rights } from './api.js';
import { setUpDialog } from './dialog.js';
import { byId, h, morphChildren, visible } from './dom.js';
import { ruleName } from './format.js';
import { gatewayCards } from './gateways.js';
import { History } from './history.js';
import { readLooks } from './looks.js';
import { phases, readStatus } from './model.js';
import { notices } from './notices.js';
import { openAllow, openPanic, openPause, openQuarantine, openRehearsal } from './orders.js';
import { openPlan } from './plan-dialog.js';
import { openVerify } from './verify-dialog.js';
import { overview } from './overview.js';
import { Poller } from './poller.js';
import { ruleCard, ruleKey } from './rule-card.js';
import { fields, text } from './shape.js';
import { openStep } from './step-dialog.js';

const rightsEveryMs = 30_000;
const looksEveryMs = 4000;
const logMax = 50;

const history = new History();
/** @type {import('./model.js').View | null} */
let view = null;
let mayOrder = false;
let rightsAtMs = -Infinity;
/** @type {ReadonlyMap<string, import('./looks.js').Look>} */
let looks = new Map();
let looksDueMs = 0;
let isLooking = false;

const poller = new Poller(async () => {
  await learnRights();
  const answer = await ask('status');
  if (!answer.ok) return answer.why;
  const next = readStatus(answer.body);
  remember(next);
  report(view, next);
  view = next;
  render();
  void lookAtGates();
  return null;
}, showConnection);

async function learnRights() {
  if (performance.now() - rightsAtMs < rightsEveryMs) return;
  const answer = await rights();
  if (!answer.ok) return;
  rightsAtMs = performance.now();
  const { write, why, node } = fields(answer.body);
  mayOrder = write === true;
  const note = byId('read-only', HTMLElement);
  note.hidden = mayOrder;
  note.textContent = mayOrder
    ? ''
    : `Read-only: ${visible(text(why) ?? 'this gateway takes no orders from here')}`;
  byId('node', HTMLElement).textContent = visible(text(node) ?? '');
  document.title = `Migration · ${visible(text(node) ?? 'Grapevine')}`;
}

/** Gates and comparisons, which all gateways have to be asked for: not every second, and nothing waits for it. */
async function lookAtGates() {
  if (isLooking || performance.now() < looksDueMs) return;
  isLooking = true;
  const answer = await ask('gates', orderMs);
  isLooking = false;
  looksDueMs = performance.now() + looksEveryMs;
  // What was seen before is not how it is now.
  looks = answer.ok ? readLooks(answer.body) : new Map();
  render();
}

/** @param {import('./model.js').View} next */
function remember(next) {
  const names = new Set();
  const add = (/** @type {string} */ name, /** @type {number | null} */ value) => {
    names.add(name);
    history.add(name, value);
  };
  for (const rule of next.rules) {
    const key = ruleKey(rule);
    if (rule.tail !== null) {
      add(`lag ${key}`, rule.tail.lagMs);
      add(`rate ${key}`, rule.tail.perSecond);
    }
    if (rule.reverse !== null) add(`back ${key}`, rule.reverse.pending);
  }
  history.keep(names);
}

/**
 * Says what changed, for those who look away and those who listen.
 * @param {import('./model.js').View | null} before
 * @param {import('./model.js').View} now
 */
function report(before, now) {
  if (before === null) return;
  const old = new Map(before.rules.map((rule) => [ruleKey(rule), rule]));
  for (const rule of now.rules) {
    const was = old.get(ruleKey(rule));
    if (was === undefined || was.phase !== rule.phase)
      log(`${ruleName(rule)}: ${phases[rule.phase]}${rule.reason === null ? '' : ` (“${rule.reason}”)`}`);
    if (!was?.tail?.backfilled && rule.tail?.backfilled) log(`${ruleName(rule)}: everything is copied`);
    if (rule.tail?.breaker && was?.tail?.breaker !== rule.tail.breaker)
      log(`${ruleName(rule)}: many deletes are held back`);
    if (rule.tail?.problem && was?.tail?.problem !== rule.tail.problem)
      log(`${ruleName(rule)}: ${rule.tail.problem}`);
  }
  if (before.copying.paused !== now.copying.paused)
    log(now.copying.paused === null ? 'Copying goes on' : `Copying is paused: “${now.copying.paused}”`);
  for (const { name, alive } of now.gateways) {
    const was = before.gateways.find((each) => each.name === name);
    if (was?.alive !== alive) log(`${name} is ${alive ? 'alive' : 'not reachable'}`);
  }
}

/** @param {string} said */
function log(said) {
  const entries = byId('log', HTMLElement);
  entries.prepend(h('li', {}, h('time', {}, new Date().toLocaleTimeString('en-GB')), ` ${said}`));
  while (entries.children.length > logMax) entries.lastChild?.remove();
}

/** @param {import('./poller.js').Connection} connection */
function showConnection(connection) {
  const shown = byId('connection', HTMLElement);
  byId('again', HTMLElement).hidden = connection.kind !== 'waiting';
  document.body.classList.toggle('stale', connection.kind === 'waiting');
  shown.setAttribute('data-state', connection.kind);
  if (connection.kind === 'live') shown.textContent = 'live';
  else if (connection.kind === 'hidden') shown.textContent = 'paused while hidden';
  else {
    shown.textContent = visible(`${connection.why}; again in ${connection.seconds} s`);
    if (connection.failures === 1) logOnce(`No answer: ${connection.why}`);
  }
}

let lastLogged = '';

/** @param {string} said */
function logOnce(said) {
  const now = `${said} ${Math.floor(performance.now() / 10_000)}`;
  if (now !== lastLogged) log(said);
  lastLogged = now;
}

function render() {
  if (view === null) return;
  const now = view;
  const mayAct = mayOrder;
  morphChildren(byId('notices', HTMLElement), notices(now, mayAct));
  morphChildren(byId('overview', HTMLElement), overview(now, mayAct));
  morphChildren(
    byId('rules', HTMLElement),
    now.rules.length === 0
      ? [
          h(
            'p',
            { class: 'card' },
            'Nothing is migrated yet: no rules. The first gateway that has a source configured (migration.source) writes them.',
          ),
        ]
      : now.rules.map((rule) => ruleCard(rule, looks.get(ruleKey(rule)), history, mayAct)),
  );
  morphChildren(byId('gateways', HTMLElement), [gatewayCards(now.gateways, now.runner)]);
  byId('new-rule', HTMLElement).hidden = now.rules.length === 0;
  for (const field of byId('new-rule', HTMLElement).querySelectorAll('input, button'))
    field.toggleAttribute('disabled', !mayAct);
  byId('panic', HTMLButtonElement).disabled = !mayAct || now.rules.length === 0;
}

/** After an order: what came of it, and how things are now. @param {string} said */
function ordered(said) {
  log(said);
  looksDueMs = 0;
  poller.now();
}

/** @param {string | null} kind @param {string | null} prefix */
function ruleOf(kind, prefix) {
  return view?.rules.find((rule) => rule.kind === kind && rule.prefix === prefix);
}

/** @param {string} what @param {object} body @param {string} said */
async function orderNow(what, body, said) {
  const answer = await order(what, body);
  ordered(answer.ok ? said : `Not done: ${answer.why}`);
}

/** @param {Element} button */
function act(button) {
  const rule = ruleOf(button.getAttribute('data-kind'), button.getAttribute('data-prefix'));
  switch (button.getAttribute('data-action')) {
    case 'step':
      if (rule !== undefined)
        openStep(rule, button.getAttribute('data-phase') ?? '', gatewayNames(), ordered);
      return;
    case 'pause':
      return openPause(ordered);
    case 'resume':
      return void orderNow('resume', {}, 'Copying goes on');
    case 'panic':
      return openPanic(ordered);
    case 'rehearse':
      return openRehearsal(ordered);
    case 'breaker':
      if (rule === undefined) return;
      if (button.getAttribute('data-answer') === 'allow') return openAllow(rule, ordered);
      return void orderNow('breaker', { prefix: rule.prefix, allow: false }, 'They are kept here');
    case 'plan':
      return openPlan();
    case 'verify':
      if (rule !== undefined) openVerify(rule, ordered);
      return;
    case 'quarantine':
      if (rule !== undefined) void openQuarantine(rule, mayOrder, ordered);
      return;
    default:
  }
}

function gatewayNames() {
  return view?.gateways.map(({ name }) => name) ?? [];
}

/** A rule of its own for a prefix: one step from the rule that it is in. @param {string} prefix */
function begin(prefix) {
  const own = ruleOf('kv', prefix);
  const around = (view?.rules ?? [])
    .filter((rule) => rule.kind === 'kv' && prefix.startsWith(rule.prefix))
    .toSorted((a, b) => b.prefix.length - a.prefix.length)[0];
  const phase = phases[Math.min((own ?? around)?.phase ?? 0, phases.length - 2) + 1] ?? 'mirror';
  openStep({ kind: 'kv', prefix, step: own?.step ?? 0 }, phase, gatewayNames(), ordered);
}

setUpDialog();
document.addEventListener('click', (event) => {
  const button = event.target instanceof Element ? event.target.closest('button[data-action]') : null;
  if (button !== null) act(button);
});
byId('new-rule', HTMLFormElement).addEventListener('submit', (event) => {
  event.preventDefault();
  begin(byId('new-prefix', HTMLInputElement).value);
});
byId('again', HTMLElement).addEventListener('click', () => poller.now());
poller.start();
