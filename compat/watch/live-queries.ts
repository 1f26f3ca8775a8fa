import { must } from '../../src/kernel/assert.ts';
import type { ReadView } from '../../src/state/store.ts';
import { textType, type Answer, type Read } from '../wire/http.ts';

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
  topics: ReadonlySet<string>;
  readonly waiters: Set<Blocked>;
  /** Undefined while memory is short: evaluated again when somebody needs it. */
  shared: SharedAnswer | undefined;
  index: number | bigint;
  /** What `shared` costs, in bytes; 0 without it. */
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
  readonly #entries = new Map<string, Entry>();
  /** Entries that nobody waits for, least recently used first. */
  readonly #idle = new Set<Entry>();
  /** Entries with waiters whose answer is kept. */
  readonly #blocking = new Set<Entry>();
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

  get stats(): {
    readonly entries: number;
    readonly waiting: number;
    readonly evaluations: number;
    readonly memoBytes: number;
  } {
    return {
      entries: this.#entries.size,
      waiting: this.#waiting,
      evaluations: this.#evaluations,
      memoBytes: this.#memoBytes,
    };
  }

  /** Whether `answer` has the result at hand; if so it is the current one, however long ago it was evaluated. */
  keeps(read: Read): boolean {
    return this.#entries.get(read.key)?.shared !== undefined;
  }

  /** The current answer. */
  answer(read: Read): SharedAnswer {
    const entry = this.#entry(read);
    const shared = this.#shared(entry);
    this.#trim();
    return shared;
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
    this.#file(entry);
    this.#trim();
    return {
      cancel: () => this.#leave(entry, blocked),
      expire: () => {
        if (!entry.waiters.has(blocked)) return;
        let shared = defect(entry.index);
        try {
          shared = this.#shared(entry);
        } finally {
          this.#leave(entry, blocked);
          deliver(shared);
        }
      },
    };
  }

  /**
   * A commit touched these topics.
   * @throws what routes or `deliver` threw, once everything else was done: a defect in one answer must cost no other
   * its wake-up.
   */
  touch(topics: Iterable<string>): void {
    const woken: { readonly blocked: Blocked; readonly shared: SharedAnswer }[] = [];
    const errors: unknown[] = [];
    for (const entry of this.#affected(topics)) {
      if (entry.waiters.size === 0) this.#drop(entry);
      else this.#refresh(entry, (blocked, shared) => woken.push({ blocked, shared }), errors);
    }
    this.#trim();
    // Delivered once nothing is out of date any more: who is woken may ask again at once.
    for (const { blocked, shared } of woken) {
      try {
        blocked.deliver(shared);
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new AggregateError(errors, 'several answers failed');
  }

  #affected(topics: Iterable<string>): ReadonlySet<Entry> {
    const affected = new Set<Entry>();
    for (const name of topics) {
      this.#collect(name, affected);
      if (!name.startsWith('k/')) continue;
      const key = name.slice(2);
      for (const length of this.#prefixLengths.keys()) {
        if (length <= key.length) this.#collect(`K/${key.slice(0, length)}`, affected);
      }
    }
    return affected;
  }

  #collect(topic: string, into: Set<Entry>): void {
    const entries = this.#byTopic.get(topic);
    if (entries !== undefined) for (const entry of entries) into.add(entry);
  }

  #entry(read: Read): Entry {
    const held = this.#entries.get(read.key);
    if (held !== undefined) {
      // Back to the end: most recently used.
      if (this.#idle.delete(held)) this.#idle.add(held);
      return held;
    }
    const entry: Entry = {
      read,
      topics: new Set(),
      waiters: new Set(),
      shared: undefined,
      index: 0,
      size: 0,
    };
    this.#evaluate(entry);
    this.#entries.set(read.key, entry);
    this.#file(entry);
    return entry;
  }

  #shared(entry: Entry): SharedAnswer {
    if (entry.shared !== undefined) return entry.shared;
    // Nothing that it depends on has changed since: the index that was shown stands.
    const { index } = entry;
    const { answer } = this.#evaluate(entry);
    const shared = { answer: { ...answer, index } };
    entry.shared = shared;
    entry.index = index;
    this.#file(entry);
    return shared;
  }

  /** Leaves the entry as it was when the read throws. */
  #evaluate(entry: Entry): SharedAnswer {
    this.#evaluations += 1;
    const topics = new Set<string>();
    const answer = entry.read.evaluate(this.#view, topics);
    const shared: SharedAnswer = { answer };
    this.#unlink(entry);
    entry.topics = topics;
    entry.shared = shared;
    entry.index = answer.index;
    this.#resize(entry, entryOverheadBytes + 2 * answer.body.length);
    for (const topic of topics) {
      let entries = this.#byTopic.get(topic);
      if (entries === undefined) {
        entries = new Set();
        this.#byTopic.set(topic, entries);
      }
      entries.add(entry);
      if (topic.startsWith('K/')) this.#countPrefix(topic.length - 2, 1);
    }
    return shared;
  }

  #refresh(entry: Entry, wake: (blocked: Blocked, shared: SharedAnswer) => void, errors: unknown[]): void {
    let failed = false;
    let shared = defect(entry.index);
    try {
      shared = this.#evaluate(entry);
    } catch (error) {
      errors.push(error);
      failed = true;
    }
    const { index } = shared.answer;
    for (const blocked of [...entry.waiters]) {
      // oxlint-disable-next-line eqeqeq -- number and bigint indexes compare by value
      const wakes = entry.read.wakesOn === 'difference' ? index != blocked.index : index > blocked.index;
      if (!wakes && !failed) continue;
      entry.waiters.delete(blocked);
      this.#waiting -= 1;
      wake(blocked, shared);
    }
    if (failed) this.#drop(entry);
    else this.#file(entry);
  }

  #leave(entry: Entry, blocked: Blocked): void {
    if (!entry.waiters.delete(blocked)) return;
    this.#waiting -= 1;
    // Without an answer there is nothing to keep it for.
    if (entry.waiters.size === 0 && entry.shared === undefined) this.#drop(entry);
    else this.#file(entry);
    this.#trim();
  }

  /** Puts the entry where it belongs by its waiters and its answer. */
  #file(entry: Entry): void {
    if (entry.waiters.size === 0) {
      this.#blocking.delete(entry);
      this.#idle.add(entry);
    } else {
      this.#idle.delete(entry);
      if (entry.shared !== undefined) this.#blocking.add(entry);
    }
  }

  #resize(entry: Entry, size: number): void {
    this.#memoBytes += size - entry.size;
    entry.size = size;
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
    this.#idle.delete(entry);
    this.#blocking.delete(entry);
    this.#resize(entry, 0);
  }

  #countPrefix(length: number, by: 1 | -1): void {
    const count = (this.#prefixLengths.get(length) ?? 0) + by;
    if (count === 0) this.#prefixLengths.delete(length);
    else this.#prefixLengths.set(length, count);
  }

  /** Above the budget: drops the least recently used results, then lets go of answers that are waited on. */
  #trim(): void {
    if (this.#memoBytes <= this.#memoBytesMax) return;
    for (const entry of this.#idle) {
      this.#drop(entry);
      if (this.#memoBytes <= this.#memoBytesMax) return;
    }
    for (const entry of this.#blocking) {
      this.#blocking.delete(entry);
      entry.shared = undefined;
      this.#resize(entry, 0);
      if (this.#memoBytes <= this.#memoBytesMax) return;
    }
  }
}

/** What a waiter gets when its read failed: a defect, which the log tells more about. */
function defect(index: number | bigint): SharedAnswer {
  const body = 'internal error: see the log of this gateway';
  return { answer: { status: 500, body, contentType: textType, index } };
}
