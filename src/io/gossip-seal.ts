import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';
import {
  checksumBytes,
  Flag,
  headerBytes,
  packBody,
  parseHeader,
  sessionOf,
  tagBytes,
  unpackBody,
  writeHeader,
  type EnvelopeHeader,
} from '../wire/envelope.ts';
import { ReplayWindow } from '../wire/replay-window.ts';
import type { DropReason } from './gossip-counters.ts';
import type { Keyring, RingKey } from './keyring.ts';

// How the nonce is chosen. Twelve random bytes in each packet would cost their size, and their time, and must not be
// used for more than 2^32 packets of one key (NIST SP 800-38D, 8.3): a thousand gateways with a hundred packets a
// second each are there in twelve hours, and keys of a keyring stay for years. So each session, of which there is one
// for each start of a socket and each direction of a stream, has a key of its own, derived from the ring's key and 64
// random bits, and the nonce is the session's counter. A nonce could repeat under one key only if two sessions drew
// the same 64 bits: with ten million sessions under one key that has a chance of 3 in a million.
//
// On a stream both sides' random bits are in the key (`peer`), so who recorded a stream cannot play it again to
// anybody, even to a gateway that was restarted. A packet may be played again once its receiver has forgotten the
// session (`sessionsMax`, a restart), and to another member: what packets carry must bear it, as it must bear the
// network's own duplicates, and must name whom it is for where that matters. What must happen once goes over a stream.
// The name of the pool is in the key too: pools may share a keyring, but not packets.

/** Stands for the session of the other side where there is none: packets, and the first frame of who accepted. */
const noPeer = Buffer.alloc(8);

/** What both ends of a pool share. */
export interface SealContext {
  /** undefined: nothing is sealed. */
  readonly keyring: Keyring | undefined;
  /** Name of the pool: what one sealed, another does not open. */
  readonly pool: string;
}

function sessionKeyOf(key: RingKey, pool: string, session: Uint8Array, peer: Uint8Array): Buffer {
  const derived = createHmac('sha256', key.bytes);
  derived.update('grapevine gossip: session 1').update(session).update(peer).update(pool);
  return derived.digest().subarray(0, key.bytes.length);
}

/** Seals what one session sends. */
export class Sealer {
  readonly session = randomBytes(8);
  /** Once it is known, whose session is at the other end of the stream. */
  peer: Uint8Array = noPeer;
  readonly #keyring: Keyring | undefined;
  readonly #pool: string;
  readonly #cluster: () => string;
  #counter = 0;
  #derived: { readonly from: RingKey; readonly peer: Uint8Array; readonly key: Buffer } | undefined;
  readonly #nonce = Buffer.alloc(12);

  constructor({ keyring, pool }: SealContext, cluster: () => string) {
    this.#keyring = keyring;
    this.#pool = pool;
    this.#cluster = cluster;
  }

  /** The parts of one envelope, in order. */
  seal(messages: readonly Uint8Array[], flags = 0): readonly Buffer[] {
    this.#counter++;
    const body = packBody(messages);
    const key = this.#keyring?.verifyOutgoing === true ? this.#keyring.primary : undefined;
    const header = Buffer.allocUnsafe(headerBytes);
    const allFlags = key === undefined ? flags : flags | Flag.sealed;
    writeHeader(header, allFlags, key?.id ?? 0, this.#cluster(), this.session, this.#counter);
    if (key === undefined) {
      const checksum = Buffer.allocUnsafe(checksumBytes);
      checksum.writeUInt32BE(crc32(body, crc32(header)));
      return [header, Buffer.from(body.buffer), checksum];
    }
    const cipher = createCipheriv(key.cipher, this.#keyFor(key), nonceOf(this.#nonce, this.#counter));
    cipher.setAAD(header);
    const sealed = cipher.update(body);
    cipher.final();
    return [header, sealed, cipher.getAuthTag()];
  }

  #keyFor(from: RingKey): Buffer {
    if (this.#derived?.from !== from || this.#derived.peer !== this.peer) {
      this.#derived = { from, peer: this.peer, key: sessionKeyOf(from, this.#pool, this.session, this.peer) };
    }
    return this.#derived.key;
  }
}

function nonceOf(into: Buffer, counter: number): Buffer {
  into.writeUIntBE(counter, 6, 6);
  return into;
}

export type Opened =
  | {
      readonly kind: 'opened';
      readonly header: EnvelopeHeader;
      readonly session: Uint8Array;
      readonly messages: readonly Uint8Array[];
    }
  | { readonly kind: 'dropped'; readonly reason: DropReason };

function dropped(reason: DropReason): Opened {
  return { kind: 'dropped', reason };
}

interface OpenSession {
  readonly window: ReplayWindow;
  /** A few at most: those keys of the ring that this session has used. */
  readonly keys: Map<RingKey, Buffer>;
}

export interface OpenerOptions {
  /** Sessions whose counters are remembered; the least recently heard of goes. */
  readonly sessionsMax: number;
  /** Of a stream: our own session, which the sender knows, and its keys depend on. */
  readonly peer?: Uint8Array;
}

/** Opens what came in. Never throws, whatever the bytes: what is no good has a reason. */
export class Opener {
  readonly #keyring: Keyring | undefined;
  readonly #pool: string;
  readonly #sessionsMax: number;
  #peer: Uint8Array;
  /** Sealed and plain ones apart, so that nobody without a key can touch those of who has one. */
  readonly #sealed = new Map<string, OpenSession>();
  readonly #plain = new Map<string, OpenSession>();
  #latest: OpenSession | undefined;
  readonly #nonce = Buffer.alloc(12);

