import { compareUtf8 } from '../../src/kernel/utf8-order.ts';

/**
 * Things by id. Ids are looked up as spelled, as Consul's agent does, but two that differ in case only are one
 * thing here: the catalog holds one entry for both, and they would take turns in it for ever.
 */
export class IdMap<T> {
  readonly #byLower = new Map<string, { readonly id: string; readonly value: T }>();

  get size(): number {
    return this.#byLower.size;
  }

  get(id: string): T | undefined {
    const entry = this.#byLower.get(id.toLowerCase());
    return entry?.id === id ? entry.value : undefined;
  }

  has(id: string): boolean {
    return this.get(id) !== undefined;
  }

  /** The spelling under which this id is held, if it is another one. */
  otherSpelling(id: string): string | undefined {
    const held = this.#byLower.get(id.toLowerCase())?.id;
    return held === id ? undefined : held;
  }

  /** Puts a value in the place of any that is held under this id, however spelled. */
  set(id: string, value: T): void {
    this.#byLower.set(id.toLowerCase(), { id, value });
  }

  delete(id: string): void {
    if (this.has(id)) this.#byLower.delete(id.toLowerCase());
  }

  *entries(): Iterable<readonly [string, T]> {
    for (const { id, value } of this.#byLower.values()) yield [id, value];
  }

  /** Ordered by the bytes of the ids, as Go renders a map. */
  sorted(): readonly (readonly [string, T])[] {
    return [...this.entries()].toSorted(([a], [b]) => compareUtf8(a, b));
  }
}
