import { createHmac } from 'node:crypto';
import { err, ok, type Result } from '../kernel/result.ts';
import { decodeKey } from './keyring-base64.ts';

/** One key of the ring. Its identity tells keys apart. */
export interface RingKey {
  readonly base64: string;
  readonly bytes: Buffer;
  /** Not a secret and not unique: says which key to try first. Never 0, which stands for plaintext. */
  readonly id: number;
  readonly cipher: 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm';
}

export interface KeyringOptions {
  /** In base64, the primary first; at least one. */
  readonly keys: readonly string[];
  /** false: what comes unencrypted is taken too, while encryption is being rolled out (as Consul's). */
  readonly verifyIncoming?: boolean;
  /** false: what goes out is not encrypted yet (as Consul's). */
  readonly verifyOutgoing?: boolean;
  /** Keeps the keys, the primary first, before a change holds. Throws when it cannot: the change is then refused. */
  readonly persist?: (keys: readonly string[]) => void;
}

/** Keys that a gateway holds at once; more than any rotation needs. */
export const keysMax = 32;

/** How an operation on the keyring ended: `error` is the text that Consul's clients know. */
export type KeyringOutcome = Result<undefined, string>;

const done = ok(undefined);

/**
 * The keys of a pool: one seals what goes out, all open what comes in. Rotation without downtime is therefore:
 * install the new key everywhere, use it everywhere, remove the old one. Texts are those of Consul 1.8.7.
 */
export class Keyring {
  readonly verifyIncoming: boolean;
  readonly verifyOutgoing: boolean;
  readonly #persist: (keys: readonly string[]) => void;
  #keys: readonly RingKey[];

  /** @throws RangeError when there is no key, or one that cannot be used */
  constructor({
    keys,
    verifyIncoming = true,
    verifyOutgoing = true,
    persist = () => undefined,
  }: KeyringOptions) {
    this.verifyIncoming = verifyIncoming;
    this.verifyOutgoing = verifyOutgoing;
    this.#persist = persist;
    if (keys.length === 0) throw new RangeError('no keys present in keyring');
    if (keys.length > keysMax) throw new RangeError(`more than ${keysMax} keys in keyring`);
    this.#keys = [...new Map(keys.map((key) => mustParse(key)).map((key) => [key.base64, key])).values()];
  }

  /** Seals what goes out. */
  get primary(): RingKey {
    return this.#keys[0] as RingKey;
  }

  /** Those that may have sealed what carries this id: nearly always one. */
  candidates(id: number): readonly RingKey[] {
    const [only] = this.#keys;
    if (this.#keys.length === 1 && only?.id === id) return this.#keys;
    return this.#keys.filter((key) => key.id === id);
  }

  holds(key: RingKey): boolean {
    return this.#keys.includes(key);
  }

  /** Whether a key, however its base64 is written, is installed. */
  has(base64: string): boolean {
    const parsed = parseKey(base64);
    return parsed.ok && this.#find(parsed.value) !== undefined;
  }

  /** In base64, the primary first. */
  list(): readonly string[] {
    return this.#keys.map((key) => key.base64);
  }

  /** A key that is there already is left where it is. */
  install(base64: string): KeyringOutcome {
    const parsed = parseKey(base64);
    if (!parsed.ok) return parsed;
    if (this.#find(parsed.value) !== undefined) return done;
    if (this.#keys.length >= keysMax)
      return err(`the keyring is full: it holds ${keysMax} keys, remove old ones`);
    return this.#change([...this.#keys, parsed.value]);
  }

  /** Makes an installed key the primary. */
  use(base64: string): KeyringOutcome {
    const parsed = parseKey(base64);
    if (!parsed.ok) return parsed;
    const held = this.#find(parsed.value);
    if (held === undefined) return err('Requested key is not in the keyring');
    if (held === this.primary) return done;
    return this.#change([held, ...this.#keys.filter((key) => key !== held)]);
  }

  /** Removing a key that is not there is no error, as in Consul. */
  remove(base64: string): KeyringOutcome {
    const parsed = parseKey(base64);
    if (!parsed.ok) return parsed;
    const held = this.#find(parsed.value);
    if (held === undefined) return done;
    if (held === this.primary) return err('Removing the primary key is not allowed');
    return this.#change(this.#keys.filter((key) => key !== held));
  }

  #find(wanted: RingKey): RingKey | undefined {
    return this.#keys.find((key) => key.base64 === wanted.base64);
  }

  #change(keys: readonly RingKey[]): KeyringOutcome {
    try {
      this.#persist(keys.map((key) => key.base64));
    } catch (error) {
      return err((error as Error).message);
    }
    this.#keys = keys;
    return done;
  }
}

function parseKey(base64: string): Result<RingKey, string> {
  const decoded = decodeKey(base64);
  if (!decoded.ok) return decoded;
  const bytes = decoded.value;
  const bits = bytes.length * 8;
  if (bits !== 128 && bits !== 192 && bits !== 256) return err('key size must be 16, 24 or 32 bytes');
  const fingerprint = createHmac('sha256', bytes).update('grapevine gossip: key id').digest();
  const id = (fingerprint[0] as number) || 1;
  return ok({ base64: bytes.toString('base64'), bytes, id, cipher: `aes-${bits}-gcm` });
}

function mustParse(base64: string): RingKey {
  const parsed = parseKey(base64);
  if (!parsed.ok) throw new RangeError(parsed.error);
  return parsed.value;
}
