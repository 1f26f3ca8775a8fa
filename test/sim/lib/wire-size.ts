import { encodeMessage, type Message } from '../../../src/node/message.ts';
import { bytesInBody, envelopeOverheadBytes } from '../../../src/wire/envelope.ts';

/** What a message takes on the wire, without its envelope. Many messages go to many gateways: encoded once. */
const known = new WeakMap<Message['body'], number>();

export function messageBytes(message: Message): number {
  let bytes = known.get(message.body);
  if (bytes === undefined) {
    bytes = bytesInBody(encodeMessage(message).length);
    known.set(message.body, bytes);
  }
  return bytes;
}

/** Payload of a datagram at most, envelope included: as the real transport packs. */
export const datagramBytesMax = 1200;

export const bodyBytesMax = datagramBytesMax - envelopeOverheadBytes;

/** Freezes a message and all in it: who changes what was sent then fails. Bytes cannot be frozen. */
export function deepFreeze(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value) || ArrayBuffer.isView(value))
    return;
  Object.freeze(value);
  for (const each of Object.values(value)) deepFreeze(each);
}
