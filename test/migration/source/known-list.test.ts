import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compareBytewise } from '../../../migration/byte-order.ts';
import { decodeRawKv } from '../../../migration/source/decode.ts';
import { decodeKnownList, type KnownList } from '../../../migration/source/known-list.ts';

type Item = { readonly value: string; readonly index: number; readonly session: boolean };

/** As Consul writes it. */
function listOf(items: ReadonlyMap<string, Item>): Buffer {
  const keys = [...items.keys()].toSorted(compareBytewise);
  const entries = keys.map((key) => {
    const { value, index, session } = items.get(key) as Item;
    const text = value === '' ? null : Buffer.from(value).toString('base64');
    return JSON.stringify({
      ...{ LockIndex: 0, Key: key, Flags: 0, Value: text },
      ...(session ? { Session: '},{"LockIndex":' } : {}),
      ...{ CreateIndex: 1, ModifyIndex: index },
    });
  });
  return Buffer.from(`[${entries.join(',')}]`);
}

function decoded(body: Buffer, before: KnownList | undefined) {
  const list = decodeKnownList(body, before);
  if (!list.ok) throw new Error(list.error);
  return list.value;
}

const key = fc.oneof(
  fc.integer({ min: 0, max: 200 }).map((n) => `app/key-${n}`),
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 5 }),
  fc.constant('},{"LockIndex":0'),
);
const item = fc.record({
  value: fc.string({ maxLength: 4 }),
  index: fc.integer({ min: 1, max: 12 }),
  session: fc.boolean(),
});
const lists = fc.array(fc.array(fc.tuple(key, item), { maxLength: 300 }), { minLength: 1, maxLength: 6 });
const steps = fc.array(fc.array(fc.tuple(key, fc.option(item)), { maxLength: 6 }), { maxLength: 8 });

describe('a list that is decoded against the one before', () => {
  test('has the entries that it has decoded on its own, whatever changed', () => {
    fc.assert(
      fc.property(lists, steps, (wholes, changes) => {
        let before: KnownList | undefined;
        const check = (items: ReadonlyMap<string, Item>): void => {
          const body = listOf(items);
          const list = decoded(body, before);
          const alone = decodeRawKv(body.toString());
          expect(alone.ok && alone.value).toEqual(list.entries);
          if (before !== undefined && list.known?.names !== undefined) {
            expect(list.entries.map((entry) => entry.key)).toEqual(before.entries.map((entry) => entry.key));
          }
          before = list.known;
          if (before !== undefined) before.names = 'a digest';
        };
        for (const whole of wholes) check(new Map(whole));
        const items = new Map(wholes.at(-1));
        for (const change of changes) {
          for (const [name, value] of change) {
            if (value === null) items.delete(name);
            else items.set(name, value);
          }
          check(items);
        }
      }),
    );
  });

  test('makes nothing anew of an entry whose bytes are the same, and does of one under the same index with others', () => {
    const items = new Map(
      Array.from({ length: 500 }, (_, n) => [
        `key-${String(n).padStart(3, '0')}`,
        { value: 'first', index: 7, session: false },
      ]),
    );
    const first = decoded(listOf(items), undefined);
    items.set('key-250', { value: 'other', index: 7, session: false });
    items.delete('key-100');
    items.set('key-1000', { value: 'first', index: 7, session: false });
    const second = decoded(listOf(items), first.known);
    const had = new Set(first.entries);
    expect(second.entries.filter((entry) => !had.has(entry)).map((entry) => entry.key)).toEqual([
      'key-1000',
      'key-250',
    ]);
    expect(second.known?.names).toBeUndefined();
  });

  test('that is written otherwise is decoded whole', () => {
    const items = new Map([['a', { value: 'b', index: 3, session: false }]]);
    const pretty = Buffer.from(JSON.stringify(JSON.parse(listOf(items).toString()), null, 4));
    const list = decoded(pretty, undefined);
    expect(list.known).toBeUndefined();
    expect(list.entries).toHaveLength(1);
  });
});
