import { order } from './api.js';
import { isChecked, onDialogInput, openDialog, valueOf } from './dialog.js';
import { h } from './dom.js';
import { duration, ruleName } from './format.js';
import { gateList } from './gates.js';
import { readGate } from './looks.js';
import { chip } from './overview.js';
import { fields, list, number, text, texts } from './shape.js';

/** @typedef {{ readonly kind: string, readonly prefix: string, readonly step: number }} Target */
/** @typedef {ReturnType<typeof readReport>} Report */

/**
 * A step: its dry run first, then a reason, then the order.
 * @param {Target} target
 * @param {string} phase
 * @param {readonly string[]} gateways
 * @param {(said: string) => void} done
 */
export function openStep(target, phase, gateways, done) {
  const title = `${ruleName(target)}: to ${phase}`;
  /** @type {Report | null} */
  let report = null;
  /** @type {string | null} */
  let problem = null;
  /** @type {'looking' | 'asking' | 'making' | 'made'} */
  let state = 'looking';

  const body = (/** @type {boolean} */ dryRun) => ({
    ...{ kind: target.kind, prefix: target.prefix, phase, dryRun, reason: valueOf('step-reason').trim() },
    // Somebody else may be faster.
    ...{ expectStep: target.step, override: !dryRun && isChecked('step-override'), without: without() },
  });
  const without = () => gateways.filter((_, i) => isChecked(`step-without-${i}`));

  const look = async () => {
    state = 'looking';
    render();
    const answer = await order('step', body(true));
    report = answer.ok ? readReport(answer.body) : null;
    problem = answer.ok ? null : answer.why;
    state = 'asking';
    render();
  };
  const make = async () => {
    state = 'making';
    render();
    const answer = await order('step', body(false));
    problem = answer.ok ? null : answer.why;
    report = answer.ok ? readReport(answer.body) : report;
    const isMade = answer.ok && (report?.result === 'done' || report?.result === 'waiting');
    state = isMade ? 'made' : 'asking';
    render();
    done(problem ?? report?.message ?? '');
  };

  const content = () => {
    const open = (report?.gates ?? []).filter((gate) => gate.state !== 'green');
    const isReady =
      state === 'asking' &&
      report !== null &&
      valueOf('step-reason').trim() !== '' &&
      (open.length === 0 || isChecked('step-override'));
    const isAsking = state !== 'made';
    return {
      title: state === 'made' ? `${ruleName(target)}: ${report?.to ?? phase}` : title,
      busy: state === 'looking' || state === 'making',
      closeLabel: state === 'made' ? 'Close' : 'Cancel',
      body: [
        h('p', { class: 'hint', 'data-key': 'state' }, sayState(state, report)),
        problem !== null && h('p', { class: 'notice bad', role: 'alert', 'data-key': 'problem' }, problem),
        report !== null && result(report),
        isAsking &&
          h(
            'label',
            { 'data-key': 'reason' },
            'Reason, kept with the rule ',
            h('input', { id: 'step-reason', type: 'text', autocomplete: 'off', 'aria-required': 'true' }),
          ),
        isAsking &&
          open.length > 0 &&
          h(
            'label',
            { class: 'check', 'data-key': 'override' },
            h('input', { id: 'step-override', type: 'checkbox' }),
            ` Pass over ${open.map(({ name }) => name).join(', ')}: every later report says so`,
          ),
        isAsking &&
          open.some(({ name }) => name === 'gateways-act-on-this-step') &&
          h(
            'fieldset',
            { 'data-key': 'without' },
            h('legend', {}, 'Do not wait for (it may answer by the old step until it is back)'),
            gateways.map((name, i) =>
              h(
                'label',
                { class: 'check', 'data-key': name },
                h('input', { id: `step-without-${i}`, type: 'checkbox' }),
                ` ${name}`,
              ),
            ),
          ),
      ],
      buttons: isAsking
        ? [
            { label: 'Look again', disabled: state !== 'asking', act: () => void look() },
            {
              label: `Step to ${phase}`,
              className: open.length > 0 ? 'danger' : 'main',
              disabled: !isReady,
              act: () => void make(),
            },
          ]
        : [],
    };
  };
  const update = openDialog(content());
  const render = () => update(content());
  onDialogInput(render);
  void look();
}

/**
 * @param {string} state
 * @param {Report | null} report
 */
function sayState(state, report) {
  switch (state) {
    case 'looking':
      return 'Dry run: looking at every gate…';
    case 'making':
      return 'Making the step; it is done when every gateway acts on it…';
    case 'made':
      return 'The step is made.';
    default:
      return report === null
        ? 'The dry run was refused.'
        : report.dryRun
          ? 'Dry run: nothing was changed yet.'
          : 'The step was not made.';
  }
}

/** @param {Report} report */
function result(report) {
  return h(
    'div',
    { 'data-key': 'result' },
    h('p', { class: 'said' }, report.message),
    report.gates.length > 0 && h('h3', {}, 'Gates'),
    gateList(report.gates, 'Gates'),
    report.dryRun && [
      h('h3', {}, 'What would be done'),
      h(
        'ol',
        { class: 'actions' },
        report.actions.map((action) => h('li', {}, action)),
      ),
    ],
    report.waitingFor.length > 0 &&
      h(
        'ul',
        { class: 'lines' },
        report.waitingFor.map(({ gateway, why }) =>
          h('li', {}, chip('unknown', 'waiting'), ` ${gateway}: ${why}`),
        ),
      ),
    report.heldMs !== null && h('p', { class: 'hint' }, `Writes were held for ${duration(report.heldMs)}.`),
  );
}

/** @param {unknown} body */
function readReport(body) {
  const said = fields(body);
  return {
    to: text(said['to']) ?? '',
    dryRun: said['dryRun'] === true,
    result: text(said['result']) ?? '',
    message: text(said['message']) ?? '',
    gates: list(said['gates']).map(readGate),
    actions: texts(said['actions']),
    waitingFor: list(said['waitingFor'])
      .map(fields)
      .map((each) => ({ gateway: text(each['gateway']) ?? '?', why: text(each['why']) ?? '' })),
    heldMs: number(said['heldMs']),
  };
}
