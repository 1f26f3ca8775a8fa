import type { MigrationKind, PhaseRule } from '../../../src/state/migration.ts';

/** Requests that are under way, by the rule and the step under which they were routed. */
export class UnderWay {
  readonly #counts = new Map<string, Map<number, number>>();

  /** Answers how to say that it is over; to be called once. */
  begin(rules: readonly PhaseRule[]): () => void {
    for (const rule of rules) this.#add(rule, 1);
    let over = false;
    return () => {
      if (over) return;
      over = true;
      for (const rule of rules) this.#add(rule, -1);
    };
  }

  older(of: MigrationKind, prefix: string, step: number): number {
    let count = 0;
    for (const [at, number] of this.#counts.get(nameOf(of, prefix)) ?? []) if (at < step) count += number;
    return count;
  }

  #add({ of, prefix, step }: PhaseRule, by: number): void {
    const name = nameOf(of, prefix);
    const steps = this.#counts.get(name) ?? new Map<number, number>();
    const count = (steps.get(step) ?? 0) + by;
    if (count === 0) steps.delete(step);
    else steps.set(step, count);
    if (steps.size === 0) this.#counts.delete(name);
    else this.#counts.set(name, steps);
  }
}

function nameOf(of: MigrationKind, prefix: string): string {
  return `${of} ${prefix}`;
}
