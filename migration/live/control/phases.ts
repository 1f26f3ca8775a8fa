import type { MigrationKind, MigrationSource, PhaseRule } from '../../../src/state/migration.ts';
import type { GatewayPort, Phases } from '../ports.ts';

/** The rules and the source as registers say. */
export interface PhaseFacts {
  readonly rules: readonly PhaseRule[];
  readonly source: MigrationSource | undefined;
}

/** The rules as the registers of this replica have them; read again when one of them changed. */
export class ReplicaPhases implements Phases {
  known = false;
  readonly #read: () => PhaseFacts;
  readonly #listeners = new Set<() => void>();
  #facts: PhaseFacts;
  /** Rules of keys, longest prefix first. */
  #byLength: readonly PhaseRule[] = [];

  constructor(read: () => PhaseFacts) {
    this.#read = read;
    this.#facts = read();
    this.#sort();
  }

  get rules(): readonly PhaseRule[] {
    return this.#facts.rules;
  }

  get source(): MigrationSource | undefined {
    return this.#facts.source;
  }

  get catalog(): PhaseRule | undefined {
    return this.#facts.rules.find((rule) => rule.of === 'catalog');
  }

  ofKey(key: string): PhaseRule | undefined {
    return this.#byLength.find((rule) => key.startsWith(rule.prefix));
  }

  under(prefix: string): readonly PhaseRule[] {
    const own = this.ofKey(prefix);
    const below = this.#byLength.filter(
      (rule) => rule.prefix !== own?.prefix && rule.prefix.startsWith(prefix),
    );
    return own === undefined ? below : [own, ...below];
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** To be called when registers of the migration changed. */
  refresh(): void {
    this.#facts = this.#read();
    this.#sort();
    for (const listener of this.#listeners) listener();
  }

  #sort(): void {
    this.#byLength = this.#facts.rules
      .filter((rule) => rule.of === 'kv')
      .toSorted((a, b) => b.prefix.length - a.prefix.length);
  }
}

/** The rule of exactly this prefix. */
export function ruleAt(phases: Phases, of: MigrationKind, prefix: string): PhaseRule | undefined {
  return phases.rules.find((rule) => rule.of === of && rule.prefix === prefix);
}

/** Calls `changed` after commits that touched the migration's registers. Answers how to stop. */
export function followPhases(gateway: GatewayPort, topic: string, changed: () => void): () => void {
  return gateway.onCommit((touched) => {
    if (touched.has(topic)) changed();
  });
}
