/** A map that forgets what was used least recently. */
export class BoundedMap<V> {
  readonly #held = new Map<string, V>();
  readonly #sizeMax: number;
  readonly #onForgotten: (value: V) => void;

  constructor(sizeMax: number, onForgotten: (value: V) => void = () => {}) {
    this.#sizeMax = sizeMax;
    this.#onForgotten = onForgotten;
  }

  get size(): number {
    return this.#held.size;
  }

  /** Without using it. */
  peek(key: string): V | undefined {
    return this.#held.get(key);
  }

  get(key: string): V | undefined {
    const value = this.#held.get(key);
    if (value === undefined) return undefined;
    this.#held.delete(key);
    this.#held.set(key, value);
    return value;
  }

  set(key: string, value: V): void {
    this.#held.delete(key);
    this.#held.set(key, value);
    if (this.#held.size <= this.#sizeMax) return;
    for (const [oldest, forgotten] of this.#held) {
      this.#held.delete(oldest);
      this.#onForgotten(forgotten);
      return;
    }
  }

  delete(key: string): void {
    this.#held.delete(key);
  }

  clear(): void {
    this.#held.clear();
  }

  entries(): IterableIterator<[string, V]> {
    return this.#held.entries();
  }
}
