import type { Row } from '../state/store.ts';

/** What an entry costs beside its key and value, roughly, in bytes. Guess. */
const entryBytes = 300;

/** Rows with larger values are cheaper to read again than to hold. Guess. */
const valueBytesMax = 2048;

/**
 * Rows that were read or written lately, so that a write need not ask SQLite for what it replaces. Two generations:
 * when the young one is full it becomes the old one, and what nobody asked for meanwhile goes. The store writes
 * through it and clears it on every rollback, so it always holds what a read inside the transaction would find.
 */
export class RowCache {
  readonly #bytesMax: number;
  #young = new Map<string, Row>();
  #old = new Map<string, Row>();
  #youngBytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  get(kind: number, key: string): Row | undefined {
    const name = cacheKey(kind, key);
    const young = this.#young.get(name);
    if (young !== undefined) return young;
    const old = this.#old.get(name);
    if (old !== undefined) this.#add(name, old);
    return old;
  }

  set(row: Row): void {
    const name = cacheKey(row.kind, row.key);
    if (row.value !== null && row.value.length > valueBytesMax) {
      this.#young.delete(name);
      this.#old.delete(name);
    } else {
      this.#add(name, row);
    }
  }

  delete(kind: number, key: string): void {
    const name = cacheKey(kind, key);
    this.#young.delete(name);
    this.#old.delete(name);
  }

  clear(): void {
    this.#young.clear();
    this.#old.clear();
    this.#youngBytes = 0;
  }

  #add(name: string, row: Row): void {
    if (!this.#young.has(name)) this.#youngBytes += entryBytes + 2 * name.length + (row.value?.length ?? 0);
    this.#young.set(name, row);
    if (this.#youngBytes <= this.#bytesMax / 2) return;
    this.#old = this.#young;
    this.#young = new Map();
    this.#youngBytes = 0;
  }
}

function cacheKey(kind: number, key: string): string {
  return String.fromCharCode(kind) + key;
}
