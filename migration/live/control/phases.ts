import { PhaseTable } from '../../../src/state/migration-rules.ts';
import { authorityOf, type MigrationSource, type PhaseRule } from '../../../src/state/migration.ts';
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
  /** Steps of rules that an operator took out of force here, at once, until they are followed by another. */
  readonly #panicked = new Map<string, number>();

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
    this.#take();
    this.#tell();
  }

  /** Everything below a prefix goes to the source from now on, if that decides it. Answers the rules that are meant. */
  panic(prefix: string): readonly PhaseRule[] {
    const meant = this.#facts.rules.filter(
      (rule) =>
        rule.prefix.startsWith(prefix) &&
        (rule.of === 'kv' || prefix === '') &&
        rule.phase !== 'passthrough' &&
        authorityOf(rule.phase) === 'source',
    );
    for (const { of, prefix: at, step } of meant) this.#panicked.set(`${of} ${at}`, step);
    this.refresh();
    return meant;
  }

  #take(): void {
    const read = this.#read();
    this.#facts = { ...read, rules: read.rules.map((rule) => this.#asPanicked(rule)) };
    this.#table = new PhaseTable(this.#facts.rules);
  }

  #asPanicked(rule: PhaseRule): PhaseRule {
    const name = `${rule.of} ${rule.prefix}`;
    const step = this.#panicked.get(name);
    if (step === undefined) return rule;
    if (step === rule.step) return { ...rule, phase: 'passthrough' };
    this.#panicked.delete(name);
    return rule;
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
