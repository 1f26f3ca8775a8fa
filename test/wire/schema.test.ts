import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { encode } from '../../src/kernel/codec.ts';
import { endpoint } from '../../src/wire/endpoint.ts';
import {
  anything,
  bytes,
  finite,
  flag,
  fromBytes,
  hexId,
  list,
  MalformedError,
  nullable,
  oneOf,
  optional,
  struct,
  text,
  textMap,
  toBytes,
  uint,
  union,
  type Schema,
} from '../../src/wire/schema.ts';
import { mutate, mutations } from './mutations.ts';

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

type Shape =
  | { readonly kind: 'dot'; readonly size: number; readonly name: string | null }
  | { readonly kind: 'many'; readonly parts: readonly Uint8Array[]; readonly sure: boolean };

const shape = union<Shape>({
  dot: [1, struct({ size: uint(), name: nullable(text(20)) })],
  many: [40, struct({ parts: list(bytes(8), 5), sure: flag })],
});

const wellFormed = fc.string({ unit: 'binary', maxLength: 10 });
const hex = (digits: number): fc.Arbitrary<string> =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'.split('')), minLength: digits, maxLength: digits });
const plain = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    fc.constantFrom(null, true, false),
    fc.integer(),
    fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n }),
    fc.double({ noNaN: true }).filter((value) => !Number.isInteger(value)),
    wellFormed,
    fc.uint8Array({ maxLength: 6 }),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(
      fc.string({ maxLength: 4 }).filter((key) => key !== '__proto__'),
      tie('value'),
      {
        maxKeys: 4,
        noNullPrototype: true,
      },
    ),
  ),
})).value;

interface Case<T> {
  readonly name: string;
  readonly schema: Schema<T>;
  readonly values: fc.Arbitrary<T>;
}

const names: fc.Arbitrary<Shape> = fc.oneof(
  fc.record({ kind: fc.constant('dot' as const), size: fc.maxSafeNat(), name: fc.option(wellFormed) }),
  fc.record({
    kind: fc.constant('many' as const),
    parts: fc.array(fc.uint8Array({ maxLength: 8 }), { maxLength: 5 }),
    sure: fc.boolean(),
  }),
);

const cases: readonly Case<never>[] = (
  [
    { name: 'uint', schema: uint(), values: fc.maxSafeNat() },
    { name: 'uint of a byte', schema: uint(255), values: fc.nat(255) },
    {
      name: 'finite',
      schema: finite,
      values: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => value + 0),
    },
    { name: 'flag', schema: flag, values: fc.boolean() },
    { name: 'text', schema: text(20), values: wellFormed },
    { name: 'bytes', schema: bytes(16), values: fc.uint8Array({ maxLength: 16 }) },
    { name: 'hexId', schema: hexId(/^[0-9a-f]{32}$/), values: hex(32) },
    { name: 'hexId of a UUID', schema: hexId(uuidForm), values: fc.uuid() },
    { name: 'oneOf', schema: oneOf('a', 'b', 'c'), values: fc.constantFrom('a', 'b', 'c') },
    { name: 'list', schema: list(uint(9), 7), values: fc.array(fc.nat(9), { maxLength: 7 }) },
    { name: 'nullable', schema: nullable(text(20)), values: fc.option(wellFormed) },
    { name: 'optional', schema: optional(uint(), 7), values: fc.maxSafeNat() },
    {
      name: 'textMap',
      schema: textMap(5, 20),
      values: fc.dictionary(wellFormed, wellFormed, { maxKeys: 5, noNullPrototype: true }),
    },
    { name: 'anything', schema: anything, values: plain },
    { name: 'struct', schema: endpoint, values: fc.record({ address: fc.ipV4(), port: fc.nat(65535) }) },
    { name: 'union', schema: shape, values: names },
    { name: 'list of unions', schema: list(shape, 4), values: fc.array(names, { maxLength: 4 }) },
  ] as readonly Case<unknown>[]
).map((each) => each as Case<never>);

