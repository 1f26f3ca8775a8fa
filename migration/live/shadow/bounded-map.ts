interface Held<V> {
  readonly value: V;
  /** The use at which it was put behind all others. */
  readonly use: number;
}

/**
 * A map that forgets what was used least recently, more or less: what is used again and again keeps its place for some
 * uses, so that most of them change nothing.
 */
export class BoundedMap<V> {
  readonly #held = new Map<string, Held<V>>();
  readonly #sizeMax: number;
  readonly #onForgotten: (value: V) => void;
  #uses = 0;

  constructor(sizeMax: number, onForgotten: (value: V) => void = () => {}) {
    this.#sizeMax = sizeMax;
    this.#onForgotten = onForgotten;
  }

  get size(): number {
    return this.#held.size;
  }

  /** Without using it. */
  peek(key: string): V | undefined {
    return this.#held.get(key)?.value;
  }

  get(key: string): V | undefined {
    const held = this.#held.get(key);
    if (held === undefined) return undefined;
    this.#uses += 1;
    if (this.#uses - held.use > this.#sizeMax / 4) this.#put(key, held.value);
    return held.value;
  }

  set(key: string, value: V): void {
    this.#uses += 1;
    const held = this.#held.get(key);
    if (held?.value === value && this.#uses - held.use <= this.#sizeMax / 4) return;
    this.#put(key, value);
    if (this.#held.size <= this.#sizeMax) return;
    for (const [oldest, forgotten] of this.#held) {
      this.#held.delete(oldest);
      this.#onForgotten(forgotten.value);
      return;
    }
  }

  delete(key: string): void {
    this.#held.delete(key);
  }

  clear(): void {
    this.#held.clear();
  }

  *entries(): IterableIterator<[string, V]> {
    for (const [key, { value }] of this.#held) yield [key, value];
  }

  #put(key: string, value: V): void {
    this.#held.delete(key);
    this.#held.set(key, { value, use: this.#uses });
  }
}
