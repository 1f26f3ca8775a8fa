import { randomBytes, randomUUID } from 'node:crypto';
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { OriginId } from '../crdt/dot.ts';
import { isOriginId } from '../crdt/dot.ts';
import type { Store } from '../state/store.ts';
import { UnusableDatabaseError } from './sqlite-open.ts';

/** The file in the data directory that holds all state. */
export const databaseFile = 'grapevine.db';

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/**
 * Makes the directory (private, as it holds secrets) when it is not there.
 * @throws UnusableDatabaseError when it cannot be made.
 */
export function ensureDataDir(dataDir: string): void {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new UnusableDatabaseError(
      `cannot make data_dir: ${(error as Error).message}: choose a place that may be written`,
    );
  }
}

/**
 * The id of this gateway's node: the configured one, else the one in the data directory's `node-id` file (the same
 * file and form as Consul's), else the one that the database remembers, else a new one. It ends up in both: what the
 * gateway owns, it owns under this id, so losing the file must not lose the ownership.
 */
export function loadNodeId(
  store: Store,
  dataDir: string | undefined,
  configured: string | undefined,
): string {
  const id = nodeIdOf(dataDir, configured, store.getMeta('node-id'));
  if (id !== store.getMeta('node-id')) store.transact(() => store.setMeta('node-id', id));
  return id;
}

function nodeIdOf(
  dataDir: string | undefined,
  configured: string | undefined,
  remembered: string | undefined,
): string {
  if (dataDir === undefined) return configured ?? randomUUID();
  const file = join(dataDir, 'node-id');
  if (configured === undefined && existsSync(file)) {
    const held = readFileSync(file, 'utf8').trim().toLowerCase();
    if (uuid.test(held)) return held;
    throw new UnusableDatabaseError(
      `${file} does not hold a UUID: put the node's id back, or remove the file to take the id that the database remembers`,
    );
  }
  const id = configured ?? remembered ?? randomUUID();
  if (id !== readIfThere(file)) replaceFile(dataDir, file, id);
  return id;
}

function readIfThere(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}

/**
 * The id must be whole, and on disk before anything in the database names it: a gateway that comes back under
 * another id no longer owns what it wrote.
 */
function replaceFile(dataDir: string, file: string, text: string): void {
  try {
    const fresh = `${file}.new`;
    writeFileSync(fresh, text, { mode: 0o600, flush: true });
    renameSync(fresh, file);
    const dir = openSync(dataDir, 'r');
    fsyncSync(dir);
    closeSync(dir);
  } catch (error) {
    throw new UnusableDatabaseError(
      `cannot write ${file}: ${(error as Error).message}: check space, ownership and permissions of data_dir`,
    );
  }
}

/** This database's own origin id: minted once, kept with the log that it names. */
export function loadOrigin(store: Store): OriginId {
  const held = store.getMeta('origin');
  if (held !== undefined && isOriginId(held)) return held;
  const minted = randomBytes(16).toString('hex') as OriginId;
  store.transact(() => store.setMeta('origin', minted));
  return minted;
}

/**
 * One database holds the state of one datacenter only.
 * @throws UnusableDatabaseError when it holds another one's.
 */
export function checkDatacenter(store: Store, datacenter: string): void {
  const held = store.getMeta('datacenter');
  if (held === undefined) {
    store.transact(() => store.setMeta('datacenter', datacenter));
    return;
  }
  if (held === datacenter) return;
  throw new UnusableDatabaseError(
    `the data directory holds datacenter ${JSON.stringify(held)}, the configuration says ${JSON.stringify(datacenter)}: ` +
      'set datacenter back, or choose another data_dir',
  );
}

/**
 * Watches the database file for being removed or replaced while it is open: SQLite would go on writing to a file that
 * nobody can open again. Call the answer now and then: it says what is wrong, or nothing.
 */
export function databaseWatch(file: string): () => string | undefined {
  const opened = statSync(file).ino;
  return () => {
    let now: number | undefined;
    try {
      now = statSync(file).ino;
    } catch {
      now = undefined;
    }
    if (now === opened) return undefined;
    return (
      `${file} was ${now === undefined ? 'removed' : 'replaced'} while this gateway had it open: stopping, because what is ` +
      'written now would be lost. Put the file back, or restore the last archive into an empty data_dir'
    );
  };
}
