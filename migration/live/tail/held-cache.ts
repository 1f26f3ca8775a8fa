import { rowDigest, type MirrorDigest } from '../../../compat/routes/mirror-digest.ts';
import { prefixEnd } from '../../../src/kernel/utf8-order.ts';
import { Kind } from '../../../src/state/kinds.ts';
import type { ReadView, Row } from '../../../src/state/store.ts';
import { topic } from '../../../src/state/topics.ts';
import { digestCatalog, digestKv } from '../../digest.ts';
import { canonicalCatalogValue } from '../../canonical.ts';
import type { Held } from '../../mirror/registers.ts';
import type { RawEntry } from '../../source/raw-entry.ts';

export const mirrorDigest: MirrorDigest = {
  kv: digestKv,
  catalog: (kind, entry) => digestCatalog(kind, canonicalCatalogValue(kind, entry)),
};

/** Rows that are in memory at once while values are digested. */
const rowsAtOnce = 64;

/**
 * Numbers the questions that are asked, so that what was stored while one was under way is told from what was there
 * before it: only the latter may be held against the answer.
 */
export class Asks {
  #last = 0;

  get last(): number {
    return this.#last;
  }

  next(): number {
    this.#last += 1;
    return this.#last;
  }
}

/** What is held here of a leaf's keys, tombstones included; follows every commit for as long as it is kept. */
export class HeldCache {
  readonly #view: ReadView;
  readonly #place: { readonly prefix: string; readonly tree: boolean };
  readonly #held = new Map<string, Held>();
  /** Keys that were written since they were read, with the question that was the last one then. */
  readonly #dirty = new Map<string, number>();
  /**
   * Entries of the source that were found to be what is held, and is held still: while the source answers with the very
   * same bytes there is nothing to decide about them.
   */
  readonly settled = new Map<string, RawEntry>();
  #settledFor = '';
  #loaded = false;

  constructor(view: ReadView, place: { readonly prefix: string; readonly tree: boolean }) {
    this.#view = view;
    this.#place = place;
  }

  /** Under another timeline, or other terms, all is decided anew. */
  settledFor(timeline: number, terms: number): void {
    const given = `${timeline} ${terms}`;
    if (given !== this.#settledFor) this.settled.clear();
    this.#settledFor = given;
  }

  touched(key: string, lastAsk: number): void {
    this.#dirty.set(key, lastAsk);
  }

  /** In pieces, so that nobody else waits for all of it. */
  async load(): Promise<void> {
    if (this.#loaded) return;
    const { prefix, tree } = this.#place;
    const to = tree ? prefixEnd(prefix) : `${prefix}\0`;
    for (let from = prefix; ;) {
      const rows = [...this.#view.range(Kind.kv, from, to, rowsAtOnce)];
      for (const row of rows) this.#held.set(row.key, heldOf(row, 0));
      const last = rows.at(-1);
      if (last === undefined || rows.length < rowsAtOnce) break;
      from = `${last.key}\0`;
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    this.#loaded = true;
  }

  /** All of it, as of now. */
  current(): ReadonlyMap<string, Held> {
    for (const [key, storedAt] of this.#dirty) {
      this.settled.delete(key);
      const row = this.#view.get(Kind.kv, key);
      if (row === undefined) this.#held.delete(key);
      else this.#held.set(key, heldOf(row, storedAt));
    }
    this.#dirty.clear();
    return this.#held;
  }
}

function heldOf(row: Row, storedAt: number): Held {
  const { key, term, timeline, stamp } = row;
  const deleted = row.value === null;
  return {
    key,
    term,
    timeline,
    stamp,
    deleted,
    digest: deleted ? '' : rowDigest('kv', row, mirrorDigest),
    storedAt,
  };
}

const keyTopic = topic.key('');

/** The key that a topic is about; undefined: it is about something else. */
export function keyOfTopic(touched: string): string | undefined {
  return touched.startsWith(keyTopic) ? touched.slice(keyTopic.length) : undefined;
}
