import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { commonPrefix, compareBytewise, sortedUnique } from '../../../migration/byte-order.ts';
import { tripsBreaker, weighDeletes } from '../../../migration/mirror/breaker.ts';
import { isPathSafe, keyOddities, longestPathSafePrefix } from '../../../migration/mirror/key-rules.ts';
import { isBehind, normalisePrefixes, splitRegions } from '../../../migration/mirror/regions.ts';
import { lockFlag, screenKv, semaphoreFlag } from '../../../migration/mirror/screening.ts';

const name = fc.string({
  unit: fc.constantFrom('a', 'b', '/', '-', 'é', '\u{1F600}', '\uFF00'),
  maxLength: 6,
});

describe('bytewise order', () => {
  test('is the order of UTF-8 bytes', () => {
    fc.assert(
      fc.property(name, name, (a, b) => {
        expect(Math.sign(compareBytewise(a, b))).toBe(
          Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))),
        );
      }),
    );
  });

  test('a common prefix never splits a surrogate pair', () => {
    expect(commonPrefix(['x\u{1F600}', 'x\u{1F601}'])).toBe('x');
  });
});

describe('regions', () => {
  test('cover every name exactly once, in order, within the limit', () => {
    fc.assert(
      fc.property(fc.array(name, { maxLength: 60 }), fc.integer({ min: 1, max: 8 }), (given, most) => {
        const names = sortedUnique(given);
        const regions = [...splitRegions('', names, () => most)];
        expect(regions.flatMap((region) => region.names)).toEqual(names);
        for (const region of regions) {
          expect(region.names.length).toBeLessThanOrEqual(most);
          const covered = names.filter((each) =>
            region.tree ? each.startsWith(region.prefix) : each === region.prefix,
          );
          expect(covered).toEqual(region.names);
        }
      }),
    );
  });

  test('a place has behind it what its region and all before it cover', () => {
    expect(isBehind({ prefix: 'b/', tree: true }, 'b/x')).toBe(true);
    expect(isBehind({ prefix: 'b/', tree: true }, 'a')).toBe(true);
    expect(isBehind({ prefix: 'b/', tree: true }, 'b0')).toBe(false);
    expect(isBehind({ prefix: 'b/', tree: false }, 'b/x')).toBe(false);
    expect(isBehind(null, '')).toBe(false);
  });

  test('prefixes that another one contains are dropped', () => {
    expect(normalisePrefixes(['b/', 'a/', 'a/x/', 'b/'])).toEqual(['a/', 'b/']);
  });
});

describe('keys', () => {
  test.each([
    ['plain/key-1', []],
    ['über/x', ['refused-by-1.21.5']],
    ['a//b', ['double-slash']],
    ['/a', ['leading-slash']],
    ['a/../b', ['dot-segment']],
    ['a\tb', ['non-printable', 'refused-by-1.21.5']],
    ['a ', ['outer-space', 'refused-by-1.21.5']],
    ['a\uFFFDb', ['not-utf8', 'refused-by-1.21.5']],
  ] as const)('%j is odd because of %j', (key, oddities) => {
    expect(keyOddities(key)).toEqual(oddities);
  });

  test('a path-safe key survives the cleaning of a URL path', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom('a', '.', '/', '%', ' '), minLength: 1, maxLength: 8 }),
        (key) => {
          fc.pre(isPathSafe(key));
          const path = key.split('/').map(encodeURIComponent).join('/');
          const cleaned = new URL(`http://h/v1/kv/${path}`).pathname.slice('/v1/kv/'.length);
          expect(decodeURIComponent(cleaned)).toBe(key);
          expect(key).not.toMatch(/\/\/|^\//);
        },
      ),
    );
    expect(longestPathSafePrefix('a/b//c')).toBe('a/b/');
    expect(longestPathSafePrefix('/x')).toBe('');
  });
});

describe('screening', () => {
  const entry = { key: 'k', value: Buffer.from('v'), flags: 0n, session: '' };

  test('a held key stays behind, a free lock key does not', () => {
    expect(screenKv({ ...entry, session: 's', flags: lockFlag })).toEqual({
      copy: false,
      remarks: ['held-lock'],
    });
    expect(screenKv({ ...entry, flags: lockFlag })).toEqual({ copy: true, remarks: ['free-lock'] });
  });

  test('a semaphore stays behind while it names holders', () => {
    const held = Buffer.from('{"Limit":2,"Holders":{"s":true}}');
    const free = Buffer.from('{"Limit":2,"Holders":{}}');
    expect(screenKv({ ...entry, flags: semaphoreFlag, value: held })).toMatchObject({ copy: false });
    expect(screenKv({ ...entry, flags: semaphoreFlag, value: free })).toMatchObject({ copy: true });
    expect(screenKv({ ...entry, flags: semaphoreFlag })).toMatchObject({ copy: true });
  });

  test('a value above 512 KiB stays behind, one of exactly that does not', () => {
    expect(screenKv({ ...entry, value: new Uint8Array(524_289) })).toMatchObject({ copy: false });
    expect(screenKv({ ...entry, value: new Uint8Array(524_288) })).toMatchObject({ copy: true });
  });
});

describe('the mass-delete breaker', () => {
  test('lets 50 deletes or 5 % through, and no more', () => {
    expect(tripsBreaker(50, 60)).toBe(false);
    expect(tripsBreaker(51, 60)).toBe(true);
    expect(tripsBreaker(500, 10_000)).toBe(false);
    expect(tripsBreaker(501, 10_000)).toBe(true);
  });

  test('a source wiped leaf by leaf trips it too', () => {
    let tally = { live: 0, deleted: 0 };
    let tripped = 0;
    for (let leaf = 0; leaf < 10; leaf += 1) {
      const weighed = weighDeletes(tally, { deletes: 40, live: 40 });
      tripped += weighed.trips ? 1 : 0;
      tally = weighed.trips ? weighed.withheld : weighed.allowed;
    }
    expect(tripped).toBe(9);
  });
});
