import { byId, h, morphChildren } from './dom.js';

/** @typedef {{ readonly label: string, readonly className?: string, readonly disabled?: boolean, readonly act: () => void }} Button */
/** @typedef {{ readonly title: string, readonly body: readonly import('./dom.js').Child[], readonly buttons: readonly Button[], readonly busy?: boolean, readonly closeLabel?: string }} Content */

/** Buttons of what is shown now, by their place. @type {readonly Button[]} */
let buttons = [];
/** What is shown belongs to this: an answer that comes late changes nothing of the next dialog. */
let turn = 0;
/** @type {() => void} */
let changed = () => undefined;
/** @type {Element | null} */
let opener = null;

/** The one dialog of the page: it asks before anything is ordered. */
export function setUpDialog() {
  const dialog = element();
  dialog.addEventListener('click', (event) => {
    const button = event.target instanceof Element ? event.target.closest('button') : null;
    const at = button?.getAttribute('data-button');
    if (at === 'close') dialog.close();
    else if (at !== null && at !== undefined) buttons[Number(at)]?.act();
  });
  dialog.addEventListener('input', () => changed());
  dialog.addEventListener('submit', (event) => event.preventDefault());
  dialog.addEventListener('close', () => {
    turn += 1;
    dialog.replaceChildren();
    if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
  });
}

/**
 * Opens it; what is answered shows other content in it, for as long as it is not closed or taken by another one.
 * @param {Content} content
 * @returns {(content: Content) => void}
 */
export function openDialog(content) {
  const dialog = element();
  if (!dialog.open) opener = document.activeElement;
  turn += 1;
  changed = () => undefined;
  const mine = turn;
  dialog.replaceChildren();
  show(content);
  if (!dialog.open) dialog.showModal();
  const first = dialog.querySelector('input:not([disabled]), textarea:not([disabled])');
  if (first instanceof HTMLElement) first.focus();
  return (next) => {
    if (mine === turn) show(next);
  };
}

/** @param {Content} content */
function show(content) {
  const dialog = element();
  buttons = content.buttons;
  dialog.setAttribute('aria-busy', String(content.busy === true));
  const wanted = h(
    'form',
    {},
    h('h2', { id: 'dialog-title', tabindex: -1 }, content.title),
    h('div', { class: 'dialog-body', 'aria-live': 'polite' }, ...content.body),
    h(
      'div',
      { class: 'row end' },
      h(
        'button',
        { type: 'button', 'data-button': 'close', 'data-key': 'close' },
        content.closeLabel ?? 'Cancel',
      ),
      content.buttons.map(({ label, className, disabled }, i) =>
        h(
          'button',
          {
            type: 'button',
            class: className,
            disabled: disabled === true,
            'data-button': i,
            'data-key': `button ${i}`,
          },
          label,
        ),
      ),
    ),
  );
  morphChildren(dialog, [wanted]);
  // A button that had the focus and is none any more must not lose it to the page behind.
  if (!dialog.contains(document.activeElement)) byId('dialog-title', HTMLElement).focus();
}

/** What stands in a field of the dialog. @param {string} id */
export function valueOf(id) {
  const field = document.getElementById(id);
  return field instanceof HTMLInputElement || field instanceof HTMLTextAreaElement ? field.value : '';
}

/** @param {string} id */
export function isChecked(id) {
  const field = document.getElementById(id);
  return field instanceof HTMLInputElement && field.checked;
}

/** @param {() => void} listener called when somebody changes a field of the dialog */
export function onDialogInput(listener) {
  changed = listener;
}

function element() {
  return byId('dialog', HTMLDialogElement);
}
