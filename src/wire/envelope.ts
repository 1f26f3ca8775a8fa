// The framing of every datagram and of every frame of a stream. Only bytes here: sealing and opening are in
// src/io/gossip-seal.ts, which has a cipher.
//
//   0      magic 0x67
//   1      version of the envelope
//   2      flags
//   3      short id of the key that sealed it, 0 when it is plain
//   4..11  cluster id, zeros when the sender belongs to none yet
//   12..19 session: random for each start of a sender's packet socket, and for each direction of a stream
//   20..25 counter within the session, from 1
//   26..   body: messages, each behind its length (LEB128); then the tag of the cipher, or a CRC-32 when it is plain

/** What this gateway writes, and the only one that it reads. */
export const envelopeVersion = 1;
const magic = 0x67;

export const headerBytes = 26;
/** Of AES-GCM: behind a sealed body. */
export const tagBytes = 16;
/** Behind a plain body: the network's own checksums let one in thousands of corrupted packets through. */
export const checksumBytes = 4;
/** What the envelope of a datagram takes of it at most. */
export const envelopeOverheadBytes = headerBytes + tagBytes;

export const messagesPerEnvelopeMax = 4096;
const counterMax = 2 ** 48 - 1;

export const Flag = {
  sealed: 1,
  /** First frame of a side of a stream: it says who speaks. */
  hello: 2,
  /** Of streams: are you there? Has no messages. */
  ping: 4,
  pong: 8,
} as const;

const knownFlags = Flag.sealed | Flag.hello | Flag.ping | Flag.pong;

export interface EnvelopeHeader {
  readonly flags: number;
  readonly keyId: number;
  /** 16 hex digits, or '' for a gateway that belongs to no cluster yet. */
  readonly cluster: string;
  /** 8 bytes, as 4 UTF-16 units: only for comparing and as a key of maps. */
  readonly session: string;
  readonly counter: number;
}

/** Why bytes are no envelope. */
export type EnvelopeProblem = 'truncated' | 'garbage' | 'unknown-version';

/** Never throws, whatever the bytes. Says nothing yet of who wrote them. */
export function parseHeader(raw: Uint8Array): EnvelopeHeader | EnvelopeProblem {
  if (raw.length === 0) return 'truncated';
  if (raw[0] !== magic) return 'garbage';
  if (raw.length > 1 && raw[1] !== envelopeVersion) return 'unknown-version';
  if (raw.length < headerBytes + checksumBytes) return 'truncated';
  const flags = raw[2] as number;
  if ((flags & ~knownFlags) !== 0) return 'garbage';
  if ((flags & Flag.sealed) !== 0 && raw.length < headerBytes + tagBytes) return 'truncated';
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const counter = view.getUint16(20) * 2 ** 32 + view.getUint32(22);
  if (counter === 0) return 'garbage';
  return {
    flags,
    keyId: raw[3] as number,
    cluster: clusterText(view.getUint32(4), view.getUint32(8)),
    session: sessionKey(view, 12),
    counter,
  };
}

function clusterText(high: number, low: number): string {
  if (high === 0 && low === 0) return '';
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
}

function sessionKey(view: DataView, at: number): string {
  return String.fromCharCode(
    view.getUint16(at),
    view.getUint16(at + 2),
    view.getUint16(at + 4),
    view.getUint16(at + 6),
  );
}

/** The form in which sessions are compared. */
export function sessionOf(bytes: Uint8Array): string {
  return sessionKey(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0);
}

export const clusterForm = /^([0-9a-f]{16})?$/;

/**
 * Writes a header to the first bytes of `into`.
 * @param session 8 bytes
 * @throws RangeError when the session has no numbers left (after 2^48 packets), or the cluster id is none
 */
export function writeHeader(
  into: Uint8Array,
  flags: number,
  keyId: number,
  cluster: string,
  session: Uint8Array,
  counter: number,
): void {
  if (counter < 1 || counter > counterMax) throw new RangeError('an envelope needs a counter of 48 bits');
  if (!clusterForm.test(cluster)) throw new RangeError('a cluster id is 16 hex digits');
  const view = new DataView(into.buffer, into.byteOffset, into.byteLength);
  into[0] = magic;
  into[1] = envelopeVersion;
  into[2] = flags;
  into[3] = keyId;
  view.setUint32(4, cluster === '' ? 0 : parseInt(cluster.slice(0, 8), 16));
  view.setUint32(8, cluster === '' ? 0 : parseInt(cluster.slice(8), 16));
  into.set(session, 12);
  view.setUint16(20, Math.floor(counter / 2 ** 32));
  view.setUint32(22, counter % 2 ** 32);
}

/** Bytes that a message takes in a body. */
export function bytesInBody(messageBytes: number): number {
  let prefix = 1;
  for (let rest = messageBytes; rest > 0x7f; rest = Math.floor(rest / 128)) prefix++;
  return prefix + messageBytes;
}

export function packBody(messages: readonly Uint8Array[]): Uint8Array {
  const body = new Uint8Array(messages.reduce((sum, message) => sum + bytesInBody(message.length), 0));
  let at = 0;
  for (const message of messages) {
    let rest = message.length;
    while (rest > 0x7f) {
      body[at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    body[at++] = rest;
    body.set(message, at);
    at += message.length;
  }
  return body;
}

/** The messages of a body (views of it), or undefined when it is malformed. Never throws. */
export function unpackBody(body: Uint8Array): readonly Uint8Array[] | undefined {
  const messages: Uint8Array[] = [];
  let at = 0;
  while (at < body.length) {
    let length = 0;
    // Four bytes of 7 bits are 256 MiB: more than any frame.
    for (let shift = 0; ; shift += 7) {
      const byte = body[at++];
      if (byte === undefined || shift > 21) return undefined;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    if (length === 0 || length > body.length - at || messages.length === messagesPerEnvelopeMax)
      return undefined;
    messages.push(body.subarray(at, at + length));
    at += length;
  }
  return messages;
}