describe.each(cases)('$name', ({ schema, values }) => {
  test('reads what it wrote', () => {
    fc.assert(
      fc.property(values, (value) => {
        expect(fromBytes(schema, toBytes(schema, value), 'it')).toEqual(value);
      }),
    );
  });

  test('makes of mutated bytes a value that it can write and read again, or says that they are malformed', () => {
    fc.assert(
      fc.property(values, values, mutations, (value, other, how) => {
        const raw = mutate(toBytes(schema, value), toBytes(schema, other), how);
        const { written, again } = settled(schema, raw);
        expect(again).toEqual(written);
      }),
      { numRuns: 500 },
    );
  });

  test('makes of any plain data a value, or says that it is malformed', () => {
    fc.assert(
      fc.property(fc.oneof(plain.map(encode), fc.uint8Array()), (raw) => {
        const { written, again } = settled(schema, raw);
        expect(again).toEqual(written);
      }),
      { numRuns: 300 },
    );
  });
});

/** What was read once is written, and then read, the same. */
function settled<T>(schema: Schema<T>, raw: Uint8Array): { written?: Uint8Array; again?: Uint8Array } {
  const read = tryRead(schema, raw);
  if (read === malformed) return {};
  const written = toBytes(schema, read);
  return { written, again: toBytes(schema, fromBytes(schema, written, 'it')) };
}

const malformed = Symbol('malformed');

/** Any other error fails the test. */
function tryRead<T>(schema: Schema<T>, raw: Uint8Array): T | typeof malformed {
  try {
    return fromBytes(schema, raw, 'it');
  } catch (error) {
    if (error instanceof MalformedError) return malformed;
    throw error;
  }
}

describe('the rules of a schema', () => {
  test('a field that is missing reads as its fallback, and what comes behind the last one is ignored', () => {
    const older = struct<{ a: number }>({ a: uint() });
    const newer = struct<{ a: number; b: number }>({ a: uint(), b: optional(uint(), 5) });
    expect(fromBytes(newer, toBytes(older, { a: 1 }), 'it')).toEqual({ a: 1, b: 5 });
    expect(fromBytes(older, toBytes(newer, { a: 1, b: 2 }), 'it')).toEqual({ a: 1 });
  });

  test('an error names the place', () => {
    const wrong = encode([[1, 'x']]);
    expect(() => fromBytes(list(endpoint, 3), wrong, 'peers')).toThrow(
      'peers[0].address: not a text of at most 64',
    );
  });

  test('bounds hold: numbers, texts, bytes, lists, maps, ids', () => {
    const reads = (schema: Schema<unknown>, raw: unknown): boolean =>
      tryRead(schema, encode(raw)) !== malformed;
    for (const raw of [-1, 1.5, 256, 2 ** 53, '1', null, Number.NaN])
      expect(reads(uint(255), raw)).toBe(false);
    expect(reads(text(3), 'abcd')).toBe(false);
    expect(reads(bytes(3), new Uint8Array(4))).toBe(false);
    expect(reads(list(flag, 1), [true, false])).toBe(false);
    expect(
      reads(textMap(1, 9), [
        ['a', 'b'],
        ['c', 'd'],
      ]),
    ).toBe(false);
    expect(reads(textMap(1, 9), [['a']])).toBe(false);
    expect(reads(hexId(/^[0-9a-f]{8}$/), Uint8Array.of(1, 2, 3))).toBe(false);
    expect(reads(oneOf('a'), 1)).toBe(false);
    expect(reads(oneOf('a'), -1)).toBe(false);
    expect(reads(finite, Number.POSITIVE_INFINITY)).toBe(false);
    expect(reads(shape, [7, []])).toBe(false);
    expect(reads(shape, 'constructor')).toBe(false);
  });

  test('half a surrogate pair becomes U+FFFD, however long the text is', () => {
    for (const length of [1, 100, 1000]) {
      const value = `${'a'.repeat(length)}\ud800`;
      expect(fromBytes(text(2000), toBytes(text(2000), value), 'it')).toBe(`${'a'.repeat(length)}\ufffd`);
    }
  });

  test('bytes are a copy', () => {
    const raw = toBytes(bytes(3), Uint8Array.of(1, 2, 3));
    const read = fromBytes(bytes(3), raw, 'it');
    raw.fill(0);
    expect(read).toEqual(Uint8Array.of(1, 2, 3));
    expect(read.buffer.byteLength).toBe(3);
  });
});
