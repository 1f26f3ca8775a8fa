import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { StartProblem } from '../kernel/start-problem.ts';
import { Keyring } from './keyring.ts';

export interface LoadKeyringOptions {
  /** Where the keys are kept; undefined: in memory only (`disable_keyring_file`, or no data_dir). */
  readonly file: string | undefined;
  /** `-encrypt`, in base64. */
  readonly encrypt: string | undefined;
  readonly verifyIncoming: boolean;
  readonly verifyOutgoing: boolean;
}

export interface LoadedKeyring {
  /** undefined: gossip is not encrypted. */
  readonly keyring: Keyring | undefined;
  /** For the operator's log. */
  readonly warning: string | undefined;
}

const advice =
  'put a copy of the file back, or remove it to begin again with the key of -encrypt, ' +
  'which must then be one that the other gateways have';

/** The keyring of a pool in a data directory: the files, and their form, are Consul's. */
export function keyringFile(dataDir: string, pool: 'lan' | 'wan'): string {
  return join(dataDir, 'serf', pool === 'lan' ? 'local.keyring' : 'remote.keyring');
}

/**
 * As in Consul, a file that is there wins over `-encrypt`: it knows of rotations since, and the configuration does
 * not. Without a file, the key of `-encrypt` begins one.
 * @throws StartProblem when the file cannot be used or written
 */
export function loadKeyring({ file, encrypt, ...verify }: LoadKeyringOptions): LoadedKeyring {
  if (file !== undefined && existsSync(file)) {
    const keys = readKeys(file);
    const persist = (all: readonly string[]): void => writeKeys(file, all);
    const keyring = usable(`${file}:`, `: ${advice}`, () => new Keyring({ keys, ...verify, persist }));
    const missing = encrypt !== undefined && !keyring.has(encrypt);
    return {
      keyring,
      warning: missing
        ? `keyring doesn't include key provided with -encrypt, using keyring: ${file}`
        : undefined,
    };
  }
  if (encrypt === undefined) return { keyring: undefined, warning: undefined };
  const persist = (all: readonly string[]): void => {
    if (file !== undefined) writeKeys(file, all);
  };
  const keyring = usable(
    'encrypt has invalid key:',
    '',
    () => new Keyring({ keys: [encrypt], ...verify, persist }),
  );
  persist(keyring.list());
  return { keyring, warning: undefined };
}

function usable<T>(where: string, what: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new StartProblem(`${where} ${(error as Error).message}${what}`);
  }
}

const keysForm = z.array(z.string());

function readKeys(file: string): readonly string[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new StartProblem(
      `cannot read the keyring: ${(error as Error).message}: check its ownership and permissions`,
    );
  }
  // What was read is not shown: it holds keys.
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    throw new StartProblem(`${file} is not JSON: ${advice}`);
  }
  const parsed = keysForm.safeParse(raw);
  if (!parsed.success) throw new StartProblem(`${file} is not a list of keys in base64: ${advice}`);
  return parsed.data;
}

/** Whole and on disk before it counts: a gateway that comes back with an older ring may be shut out. */
function writeKeys(file: string, keys: readonly string[]): void {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const fresh = `${file}.new`;
    writeFileSync(fresh, JSON.stringify(keys, null, 2), { mode: 0o600, flush: true });
    renameSync(fresh, file);
    const dir = openSync(dirname(file), 'r');
    fsyncSync(dir);
    closeSync(dir);
  } catch (error) {
    throw new StartProblem(
      `cannot write ${file}: ${(error as Error).message}: check space, ownership and permissions of data_dir`,
    );
  }
}
