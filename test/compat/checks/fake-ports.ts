import type { RunnerPorts } from '../../../compat/checks/ports.ts';

/** A clock that moves when told to; timers fire in order of time, then of setting. */
export class FakePorts implements RunnerPorts {
  chance = 0.5;
  #nowMs = 0;
  #order = 0;
  readonly #timers = new Map<number, { readonly atMs: number; readonly call: () => void }>();

  nowMs(): number {
    return this.#nowMs;
  }

  random(): number {
    return this.chance;
  }

  setTimer(afterMs: number, call: () => void): () => void {
    const id = this.#order++;
    this.#timers.set(id, { atMs: this.#nowMs + afterMs, call });
    return () => this.#timers.delete(id);
  }

  get pending(): number {
    return this.#timers.size;
  }

  /** Moves time on, firing what falls due, and lets promises settle after each timer. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    await settle();
    for (;;) {
      const next = [...this.#timers].reduce<[number, { atMs: number; call: () => void }] | undefined>(
        (first, timer) => (first === undefined || timer[1].atMs < first[1].atMs ? timer : first),
        undefined,
      );
      if (next === undefined || next[1].atMs > endMs) break;
      this.#timers.delete(next[0]);
      this.#nowMs = Math.max(this.#nowMs, next[1].atMs);
      next[1].call();
      await settle();
    }
    this.#nowMs = endMs;
  }
}

/** Lets everything run that waits for promises only. */
export function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
