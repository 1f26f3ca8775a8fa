import type { ScopeKey } from '../../evidence/evidence.ts';
import { BoundedMap } from './bounded-map.ts';

/** What a client saw or did, as far as its guarantees go. Times are monotonic milliseconds of this gateway. */
interface Known {
  /** The rule that it is of. */
  readonly at: ScopeKey;
  /** Greatest version that a read showed, and when that read had ended. */
  readVersion: number;
  readEndMs: number;
  wroteVersion: number;
  wroteEndMs: number;
}

export interface ReadChecks {
  /** Undefined: there was nothing to check against. */
  readonly readYourWrites: boolean | undefined;
  readonly monotonicReads: boolean | undefined;
}

/** Clients times keys. */
const knownMax = 50_000;

/**
 * What a client may expect of its own reads. A client is a token from an address: several processes of one host with one
 * token count as one, which is stricter than they may ask for, never laxer. Only operations that do not overlap are
 * compared: a read is held against what had ended before it began.
 */
export class SessionTracker {
  readonly #keys: BoundedMap<Known>;
  readonly #indexes: BoundedMap<{ readonly at: ScopeKey; index: number; endMs: number }>;

  /** `onForgotten`: what was of a rule had to make room. */
  constructor(onForgotten: (at: ScopeKey) => void, sizeMax = knownMax) {
    this.#keys = new BoundedMap(sizeMax, ({ at }) => onForgotten(at));
    this.#indexes = new BoundedMap(sizeMax, ({ at }) => onForgotten(at));
  }

  wrote(client: string, at: ScopeKey, key: string, version: number, endMs: number): void {
    const known = this.#known(client, at, key);
    if (version <= known.wroteVersion) return;
    known.wroteVersion = version;
    known.wroteEndMs = endMs;
  }

  read(
    client: string,
    at: ScopeKey,
    key: string,
    version: number,
    startMs: number,
    endMs: number,
  ): ReadChecks {
    const known = this.#known(client, at, key);
    const checks = {
      readYourWrites:
        known.wroteVersion > 0 && known.wroteEndMs <= startMs ? version < known.wroteVersion : undefined,
      monotonicReads:
        known.readEndMs >= 0 && known.readEndMs <= startMs ? version < known.readVersion : undefined,
    };
    if (version >= known.readVersion) {
      known.readVersion = version;
      known.readEndMs = endMs;
    }
    return checks;
  }

  /** Whether X-Consul-Index of a question went backwards; undefined: nothing to check against. */
  index(
    client: string,
    at: ScopeKey,
    question: string,
    index: number,
    startMs: number,
    endMs: number,
  ): boolean | undefined {
    const id = `${client}\n${question}`;
    const before = this.#indexes.get(id);
    if (before === undefined) {
      this.#indexes.set(id, { at, index, endMs });
      return undefined;
    }
    const regressed = before.endMs <= startMs ? index < before.index : undefined;
    // After a step back the client goes on from there, as Consul tells it to.
    if (regressed === true || index >= before.index) {
      before.index = index;
      before.endMs = endMs;
    }
    return regressed;
  }

  /** Versions before and after do not compare: the source's history was replaced, or authority moved. */
  clear(): void {
    this.#keys.clear();
    this.#indexes.clear();
  }

  #known(client: string, at: ScopeKey, key: string): Known {
    const id = `${client}\n${key}`;
    const held = this.#keys.get(id);
    if (held !== undefined) return held;
    const made = { at, readVersion: 0, readEndMs: -1, wroteVersion: 0, wroteEndMs: -1 };
    this.#keys.set(id, made);
    return made;
  }
}
