import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decode, encode } from '../../src/kernel/codec.ts';
import { anything, fromBytes, MalformedError } from '../../src/wire/schema.ts';
import { isPlainData } from '../../src/wire/plain-data.ts';
import { mutate, mutations } from './mutations.ts';

const data = fc.anything({
  withBigInt: false,
  withDate: false,
  withMap: false,
  withSet: false,
  withObjectString: false,
  withNullPrototype: false,
  withTypedArray: false,
  withSparseArray: false,
  values: [
    fc.constant(null),
    fc.boolean(),
    fc.integer(),
    fc.double(),
    fc.string(),
    fc.uint8Array(),
    fc.string({ minLength: 300, maxLength: 400 }),
  ],
});

function whyNot(raw: Uint8Array): string {
  try {
    decode(raw);
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('bytes are looked over before they are decoded', () => {
  test('whatever the encoder writes passes', () => {
    fc.assert(fc.property(data, (value) => expect(isPlainData(encode(value))).toBe(true)));
    for (const value of [
      2n ** 63n,
      -(2n ** 60n),
      -1,
      -200,
      -70_000,
      2 ** 40,
      1.5,
      Array.from({ length: 70_000 }, () => 1),
    ]) {
      expect(isPlainData(encode(value))).toBe(true);
    }
  });

  test('what passes is decoded whole, or has a key that no map may have', () => {
    fc.assert(
      fc.property(data, data, mutations, (value, other, how) => {
        const raw = mutate(encode(value), encode(other), how);
        expect(isPlainData(raw) ? whyNot(raw) : '').toMatch(/^$|__proto__|key must be string or number/);
      }),
      { numRuns: 2000 },
    );
  });

  test.each([
    ['nothing', []],
    ['a value and a half', [1, 2]],
    ['an array that says 4 billion', [0xdd, 0xff, 0xff, 0xff, 0xff]],
    ['a map that says 4 billion', [0xdf, 0xff, 0xff, 0xff, 0xff]],
    ['a map of more than there is', [0x82, 0xa1, 0x61, 1, 0xa1]],
    ['bytes that say 4 billion', [0xc6, 0xff, 0xff, 0xff, 0xff, 1]],
    ['a text that is cut off', [0xa3, 0x61]],
    ['a length that is cut off', [0xda, 0x01]],
    ['the reserved type', [0xc1]],
    ['a timestamp', [0xd6, 0xff, 0, 0, 0, 0]],
    ['an extension', [0xc7, 1, 5, 0]],
  ])('refused: %s', (_, raw) => {
    expect(isPlainData(Uint8Array.from(raw))).toBe(false);
    expect(() => fromBytes(anything, Uint8Array.from(raw), 'it')).toThrow(MalformedError);
  });

  test('arrays within arrays end at a depth, and what is refused was not allocated', () => {
    const nested = (head: readonly number[], levels: number): Uint8Array =>
      Uint8Array.from([...Array.from({ length: levels }, () => head).flat(), 0]);
    expect(isPlainData(nested([0x91], 32))).toBe(true);
    expect(isPlainData(nested([0x91], 33))).toBe(false);
    expect(isPlainData(nested([0x91], 1_000_000))).toBe(false);
    const before = process.memoryUsage().heapUsed;
    for (let i = 0; i < 100; i++) expect(isPlainData(nested([0xdc, 0xff, 0xff], 400))).toBe(false);
    // Decoded, they would take 20 GB.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(200 * 1024 * 1024);
  });

  test('a message holds a million values at most', () => {
    expect(isPlainData(encode(Array.from({ length: 2 ** 20 - 1 }, () => 0)))).toBe(true);
    expect(isPlainData(encode(Array.from({ length: 2 ** 20 }, () => 0)))).toBe(false);
  });
});
