import { h } from './dom.js';
import { bytes, count, counted, duration, rate, ruleName } from './format.js';
import { waysOf } from './gates.js';
import { meanings, phases } from './model.js';
import { chip } from './overview.js';
import { sparkline } from './sparkline.js';

/** @typedef {import('./model.js').Rule} Rule */

/** @param {{ readonly kind: string, readonly prefix: string }} rule */
export function ruleKey({ kind, prefix }) {
  return `${kind} ${prefix}`;
}

/**
 * One rule: where it is, what copies, who acts on it, and where it may go.
 * @param {Rule} rule
 * @param {import('./looks.js').Look | undefined} look
 * @param {import('./history.js').History} history
 * @param {boolean} mayOrder
 */
export function ruleCard(rule, look, history, mayOrder) {
  const key = ruleKey(rule);
  return h(
    'article',
    { class: 'card rule', 'data-key': key, 'aria-label': `Rule of ${ruleName(rule)}` },
    h(
      'div',
      { class: 'rule-head' },
      h(
        'h3',
        {},
        rule.kind === 'catalog' || rule.prefix === '' ? ruleName(rule) : h('code', {}, rule.prefix),
      ),
      h(
        'span',
        { class: 'hint' },
        rule.ofRehearsal && 'there for a rehearsal alone, ',
        `step ${count(rule.step)}`,
        rule.sinceMs > 0 && `, for ${duration(Math.max(0, Date.now() - rule.sinceMs))}`,
        rule.reason !== null && `: “${rule.reason}”`,
        rule.acks.every(({ acts }) => acts) &&
          `; ${rule.acks.length === 1 ? 'the gateway acts' : `all ${rule.acks.length} gateways act`} on it`,
      ),
    ),
    stepper(rule),
    rule.overridden.length > 0 &&
      h('p', { class: 'hint warn' }, `Passed over at the last step: ${rule.overridden.join(', ')}`),
    progress(rule),
    figures(rule, look, key, history),
    troubles(rule),
    waysOf(rule, look),
    acknowledgements(rule),
    buttons(rule, mayOrder),
  );
}

/** @param {Rule} rule */
function stepper(rule) {
  return h(
    'ol',
    { class: 'stepper', 'aria-label': `Phases of ${ruleName(rule)}` },
    phases.map((phase, i) =>
      h(
        'li',
        {
          class: i < rule.phase ? 'done' : i === rule.phase ? 'now' : 'next',
          'aria-current': i === rule.phase ? 'step' : null,
          title: meanings[i],
        },
        h('span', { class: 'name' }, phase),
      ),
    ),
  );
}

/** @param {Rule} rule */
function progress({ tail }) {
  if (tail === null || tail.backfilled) return null;
  const total = tail.itemsTotal;
  return h(
    'div',
    { class: 'progress' },
    h(
      'progress',
      total === null
        ? { 'aria-label': 'First copy' }
        : { max: Math.max(1, total), value: tail.items, 'aria-label': 'First copy' },
    ),
    h(
      'span',
      {},
      `${count(tail.items)}${total === null ? '' : ` of ${count(total)}`} copied, `,
      tail.etaMs === null ? 'time left not known' : `${duration(tail.etaMs)} left`,
    ),
  );
}

/**
 * @param {Rule} rule
 * @param {import('./looks.js').Look | undefined} look
 * @param {string} key
 * @param {import('./history.js').History} history
 */
function figures({ tail, repairs, reverse, phase }, look, key, history) {
  const isHere = phases[phase] === 'cutover';
  const all = [];
  if (tail !== null) {
    if (tail.backfilled)
      all.push(figure('Copied', count(tail.items), tail.bytes > 0 ? bytes(tail.bytes) : null));
    all.push(
      figure(
        'Behind the source',
        duration(tail.lagMs),
        sparkline(history.of(`lag ${key}`), 'Lag over the last minutes'),
      ),
      figure(
        'Rate',
        rate(tail.perSecond),
        sparkline(history.of(`rate ${key}`), 'Rate over the last minutes'),
      ),
    );
  }
  if (look?.reads) all.push(mismatches(look.reads));
  if (look?.sweep) all.push(swept(look.sweep));
  if (repairs.keys > 0)
    all.push(figure('To be repaired', counted(repairs.keys, 'key'), `oldest ${duration(repairs.oldestMs)}`));
  if (reverse !== null && (isHere || reverse.pending > 0)) {
    all.push(
      figure(
        'To be copied back',
        counted(reverse.pending, 'key'),
        sparkline(history.of(`back ${key}`), 'Keys that wait, over the last minutes'),
      ),
      figure('Source behind', duration(reverse.lagMs), null),
    );
  }
  return all.length === 0 ? null : h('dl', { class: 'figures' }, all);
}

