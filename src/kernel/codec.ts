import { Decoder, Encoder } from '@msgpack/msgpack';

// The one place that chooses the binary encoding of register values and of the wire: MessagePack,
// with 64-bit integers as bigint so that a uint64 such as a lock's Flags survives, and map keys sorted so that
// equal values have equal bytes (which is what no-op suppression compares).
const encoder = new Encoder({ useBigInt64: true, sortKeys: true });
const decoder = new Decoder({ useBigInt64: true });

/** Encodes plain data: numbers, bigints, strings, byte arrays, arrays, string-keyed objects. */
export function encode(value: unknown): Uint8Array {
  return encoder.encode(value);
}

/** Decodes what `encode` wrote; throws a RangeError on malformed bytes. Integers of 64 bits come as bigint. */
export function decode(bytes: Uint8Array): unknown {
  return decoder.decode(bytes);
}

export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Byte order, as memcmp. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
