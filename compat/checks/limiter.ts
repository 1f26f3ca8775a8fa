/** Lets a number of runs go on at once; the others wait in order. Waiting costs no more than a closure. */
export class Limiter {
  readonly #runningMax: number;
  readonly #waiting = new Set<() => void>();
  #running = 0;

  constructor(runningMax: number) {
    this.#runningMax = runningMax;
  }

  /** Runs, now or when a place is free, then frees the place. An abort while waiting leaves the queue. */
  async run<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T | undefined> {
    if (signal.aborted) return undefined;
    if (this.#running >= this.#runningMax) {
      if (!(await this.#turn(signal))) return undefined;
    } else {
      this.#running += 1;
    }
    try {
      return await work();
    } finally {
      this.#release();
    }
  }

  /** True when a place was handed over, which then counts as taken; false when aborted first. */
  #turn(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const leave = (): void => {
        this.#waiting.delete(enter);
        resolve(false);
      };
      const enter = (): void => {
        signal.removeEventListener('abort', leave);
        resolve(true);
      };
      this.#waiting.add(enter);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  #release(): void {
    const next = this.#waiting.values().next();
    if (next.done === true) {
      this.#running -= 1;
      return;
    }
    // The place passes on without becoming free, so that nobody overtakes the queue.
    this.#waiting.delete(next.value);
    next.value();
  }
}
