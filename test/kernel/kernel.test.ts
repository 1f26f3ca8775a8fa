import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { bytesEqual, compareBytes, decode, encode } from '../../src/kernel/codec.ts';
import { indexFor, nextStamp } from '../../src/kernel/stamp.ts';
import { compareUtf8, prefixEnd } from '../../src/kernel/utf8-order.ts';

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 6 }),
  // Dense around the places where UTF-16 and UTF-8 order part, so that strings share prefixes.
  fc
    .array(
      fc.constantFrom(
        '',
        '\u0000',
        'a',
        '\u007f',
        '\u0080',
        '\u07ff',
        '\ud7ff',
        '\ue000',
        '\uffff',
        '\u{10000}',
        '\u{10ffff}',
      ),
      { maxLength: 4 },
    )
    .map((parts) => parts.join('')),
);

function utf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

describe('UTF-8 order', () => {
  test('compareUtf8 has the sign of comparing the bytes', () => {
    fc.assert(
      fc.property(text, text, (a, b) => expect(Math.sign(compareUtf8(a, b))).toBe(utf8(a, b))),
      { numRuns: 2000 },
    );
  });

  test('a string starts with a prefix exactly when it lies between the prefix and its end', () => {
    fc.assert(
      fc.property(text, text, text, (prefix, other, tail) => {
        const end = prefixEnd(prefix);
        for (const s of [other, prefix + tail, prefix, tail + prefix]) {
          const within = utf8(prefix, s) <= 0 && (end === undefined || utf8(s, end) < 0);
          expect(within).toBe(s.startsWith(prefix));
        }
      }),
      { numRuns: 2000 },
    );
  });

  test('a prefix has no end only when nothing can be above it', () => {
    expect(prefixEnd('')).toBeUndefined();
    expect(prefixEnd('\u{10ffff}\u{10ffff}')).toBeUndefined();
    expect(prefixEnd('a\u{10ffff}')).toBe('b');
    expect(prefixEnd('\ud7ff')).toBe('\ue000');
    expect(prefixEnd('\uffff')).toBe('\u{10000}');
  });
});

describe('stamps and indexes', () => {
  const clock = fc.array(fc.integer({ min: 0, max: 2 ** 52 }), { minLength: 1, maxLength: 30 });

  test('stamps and indexes rise strictly whatever the clock does, and never lag behind it', () => {
    fc.assert(
      fc.property(clock, (readings) => {
        let highest = 0;
        for (const nowUs of readings) {
          const stamp = nextStamp(highest, nowUs);
          expect(stamp).toBeGreaterThan(highest);
          expect(stamp).toBeGreaterThanOrEqual(nowUs);
          const index = indexFor(stamp, highest, nowUs);
          expect(index).toBe(stamp);
          expect(Number.isSafeInteger(index)).toBe(true);
          highest = index;
        }
      }),
    );
  });

  test('a change that arrives late is shown above everything shown before', () => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), fc.nat(), (stampUs, highest, nowUs) => {
        const stamp = nextStamp(0, stampUs);
        const index = indexFor(stamp, highest, nowUs);
        expect(index).toBeGreaterThan(highest);
        expect(stamp <= highest || Number(index) === Number(stamp)).toBe(true);
        // An index that was made up is nobody's stamp, now or later.
        expect(Number(index) === Number(stamp)).toBe(Number(index) % 2 === 0);
      }),
    );
  });
});

describe('the codec', () => {
  test('values come back equal: integers of 64 bits, large numbers, bytes, any text', () => {
    const value = fc.letrec((tie) => ({
      node: fc.oneof(
        { maxDepth: 3 },
        fc.bigInt({ min: 2n ** 63n, max: 2n ** 64n - 1n }),
        fc.integer({ min: Number.MIN_SAFE_INTEGER, max: Number.MAX_SAFE_INTEGER }),
        // A negative zero comes back as zero, which no value of ours tells apart.
        fc.double({ noNaN: true }).map((number) => (number === 0 ? 0 : number)),
        fc.string({ unit: 'binary' }),
        fc.uint8Array(),
        fc.boolean(),
        fc.constant(null),
        fc.array(tie('node'), { maxLength: 4 }),
        fc.dictionary(
          fc.string({ unit: 'binary' }).filter((name) => name !== '__proto__'),
          tie('node'),
          {
            maxKeys: 4,
            noNullPrototype: true,
          },
        ),
      ),
    })).node;
    fc.assert(fc.property(value, (one) => expect(decode(encode(one))).toEqual(one)));
  });

  test('equal objects have equal bytes, in whatever order their fields were set', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.nat(), { noNullPrototype: true }), (object) => {
        const reversed = Object.fromEntries(Object.entries(object).toReversed());
        expect(bytesEqual(encode(object), encode(reversed))).toBe(true);
      }),
    );
  });

  test('bytes compare as memcmp, a prefix below what it begins', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 4 }), fc.uint8Array({ maxLength: 4 }), (a, b) => {
        expect(Math.sign(compareBytes(a, b))).toBe(Buffer.compare(a, b));
        expect(bytesEqual(a, b)).toBe(Buffer.compare(a, b) === 0);
      }),
    );
  });
});
