/** A thing to do at a time. Cancelled by `run = null`. */
export interface Timer {
  readonly atMs: number;
  run: (() => void) | null;
}

/** What is due next: a binary heap, in which cancelled timers stay until they come up. */
export class Timers {
  readonly #heap: Timer[] = [];

  at(atMs: number, run: () => void): Timer {
    const timer: Timer = { atMs, run };
    const heap = this.#heap;
    let i = heap.push(timer) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if ((heap[parent] as Timer).atMs <= atMs) break;
      heap[i] = heap[parent] as Timer;
      i = parent;
    }
    heap[i] = timer;
    return timer;
  }

  /** When the next one is due; Infinity when none is. */
  get nextMs(): number {
    const heap = this.#heap;
    while (heap[0]?.run === null) this.#pop();
    return heap[0]?.atMs ?? Infinity;
  }

  /** Runs all that is due, also what becomes due by it. */
  runDue(nowMs: number): void {
    while (this.nextMs <= nowMs) {
      const timer = this.#pop();
      const { run } = timer;
      timer.run = null;
      run?.();
    }
  }

  clear(): void {
    this.#heap.length = 0;
  }

  #pop(): Timer {
    const heap = this.#heap;
    const first = heap[0] as Timer;
    const last = heap.pop() as Timer;
    if (heap.length === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] as Timer).atMs < (heap[child] as Timer).atMs)
        child += 1;
      if ((heap[child] as Timer).atMs >= last.atMs) break;
      heap[i] = heap[child] as Timer;
      i = child;
    }
    heap[i] = last;
    return first;
  }
}
