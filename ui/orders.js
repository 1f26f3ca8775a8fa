import { ask, order } from './api.js';
import { onDialogInput, openDialog, valueOf } from './dialog.js';
import { h } from './dom.js';
import { moment, ruleName } from './format.js';
import { chip } from './overview.js';
import { fields, list, number, text, texts } from './shape.js';

/** @typedef {(said: string) => void} Tell */
/** @typedef {{ readonly title: string, readonly text: readonly import('./dom.js').Child[], readonly label: string, readonly danger?: boolean, readonly ready?: () => boolean, readonly what: string, readonly body: () => object, readonly said: (body: unknown) => readonly import('./dom.js').Child[] }} Question */

/**
 * Asks, orders, and shows what came of it.
 * @param {Question} question
 * @param {Tell} tell
 */
export function confirm(question, tell) {
  const { title, label } = question;
  /** @type {string | null} */
  let problem = null;
  let busy = false;
  const content = () => ({
    title,
    busy,
    body: [
      ...question.text,
      problem !== null && h('p', { class: 'notice bad', role: 'alert', 'data-key': 'problem' }, problem),
    ],
    buttons: [
      {
        label: busy ? 'Under way…' : label,
        className: question.danger === true ? 'danger' : 'main',
        disabled: busy || question.ready?.() === false,
        act: () => void send(),
      },
    ],
  });
  const send = async () => {
    const body = question.body();
    busy = true;
    update(content());
    const answer = await order(question.what, body);
    busy = false;
    if (!answer.ok) {
      problem = answer.why;
      update(content());
      tell(`${title}: ${answer.why}`);
      return;
    }
    const said = question.said(answer.body);
    update({ title, body: said, buttons: [], closeLabel: 'Close' });
    tell(h('p', {}, ...said).textContent ?? '');
  };
  const update = openDialog(content());
  onDialogInput(() => {
    if (!busy) update(content());
  });
}

/** @param {string} id @param {string} label */
function field(id, label) {
  return h(
    'label',
    { 'data-key': id },
    `${label} `,
    h('input', { id, type: 'text', autocomplete: 'off', spellcheck: 'false' }),
  );
}

/** @param {Tell} tell */
export function openPause(tell) {
  confirm(
    {
      title: 'Pause copying',
      text: [
        h('p', {}, 'Clients are answered as before. Gates of further steps are red until copying goes on.'),
        field('pause-reason', 'Reason, shown in the status'),
      ],
      ...{
        label: 'Pause',
        what: 'pause',
        ready: () => valueOf('pause-reason').trim() !== '',
        body: () => ({ reason: valueOf('pause-reason') }),
      },
      said: () => ['Copying is paused.'],
    },
    tell,
  );
}

/** @param {Tell} tell */
export function openPanic(tell) {
  confirm(
    {
      title: 'Panic: everything to the source',
      danger: true,
      text: [
        h(
          'p',
          {},
          'Every rule that the source decides becomes passthrough: at this gateway at once, then on all others. Where this fleet decides already (cutover, final) nothing is changed.',
        ),
        field('panic-prefix', 'Only below this prefix (empty: everything)'),
        field('panic-reason', 'Reason'),
        field('panic-word', 'Type “panic” to confirm'),
      ],
      ...{
        label: 'Everything to the source',
        what: 'panic',
        ready: () => valueOf('panic-word').trim() === 'panic',
      },
      body: () => ({ prefix: valueOf('panic-prefix'), reason: valueOf('panic-reason').trim() || 'panic' }),
      said: (body) => {
        const { passthrough, problems, stillHere, message } = fields(body);
        return [
          h('p', {}, `${list(passthrough).length} rules are passthrough now. `),
          h('p', { class: 'said' }, text(message) ?? ''),
          h(
            'ul',
            { class: 'lines' },
            texts(problems).map((each) => h('li', {}, chip('bad', 'trouble'), ` ${each}`)),
            list(stillHere)
              .map(fields)
              .map((each) =>
                h(
                  'li',
                  {},
                  chip('unknown', 'unchanged'),
                  ` ${text(each['prefix']) ?? ''} is in phase ${text(each['phase']) ?? '?'}`,
                ),
              ),
          ),
        ];
      },
    },
    tell,
  );
}

