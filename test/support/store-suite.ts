import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Kind } from '../../src/state/kinds.ts';
import type { OriginId } from '../../src/crdt/dot.ts';
import {
  quarantineBytesMax,
  quarantineRowsMax,
  type OriginRow,
  type Row,
  type SetAside,
  type Store,
} from '../../src/state/store.ts';
import {
  applyTo,
  awkwardKeys,
  keysOf,
  ModelStore,
  plainRow,
  rowOf,
  snapshotOf,
  Stop,
  transaction,
  withRisingIndexes,
} from './store-model.ts';

/** One implementation of `Store` under test. */
export interface StoreUnderTest {
  readonly store: Store;
  /** Closes the store and opens the same data again; undefined where data does not survive. */
  readonly reopen?: () => Store;
  /** Closes whatever is open and removes the data. */
  readonly dispose: () => void;
}

function originId(digit: string): OriginId {
  return digit.repeat(32) as OriginId;
}

function asideOf(fields: Partial<SetAside>): Omit<SetAside, 'id'> {
  return {
    ...{
      why: 'over',
      atUs: 5,
      zone: 'z/',
      zoneTerm: 2,
      origin: originId('a'),
      seq: 1,
      kind: Kind.kv,
      key: 'k',
    },
    ...{ term: 1, timeline: 0, stamp: 3, born: 2, ix: null, value: null, replayed: false },
    ...fields,
  };
}

function bytewise(keys: readonly string[]): readonly string[] {
  return [...keys].toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
}

