import type { Clock } from '../../../../migration/clock.ts';

interface Sleeper {
  readonly dueMs: number;
  readonly wake: () => void;
}

/** Time that tests own: nobody waits for it. */
export class FakeTime {
  /** Monotonic milliseconds. */
  nowMs = 5_000;
  readonly monoMs = (): number => this.nowMs;
  readonly clock: Clock = {
    now: () => 1_800_000_000_000 + Math.floor(this.nowMs),
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted === true) return resolve();
        const finish = (): void => {
          this.#sleepers.delete(sleeper);
          signal?.removeEventListener('abort', finish);
          resolve();
        };
        const sleeper = { dueMs: this.nowMs + ms, wake: finish };
        this.#sleepers.add(sleeper);
        signal?.addEventListener('abort', finish, { once: true });
        return undefined;
      }),
  };
  readonly #sleepers = new Set<Sleeper>();

  /** Lets everything happen that is due until then, in order. */
  async advance(ms: number): Promise<void> {
    const endMs = this.nowMs + ms;
    await breathe();
    for (let next = this.#next(); next !== undefined && next.dueMs <= endMs; next = this.#next()) {
      // oxlint-disable-next-line no-await-in-loop -- one moment after the other
      await this.#wake(next);
    }
    this.nowMs = endMs;
    await breathe();
  }

  /** Lets time go on until it is done. */
  async until<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const ended = work.finally(() => (done = true));
    ended.catch(() => undefined);
    await breathe();
    while (!done) {
      const next = this.#next();
      // oxlint-disable-next-line no-await-in-loop -- one moment after the other
      await (next === undefined ? breathe() : this.#wake(next));
    }
    return ended;
  }

  #next(): Sleeper | undefined {
    let first: Sleeper | undefined;
    for (const each of this.#sleepers) if (first === undefined || each.dueMs < first.dueMs) first = each;
    return first;
  }

  async #wake(sleeper: Sleeper): Promise<void> {
    this.#sleepers.delete(sleeper);
    this.nowMs = Math.max(this.nowMs, sleeper.dueMs);
    sleeper.wake();
    await breathe();
  }
}

/** What can go on without time goes on. */
async function breathe(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) {
    // oxlint-disable-next-line no-await-in-loop -- turns of the event loop
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