/**
 * @param {string} name
 * @param {import('./dom.js').Child} value
 * @param {import('./dom.js').Child} more
 */
function figure(name, value, more) {
  return h(
    'div',
    { 'data-key': name },
    h('dt', {}, name),
    h('dd', {}, value),
    more !== null && h('dd', { class: 'hint' }, more),
  );
}

/** @param {NonNullable<import('./looks.js').Look['reads']>} reads */
function mismatches({ compared, persistent, transient, open, kinds }) {
  const found = kinds.map(([kind, many]) => `${kind} ${count(many)}`).join(', ');
  const more = [
    `in ${counted(compared, 'compared read')}`,
    transient !== null && transient > 0 && `${count(transient)} cleared`,
    open > 0 && `${count(open)} looked at again`,
  ];
  return figure('Mismatches', persistent === 0 ? '0' : chip('bad', count(persistent)), [
    found !== '' && `${found}; `,
    more.filter(Boolean).join(', '),
  ]);
}

/** @param {NonNullable<import('./looks.js').Look['sweep']>} sweep */
function swept({ atMs, compared, persistent, failure }) {
  const ago = `${duration(Math.max(0, Date.now() - atMs)).replace(/ \d+ s$/, '')} ago`;
  const said = persistent === 0 ? 'all equal' : `${count(persistent)} differ`;
  return figure(
    'Everything compared',
    ago,
    failure ?? `${counted(compared ?? 0, 'entry', 'entries')}, ${said}`,
  );
}

/** @param {Rule} rule */
function troubles({ tail, reverse }) {
  /** @type {import('./dom.js').Child[]} */
  const lines = [];
  if (tail?.problem) lines.push([chip('bad', 'trouble'), ' ', tail.problem]);
  for (const why of tail?.throttledBy ?? []) lines.push([chip('unknown', 'slowed'), ' ', why]);
  if (reverse?.problem) lines.push([chip('bad', 'trouble'), ' copying back: ', reverse.problem]);
  if (reverse?.lost)
    lines.push([
      chip('bad', 'no way back'),
      ' too many keys waited to be copied back; a comparison must catch up first',
    ]);
  return lines.length === 0
    ? null
    : h(
        'ul',
        { class: 'lines' },
        lines.map((line) => h('li', {}, line)),
      );
}

/** @param {Rule} rule */
function acknowledgements({ acks }) {
  const late = acks.filter(({ acts }) => !acts);
  if (late.length === 0) return null;
  const said = `${acks.length - late.length} of ${acks.length} gateways act on this step`;
  return h(
    'div',
    { class: 'acks' },
    h('span', { class: 'hint' }, said),
    h(
      'ul',
      { 'aria-label': 'Gateways that do not act on this step' },
      late.map(({ name, why }) => h('li', { class: 'ack bad', 'data-key': name }, `✕ ${name}: ${why}`)),
    ),
  );
}

/**
 * @param {Rule} rule
 * @param {boolean} mayOrder
 */
function buttons(rule, mayOrder) {
  const on = phases[rule.phase + 1];
  const back = phases[rule.phase - 1];
  const quarantined = rule.reverse?.quarantined ?? 0;
  const rest = { type: 'button', 'data-kind': rule.kind, 'data-prefix': rule.prefix };
  const name = ruleName(rule);
  return h(
    'div',
    { class: 'row' },
    back !== undefined &&
      h(
        'button',
        {
          ...rest,
          'data-key': 'back',
          'data-action': 'step',
          'data-phase': back,
          disabled: !mayOrder || rule.phase === 6,
          'aria-label': `Back to ${back}: ${name}`,
        },
        `← Back to ${back}…`,
      ),
    on !== undefined &&
      h(
        'button',
        {
          ...rest,
          class: 'on',
          'data-key': 'on',
          'data-action': 'step',
          'data-phase': on,
          disabled: !mayOrder,
          'aria-label': `On to ${on}: ${name}`,
        },
        `On to ${on}… →`,
      ),
    quarantined > 0 &&
      h(
        'button',
        {
          ...rest,
          'data-key': 'quarantine',
          'data-action': 'quarantine',
          'aria-label': `Quarantine of ${name}`,
        },
        `${counted(quarantined, 'key')} in quarantine…`,
      ),
    rule.phase > 0 &&
      h(
        'button',
        {
          ...rest,
          class: 'quiet',
          'data-key': 'verify',
          'data-action': 'verify',
          disabled: !mayOrder,
          'aria-label': `Verify ${name}`,
        },
        'Verify…',
      ),
  );
}
