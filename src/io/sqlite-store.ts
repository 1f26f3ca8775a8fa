import Database from 'better-sqlite3';
import { assert } from '../kernel/assert.ts';
import type { Kind } from '../state/kinds.ts';
import type { OriginId } from '../crdt/dot.ts';
import type { KeyRow, OriginRow, Row, SetAside, SetAsideTable, Store } from '../state/store.ts';
import { RowCache } from './row-cache.ts';
import { SqliteFleet } from './sqlite-fleet.ts';
import { openDatabase, type SqliteOptions } from './sqlite-open.ts';

const columns =
  'kind, key, term, timeline, stamp, born, origin, seq, beside, ix, create_index AS createIndex, modify_index AS modifyIndex, value';

type Statement = Database.Statement;

/** Memory for rows that were read or written lately. Guess. */
const rowCacheBytesMax = 4 * 1024 * 1024;

/**
 * Registers in one SQLite database: WAL, `synchronous=FULL`, so what `transact` returned from is on disk.
 * Errors of the disk (full, read-only, corrupt) are thrown as they come: see `fatalDatabaseError`.
 */
export class SqliteStore implements Store {
  readonly #db: Database.Database;
  readonly #cache = new RowCache(rowCacheBytesMax);
  readonly #tableIndexes = new Map<number, number>();
  #tableIndexesBefore: Map<number, number> | undefined;
  readonly #statements = new Map<string, Statement>();
  readonly #fleet = new SqliteFleet((sql) => this.#statement(sql));
  readonly #get: Statement;
  readonly #put: Statement;
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #rollback: Statement;