/** @param {Tell} tell */
export function openRehearsal(tell) {
  confirm(
    {
      title: 'Rehearse the way back',
      text: [
        h(
          'p',
          {},
          'Walks the prefix _gw/rehearsal/ to a cutover and back, with the same code, and looks at both ends. That takes some seconds.',
        ),
      ],
      ...{ label: 'Rehearse', what: 'rehearse', body: () => ({}) },
      said: (body) => {
        const { ok, text: said, steps } = fields(body);
        return [
          h('p', {}, ok === true ? chip('good', 'went well') : chip('bad', 'failed'), ` ${text(said) ?? ''}`),
          h(
            'ol',
            { class: 'actions' },
            list(steps)
              .map(fields)
              .map((step) => h('li', {}, `${text(step['what']) ?? ''}: ${number(step['tookMs']) ?? '?'} ms`)),
          ),
        ];
      },
    },
    tell,
  );
}

/**
 * @param {import('./model.js').Rule} rule
 * @param {Tell} tell
 */
export function openAllow(rule, tell) {
  confirm(
    {
      title: `Remove them here too: ${ruleName(rule)}`,
      danger: true,
      text: [
        h('p', { class: 'said' }, rule.tail?.breaker ?? ''),
        h(
          'p',
          {},
          'They are gone at the source. Is the source whole? What is removed here is gone here, too.',
        ),
      ],
      ...{
        label: 'Remove them',
        what: 'breaker',
        body: () => ({ prefix: rule.prefix, allow: true }),
        said: () => ['They are removed.'],
      },
    },
    tell,
  );
}

/**
 * @param {{ readonly kind: string, readonly prefix: string }} rule
 * @param {boolean} mayOrder
 * @param {Tell} tell
 */
export async function openQuarantine(rule, mayOrder, tell) {
  const title = `In quarantine below ${ruleName(rule)}`;
  const update = openDialog({ title, body: ['Looking…'], buttons: [], closeLabel: 'Close' });
  const answer = await ask(`quarantine?prefix=${encodeURIComponent(rule.prefix)}`);
  if (!answer.ok) {
    update({ title, body: [h('p', { class: 'notice bad' }, answer.why)], buttons: [], closeLabel: 'Close' });
    return;
  }
  const keys = list(answer.body)
    .map(fields)
    .map((row) => ({ key: text(row['key']) ?? '', why: text(row['why']) ?? '', atMs: number(row['atMs']) }));
  const shown = keys.slice(0, 50);
  const more = keys.length - shown.length;
  update({
    title,
    closeLabel: 'Close',
    body: [
      h('p', {}, 'Somebody wrote these at the source, past the gateways. They are left alone there.'),
      h(
        'ul',
        { class: 'lines' },
        shown.map(({ key, why, atMs }) =>
          h('li', {}, h('code', {}, key), ` ${why}${atMs === null ? '' : `, ${moment(atMs)}`}`),
        ),
      ),
      more > 0 && h('p', { class: 'hint' }, `and ${more} more: “grapevine migrate quarantine” lists them`),
    ],
    buttons:
      mayOrder && shown.length > 0
        ? [
            {
              label: `Overwrite ${shown.length === 1 ? 'it' : `these ${shown.length}`} at the source…`,
              className: 'danger',
              act: () =>
                keepHere(
                  shown.map(({ key }) => key),
                  tell,
                ),
            },
          ]
        : [],
  });
}

/**
 * @param {readonly string[]} keys
 * @param {Tell} tell
 */
function keepHere(keys, tell) {
  confirm(
    {
      title: 'Overwrite at the source',
      danger: true,
      text: [
        h(
          'p',
          {},
          'What was written at the source past the gateways is lost: what is here is copied over it.',
        ),
        h(
          'ul',
          { class: 'lines' },
          keys.map((key) => h('li', {}, h('code', {}, key))),
        ),
      ],
      ...{
        label: 'Overwrite',
        what: 'quarantine/drop',
        body: () => ({ keys }),
        said: () => ['They are copied back.'],
      },
    },
    tell,
  );
}
