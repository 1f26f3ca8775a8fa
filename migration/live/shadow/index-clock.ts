const entriesMax = 4_096;

/**
 * When writes cannot have happened yet. A source's index only grows: if at some moment it had none above i, or if a
 * request began then that made i, then everything above i was written after that moment.
 */
export class IndexClock {
  /** Both ascend. */
  readonly #entries: { index: number; ms: number }[] = [];

  /** At `ms` nothing above `index` had been written. */
  nothingAbove(index: number, ms: number): void {
    const last = this.#entries.at(-1);
    if (last !== undefined && ms <= last.ms) return;
    // Later, and nothing above a smaller index: what was noted with a greater one says less.
    while ((this.#entries.at(-1)?.index ?? -1) >= index) this.#entries.pop();
    this.#entries.push({ index, ms });
    if (this.#entries.length > entriesMax) this.#entries.shift();
  }

  /** A moment before which `index` was not written; undefined: nothing is known. */
  notBefore(index: number): number | undefined {
    let [low, high] = [0, this.#entries.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#entries[middle]?.index ?? 0) < index) low = middle + 1;
      else high = middle;
    }
    return this.#entries[low - 1]?.ms;
  }

  clear(): void {
    this.#entries.length = 0;
  }
}
