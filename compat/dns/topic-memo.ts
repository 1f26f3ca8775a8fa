import type { Dependencies } from '../../src/state/dependencies.ts';

interface Entry {
  readonly value: unknown;
  readonly rows: number;
  readonly topics: ReadonlySet<string>;
}

/**
 * Keeps what was read from the catalog until a commit touches a topic that it depends on. Bounded by the rows that
 * it holds, least recently used first out, so that questions for names that nobody has cannot fill the memory.
 */
export class TopicMemo {
  readonly #rowsMax: number;
  readonly #entries = new Map<string, Entry>();
  readonly #keysByTopic = new Map<string, Set<string>>();
  #rows = 0;

  constructor(rowsMax: number) {
    this.#rowsMax = rowsMax;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** `key` names the type of the value too: one key is always asked with the same kind of `read`. */
  get<T>(key: string, read: (dependencies: Dependencies) => { readonly value: T; readonly rows: number }): T {
    const held = this.#entries.get(key);
    if (held !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, held);
      return held.value as T;
    }
    const topics = new Set<string>();
    const { value, rows } = read(topics);
    // The entry itself costs as much as a row or two.
    const entry: Entry = { value, rows: rows + 2, topics };
    if (entry.rows > this.#rowsMax) return value;
    this.#entries.set(key, entry);
    this.#rows += entry.rows;
    for (const topic of topics) {
      const keys = this.#keysByTopic.get(topic);
      if (keys === undefined) this.#keysByTopic.set(topic, new Set([key]));
      else keys.add(key);
    }
    for (const oldest of this.#entries.keys()) {
      if (this.#rows <= this.#rowsMax) break;
      this.#drop(oldest);
    }
    return value;
  }

  /** Forgets what depends on one of these topics. */
  touch(topics: Iterable<string>): void {
    if (this.#entries.size === 0) return;
    for (const topic of topics) {
      for (const key of this.#keysByTopic.get(topic) ?? []) this.#drop(key);
    }
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#rows -= entry.rows;
    for (const topic of entry.topics) {
      const keys = this.#keysByTopic.get(topic);
      keys?.delete(key);
      if (keys?.size === 0) this.#keysByTopic.delete(topic);
    }
  }
}
