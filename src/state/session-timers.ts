import { Kind } from './kinds.ts';
import { sessionValue } from './session-health.ts';
import type { ReadView, Row } from './store.ts';
import { topic } from './topics.ts';

/** A session lives for this many TTLs after its creation or its last renewal (Consul 1.8.7: SessionTTLMultiplier). */
export const sessionTtlMultiplier = 2;

export interface SessionTimersOptions {
  /** The TTL of a session in ms, from its text; 0 for none. */
  readonly ttlMsOf: (ttl: string) => number;
  /** Whether this gateway made it: sessions of others expire where they were made. */
  readonly isOwn: (row: Row) => boolean;
}

interface Entry {
  readonly id: string;
  /** When this entry is looked at: the deadline, or an earlier one that renewals have moved since. */
  dueMs: number;
}

/**
 * When the sessions of this gateway expire. Pure: time comes in, ids of expired sessions go out. The driver
 *
 * - calls `restore` once at the start: every session gets its whole time again, because nothing that happened while
 *   the gateway was down may count against a client;
 * - calls `onCommit` with the topics of each commit, which adds new sessions and forgets ended ones;
 * - keeps one timer for `nextDueMs`, calls `due` when it fires and proposes a `session-destroy` for each id.
 *
 * Renewals cost one map entry: the heap is put right only when an entry comes up.
 */
export class SessionTimers {
  readonly #options: SessionTimersOptions;
  readonly #deadlines = new Map<string, { readonly ttlMs: number; deadlineMs: number }>();
  /** A binary heap by `dueMs`; ids without a deadline are left over and skipped. */
  readonly #heap: Entry[] = [];

  constructor(options: SessionTimersOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#deadlines.size;
  }

  /** When to call `due` next, in ms on the caller's clock; never later than the next expiry. */
  get nextDueMs(): number | undefined {
    this.#dropStale();
    return this.#heap[0]?.dueMs;
  }

  restore(view: ReadView, nowMs: number): void {
    for (const row of view.range(Kind.session, '', undefined)) this.#follow(row.key, row, nowMs);
  }

  onCommit(touched: Iterable<string>, view: ReadView, nowMs: number): void {
    for (const name of touched) {
      if (!name.startsWith(sessionTopicPrefix)) continue;
      const id = name.slice(sessionTopicPrefix.length);
      this.#follow(id, view.get(Kind.session, id), nowMs);
    }
  }

  /** The client renewed it: its whole time begins again. False when no such session expires here. */
  renew(id: string, nowMs: number): boolean {
    const timer = this.#deadlines.get(id);
    if (timer === undefined) return false;
    timer.deadlineMs = nowMs + sessionTtlMultiplier * timer.ttlMs;
    return true;
  }

  /** Ids of the sessions that have expired by now. Each is given out once. */
  due(nowMs: number): readonly string[] {
    const expired: string[] = [];
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.dueMs > nowMs) return expired;
      const timer = this.#deadlines.get(first.id);
      if (timer !== undefined && timer.deadlineMs > nowMs) {
        first.dueMs = timer.deadlineMs;
        this.#sink(0);
        continue;
      }
      this.#pop();
      if (timer !== undefined) {
        this.#deadlines.delete(first.id);
        expired.push(first.id);
      }
    }
  }

  #follow(id: string, row: Row | undefined, nowMs: number): void {
    if (row === undefined || row.value === null) {
      this.#deadlines.delete(id);
      return;
    }
    if (!this.#options.isOwn(row) || this.#deadlines.has(id)) return;
    const ttlMs = this.#options.ttlMsOf(sessionValue(row).ttl);
    if (ttlMs <= 0) return;
    const deadlineMs = nowMs + sessionTtlMultiplier * ttlMs;
    this.#deadlines.set(id, { ttlMs, deadlineMs });
    this.#heap.push({ id, dueMs: deadlineMs });
    this.#rise(this.#heap.length - 1);
  }

  #dropStale(): void {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || this.#deadlines.has(first.id)) return;
      this.#pop();
    }
  }

  #pop(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    this.#sink(0);
  }

  #rise(from: number): void {
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (this.#dueAt(above) <= this.#dueAt(at)) return;
      this.#swap(at, above);
      at = above;
    }
  }

  #sink(from: number): void {
    let at = from;
    for (;;) {
      const left = 2 * at + 1;
      if (left >= this.#heap.length) return;
      const right = left + 1;
      const least = right < this.#heap.length && this.#dueAt(right) < this.#dueAt(left) ? right : left;
      if (this.#dueAt(at) <= this.#dueAt(least)) return;
      this.#swap(at, least);
      at = least;
    }
  }

  #dueAt(at: number): number {
    return (this.#heap[at] as Entry).dueMs;
  }

  #swap(a: number, b: number): void {
    const held = this.#heap[a] as Entry;
    this.#heap[a] = this.#heap[b] as Entry;
    this.#heap[b] = held;
  }
}

const sessionTopicPrefix = topic.session('');
