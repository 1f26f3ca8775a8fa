import { authorityOf, isCompared, isDual, readerOf, type PhaseRule } from '../../../src/state/migration.ts';
import type { Phases } from '../ports.ts';

export type Side = 'source' | 'here';

/** Who answers for a set of keys: one side, or both of them. */
export interface Span {
  readonly rules: readonly PhaseRule[];
  /** Undefined: both. */
  readonly authority: Side | undefined;
  readonly reader: Side | undefined;
  /** Writes are relayed for some of them. */
  readonly dual: boolean;
  /** Reads are compared for some of them. */
  readonly compared: boolean;
}

/** Of no key that migrates. */
const local: Span = { rules: [], authority: 'here', reader: 'here', dual: false, compared: false };

export function spanOf(rules: readonly PhaseRule[], coversOther: boolean): Span {
  if (rules.length === 0) return local;
  const sides = (side: (phase: PhaseRule['phase']) => Side): Side | undefined => {
    const all = new Set(rules.map(({ phase }) => side(phase)));
    if (coversOther) all.add('here');
    return all.size === 1 ? [...all][0] : undefined;
  };
  return {
    rules,
    authority: sides(authorityOf),
    reader: sides(readerOf),
    dual: rules.some(({ phase }) => isDual(phase)),
    compared: rules.some(({ phase }) => isCompared(phase)),
  };
}

/** Who answers for one key. */
export function spanOfKey(phases: Phases, key: string): Span {
  const rule = phases.ofKey(key);
  return rule === undefined ? local : spanOf([rule], false);
}

/** Who answers for all keys below a prefix; keys that no rule is about are this fleet's. */
export function spanBelow(phases: Phases, prefix: string): Span {
  return spanOf(phases.under(prefix), phases.ofKey(prefix) === undefined);
}

export function joined(spans: readonly Span[]): Span {
  const rules = new Map(spans.flatMap((span) => span.rules.map((rule) => [rule.prefix, rule] as const)));
  const one = (side: (span: Span) => Side | undefined): Side | undefined => {
    const all = new Set(spans.map(side));
    return all.size === 1 ? [...all][0] : undefined;
  };
  return {
    rules: [...rules.values()],
    authority: one((span) => span.authority),
    reader: one((span) => span.reader),
    dual: spans.some(({ dual }) => dual),
    compared: spans.some(({ compared }) => compared),
  };
}