/** What every store must do: the simulator relies on the memory store being the same as the one on disk. */
export function describeStore(title: string, open: () => StoreUnderTest): void {
  // oxlint-disable-next-line jest/valid-title -- one suite for several stores
  describe(title, () => {
    function withStore(work: (store: Store, under: StoreUnderTest) => void): void {
      const under = open();
      try {
        work(under.store, under);
      } finally {
        under.dispose();
      }
    }

    function putAll(store: Store, rows: readonly Row[]): void {
      store.transact(() => {
        for (const row of rows) store.put(row);
      });
    }

    test('a row comes back as it was put, with an empty value told from a tombstone', () => {
      withStore((store) => {
        const rows = [
          rowOf({ key: 'full', value: new Uint8Array([0, 255, 10]), ix: 'session', term: 3, timeline: 2 }),
          rowOf({ key: 'large', stamp: Number.MAX_SAFE_INTEGER, modifyIndex: Number.MAX_SAFE_INTEGER }),
          rowOf({ key: 'empty', value: new Uint8Array() }),
          rowOf({ key: 'tombstone', value: null, ix: 'kept' }),
        ];
        putAll(store, rows);
        for (const row of rows) expect(plainRow(store.get(Kind.kv, row.key))).toEqual(plainRow(row));
        expect(store.get(Kind.kv, 'absent')).toBeUndefined();
        expect(store.get(Kind.session, 'full')).toBeUndefined();
      });
    });

    test('keys are told apart and ordered as their UTF-8 bytes, the empty one and NUL included', () => {
      withStore((store) => {
        putAll(
          store,
          awkwardKeys.toReversed().map((key) => rowOf({ key })),
        );
        expect(keysOf(store.range(Kind.kv, '', undefined))).toEqual(bytewise(awkwardKeys));
        expect(keysOf(store.rangeKeys(Kind.kv, '', undefined))).toEqual(bytewise(awkwardKeys));
        for (const key of awkwardKeys) expect(store.get(Kind.kv, key)?.key).toBe(key);
      });
    });

    test('a range holds from, leaves out to, and shows tombstones', () => {
      withStore((store) => {
        putAll(store, [
          rowOf({ key: 'a', modifyIndex: 1 }),
          rowOf({ key: 'b', modifyIndex: 2, value: null }),
          rowOf({ key: 'c', modifyIndex: 3 }),
          rowOf({ kind: Kind.session, key: 'b2' }),
        ]);
        expect(keysOf(store.range(Kind.kv, 'a', 'c'))).toEqual(['a', 'b']);
        expect(keysOf(store.range(Kind.kv, 'b', undefined))).toEqual(['b', 'c']);
        expect(keysOf(store.range(Kind.kv, 'c', 'b'))).toEqual([]);
        expect([...store.rangeKeys(Kind.kv, 'a', 'c')]).toEqual([
          { key: 'a', live: true, modifyIndex: 1 },
          { key: 'b', live: false, modifyIndex: 2 },
        ]);
      });
    });

    test('a secondary key finds its rows in order of key, its tombstones too, and no longer the rows that left it', () => {
      withStore((store) => {
        putAll(
          store,
          awkwardKeys.map((key) => rowOf({ key, ix: 's1' })),
        );
        putAll(store, [
          rowOf({ key: 'a', ix: 's1', value: null }),
          rowOf({ key: 'aa', ix: 's2' }),
          rowOf({ key: 'a0', ix: null }),
          rowOf({ key: 'other-kind', kind: Kind.session, ix: 's1' }),
        ]);
        const expected = bytewise(awkwardKeys).filter((key) => key !== 'aa' && key !== 'a0');
        expect(keysOf(store.byIndex(Kind.kv, 's1'))).toEqual(expected);
        expect([...store.byIndex(Kind.kv, 's1')].find((row) => row.key === 'a')?.value).toBeNull();
        expect(keysOf(store.byIndex(Kind.kv, 's2'))).toEqual(['aa']);
        expect(keysOf(store.byIndex(Kind.kv, ''))).toEqual([]);
      });
    });

    test('a transaction that throws leaves rows, secondary keys, meta and table indexes as they were', () => {
      withStore((store) => {
        store.transact(() => {
          store.put(rowOf({ key: 'kept', ix: 's1', modifyIndex: 10 }));
          store.setMeta('name', 'before');
        });
        expect(() =>
          store.transact(() => {
            store.put(rowOf({ key: 'kept', ix: 's2', modifyIndex: 20 }));
            store.put(rowOf({ key: 'new', ix: 's1', modifyIndex: 21 }));
            store.put(rowOf({ key: 'node', kind: Kind.node, modifyIndex: 22 }));
            store.remove(Kind.kv, 'kept');
            store.setMeta('name', 'after');
            store.setMeta('other', 'x');
            throw new Stop();
          }),
        ).toThrow(Stop);
        expect(keysOf(store.range(Kind.kv, '', undefined))).toEqual(['kept']);
        expect(keysOf(store.byIndex(Kind.kv, 's1'))).toEqual(['kept']);
        expect(keysOf(store.byIndex(Kind.kv, 's2'))).toEqual([]);
        expect(store.tableIndex(Kind.kv)).toBe(10);
        expect(store.tableIndex(Kind.node)).toBe(0);
        expect(store.getMeta('name')).toBe('before');
        expect(store.getMeta('other')).toBeUndefined();
        // And the store still works.
        putAll(store, [rowOf({ key: 'later', modifyIndex: 30 })]);
        expect(store.tableIndex(Kind.kv)).toBe(30);
      });
    });

    test('an attempt is undone alone: what came before it in the transaction stays', () => {
      withStore((store) => {
        const answer = store.transact(() => {
          store.put(rowOf({ key: 'before', modifyIndex: 5 }));
          const undone = store.attempt(() => {
            store.put(rowOf({ key: 'before', modifyIndex: 8, value: null }));
            store.put(rowOf({ key: 'inside', modifyIndex: 9, ix: 's1' }));
            store.setMeta('inside', 'x');
            return { keep: false, value: 'undone' };
          });
          const kept = store.attempt(() => {
            store.put(rowOf({ key: 'after', modifyIndex: 7 }));
            return { keep: true, value: 'kept' };
          });
          return `${undone} ${kept}`;
        });
        expect(answer).toBe('undone kept');
        expect(keysOf(store.range(Kind.kv, '', undefined))).toEqual(['after', 'before']);
        expect(store.get(Kind.kv, 'before')?.modifyIndex).toBe(5);
        expect(keysOf(store.byIndex(Kind.kv, 's1'))).toEqual([]);
        expect(store.getMeta('inside')).toBeUndefined();
        expect(store.tableIndex(Kind.kv)).toBe(7);
      });
    });

    test('attempts nest: an outer one that is undone takes the kept inner one with it', () => {
      withStore((store) => {
        store.transact(() =>
          store.attempt(() => {
            store.attempt(() => {
              store.put(rowOf({ key: 'inner', modifyIndex: 3 }));
              return { keep: true, value: undefined };
            });
            store.attempt(() => {
              store.put(rowOf({ key: 'inner2', modifyIndex: 4 }));
              return { keep: false, value: undefined };
            });
            expect(keysOf(store.range(Kind.kv, '', undefined))).toEqual(['inner']);
            return { keep: false, value: undefined };
          }),
        );
        expect(keysOf(store.range(Kind.kv, '', undefined))).toEqual([]);
        expect(store.tableIndex(Kind.kv)).toBe(0);
      });
    });

    test('an attempt that throws is undone, and the transaction may go on where its caller catches', () => {
      withStore((store) => {
        store.transact(() => {
          store.put(rowOf({ key: 'before', modifyIndex: 5 }));
          expect(() =>
            store.attempt(() => {
              store.put(rowOf({ key: 'inside', modifyIndex: 6 }));
              throw new Stop();
            }),
          ).toThrow(Stop);
          store.put(rowOf({ key: 'beside', modifyIndex: 5 }));
        });
        expect(keysOf(store.range(Kind.kv, '', undefined))).toEqual(['before', 'beside']);
        expect(store.tableIndex(Kind.kv)).toBe(5);
      });
    });

    test('writing without a transaction, and a transaction inside one, are refused', () => {
      withStore((store) => {
        expect(() => store.put(rowOf({ key: 'a' }))).toThrow('writes need a transaction');
        expect(() => store.remove(Kind.kv, 'a')).toThrow('writes need a transaction');
        expect(() => store.setMeta('a', 'b')).toThrow('writes need a transaction');
        expect(() => store.attempt(() => ({ keep: true, value: 0 }))).toThrow('attempt needs a transaction');
        expect(() => store.transact(() => store.transact(() => 0))).toThrow('transactions do not nest');
        expect([...store.range(Kind.kv, '', undefined)]).toEqual([]);
      });
    });

    test('a table index is the highest ever put, and does not fall when the row that carried it is removed', () => {
      withStore((store, under) => {
        expect(store.tableIndex(Kind.kv)).toBe(0);
        putAll(store, [rowOf({ key: 'a', modifyIndex: 7 }), rowOf({ key: 'b', modifyIndex: 4 })]);
        expect(store.tableIndex(Kind.kv)).toBe(7);
        store.transact(() => {
          store.remove(Kind.kv, 'a');
          store.remove(Kind.kv, 'b');
          store.remove(Kind.kv, 'was never there');
        });
        expect([...store.range(Kind.kv, '', undefined)]).toEqual([]);
        expect(store.tableIndex(Kind.kv)).toBe(7);
        expect((under.reopen?.() ?? store).tableIndex(Kind.kv)).toBe(7);
      });
    });

    test('rows are found by the dots that wrote them, newest first, and no longer by those that were overwritten', () => {
      withStore((store, under) => {
        putAll(store, [
          rowOf({ key: 'a', origin: 2, seq: 1 }),
          rowOf({ key: 'b', origin: 2, seq: 2 }),
          rowOf({ key: 'c', origin: 2, seq: 2, value: null }),
          rowOf({ kind: Kind.session, key: 'b', origin: 2, seq: 3 }),
          rowOf({ key: 'd', origin: 3, seq: 2 }),
          rowOf({ key: 'local', origin: 0, seq: 0 }),
        ]);
        const dots = (origin: number, from: number, to: number): unknown =>
          [...store.byDots(origin, from, to)].map((row) => [row.seq, row.key]);
        const sorted = (list: unknown): unknown => (list as [number, string][]).toSorted();
        expect(dots(2, 3, 9)).toEqual([[3, 'b']]);
        expect((dots(2, 1, 9) as [number, string][]).map(([seq]) => seq)).toEqual([3, 2, 2, 1]);
        expect(sorted(dots(2, 2, 2))).toEqual([
          [2, 'b'],
          [2, 'c'],
        ]);
        expect(dots(0, 0, 9)).toEqual([]);
        putAll(store, [rowOf({ key: 'b', origin: 3, seq: 7 })]);
        store.transact(() => store.remove(Kind.kv, 'a'));
        expect(dots(2, 1, 2)).toEqual([[2, 'c']]);
        expect(dots(3, 1, Number.MAX_SAFE_INTEGER)).toEqual([
          [7, 'b'],
          [2, 'd'],
        ]);
        for (const row of store.byDots(3, 1, 9)) {
          expect(row.key).toBe('b');
          break;
        }
        // Left before its end, it holds nothing up.
        putAll(under.reopen?.() ?? store, [rowOf({ key: 'after', origin: 3, seq: 8 })]);
      });
    });

    test('origins are kept with what was seen of them, and what is rolled back of them is not', () => {
      withStore((store, under) => {
        const own: OriginRow = { ref: 1, id: originId('a'), nodeId: 'n1', seen: [] };
        const other: OriginRow = {
          ...{ ref: 2, id: originId('b'), nodeId: 'n2' },
          seen: [
            { from: 1, to: 7 },
            { from: 9, to: 9 },
          ],
        };
        expect(store.origins()).toEqual([]);
        store.transact(() => {
          store.putOrigin(other);
          store.putOrigin(own);
          store.attempt(() => {
            store.putOrigin({ ...own, seen: [{ from: 1, to: 3 }] });
            store.putOrigin({ ...own, ref: 3, id: originId('c') });
            return { keep: false, value: undefined };
          });
        });
        expect(store.origins()).toEqual([own, other]);
        const again = under.reopen?.() ?? store;
        again.transact(() => again.putOrigin({ ...other, seen: [{ from: 1, to: 9 }] }));
        expect(again.origins()).toEqual([own, { ...other, seen: [{ from: 1, to: 9 }] }]);
      });
    });

    test.each(['quarantine', 'conflicts'] as const)(
      'records set aside as %s come back whole, in order',
      (table) => {
        withStore((store, under) => {
          const record = asideOf({ key: 'k', seq: 4, value: new Uint8Array([1]), ix: 's' });
          const ids = store.transact(() => [
            store.putSetAside(table, record),
            store.putSetAside(table, asideOf({ key: 'l', seq: 5, value: null, replayed: true })),
          ]);
          expect(() =>
            store.transact(() => {
              store.putSetAside(table, record);
              store.removeSetAside(table, ids[0] ?? 0);
              throw new Stop();
            }),
          ).toThrow(Stop);
          const again = under.reopen?.() ?? store;
          const listed = again.setAside(table, 0, 9);
          expect(listed.map(({ key, seq, replayed }) => [key, seq, replayed])).toEqual([
            ['k', 4, false],
            ['l', 5, true],
          ]);
          expect({ ...listed[0], value: [...(listed[0]?.value ?? [])] }).toEqual({
            ...record,
            value: [1],
            id: ids[0],
          });
          expect(again.setAside(table, ids[0] ?? 0, 9)).toHaveLength(1);
          expect(again.setAside(table, 0, 1)).toHaveLength(1);
          expect(again.setAsideByDots(table, record.origin, 1, 9).map(({ seq }) => seq)).toEqual([5, 4]);
          expect(again.setAsideByDots(table, originId('f'), 1, 9)).toEqual([]);
          again.transact(() => {
            if (table === 'conflicts') again.markReplayed(ids[0] ?? 0);
            again.removeSetAside(table, ids[1] ?? 0);
          });
          expect(again.setAside(table, 0, 9)).toMatchObject([{ key: 'k', replayed: table === 'conflicts' }]);
          expect(again.setAsideCount(table)).toEqual({ now: 1, ever: 2 });
          // An id is not given twice.
          expect(again.transact(() => again.putSetAside(table, record))).toBe((ids[1] ?? 0) + 1);
        });
      },
    );

    test('the quarantine holds so many records and bytes, and drops the oldest; conflicts are never dropped', () => {
      withStore((store) => {
        store.transact(() => {
          for (let seq = 1; seq <= quarantineRowsMax + 5; seq++) {
            store.putSetAside('quarantine', asideOf({ key: 'k', seq }));
            store.putSetAside('conflicts', asideOf({ key: 'k', seq }));
          }
        });
        expect(store.setAsideCount('quarantine')).toEqual({
          now: quarantineRowsMax,
          ever: quarantineRowsMax + 5,
        });
        expect(store.setAside('quarantine', 0, 1)[0]?.seq).toBe(6);
        expect(store.setAsideCount('conflicts').now).toBe(quarantineRowsMax + 5);
        const value = new Uint8Array(quarantineBytesMax / 4 + 1);
        store.transact(() => {
          for (let seq = 1; seq <= 5; seq++)
            store.putSetAside('quarantine', asideOf({ key: 'large', seq, value }));
        });
        expect(store.setAside('quarantine', 0, 9999).map(({ seq }) => seq)).toEqual([3, 4, 5]);
      });
    });

    test('kinds, the highest index and rows with a secondary key are known, also of kinds that are not', () => {
      withStore((store, under) => {
        expect([store.kinds(), store.highestIndex()]).toEqual([[], 0]);
        putAll(store, [
          rowOf({ key: 'a', modifyIndex: 7, ix: 's' }),
          rowOf({ key: 'b', modifyIndex: 3 }),
          rowOf({ key: 'c', modifyIndex: 2, ix: 't', value: null }),
          rowOf({ kind: 50 as Kind, key: 'x', modifyIndex: 9 }),
        ]);
        const again = under.reopen?.() ?? store;
        expect([again.kinds(), again.highestIndex()]).toEqual([[Kind.kv, 50], 9]);
        expect(keysOf(again.indexed(Kind.kv)).toSorted()).toEqual(['a', 'c']);
      });
    });

    test('a range may be read while rows of it are written', () => {
      withStore((store) => {
        putAll(
          store,
          ['a', 'b', 'c', 'd'].map((key) => rowOf({ key })),
        );
        store.transact(() => {
          for (const row of [...store.range(Kind.kv, '', undefined)]) store.put({ ...row, value: null });
          for (const row of [...store.range(Kind.kv, '', undefined)]) store.remove(Kind.kv, row.key);
        });
        expect([...store.range(Kind.kv, '', undefined)]).toEqual([]);
      });
    });

    test('any sequence of transactions leaves the state that a plain model of it has, also after reopening', () => {
      fc.assert(
        fc.property(fc.array(transaction, { maxLength: 12 }).map(withRisingIndexes), (transactions) =>
          withStore((store, under) => {
            const model = new ModelStore();
            for (const one of transactions) {
              applyTo(store, one);
              model.apply(one);
              expect(snapshotOf(store)).toEqual(model.snapshot());
            }
            expect(snapshotOf(under.reopen?.() ?? store)).toEqual(model.snapshot());
          }),
        ),
        { numRuns: 40 },
      );
    });
  });
}
