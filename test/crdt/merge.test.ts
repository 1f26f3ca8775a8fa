import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { merge, type VersionedValue } from '../../src/crdt/merge.ts';
import { compareVersions, type Version } from '../../src/crdt/version.ts';
import { isOriginId } from '../../src/crdt/dot.ts';

const version: fc.Arbitrary<Version> = fc.record({
  term: fc.integer({ min: 0, max: 2 }),
  timeline: fc.integer({ min: 0, max: 2 }),
  stamp: fc.oneof(fc.integer({ min: 0, max: 3 }), fc.maxSafeNat()),
});

// Few versions and few bytes: equal versions with different bytes are common.
const versioned: fc.Arbitrary<VersionedValue> = fc
  .tuple(version, fc.option(fc.uint8Array({ maxLength: 2, max: 2 })))
  .map(([at, value]) => ({ ...at, value }));

/** What a replica holds after merging, by the outcome that `merge` names. */
function merged(held: VersionedValue | undefined, incoming: VersionedValue): VersionedValue {
  const outcome = merge(held, incoming);
  if (held === undefined) return incoming;
  if (outcome.kind === 'apply') return incoming;
  return outcome.kind === 'conflict' && outcome.incomingWins ? incoming : held;
}

function mergedAll(values: readonly VersionedValue[]): VersionedValue | undefined {
  let held: VersionedValue | undefined;
  for (const value of values) held = merged(held, value);
  return held;
}

function plain(value: VersionedValue | undefined): unknown {
  return value && { ...value, value: value.value && [...value.value] };
}

describe('versions', () => {
  test('are totally ordered: antisymmetric, transitive, equal only when the same', () => {
    fc.assert(
      fc.property(version, version, version, (a, b, c) => {
        expect(Math.sign(compareVersions(a, b))).toBe(0 - Math.sign(compareVersions(b, a)));
        const transitive =
          compareVersions(a, b) > 0 || compareVersions(b, c) > 0 || compareVersions(a, c) <= 0;
        expect(transitive).toBe(true);
        const same = a.term === b.term && a.timeline === b.timeline && a.stamp === b.stamp;
        expect(compareVersions(a, b) === 0).toBe(same);
      }),
    );
  });

  test('compare by term, then timeline, then stamp', () => {
    const low = { term: 1, timeline: 9, stamp: 9 };
    expect(compareVersions({ term: 2, timeline: 0, stamp: 0 }, low)).toBeGreaterThan(0);
    expect(compareVersions({ term: 1, timeline: 10, stamp: 0 }, low)).toBeGreaterThan(0);
    expect(compareVersions({ term: 1, timeline: 9, stamp: 10 }, low)).toBeGreaterThan(0);
  });
});

describe('merge', () => {
  test('is idempotent: what is held or was overwritten changes nothing when it comes again', () => {
    fc.assert(
      fc.property(fc.array(versioned, { minLength: 1 }), (values) => {
        const held = mergedAll(values);
        for (const value of values) {
          expect(plain(merged(held, value))).toEqual(plain(held));
          expect(merge(held, value).kind).not.toBe('apply');
        }
      }),
    );
  });

  test('is commutative and associative', () => {
    fc.assert(
      fc.property(versioned, versioned, versioned, (a, b, c) => {
        expect(plain(merged(a, b))).toEqual(plain(merged(b, a)));
        expect(plain(merged(merged(a, b), c))).toEqual(plain(merged(a, merged(b, c))));
      }),
    );
  });

  test('replicas that got the same values, in any order and any number of times, hold the same', () => {
    const delivery = fc.array(versioned, { minLength: 1, maxLength: 8 }).chain((values) =>
      fc.tuple(
        fc.constant(values),
        fc.array(
          fc
            .tuple(
              fc.shuffledSubarray(values, { minLength: values.length }),
              fc.array(fc.constantFrom(...values), { maxLength: 8 }),
              fc.nat(),
            )
            .map(([order, again, at]) => order.toSpliced(at % (order.length + 1), 0, ...again)),
          { minLength: 2, maxLength: 4 },
        ),
      ),
    );
    fc.assert(
      fc.property(delivery, ([values, replicas]) => {
        const expected = plain(mergedAll(values));
        for (const order of replicas) expect(plain(mergedAll(order))).toEqual(expected);
      }),
    );
  });

  test('equal versions with different bytes are a conflict that every replica decides alike', () => {
    const at = { term: 1, timeline: 0, stamp: 7 };
    const low = { ...at, value: new Uint8Array([1]) };
    const high = { ...at, value: new Uint8Array([1, 0]) };
    const gone = { ...at, value: null };
    expect(merge(low, high)).toEqual({ kind: 'conflict', incomingWins: true });
    expect(merge(high, low)).toEqual({ kind: 'conflict', incomingWins: false });
    expect(merge(gone, low)).toEqual({ kind: 'conflict', incomingWins: true });
    expect(merge(low, gone)).toEqual({ kind: 'conflict', incomingWins: false });
    expect(merge(gone, { ...gone })).toEqual({ kind: 'duplicate' });
    expect(merge(low, { ...low })).toEqual({ kind: 'duplicate' });
  });

  test('a tombstone with the greater version wins over a value', () => {
    const value = { term: 1, timeline: 0, stamp: 7, value: new Uint8Array([9]) };
    expect(merge(value, { ...value, stamp: 8, value: null })).toEqual({ kind: 'apply' });
    expect(merge({ ...value, stamp: 8, value: null }, value)).toEqual({ kind: 'older' });
  });
});

test('an origin id is 32 lower-case hex digits', () => {
  expect(isOriginId('0123456789abcdef0123456789abcdef')).toBe(true);
  for (const wrong of ['', '0123456789ABCDEF0123456789ABCDEF', '0'.repeat(31), '0'.repeat(33)]) {
    expect(isOriginId(wrong)).toBe(false);
  }
});
