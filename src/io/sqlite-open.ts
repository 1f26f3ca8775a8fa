import { accessSync, closeSync, constants, existsSync, openSync } from 'node:fs';
import Database from 'better-sqlite3';

export interface SqliteOptions {
  /** Path of the database file, or `:memory:` for `-dev`. */
  readonly file: string;
}

/** Version of the tables below. A database of a newer version is refused, one of an older version is migrated. */
export const schemaVersion = 3;

/** `PRAGMA application_id`: says that the file is Grapevine's ("GRPV"). */
export const applicationId = 0x47525056;

const migrations: readonly string[] = [
  // 0 -> 1
  `CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE registers (
     kind INTEGER NOT NULL,
     key TEXT NOT NULL,
     term INTEGER NOT NULL,
     timeline INTEGER NOT NULL,
     stamp INTEGER NOT NULL,
     born INTEGER NOT NULL,
     origin INTEGER NOT NULL,
     seq INTEGER NOT NULL,
     ix TEXT,
     create_index INTEGER NOT NULL,
     modify_index INTEGER NOT NULL,
     value BLOB,
     PRIMARY KEY (kind, key)
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX registers_by_ix ON registers (kind, ix, key) WHERE ix IS NOT NULL;
   CREATE INDEX registers_by_dot ON registers (origin, seq) WHERE origin > 0;
   CREATE INDEX registers_tombstones ON registers (modify_index) WHERE value IS NULL;`,
  // 1 -> 2: a fleet. Until now there was one origin, whose rows have ref 1; all of its log was seen.
  `CREATE TABLE origins (
     ref INTEGER PRIMARY KEY,
     id TEXT NOT NULL UNIQUE,
     node_id TEXT NOT NULL,
     seen TEXT NOT NULL
   ) STRICT;
   INSERT INTO origins (ref, id, node_id, seen)
     SELECT 1, value, coalesce((SELECT value FROM meta WHERE name = 'node-id'), ''), ''
     FROM meta WHERE name = 'origin';
   ${setAsideTable('quarantine')}
   ${setAsideTable('conflicts')}`,
  // 2 -> 3. Of entries that were logged before, what is left counts as all there was.
  'ALTER TABLE registers ADD COLUMN beside INTEGER NOT NULL DEFAULT 0;',
];

/** AUTOINCREMENT: an id is not given twice, also after the last row went. */
function setAsideTable(name: string): string {
  return `CREATE TABLE ${name} (
     id INTEGER PRIMARY KEY AUTOINCREMENT,
     why TEXT NOT NULL,
     at INTEGER NOT NULL,
     zone TEXT NOT NULL,
     zone_term INTEGER NOT NULL,
     origin TEXT NOT NULL,
     seq INTEGER NOT NULL,
     kind INTEGER NOT NULL,
     key TEXT NOT NULL,
     term INTEGER NOT NULL,
     timeline INTEGER NOT NULL,
     stamp INTEGER NOT NULL,
     born INTEGER NOT NULL,
     ix TEXT,
     value BLOB,
     replayed INTEGER NOT NULL
   ) STRICT;
   CREATE INDEX ${name}_by_dot ON ${name} (origin, seq);`;
}

/** The file cannot be used as it is; the message says why and what to do. Nothing was changed. */
export class UnusableDatabaseError extends Error {
  override readonly name = 'UnusableDatabaseError';
}

/**
 * Opens or creates the database, checks that it is ours and whole, and brings its tables up to date.
 * @throws UnusableDatabaseError when it cannot be used, whatever the reason
 */
export function openDatabase(options: SqliteOptions): Database.Database {
  const { file } = options;
  let db: Database.Database | undefined;
  try {
    expectWritable(file);
    createPrivate(file);
    db = new Database(file, { timeout: 0 });
    // One process per data directory: the lock is held until the process ends, however it ends.
    db.pragma('locking_mode = EXCLUSIVE');
    // Looked at before anything is set: the journal mode is kept in the file, and it may be somebody else's.
    const version = recognise(db, file);
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.pragma('foreign_keys = ON');
    db.pragma('cache_size = -16000');
    // One huge commit (a restore) must not leave a log of its size on disk for good.
    db.pragma('journal_size_limit = 67108864');
    migrate(db, file, version);
    return db;
  } catch (error) {
    db?.close();
    throw unusable(error, file) ?? error;
  }
}

