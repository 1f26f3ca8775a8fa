import { Kind } from './kinds.ts';
import type { MigrationKind, MigrationSource, PhaseRule } from './migration.ts';
import type { ReadView } from './store.ts';
import { decodeValue } from './values.ts';

/** The register of the source's facts. */
export const sourceKey = 'source';

const catalogRuleKey = 'catalog';
const kvRulePrefix = 'kv/';

/** The register of a rule. */
export function ruleKey(of: MigrationKind, prefix: string): string {
  return of === 'catalog' ? catalogRuleKey : kvRulePrefix + prefix;
}

/** What a register of a migration is about: it belongs to the zone of that. The source's is the root zone's. */
export function subjectOf(key: string): { readonly of: MigrationKind; readonly prefix: string } {
  if (key === catalogRuleKey) return { of: 'catalog', prefix: '' };
  return { of: 'kv', prefix: key.startsWith(kvRulePrefix) ? key.slice(kvRulePrefix.length) : '' };
}

/** All rules, ordered by kind and prefix. */
export function phaseRules(view: ReadView): readonly PhaseRule[] {
  const rules: PhaseRule[] = [];
  for (const row of view.range(Kind.migration, '', undefined)) {
    if (row.value !== null && row.key !== sourceKey) rules.push(decodeValue<PhaseRule>(row.value));
  }
  return rules;
}

/** The source as the fleet agreed on it; undefined before it did. */
export function migrationSource(view: ReadView): MigrationSource | undefined {
  const value = view.get(Kind.migration, sourceKey)?.value;
  return value ? decodeValue<MigrationSource>(value) : undefined;
}

/** Rules by the keys that they are about: the longest prefix decides. A look costs one look-up per length of prefix. */
export class PhaseTable {
  readonly rules: readonly PhaseRule[];
  /** The catalog's rule. */
  readonly catalog: PhaseRule | undefined;
  readonly #kv = new Map<string, PhaseRule>();
  /** Lengths of the prefixes of keys, longest first. */
  readonly #lengths: readonly number[];

  constructor(rules: readonly PhaseRule[]) {
    this.rules = rules;
    this.catalog = rules.find(({ of }) => of === 'catalog');
    for (const rule of rules) if (rule.of === 'kv') this.#kv.set(rule.prefix, rule);
    const lengths = new Set([...this.#kv.keys()].map(({ length }) => length));
    this.#lengths = [...lengths].toSorted((a, b) => b - a);
  }

  /** The rule of exactly this prefix. */
  get(of: MigrationKind, prefix: string): PhaseRule | undefined {
    return of === 'catalog' ? this.catalog : this.#kv.get(prefix);
  }

  /** The rule of a key; undefined: no migration concerns it. */
  ofKey(key: string): PhaseRule | undefined {
    return this.#longest(key, key.length);
  }

  /** The rule that a rule of this prefix lies in; undefined: none. */
  enclosing(prefix: string): PhaseRule | undefined {
    return this.#longest(prefix, prefix.length - 1);
  }

  /** The rule that a prefix is in, which may be one of its own, and all rules below it. */
  under(prefix: string): readonly PhaseRule[] {
    const own = this.ofKey(prefix);
    const below = [...this.#kv.values()].filter((rule) => rule !== own && rule.prefix.startsWith(prefix));
    return own === undefined ? below : [own, ...below];
  }

  #longest(key: string, lengthMax: number): PhaseRule | undefined {
    for (const length of this.#lengths) {
      if (length > lengthMax) continue;
      const rule = this.#kv.get(key.slice(0, length));
      if (rule !== undefined) return rule;
    }
    return undefined;
  }
}
