import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MemoryStore } from '../../src/io/memory-store.ts';
import { Kind } from '../../src/state/kinds.ts';
import { encodeValue, type ZoneValue } from '../../src/state/values.ts';
import { readZones, zoneOf } from '../../src/state/zones.ts';
import { rowOf } from '../support/store-model.ts';

function zone(prefix: string): ZoneValue {
  return { prefix, ownerId: `owner of ${prefix}`, term: 1 };
}

describe('zones', () => {
  test('the longest prefix that a key starts with decides, in whatever order zones are listed', () => {
    const prefixes = ['', 'a', 'a/', 'a/b', 'ab', '\u{1f600}'];
    fc.assert(
      fc.property(
        fc.subarray(prefixes).chain((some) => fc.shuffledSubarray(some, { minLength: some.length })),
        fc
          .array(fc.constantFrom('a', 'b', '/', 'c', '\u{1f600}'), { maxLength: 5 })
          .map((parts) => parts.join('')),
        (some, key) => {
          const matching = some.filter((prefix) => key.startsWith(prefix));
          const longest = matching.toSorted((a, b) => b.length - a.length)[0];
          expect(zoneOf(some.map(zone), key)?.prefix).toBe(longest);
        },
      ),
    );
  });

  test('zones are read from their registers, without those that were taken back', () => {
    const store = new MemoryStore();
    store.transact(() => {
      for (const prefix of ['', 'a/', 'b/']) {
        store.put(rowOf({ kind: Kind.zone, key: prefix, value: encodeValue(zone(prefix)) }));
      }
      store.put(rowOf({ kind: Kind.zone, key: 'a/', value: null }));
    });
    expect(readZones(store)).toEqual([zone(''), zone('b/')]);
  });
});
