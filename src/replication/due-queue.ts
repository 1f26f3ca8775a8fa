interface Due<T> {
  readonly atMs: number;
  readonly item: T;
}

/** What is due when, earliest first: a binary heap. Nothing is ever cancelled in it: who pops, or skips, checks. */
export class DueQueue<T> {
  readonly #heap: Due<T>[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** When the first one is due; infinity when there is none. */
  get nextMs(): number {
    return this.#heap[0]?.atMs ?? Number.POSITIVE_INFINITY;
  }

  /** Drops from the front what is stale, so that nobody is woken for it. */
  skip(isStale: (item: T, atMs: number) => boolean): void {
    for (
      let first = this.#heap[0];
      first !== undefined && isStale(first.item, first.atMs);
      first = this.#heap[0]
    ) {
      this.popDue(first.atMs);
    }
  }

  push(atMs: number, item: T): void {
    const heap = this.#heap;
    const due = { atMs, item };
    let i = heap.length;
    heap.push(due);
    while (i > 0) {
      const parent = (i - 1) >> 1;
      const above = heap[parent] as Due<T>;
      if (above.atMs <= atMs) break;
      heap[i] = above;
      i = parent;
    }
    heap[i] = due;
  }

  popDue(nowMs: number): T | undefined {
    const heap = this.#heap;
    const first = heap[0];
    if (first === undefined || first.atMs > nowMs) return undefined;
    const last = heap.pop() as Due<T>;
    if (heap.length > 0) this.#sink(last);
    return first.item;
  }

  #sink(due: Due<T>): void {
    const heap = this.#heap;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right !== undefined && right.atMs < (heap[child] as Due<T>).atMs) child += 1;
      const below = heap[child] as Due<T>;
      if (below.atMs >= due.atMs) break;
      heap[i] = below;
      i = child;
    }
    heap[i] = due;
  }
}
