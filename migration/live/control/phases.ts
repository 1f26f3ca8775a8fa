import { PhaseTable } from '../../../src/state/migration-rules.ts';
import type { MigrationSource, PhaseRule } from '../../../src/state/migration.ts';
import type { Phases } from '../ports.ts';

/** The rules and the source as registers say. */
export interface PhaseFacts {
  readonly rules: readonly PhaseRule[];
  readonly source: MigrationSource | undefined;
}

/** The rules as the registers of this replica have them; read again when one of them changed. */
export class ReplicaPhases implements Phases {
  readonly #read: () => PhaseFacts;
  readonly #listeners = new Set<() => void>();
  #facts: PhaseFacts;
  #table: PhaseTable;
  #known = false;

  constructor(read: () => PhaseFacts) {
    this.#read = read;
    this.#facts = read();
    this.#table = new PhaseTable(this.#facts.rules);
  }

  get known(): boolean {
    return this.#known;
  }

  becameKnown(): void {
    if (this.#known) return;
    this.#known = true;
    this.#tell();
  }

  get rules(): readonly PhaseRule[] {
    return this.#facts.rules;
  }

  get source(): MigrationSource | undefined {
    return this.#facts.source;
  }

  get catalog(): PhaseRule | undefined {
    return this.#table.catalog;
  }

  at(of: PhaseRule['of'], prefix: string): PhaseRule | undefined {
    return this.#table.get(of, prefix);
  }

  ofKey(key: string): PhaseRule | undefined {
    return this.#table.ofKey(key);
  }

  under(prefix: string): readonly PhaseRule[] {
    return this.#table.under(prefix);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** To be called when registers of the migration changed. */
  refresh(): void {
    this.#facts = this.#read();
    this.#table = new PhaseTable(this.#facts.rules);
    this.#tell();
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** The rule of exactly this prefix. */
export function ruleAt(
  phases: Pick<Phases, 'rules'>,
  of: PhaseRule['of'],
  prefix: string,
): PhaseRule | undefined {
  return phases.rules.find((rule) => rule.of === of && rule.prefix === prefix);
}