/** What is kept may be secret: a new file is its owner's alone, whatever the umask (the log beside it follows). */
function createPrivate(file: string): void {
  if (file === ':memory:' || existsSync(file)) return;
  try {
    closeSync(openSync(file, 'a', 0o600));
  } catch {
    // SQLite is about to fail for the same reason, and its error is the one that is explained.
  }
}

/** SQLite opens a file that may not be written for reading, and then fails with whatever comes first. */
function expectWritable(file: string): void {
  if (!existsSync(file)) return;
  try {
    accessSync(file, constants.R_OK | constants.W_OK);
  } catch (error) {
    throw new UnusableDatabaseError(`${advice.SQLITE_READONLY} (${(error as Error).message})`);
  }
}

function unusable(error: unknown, file: string): UnusableDatabaseError | undefined {
  if (error instanceof UnusableDatabaseError) return error;
  if ((error as { code?: unknown }).code === 'SQLITE_BUSY') {
    return new UnusableDatabaseError(
      `${file} is in use by another process: stop it, or choose another data_dir`,
    );
  }
  const family = fatalFamily(error);
  if (family === undefined) return undefined;
  return new UnusableDatabaseError(
    `${file}: ${advice[family]} (${(error as { code: string }).code}: ${(error as Error).message})`,
  );
}

/** The version of a database that is ours or new. */
function recognise(db: Database.Database, file: string): number {
  const id = db.pragma('application_id', { simple: true }) as number;
  const version = db.pragma('user_version', { simple: true }) as number;
  const tables = db
    .prepare("SELECT count(*) FROM sqlite_schema WHERE type = 'table'")
    .pluck()
    .get() as number;
  if (id !== applicationId && tables > 0) {
    throw new UnusableDatabaseError(
      `${file} is a SQLite database, but not Grapevine's: choose another data_dir`,
    );
  }
  if (version > schemaVersion) {
    throw new UnusableDatabaseError(
      `${file} was written by a newer Grapevine (data version ${version}, this one knows up to ${schemaVersion}): ` +
        'start that version again, or restore a snapshot taken by this one into an empty data_dir',
    );
  }
  return version;
}

function migrate(db: Database.Database, file: string, version: number): void {
  const check = db.pragma('quick_check(1)', { simple: true }) as string;
  if (check !== 'ok') {
    throw new UnusableDatabaseError(
      `${file} is damaged (${check}): restore the last good archive with "grapevine snapshot restore" into an empty data_dir`,
    );
  }
  db.transaction(() => {
    for (const sql of migrations.slice(version)) db.exec(sql);
    db.pragma(`application_id = ${applicationId}`);
    db.pragma(`user_version = ${schemaVersion}`);
  })();
}

/** SQLite's result codes after which going on would mean lying about durability, and what to do about each. */
const advice = {
  SQLITE_FULL: 'the disk is full: free some space, then start again',
  SQLITE_IOERR:
    'the disk failed to read or write: check the disk, file size limits and the kernel log before starting again',
  SQLITE_CORRUPT: 'the database is damaged: restore the last good archive into an empty data_dir',
  SQLITE_READONLY: 'the database cannot be written: check ownership, permissions and mount of data_dir',
  SQLITE_NOTADB: 'the file is not a SQLite database: check data_dir',
  SQLITE_CANTOPEN: 'the database cannot be opened: check that data_dir exists and may be written',
  SQLITE_PERM: 'access to the database was denied: check the permissions of data_dir',
} as const;

type FatalFamily = keyof typeof advice;

function fatalFamily(error: unknown): FatalFamily | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  if (typeof code !== 'string') return undefined;
  return (Object.keys(advice) as FatalFamily[]).find(
    (family) => code === family || code.startsWith(`${family}_`),
  );
}

/** What to tell the operator when the error is one that the gateway cannot go on after; undefined for others. */
export function fatalDatabaseError(error: unknown): string | undefined {
  const family = fatalFamily(error);
  if (family === undefined) return undefined;
  const said = `${advice[family]} (${(error as { code: string }).code})`;
  // Of a damaged file nothing can be promised.
  if (family === 'SQLITE_CORRUPT' || family === 'SQLITE_NOTADB') return said;
  return `${said}. What was acknowledged is on disk; a write that was not answered may or may not be.`;
}
