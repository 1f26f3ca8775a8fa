import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Kind } from '../../src/state/kinds.ts';
import type { Row, Store } from '../../src/state/store.ts';
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
