/** One at a time for each name; those who wait are served in the order in which they came. */
export class KeyLocks {
  readonly #queues = new Map<string, { waiting: number; tail: Promise<void> }>();
  readonly #waitingMax: number;

  /** `waitingMax`: for one name at a time. */
  constructor(waitingMax: number) {
    this.#waitingMax = waitingMax;
  }

  /**
   * Waits for all of the names; answers how to give them back. Undefined: too many wait for one of them. All of the
   * places are taken at once, so two who want the same names cannot wait for each other.
   */
  take(names: Iterable<string>): Promise<() => void> | undefined {
    const all = [...new Set(names)];
    if (all.some((name) => (this.#queues.get(name)?.waiting ?? 0) > this.#waitingMax)) return undefined;
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    const before = all.map((name) => {
      const queue = this.#queues.get(name) ?? { waiting: 0, tail: Promise.resolve() };
      const ahead = queue.tail;
      queue.waiting += 1;
      queue.tail = ahead.then(() => held);
      this.#queues.set(name, queue);
      return ahead;
    });
    return Promise.all(before).then(() => () => {
      release();
      for (const name of all) {
        const queue = this.#queues.get(name);
        if (queue === undefined) continue;
        queue.waiting -= 1;
        if (queue.waiting === 0) this.#queues.delete(name);
      }
    });
  }
}
