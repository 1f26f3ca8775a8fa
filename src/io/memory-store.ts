import { assert } from '../kernel/assert.ts';
import { compareUtf8 } from '../kernel/utf8-order.ts';
import type { Kind } from '../state/kinds.ts';
import type { KeyRow, Row, Store } from '../state/store.ts';
import { SortedMap } from './sorted-map.ts';

interface Table {
  readonly rows: SortedMap<string, Row>;
  readonly byIx: Map<string, SortedMap<string, Row>>;
  tableIndex: number;
}

/** A store without a disk: what tests and the simulator run on. Passes the same suite as the SQLite store. */
export class MemoryStore implements Store {
  readonly #tables = new Map<Kind, Table>();
  readonly #meta = new Map<string, string>();
  readonly #heads = new Map<number, number>();
  #undo: (() => void)[] | undefined;

  get(kind: Kind, key: string): Row | undefined {
    return this.#tables.get(kind)?.rows.get(key);
  }

  *range(kind: Kind, from: string, to: string | undefined, limit = Infinity): Iterable<Row> {
    const rows = this.#tables.get(kind)?.rows;
    if (rows === undefined) return;
    let count = 0;
    for (const [key, row] of rows.entries(from)) {
      if (count >= limit || (to !== undefined && compareUtf8(key, to) >= 0)) return;
      count += 1;
      yield row;
    }
  }

  *rangeKeys(kind: Kind, from: string, to: string | undefined): Iterable<KeyRow> {
    for (const row of this.range(kind, from, to)) {
      yield { key: row.key, live: row.value !== null, modifyIndex: row.modifyIndex };
    }
  }

  byIndex(kind: Kind, ix: string): Iterable<Row> {
    return this.#tables.get(kind)?.byIx.get(ix)?.valuesArray() ?? [];
  }

  tombstones(belowIndex: number, limit: number): readonly Row[] {
    const rows = [...this.#tables.values()].flatMap((table) => table.rows.valuesArray());
    return rows
      .filter((row) => row.value === null && row.modifyIndex < belowIndex)
      .toSorted((a, b) => a.modifyIndex - b.modifyIndex)
      .slice(0, limit);
  }

  tableIndex(kind: Kind): number {
    return this.#tables.get(kind)?.tableIndex ?? 0;
  }

  headSeq(origin: number): number {
    return this.#heads.get(origin) ?? 0;
  }

  transact<T>(work: () => T): T {
    assert(this.#undo === undefined, 'transactions do not nest');
    this.#undo = [];
    try {
      const value = work();
      this.#undo = undefined;
      return value;
    } catch (error) {
      this.#rollback(0);
      this.#undo = undefined;
      throw error;
    }
  }

  attempt<T>(work: () => { readonly keep: boolean; readonly value: T }): T {
    assert(this.#undo !== undefined, 'attempt needs a transaction');
    const mark = this.#undo.length;
    try {
      const outcome = work();
      if (!outcome.keep) this.#rollback(mark);
      return outcome.value;
    } catch (error) {
      this.#rollback(mark);
      throw error;
    }
  }

  put(row: Row): void {
    assert(this.#undo !== undefined, 'writes need a transaction');
    const table = this.#table(row.kind);
    const before = table.rows.get(row.key);
    const tableIndex = table.tableIndex;
    this.#place(table, row.key, before, row);
    table.tableIndex = Math.max(tableIndex, row.modifyIndex);
    const head = this.headSeq(row.origin);
    if (row.origin > 0) this.#heads.set(row.origin, Math.max(head, row.seq));
    this.#undo.push(() => {
      this.#place(table, row.key, row, before);
      table.tableIndex = tableIndex;
      this.#heads.set(row.origin, head);
    });
  }

  remove(kind: Kind, key: string): void {
    assert(this.#undo !== undefined, 'writes need a transaction');
    const table = this.#table(kind);
    const before = table.rows.get(key);
    this.#place(table, key, before, undefined);
    this.#undo.push(() => this.#place(table, key, undefined, before));
  }

  getMeta(name: string): string | undefined {
    return this.#meta.get(name);
  }

  setMeta(name: string, value: string): void {
    assert(this.#undo !== undefined, 'writes need a transaction');
    const before = this.#meta.get(name);
    this.#meta.set(name, value);
    this.#undo.push(() => {
      if (before === undefined) this.#meta.delete(name);
      else this.#meta.set(name, before);
    });
  }

  close(): void {
    this.#tables.clear();
  }

  #table(kind: Kind): Table {
    let table = this.#tables.get(kind);
    if (table === undefined) {
      table = { rows: new SortedMap<string, Row>(undefined, compareUtf8), byIx: new Map(), tableIndex: 0 };
      this.#tables.set(kind, table);
    }
    return table;
  }

  #place(table: Table, key: string, before: Row | undefined, after: Row | undefined): void {
    if (before !== undefined && before.ix !== null) table.byIx.get(before.ix)?.delete(key);
    if (after === undefined) {
      table.rows.delete(key);
      return;
    }
    table.rows.set(key, after);
    if (after.ix === null) return;
    let rows = table.byIx.get(after.ix);
    if (rows === undefined) {
      rows = new SortedMap<string, Row>(undefined, compareUtf8);
      table.byIx.set(after.ix, rows);
    }
    rows.set(key, after);
  }

  #rollback(mark: number): void {
    const undo = this.#undo ?? [];
    while (undo.length > mark) undo.pop()?.();
  }
}
