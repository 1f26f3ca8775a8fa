import { assert } from '../kernel/assert.ts';
import { compareUtf8 } from '../kernel/utf8-order.ts';
import type { Kind } from '../state/kinds.ts';
import type { OriginId } from '../crdt/dot.ts';
import {
  quarantineBytesMax,
  quarantineRowsMax,
  type KeyRow,
  type OriginRow,
  type Row,
  type SetAside,
  type SetAsideTable,
  type Store,
} from '../state/store.ts';
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
  /** Per origin the rows of each dot that have survived, by kind and key. */
  readonly #dots = new Map<number, Map<number, Map<string, Row>>>();
  readonly #origins = new Map<number, OriginRow>();
  readonly #setAside = {
    quarantine: { rows: new Map<number, SetAside>(), ever: 0, bytes: 0 },
    conflicts: { rows: new Map<number, SetAside>(), ever: 0, bytes: 0 },
  };
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

  *indexed(kind: Kind): Iterable<Row> {
    for (const rows of this.#tables.get(kind)?.byIx.values() ?? []) yield* rows.valuesArray();
  }

  tableIndex(kind: Kind): number {
    return this.#tables.get(kind)?.tableIndex ?? 0;
  }

  highestIndex(): number {
    let highest = 0;
    for (const { tableIndex } of this.#tables.values()) highest = Math.max(highest, tableIndex);
    return highest;
  }

  kinds(): readonly Kind[] {
    return [...this.#tables]
      .filter(([, table]) => table.tableIndex > 0)
      .map(([kind]) => kind)
      .toSorted((a, b) => a - b);
  }

  *byDots(origin: number, fromSeq: number, toSeq: number): Iterable<Row> {
    const dots = this.#dots.get(origin);
    if (dots === undefined) return;
    if (toSeq - fromSeq < dots.size) {
      for (let seq = toSeq; seq >= fromSeq; seq--) yield* dots.get(seq)?.values() ?? [];
      return;
    }
    const seqs = [...dots.keys()].filter((seq) => fromSeq <= seq && seq <= toSeq);
    for (const seq of seqs.toSorted((a, b) => b - a)) yield* dots.get(seq)?.values() ?? [];
  }

  origins(): readonly OriginRow[] {
    return [...this.#origins.values()].toSorted((a, b) => a.ref - b.ref);
  }

  setAside(table: SetAsideTable, afterId: number, limit: number): readonly SetAside[] {
    return [...this.#setAside[table].rows.values()].filter(({ id }) => id > afterId).slice(0, limit);
  }

  setAsideByDots(table: SetAsideTable, origin: OriginId, from: number, to: number): readonly SetAside[] {
    return [...this.#setAside[table].rows.values()]
      .filter((each) => each.origin === origin && from <= each.seq && each.seq <= to)
      .toSorted((a, b) => b.seq - a.seq || a.id - b.id);
  }

  setAsideCount(table: SetAsideTable): { readonly now: number; readonly ever: number } {
    const { rows, ever } = this.#setAside[table];
    return { now: rows.size, ever };
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

  putOrigin(row: OriginRow): void {
    assert(this.#undo !== undefined, 'writes need a transaction');
    const before = this.#origins.get(row.ref);
    this.#origins.set(row.ref, row);
    this.#undo.push(() => {
      if (before === undefined) this.#origins.delete(row.ref);
      else this.#origins.set(row.ref, before);
    });
  }

  putSetAside(table: SetAsideTable, record: Omit<SetAside, 'id'>): number {
    assert(this.#undo !== undefined, 'writes need a transaction');
    const held = this.#setAside[table];
    const id = held.ever + 1;
    held.ever = id;
    this.#undo.push(() => {
      held.ever = id - 1;
    });
    this.#setRow(table, id, { ...record, id });
    if (table !== 'quarantine') return id;
    for (const oldest of held.rows.keys()) {
      if (oldest > id - quarantineRowsMax && held.bytes <= quarantineBytesMax) break;
      this.#setRow(table, oldest, undefined);
    }
    return id;
  }

  markReplayed(id: number): void {
    const held = this.#setAside.conflicts.rows.get(id);
    if (held !== undefined) this.#setRow('conflicts', id, { ...held, replayed: true });
  }

  removeSetAside(table: SetAsideTable, id: number): void {
    this.#setRow(table, id, undefined);
  }

  close(): void {
    this.#tables.clear();
  }

  #setRow(table: SetAsideTable, id: number, row: SetAside | undefined): void {
    assert(this.#undo !== undefined, 'writes need a transaction');
    const held = this.#setAside[table];
    const before = held.rows.get(id);
    const { bytes } = held;
    held.bytes = bytes - (before?.value?.length ?? 0) + (row?.value?.length ?? 0);
    if (row === undefined) held.rows.delete(id);
    else held.rows.set(id, row);
    this.#undo.push(() => {
      held.bytes = bytes;
      if (before === undefined) held.rows.delete(id);
      else held.rows = new Map([...held.rows.set(id, before)].toSorted(([a], [b]) => a - b));
    });
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
    if (before !== undefined && before.origin > 0) this.#leaveDot(before);
    if (after === undefined) {
      table.rows.delete(key);
      return;
    }
    table.rows.set(key, after);
    if (after.origin > 0) this.#enterDot(after);
    if (after.ix === null) return;
    let rows = table.byIx.get(after.ix);
    if (rows === undefined) {
      rows = new SortedMap<string, Row>(undefined, compareUtf8);
      table.byIx.set(after.ix, rows);
    }
    rows.set(key, after);
  }

  #enterDot(row: Row): void {
    let dots = this.#dots.get(row.origin);
    if (dots === undefined) this.#dots.set(row.origin, (dots = new Map()));
    let rows = dots.get(row.seq);
    if (rows === undefined) dots.set(row.seq, (rows = new Map()));
    rows.set(`${row.kind}:${row.key}`, row);
  }

  #leaveDot(row: Row): void {
    const dots = this.#dots.get(row.origin);
    const rows = dots?.get(row.seq);
    rows?.delete(`${row.kind}:${row.key}`);
    if (rows?.size === 0) dots?.delete(row.seq);
  }

  #rollback(mark: number): void {
    const undo = this.#undo ?? [];
    while (undo.length > mark) undo.pop()?.();
  }
}
