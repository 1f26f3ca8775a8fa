import Database from 'better-sqlite3';
import { err, ok, type Result } from '../kernel/result.ts';
import { applicationId, schemaVersion, UnusableDatabaseError } from './sqlite-open.ts';
import { SqliteStore } from './sqlite-store.ts';

/**
 * Opens the database of an archive, unpacked to a file of its own, after it was checked completely: whose it is, its
 * version, every page of it, and its datacenter. Tables of an older version are migrated in that file. The error says
 * why it cannot be restored here.
 */
export function openArchiveDatabase(file: string, datacenter: string): Result<SqliteStore, string> {
  const problem = checkFile(file);
  if (problem !== undefined) return err(problem);
  let store: SqliteStore;
  try {
    store = new SqliteStore({ file });
  } catch (error) {
    if (!(error instanceof UnusableDatabaseError)) throw error;
    return err(`the snapshot cannot be used: ${error.message}`);
  }
  const held = store.getMeta('datacenter');
  if (held === datacenter) return ok(store);
  store.close();
  const names = [held ?? '', datacenter].map((name) => JSON.stringify(name));
  return err(`the snapshot is of datacenter ${names[0]}, this gateway is in ${names[1]}`);
}

function checkFile(file: string): string | undefined {
  let db: Database.Database | undefined;
  try {
    db = new Database(file, { fileMustExist: true });
    const id = db.pragma('application_id', { simple: true }) as number;
    if (id !== applicationId) return 'state.bin is a SQLite database, but not of Grapevine';
    const version = db.pragma('user_version', { simple: true }) as number;
    if (version > schemaVersion) {
      return (
        `the snapshot was made by a newer Grapevine (data version ${version}, this one knows up to ` +
        `${schemaVersion}): restore it into that version or a later one`
      );
    }
    const whole = db.pragma('integrity_check(1)', { simple: true }) as string;
    return whole === 'ok' ? undefined : `state.bin is damaged: ${whole}`;
  } catch (error) {
    const { code, message } = error as { code?: unknown; message: string };
    if (code === 'SQLITE_NOTADB') return 'state.bin is not a SQLite database';
    if (typeof code === 'string' && code.startsWith('SQLITE_CORRUPT'))
      return `state.bin is damaged: ${message}`;
    throw error;
  } finally {
    db?.close();
  }
}