  constructor({ keyring, pool }: SealContext, { sessionsMax, peer = noPeer }: OpenerOptions) {
    this.#keyring = keyring;
    this.#pool = pool;
    this.#sessionsMax = sessionsMax;
    this.#peer = peer;
  }

  /** From the next envelope on, its sender knows our session, and its keys depend on it. */
  meet(peer: Uint8Array): void {
    this.#peer = peer;
    for (const session of this.#sealed.values()) session.keys.clear();
  }

  open(raw: Uint8Array): Opened {
    const header = parseHeader(raw);
    if (typeof header === 'string') return dropped(header);
    return (header.flags & Flag.sealed) === 0 ? this.#openPlain(raw, header) : this.#openSealed(raw, header);
  }

  #openPlain(raw: Uint8Array, header: EnvelopeHeader): Opened {
    if (this.#keyring?.verifyIncoming === true) return dropped('plaintext');
    const end = raw.length - checksumBytes;
    const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
    if (crc32(raw.subarray(0, end)) !== view.getUint32(end)) return dropped('corrupt');
    const session = this.#plain.get(header.session) ?? newSession();
    return this.#admit(this.#plain, session, raw, header, raw.subarray(headerBytes, end));
  }

  #openSealed(raw: Uint8Array, header: EnvelopeHeader): Opened {
    const candidates = this.#keyring?.candidates(header.keyId) ?? [];
    if (candidates.length === 0) return dropped('wrong-key');
    const session = this.#sealed.get(header.session) ?? newSession();
    // What was seen before costs no deciphering.
    if (session.window.has(header.counter)) return dropped('replayed');
    for (const key of candidates) {
      let derived = session.keys.get(key);
      derived ??= sessionKeyOf(key, this.#pool, raw.subarray(12, 20), this.#peer);
      const body = this.#decipher(raw, header.counter, key, derived);
      if (body === undefined) continue;
      this.#keep(session, key, derived);
      return this.#admit(this.#sealed, session, raw, header, body);
    }
    return dropped('unauthentic');
  }

  #decipher(raw: Uint8Array, counter: number, key: RingKey, derived: Buffer): Buffer | undefined {
    const end = raw.length - tagBytes;
    const decipher = createDecipheriv(key.cipher, derived, nonceOf(this.#nonce, counter), {
      authTagLength: tagBytes,
    });
    decipher.setAAD(raw.subarray(0, headerBytes));
    decipher.setAuthTag(raw.subarray(end));
    const body = decipher.update(raw.subarray(headerBytes, end));
    try {
      decipher.final();
    } catch {
      return undefined;
    }
    return body;
  }

  /** Keys that were removed from the ring since go too. */
  #keep(session: OpenSession, key: RingKey, derived: Buffer): void {
    if (session.keys.has(key)) return;
    for (const old of session.keys.keys()) if (this.#keyring?.holds(old) !== true) session.keys.delete(old);
    session.keys.set(key, derived);
  }

  #admit(
    sessions: Map<string, OpenSession>,
    session: OpenSession,
    raw: Uint8Array,
    header: EnvelopeHeader,
    body: Uint8Array,
  ): Opened {
    if (session.window.has(header.counter)) return dropped('replayed');
    session.window.add(header.counter);
    if (session !== this.#latest) {
      this.#latest = session;
      sessions.delete(header.session);
      sessions.set(header.session, session);
      if (sessions.size > this.#sessionsMax) dropOldest(sessions);
    }
    const messages = unpackBody(body);
    if (messages === undefined) return dropped('malformed');
    return { kind: 'opened', header, session: raw.subarray(12, 20), messages };
  }
}

function newSession(): OpenSession {
  return { window: new ReplayWindow(), keys: new Map() };
}

function dropOldest(sessions: Map<string, OpenSession>): void {
  for (const oldest of sessions.keys()) {
    sessions.delete(oldest);
    return;
  }
}

/** Whether an envelope comes from this session. */
export function isOf(header: EnvelopeHeader, session: Uint8Array): boolean {
  return header.session === sessionOf(session);
}