  constructor(options: SqliteOptions) {
    this.#db = openDatabase(options);
    this.#get = this.#db.prepare(`SELECT ${columns} FROM registers WHERE kind = ? AND key = ?`);
    this.#put = this.#db.prepare(
      'INSERT INTO registers (kind, key, term, timeline, stamp, born, origin, seq, beside, ix, create_index, modify_index, value)' +
        ' VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET' +
        ' term = excluded.term, timeline = excluded.timeline, stamp = excluded.stamp, born = excluded.born,' +
        ' origin = excluded.origin, seq = excluded.seq, beside = excluded.beside, ix = excluded.ix, create_index = excluded.create_index,' +
        ' modify_index = excluded.modify_index, value = excluded.value',
    );
    this.#begin = this.#db.prepare('BEGIN IMMEDIATE');
    this.#commit = this.#db.prepare('COMMIT');
    this.#rollback = this.#db.prepare('ROLLBACK');
    this.#loadTableIndexes();
  }

  get(kind: Kind, key: string): Row | undefined {
    const cached = this.#cache.get(kind, key);
    if (cached !== undefined) return cached;
    const row = this.#get.get(kind, key) as Row | undefined;
    if (row !== undefined) this.#cache.set(row);
    return row;
  }

  range(kind: Kind, from: string, to: string | undefined, limit?: number): Iterable<Row> {
    return this.#range(columns, kind, from, to, limit) as Row[];
  }

  rangeKeys(kind: Kind, from: string, to: string | undefined): Iterable<KeyRow> {
    const rows = this.#range('key, value IS NOT NULL AS live, modify_index AS modifyIndex', kind, from, to);
    for (const row of rows as { live: number | boolean }[]) row.live = row.live === 1;
    return rows as KeyRow[];
  }

  byIndex(kind: Kind, ix: string): Iterable<Row> {
    const sql = `SELECT ${columns} FROM registers WHERE kind = ? AND ix = ? ORDER BY key`;
    return this.#statement(sql).all(kind, ix) as Row[];
  }

  tombstones(belowIndex: number, limit: number): readonly { readonly kind: Kind; readonly key: string }[] {
    const sql =
      'SELECT kind, key FROM registers WHERE value IS NULL AND modify_index < ? ORDER BY modify_index LIMIT ?';
    return this.#statement(sql).all(belowIndex, limit) as { kind: Kind; key: string }[];
  }

  indexed(kind: Kind): Iterable<Row> {
    return this.#statement(`SELECT ${columns} FROM registers WHERE kind = ? AND ix IS NOT NULL`).all(
      kind,
    ) as Row[];
  }

  tableIndex(kind: Kind): number {
    return this.#tableIndexes.get(kind) ?? 0;
  }

  highestIndex(): number {
    return Math.max(0, ...this.#tableIndexes.values());
  }

  kinds(): readonly Kind[] {
    return ([...this.#tableIndexes.keys()] as Kind[]).toSorted((a, b) => a - b);
  }

  headSeq(origin: number): number {
    const held = this.#statement('SELECT max(seq) FROM registers WHERE origin = ?').pluck().get(origin) as
      | number
      | null;
    return Math.max(held ?? 0, Number(this.getMeta(`head-seq:${origin}`) ?? 0));
  }

  byDots(origin: number, fromSeq: number, toSeq: number): Iterable<Row> {
    const sql = `SELECT ${columns} FROM registers WHERE origin = ? AND seq BETWEEN ? AND ? AND origin > 0 ORDER BY seq DESC`;
    return this.#statement(sql).iterate(origin, fromSeq, toSeq) as IterableIterator<Row>;
  }

  origins(): readonly OriginRow[] {
    return this.#fleet.origins();
  }

  setAside(table: SetAsideTable, afterId: number, limit: number): readonly SetAside[] {
    return this.#fleet.setAside(table, afterId, limit);
  }

  setAsideByDots(table: SetAsideTable, origin: OriginId, from: number, to: number): readonly SetAside[] {
    return this.#fleet.setAsideByDots(table, origin, from, to);
  }

  setAsideCount(table: SetAsideTable): { readonly now: number; readonly ever: number } {
    return this.#fleet.setAsideCount(table);
  }

  transact<T>(work: () => T): T {
    assert(!this.#db.inTransaction, 'transactions do not nest');
    this.#tableIndexesBefore = new Map(this.#tableIndexes);
    this.#begin.run();
    try {
      const value = work();
      this.#commit.run();
      return value;
    } catch (error) {
      if (this.#db.inTransaction) this.#rollback.run();
      this.#cache.clear();
      this.#restoreTableIndexes(this.#tableIndexesBefore);
      throw error;
    } finally {
      this.#tableIndexesBefore = undefined;
    }
  }

  attempt<T>(work: () => { readonly keep: boolean; readonly value: T }): T {
    assert(this.#db.inTransaction, 'attempt needs a transaction');
    const tableIndexes = new Map(this.#tableIndexes);
    this.#statement('SAVEPOINT attempt').run();
    let keep = false;
    try {
      const outcome = work();
      keep = outcome.keep;
      return outcome.value;
    } finally {
      // A full or failing disk makes SQLite roll back the whole transaction by itself: that error must come through.
      if (!keep) this.#cache.clear();
      if (this.#db.inTransaction) {
        if (!keep) {
          this.#statement('ROLLBACK TO attempt').run();
          this.#restoreTableIndexes(tableIndexes);
        }
        this.#statement('RELEASE attempt').run();
      }
    }
  }

  put(row: Row): void {
    assert(this.#db.inTransaction, 'writes need a transaction');
    this.#put.run(
      row.kind,
      row.key,
      row.term,
      row.timeline,
      row.stamp,
      row.born,
      row.origin,
      row.seq,
      row.beside,
      row.ix,
      row.createIndex,
      row.modifyIndex,
      row.value,
    );
    this.#cache.set(row);
    if (row.modifyIndex > this.tableIndex(row.kind)) this.#tableIndexes.set(row.kind, row.modifyIndex);
  }

  remove(kind: Kind, key: string): void {
    assert(this.#db.inTransaction, 'writes need a transaction');
    // Neither the table's index nor the origin's head may fall with the row that carried it, also not after a restart.
    this.setMeta(`table-index:${kind}`, String(this.tableIndex(kind)));
    const origin = this.get(kind, key)?.origin ?? 0;
    if (origin > 0) this.setMeta(`head-seq:${origin}`, String(this.headSeq(origin)));
    this.#statement('DELETE FROM registers WHERE kind = ? AND key = ?').run(kind, key);
    this.#cache.delete(kind, key);
  }

  getMeta(name: string): string | undefined {
    return this.#statement('SELECT value FROM meta WHERE name = ?').pluck().get(name) as string | undefined;
  }

  setMeta(name: string, value: string): void {
    assert(this.#db.inTransaction, 'writes need a transaction');
    this.#statement(
      'INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
    ).run(name, value);
  }

  putOrigin(row: OriginRow): void {
    assert(this.#db.inTransaction, 'writes need a transaction');
    this.#fleet.putOrigin(row);
  }

  putSetAside(table: SetAsideTable, record: Omit<SetAside, 'id'>): number {
    assert(this.#db.inTransaction, 'writes need a transaction');
    return this.#fleet.putSetAside(table, record);
  }

  markReplayed(id: number): void {
    assert(this.#db.inTransaction, 'writes need a transaction');
    this.#fleet.markReplayed(id);
  }

  removeSetAside(table: SetAsideTable, id: number): void {
    assert(this.#db.inTransaction, 'writes need a transaction');
    this.#fleet.removeSetAside(table, id);
  }

  /** Copies the database to a file while it runs, page by page; resolves when the copy is complete. */
  async backup(file: string): Promise<void> {
    await this.#db.backup(file);
  }

  close(): void {
    this.#db.close();
  }

  #range(what: string, kind: Kind, from: string, to: string | undefined, limit?: number): unknown[] {
    const sql =
      `SELECT ${what} FROM registers WHERE kind = ? AND key >= ?${to === undefined ? '' : ' AND key < ?'}` +
      ` ORDER BY key${limit === undefined ? '' : ' LIMIT ?'}`;
    const parameters: unknown[] = [kind, from];
    if (to !== undefined) parameters.push(to);
    if (limit !== undefined) parameters.push(limit);
    return this.#statement(sql).all(...parameters);
  }

  #statement(sql: string): Statement {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #loadTableIndexes(): void {
    const rows = this.#db
      .prepare('SELECT kind, max(modify_index) AS tableIndex FROM registers GROUP BY kind')
      .all() as { kind: number; tableIndex: number }[];
    for (const row of rows) this.#tableIndexes.set(row.kind, row.tableIndex);
    const floors = this.#db.prepare("SELECT name, value FROM meta WHERE name LIKE 'table-index:%'").all() as {
      name: string;
      value: string;
    }[];
    for (const floor of floors) {
      const kind = Number(floor.name.slice('table-index:'.length));
      this.#tableIndexes.set(kind, Math.max(this.#tableIndexes.get(kind) ?? 0, Number(floor.value)));
    }
  }

  #restoreTableIndexes(from: ReadonlyMap<number, number>): void {
    this.#tableIndexes.clear();
    for (const [kind, index] of from) this.#tableIndexes.set(kind, index);
  }
}
