import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import {
  applicationId,
  fatalDatabaseError,
  schemaVersion,
  UnusableDatabaseError,
} from '../../src/io/sqlite-open.ts';
import { SqliteStore } from '../../src/io/sqlite-store.ts';
import { Kind } from '../../src/state/kinds.ts';
import { encode } from '../../src/kernel/codec.ts';
import type { OriginId } from '../../src/crdt/dot.ts';
import { Replica } from '../../src/node/replica.ts';
import { encodeKv } from '../../src/state/values.ts';
import { rowOf } from '../support/store-model.ts';

let dir: string;
let file: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'grapevine-test-open-'));
  file = join(dir, 'grapevine.db');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function openProblem(path = file): string {
  try {
    new SqliteStore({ file: path }).close();
  } catch (error) {
    if (error instanceof UnusableDatabaseError) return error.message;
    throw error;
  }
  throw new Error('it opened');
}

function filledStore(rows: number): void {
  const store = new SqliteStore({ file });
  store.transact(() => {
    for (let i = 0; i < rows; i++) store.put(rowOf({ key: `key/${i}`, value: randomBytes(500) }));
  });
  store.close();
}

describe('opening a database', () => {
  test('a new database and its log may be read by their owner only', () => {
    const umask = process.umask(0o022);
    const store = new SqliteStore({ file });
    store.transact(() => store.setMeta('a', 'b'));
    process.umask(umask);
    const modes = readdirSync(dir).map((name) => (statSync(join(dir, name)).mode & 0o777).toString(8));
    expect(modes).toEqual(modes.map(() => '600'));
    expect(modes.length).toBeGreaterThanOrEqual(2);
    store.close();
  });

  test('a SQLite database of another program is refused, and not a byte of it changes', () => {
    const foreign = new Database(file);
    foreign.exec('CREATE TABLE theirs (a)');
    foreign.close();
    const before = readFileSync(file);
    expect(openProblem()).toContain("is a SQLite database, but not Grapevine's: choose another data_dir");
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  test('a database of a newer version is refused with both versions named, and stays as it was', () => {
    filledStore(1);
    const db = new Database(file);
    db.pragma(`user_version = ${schemaVersion + 1}`);
    db.pragma('journal_mode = DELETE');
    db.close();
    const before = readFileSync(file);
    const problem = openProblem();
    expect(problem).toContain(
      `newer Grapevine (data version ${schemaVersion + 1}, this one knows up to ${schemaVersion})`,
    );
    expect(problem).toContain('start that version again');
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  test('a file that is no database is named, and stays as it was', () => {
    const text = 'these are not the bytes you are looking for\n'.repeat(100);
    writeFileSync(file, text);
    const problem = openProblem();
    expect(problem).toContain(file);
    expect(problem).toContain('the file is not a SQLite database: check data_dir');
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  test('a damaged database is refused, not served in part', () => {
    filledStore(500);
    const bytes = readFileSync(file);
    // Every page but the first: whatever the layout, b-trees are hit.
    bytes.fill(0x5a, 8192, bytes.length);
    writeFileSync(file, bytes);
    const problem = openProblem();
    expect(problem).toContain(file);
    expect(problem).toMatch(/is damaged/);
    expect(problem).toMatch(/restore the last good archive/);
  });

  test('a database that was cut short is refused', () => {
    filledStore(500);
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.subarray(0, bytes.length - 4096 * 3));
    expect(openProblem()).toMatch(/is damaged/);
  });

  test('a database that another connection has open is refused as in use', () => {
    const store = new SqliteStore({ file });
    expect(openProblem()).toContain('is in use by another process: stop it, or choose another data_dir');
    store.close();
    new SqliteStore({ file }).close();
  });

  test('a directory in the place of the file is refused with advice', () => {
    expect(openProblem(dir)).toContain('the database cannot be opened: check that data_dir exists');
  });

  test('a commit is flushed to disk before it returns: WAL with synchronous=FULL', () => {
    const store = new SqliteStore({ file });
    const connection = connectionOf(store);
    expect(connection.pragma('journal_mode', { simple: true })).toBe('wal');
    expect(connection.pragma('synchronous', { simple: true })).toBe(2);
    store.close();
  });
});

/** The store keeps its connection to itself: seen while it prepares a statement. */
function connectionOf(store: SqliteStore): Database.Database {
  // oxlint-disable-next-line typescript/unbound-method -- called with its receiver below
  const { prepare } = Database.prototype;
  let connection: Database.Database | undefined;
  Database.prototype.prepare = function remember(this: Database.Database, sql: string) {
    // oxlint-disable-next-line typescript/no-this-alias -- who calls is what is wanted
    connection = this;
    return prepare.call(this, sql);
  } as typeof prepare;
  try {
    store.getMeta('anything');
  } finally {
    Database.prototype.prepare = prepare;
  }
  if (connection === undefined) throw new Error('the store prepared nothing');
  return connection;
}

describe('a disk that fails while running', () => {
  /** A store whose database may not grow: SQLite then reports a full disk, as it does for a real one. */
  function storeThatFills(): SqliteStore {
    const store = new SqliteStore({ file });
    store.transact(() => store.put(rowOf({ key: 'acknowledged', modifyIndex: 5 })));
    connectionOf(store).pragma('max_page_count = 12');
    return store;
  }

  function fill(store: SqliteStore): void {
    for (let i = 0; i < 100; i++) {
      store.put(rowOf({ key: `big/${i}`, value: new Uint8Array(4000), modifyIndex: 10 + i }));
    }
  }

  test('a full disk inside an attempt is reported as a full disk, and the transaction is gone whole', () => {
    const store = storeThatFills();
    let thrown: unknown;
    try {
      store.transact(() => {
        store.put(rowOf({ key: 'same batch', modifyIndex: 6 }));
        store.attempt(() => {
          fill(store);
          return { keep: true, value: undefined };
        });
      });
    } catch (error) {
      thrown = error;
    }
    expect(fatalDatabaseError(thrown)).toContain('the disk is full: free some space, then start again');
    expect([...store.range(Kind.kv, '', undefined)].map((row) => row.key)).toEqual(['acknowledged']);
    expect(store.tableIndex(Kind.kv)).toBe(5);
    store.close();
  });

  test('a full disk outside of an attempt is reported as such too', () => {
    const store = storeThatFills();
    expect(() => store.transact(() => fill(store))).toThrow('database or disk is full');
    expect([...store.range(Kind.kv, '', undefined)].map((row) => row.key)).toEqual(['acknowledged']);
    store.close();
    const reopened = new SqliteStore({ file });
    expect([...reopened.range(Kind.kv, '', undefined)].map((row) => row.key)).toEqual(['acknowledged']);
    reopened.close();
  });

  test('only errors that end a gateway are called fatal, and damage promises nothing about data', () => {
    const withCode = (code: string): Error => Object.assign(new Error('x'), { code });
    expect(fatalDatabaseError(withCode('SQLITE_IOERR_FSYNC'))).toContain('the disk failed');
    expect(fatalDatabaseError(withCode('SQLITE_READONLY_DBMOVED'))).toContain('cannot be written');
    expect(fatalDatabaseError(withCode('SQLITE_CORRUPT_VTAB'))).not.toContain('acknowledged');
    for (const other of [
      withCode('SQLITE_CONSTRAINT'),
      withCode('ENOENT'),
      new Error('x'),
      undefined,
      null,
    ]) {
      expect(fatalDatabaseError(other)).toBeUndefined();
    }
  });
});

describe('a database of version 1', () => {
  /** As the first Grapevine made it. */
  function version1(withOrigin: boolean): void {
    const db = new Database(file);
    db.exec(
      `CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
       CREATE TABLE registers (
         kind INTEGER NOT NULL, key TEXT NOT NULL, term INTEGER NOT NULL, timeline INTEGER NOT NULL,
         stamp INTEGER NOT NULL, born INTEGER NOT NULL, origin INTEGER NOT NULL, seq INTEGER NOT NULL, ix TEXT,
         create_index INTEGER NOT NULL, modify_index INTEGER NOT NULL, value BLOB, PRIMARY KEY (kind, key)
       ) STRICT, WITHOUT ROWID;
       CREATE INDEX registers_by_ix ON registers (kind, ix, key) WHERE ix IS NOT NULL;
       CREATE INDEX registers_by_dot ON registers (origin, seq) WHERE origin > 0;
       CREATE INDEX registers_tombstones ON registers (modify_index) WHERE value IS NULL;`,
    );
    db.pragma(`application_id = ${applicationId}`);
    db.pragma('user_version = 1');
    if (withOrigin) {
      db.exec("INSERT INTO meta VALUES ('origin', 'abababababababababababababababab'), ('node-id', 'me')");
      const root = Buffer.from(encode({ prefix: '', ownerId: 'me', term: 1 }));
      const kv = Buffer.from(encodeKv({ flags: 0n, lockIndex: 0, session: '', value: new Uint8Array([49]) }));
      const put = db.prepare('INSERT INTO registers VALUES (?, ?, 1, 0, ?, ?, 1, ?, NULL, ?, ?, ?)');
      put.run(Kind.zone, '', 100, 100, 1, 100, 100, root);
      put.run(Kind.kv, 'k', 200, 200, 4, 200, 200, kv);
    }
    db.close();
  }

  test('goes on as what it was: its log is its own, all seen, and its zone is founded and ready', () => {
    version1(true);
    const store = new SqliteStore({ file });
    expect(store.origins()).toEqual([{ ref: 1, id: 'ab'.repeat(16), nodeId: 'me', seen: [] }]);
    const replica = new Replica({ store, origin: 'ab'.repeat(16) as OriginId, nodeId: 'me' });
    expect(replica.originLog(replica.origin)?.seen).toEqual([{ from: 1, to: 4 }]);
    expect(replica.zones).toEqual([{ prefix: '', ownerId: 'me', term: 1 }]);
    const dots = replica.read(replica.origin, { from: 1, to: 9 }, 10, 1e6);
    expect(dots.map(({ seq, records }) => [seq, records.length])).toEqual([
      [4, 1],
      [3, 0],
      [2, 0],
      [1, 1],
    ]);
    const command = {
      kind: 'kv-put',
      key: 'k',
      flags: 0n,
      value: new Uint8Array([50]),
      mode: { kind: 'plain' },
    } as const;
    const step = store.transact(() => replica.step(command, 300));
    expect(step.outcome).toMatchObject({
      kind: 'kv',
      applied: true,
      row: { seq: 5, term: 1, modifyIndex: 300 },
    });
    expect(store.transact(() => replica.found(400, '0123456789abcdef'))).toBeUndefined();
    expect(replica.cluster).toBe('0123456789abcdef');
    store.close();
    const db = new Database(file);
    expect(db.pragma('user_version', { simple: true })).toBe(schemaVersion);
    db.close();
  });

  test('that never started has no origin yet', () => {
    version1(false);
    const store = new SqliteStore({ file });
    expect(store.origins()).toEqual([]);
    store.close();
  });
});

test('a database of version 2 keeps its rows: of its entries, what is left counts as all there was', () => {
  const before = new SqliteStore({ file });
  before.transact(() => before.put(rowOf({ key: 'a', seq: 3, beside: 2 })));
  before.close();
  const db = new Database(file);
  db.exec('ALTER TABLE registers DROP COLUMN beside');
  db.pragma('user_version = 2');
  db.close();
  const store = new SqliteStore({ file });
  expect(store.get(Kind.kv, 'a')).toEqual(rowOf({ key: 'a', seq: 3, beside: 0 }));
  store.close();
});
