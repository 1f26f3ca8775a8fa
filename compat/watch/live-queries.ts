import { must } from '../../src/kernel/assert.ts';
import type { ReadView } from '../../src/state/store.ts';
import type { Answer, Read } from '../wire/http.ts';

/** An answer, with room for what the HTTP layer derives from it once for all who get it. */
export interface SharedAnswer {
  readonly answer: Answer;
  /** The body's length in bytes, the body as bytes, and compressed: made on first need. */
  byteLength?: number;
  bytes?: Uint8Array;
  gzipped?: Uint8Array;
}

/** A blocked request. `deliver` is called at most once: when the result changed, or by `expire`. */
export interface Waiter {
  /** The wait is over: deliver the current answer. */
  expire(): void;
  /** The client went away. */
  cancel(): void;
}

interface Entry {
  readonly read: Read;
  readonly topics: Set<string>;
  readonly waiters: Set<Blocked>;
  shared: SharedAnswer;
  size: number;
}

interface Blocked {
  readonly index: number | bigint;
  readonly deliver: (shared: SharedAnswer) => void;
}

/** What an entry costs beside its body, roughly, in bytes. Guess. */
const entryOverheadBytes = 1024;

/**
 * Reads that share their results. Each distinct read (by key) is evaluated once per change of what it depends on,
 * however many ask or wait: a commit's topics find the entries that depend on them, entries with waiters are
 * evaluated again and answered, the others are dropped. So a kept result is never out of date, and a change wakes
 * nobody who does not depend on it.
 */
export class LiveQueries {
  readonly #view: ReadView;
  readonly #memoBytesMax: number;
  /** By read key, least recently used first. */
  readonly #entries = new Map<string, Entry>();
  readonly #byTopic = new Map<string, Set<Entry>>();
  /** How many entries depend on a key prefix of this length: bounds the look-ups per changed key. */
  readonly #prefixLengths = new Map<number, number>();
  #memoBytes = 0;
  #waiting = 0;
  #evaluations = 0;

  constructor(options: { readonly view: ReadView; readonly memoBytesMax: number }) {
    this.#view = options.view;
    this.#memoBytesMax = options.memoBytesMax;
  }

  get stats(): { readonly entries: number; readonly waiting: number; readonly evaluations: number } {
    return { entries: this.#entries.size, waiting: this.#waiting, evaluations: this.#evaluations };
  }

  /** The current answer. */
  answer(read: Read): SharedAnswer {
    return this.#entry(read).shared;
  }

  /**
   * Waits until the answer's index exceeds `index` (or differs from it, for reads that say so). The caller has seen
   * that it does not now.
   */
  wait(read: Read, index: number | bigint, deliver: (shared: SharedAnswer) => void): Waiter {
    const entry = this.#entry(read);
    const blocked: Blocked = { index, deliver };
    entry.waiters.add(blocked);
    this.#waiting += 1;
    const leave = (): boolean => {
      if (!entry.waiters.delete(blocked)) return false;
      this.#waiting -= 1;
      this.#trim();
      return true;
    };
    return {
      cancel: () => void leave(),
      expire: () => {
        if (leave()) deliver(entry.shared);
      },
    };
  }

  /** A commit touched these topics. */
  touch(topics: Iterable<string>): void {
    const affected = new Set<Entry>();
    for (const name of topics) {
      this.#collect(name, affected);
      if (name.startsWith('k/')) {
        const key = name.slice(2);
        for (const length of this.#prefixLengths.keys()) {
          if (length <= key.length) this.#collect(`K/${key.slice(0, length)}`, affected);
        }
      }
    }
    for (const entry of affected) {
      if (entry.waiters.size === 0) this.#drop(entry);
      else this.#refresh(entry);
    }
    this.#trim();
  }

  #collect(topic: string, into: Set<Entry>): void {
    const entries = this.#byTopic.get(topic);
    if (entries !== undefined) for (const entry of entries) into.add(entry);
  }

  #entry(read: Read): Entry {
    const held = this.#entries.get(read.key);
    if (held !== undefined) {
      // Back to the end of the map: most recently used.
      this.#entries.delete(read.key);
      this.#entries.set(read.key, held);
      return held;
    }
    const entry: Entry = {
      read,
      topics: new Set(),
      waiters: new Set(),
      shared: { answer: { status: 0, body: '', contentType: undefined, index: 0 } },
      size: 0,
    };
    this.#evaluate(entry);
    this.#entries.set(read.key, entry);
    this.#trim();
    return entry;
  }

  #evaluate(entry: Entry): void {
    this.#unlink(entry);
    entry.topics.clear();
    const answer = entry.read.evaluate(this.#view, entry.topics);
    entry.shared = { answer };
    this.#evaluations += 1;
    this.#memoBytes -= entry.size;
    entry.size = entryOverheadBytes + 2 * answer.body.length;
    this.#memoBytes += entry.size;
    for (const topic of entry.topics) {
      let entries = this.#byTopic.get(topic);
      if (entries === undefined) {
        entries = new Set();
        this.#byTopic.set(topic, entries);
      }
      entries.add(entry);
      if (topic.startsWith('K/')) this.#countPrefix(topic.length - 2, 1);
    }
  }

  #refresh(entry: Entry): void {
    this.#evaluate(entry);
    const { shared, waiters, read } = entry;
    const { index } = shared.answer;
    for (const blocked of [...waiters]) {
      // oxlint-disable-next-line eqeqeq -- number and bigint indexes compare by value
      const wakes = read.wakesOn === 'difference' ? index != blocked.index : index > blocked.index;
      if (!wakes) continue;
      waiters.delete(blocked);
      this.#waiting -= 1;
      blocked.deliver(shared);
    }
  }

  #unlink(entry: Entry): void {
    for (const topic of entry.topics) {
      const entries = must(this.#byTopic.get(topic));
      entries.delete(entry);
      if (entries.size === 0) this.#byTopic.delete(topic);
      if (topic.startsWith('K/')) this.#countPrefix(topic.length - 2, -1);
    }
  }

  #drop(entry: Entry): void {
    this.#unlink(entry);
    this.#entries.delete(entry.read.key);
    this.#memoBytes -= entry.size;
  }

  #countPrefix(length: number, by: 1 | -1): void {
    const count = (this.#prefixLengths.get(length) ?? 0) + by;
    if (count === 0) this.#prefixLengths.delete(length);
    else this.#prefixLengths.set(length, count);
  }

  /** Drops the least recently used results above the budget; those with waiters stay. */
  #trim(): void {
    if (this.#memoBytes <= this.#memoBytesMax) return;
    for (const entry of this.#entries.values()) {
      if (entry.waiters.size > 0) continue;
      this.#drop(entry);
      if (this.#memoBytes <= this.#memoBytesMax) return;
    }
  }
}
