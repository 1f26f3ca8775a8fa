export interface Taken {
  readonly keys: readonly string[];
  readonly bytes: number;
  /** They are copied, or set aside. */
  done(): void;
  /** They wait again, as old as they were and before all others. */
  failed(): void;
}

/** Keys that are to be looked at, oldest first, and since when (monotonic milliseconds). */
export class WaitingKeys {
  readonly #monoMs: () => number;
  readonly #keysMax: number;
  #pending = new Map<string, number>();
  #taken: ReadonlyMap<string, number> = new Map();

  constructor(monoMs: () => number, keysMax: number) {
    this.#monoMs = monoMs;
    this.#keysMax = keysMax;
  }

  get waiting(): number {
    return this.#pending.size;
  }

  /** Those that are being copied among them. */
  get size(): number {
    return this.#pending.size + this.#taken.size;
  }

  /** Half of the room is free: a sweep may add some. */
  get hasRoom(): boolean {
    return this.#pending.size * 2 <= this.#keysMax;
  }

  has(key: string): boolean {
    return this.#pending.has(key) || this.#taken.has(key);
  }

  /** Since when the oldest waits; Infinity: none does. */
  get oldestMs(): number {
    const pending = this.#pending.values().next().value ?? Infinity;
    return Math.min(pending, this.#taken.values().next().value ?? Infinity);
  }

  /** False: there is no room. */
  add(key: string): boolean {
    if (this.#pending.has(key)) return true;
    if (this.#pending.size >= this.#keysMax) return false;
    this.#pending.set(key, this.#monoMs());
    return true;
  }

  /** The oldest, as many as may go together: at least one. */
  take(countMax: number, bytesMax: number, sizeOf: (key: string) => number): Taken {
    const taken = new Map<string, number>();
    let bytes = 0;
    for (const [key, sinceMs] of this.#pending) {
      const size = sizeOf(key);
      if (taken.size > 0 && bytes + size > bytesMax) break;
      taken.set(key, sinceMs);
      bytes += size;
      if (taken.size >= countMax) break;
    }
    for (const key of taken.keys()) this.#pending.delete(key);
    this.#taken = taken;
    const over = (): void => {
      this.#taken = new Map();
    };
    return {
      keys: [...taken.keys()],
      bytes,
      done: over,
      failed: () => {
        over();
        const later = [...this.#pending].filter(([key]) => !taken.has(key));
        this.#pending = new Map([...taken, ...later]);
      },
    };
  }
}
