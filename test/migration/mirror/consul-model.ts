/**
 * A model of Consul's KV indexes, as read from its source and pinned against Consul 1.8.7:
 *  - a write of equal bytes keeps the ModifyIndex;
 *  - a list at a non-empty prefix carries max(ModifyIndex, tombstone index) *within the prefix*, and the
 *    table's index when there is neither; at the empty prefix always the table's;
 *  - a tree delete leaves one tombstone, at the deleted prefix;
 *  - tombstones are reaped, so a prefix's index goes backwards with no data lost;
 *  - a 404 carries the table's index;
 *  - a live restore brings back old entries and the old table index while Raft's own index moves on;
 *  - a cluster rebuilt from a backup uses index numbers again.
 */
export type ModelEntry = { readonly value: string; readonly stamp: number };

type Saved = {
  readonly index: number;
  readonly tableIndex: number;
  readonly table: ReadonlyMap<string, ModelEntry>;
  readonly graves: ReadonlyMap<string, number>;
};

export class ConsulModel {
  #index = 10;
  #tableIndex = 10;
  #table = new Map<string, ModelEntry>();
  #graves = new Map<string, number>();
  #saved: Saved;

  constructor() {
    this.#saved = this.#copy();
  }

  get table(): ReadonlyMap<string, ModelEntry> {
    return this.#table;
  }

  /** Returns the entry's ModifyIndex, as a txn would. */
  put(key: string, value: string): number {
    const old = this.#table.get(key);
    if (old !== undefined && old.value === value) return old.stamp;
    this.#bump();
    this.#table.set(key, { value, stamp: this.#index });
    return this.#index;
  }

  /** Returns the index of the delete (dual write sets a mark key in the same transaction to learn it). */
  delete(key: string): number {
    this.#bump();
    if (this.#table.delete(key)) this.#graves.set(key, this.#index);
    return this.#index;
  }

  deleteTree(prefix: string): void {
    const keys = [...this.#table.keys()].filter((key) => key.startsWith(prefix));
    if (keys.length === 0) return;
    this.#bump();
    for (const key of keys) this.#table.delete(key);
    if (prefix !== '') this.#graves.set(prefix, this.#index);
  }

  reap(): void {
    if (this.#graves.size === 0) return;
    this.#bump();
    this.#graves.clear();
  }

  list(prefix: string): { items: [string, ModelEntry][]; index: number; indexIsTable: boolean } {
    const items = [...this.#table].filter(([key]) => key.startsWith(prefix));
    if (prefix === '') return { items, index: this.#tableIndex, indexIsTable: true };
    const graves = [...this.#graves].filter(([key]) => key.startsWith(prefix)).map(([, index]) => index);
    const own = Math.max(0, ...items.map(([, entry]) => entry.stamp), ...graves);
    return { items, index: own === 0 ? this.#tableIndex : own, indexIsTable: false };
  }

  get(key: string): { entry: ModelEntry | null; index: number } {
    const entry = this.#table.get(key) ?? null;
    return { entry, index: entry?.stamp ?? this.#tableIndex };
  }

  save(): void {
    this.#saved = this.#copy();
  }

  restoreLive(): void {
    const { table, graves, tableIndex } = this.#saved;
    this.#index += 1;
    this.#tableIndex = tableIndex;
    this.#table = new Map(table);
    this.#graves = new Map(graves);
  }

  rebuild(): void {
    this.restoreLive();
    this.#index = this.#saved.index;
  }

  #bump(): void {
    this.#index += 1;
    this.#tableIndex = this.#index;
  }

  #copy(): Saved {
    return {
      index: this.#index,
      tableIndex: this.#tableIndex,
      table: new Map(this.#table),
      graves: new Map(this.#graves),
    };
  }
}
