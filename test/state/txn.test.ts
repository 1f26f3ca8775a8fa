import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Kind } from '../../src/state/kinds.ts';
import { isReadOnly, type KvVerb, type TxnOp, type TxnOutcome } from '../../src/state/txn.ts';
import type { Row } from '../../src/state/store.ts';
import type { NodeValue } from '../../src/state/values.ts';
import { StateFixture } from '../support/state.ts';

const text = new TextEncoder();

function kv(
  verb: KvVerb,
  key: string,
  over: { value?: string; index?: bigint; session?: string } = {},
): TxnOp {
  const { value = '', index = 0n, session = '' } = over;
  return { kind: 'kv', verb, key, value: text.encode(value), flags: 0n, index, session };
}

function node(name: string): NodeValue {
  return { id: '', node: name, address: '10.0.0.1', taggedAddresses: null, meta: null };
}

function run(
  fixture: StateFixture,
  ...ops: readonly TxnOp[]
): Exclude<TxnOutcome, { kind: 'refused' | 'not-owned' }> {
  const { outcome } = fixture.step({ kind: 'txn', ops });
  if (outcome.kind !== 'txn') throw new Error(`unexpected ${outcome.kind}`);
  return outcome;
}

const errorsOf = (fixture: StateFixture, ...ops: readonly TxnOp[]): readonly string[] =>
  run(fixture, ...ops).errors.map(({ opIndex, what }) => `${opIndex} ${what}`);

function rows(fixture: StateFixture): readonly Row[] {
  return [Kind.kv, Kind.node].flatMap((kind) => [...fixture.store.range(kind, '', undefined)]);
}

describe('transactions', () => {
  test('every operation that fails is listed, and nothing is applied', () => {
    const fixture = new StateFixture();
    run(fixture, kv('set', 'a', { value: '1' }));
    const before = rows(fixture);
    expect(
      errorsOf(
        fixture,
        kv('set', 'b', { value: '2' }),
        kv('get', 'absent'),
        { kind: 'unknown', of: 'kv', verb: 'nope' },
        kv('check-index', 'a', { index: 1n }),
        kv('check-not-exists', 'a'),
        { kind: 'node', verb: 'get', node: node('absent'), index: 0n },
      ),
    ).toEqual([
      '1 key "absent" doesn\'t exist',
      '2 unknown KV verb "nope"',
      `3 failed index check for key "a", current modify index ${before[0]?.modifyIndex} != 1`,
      '4 key "a" exists',
      '5 node "absent" doesn\'t exist',
    ]);
    expect(rows(fixture)).toEqual(before);
  });

  test('what is wrong on its face is found before anything is tried', () => {
    const fixture = new StateFixture();
    expect(
      errorsOf(fixture, kv('get', 'absent'), kv('set', ''), {
        kind: 'node',
        verb: 'set',
        node: node(''),
        index: 0n,
        invalid: 'Must provide node',
      }),
    ).toEqual(['1 Must provide key', '2 Must provide node']);
    expect(errorsOf(fixture, kv('delete-tree', ''))).toEqual([]);
  });

  test('a lock that is delayed is refused as delayed, one that is held as held', () => {
    const fixture = new StateFixture();
    fixture.step({ kind: 'catalog-register', node: node('n'), skipNodeUpdate: false, checks: [] });
    const ids = ['1', '2'].map((digit) => `${digit.repeat(8)}-1111-1111-1111-111111111111`) as [
      string,
      string,
    ];
    for (const id of ids) {
      fixture.step({
        kind: 'session-create',
        session: {
          id,
          name: '',
          node: 'n',
          lockDelayNs: 15e9,
          behavior: 'release',
          ttl: '',
          nodeChecks: [],
          serviceChecks: null,
        },
      });
    }
    expect(errorsOf(fixture, kv('lock', 'l', { session: ids[0] }))).toEqual([]);
    expect(errorsOf(fixture, kv('lock', 'l', { session: ids[1] }))).toEqual([
      '0 failed to lock key "l", lock is already held',
    ]);
    expect(errorsOf(fixture, kv('unlock', 'l', { session: ids[1] }))).toEqual([
      '0 failed to unlock key "l", lock isn\'t held, or is held by another session',
    ]);
    fixture.step({ kind: 'session-destroy', id: ids[0] });
    expect(errorsOf(fixture, kv('lock', 'l', { session: ids[1] }))).toEqual([
      '0 failed to lock key "l" due to lock delay',
    ]);
    fixture.nowUs += 16_000_000;
    expect(errorsOf(fixture, kv('lock', 'l', { session: ids[1] }))).toEqual([]);
  });

  test('deleting what is not there succeeds, unless an index was asked for in the catalog', () => {
    const fixture = new StateFixture();
    expect(
      errorsOf(
        fixture,
        kv('delete', 'absent'),
        kv('delete-cas', 'absent', { index: 5n }),
        { kind: 'node', verb: 'delete', node: node('absent'), index: 0n },
        { kind: 'node', verb: 'delete-cas', node: node('absent'), index: 5n },
      ),
    ).toEqual(['3 failed to delete node "absent", index is stale']);
  });

  test('all operations of one transaction share one index and see each other', () => {
    const fixture = new StateFixture();
    const { results } = run(
      fixture,
      kv('set', 't/a', { value: '1' }),
      kv('get', 't/a'),
      kv('set', 't/b', { value: '2' }),
      kv('get-tree', 't/'),
      kv('get-or-empty', 'c'),
    );
    const indexes = new Set(results.flatMap((result) => ('row' in result ? [result.row.modifyIndex] : [])));
    expect(indexes.size).toBe(1);
    const keys = results.map((result) => ('row' in result ? result.row.key : result.key));
    expect(keys).toEqual(['t/a', 't/a', 't/b', 't/a', 't/b', 'c']);
  });

  test('an unknown KV verb counts as a read, one of the catalog as a write', () => {
    const unknown = (of: 'kv' | 'node'): TxnOp => ({ kind: 'unknown', of, verb: 'x' });
    expect(isReadOnly({ kind: 'txn', ops: [kv('get', 'a'), kv('check-session', 'a'), unknown('kv')] })).toBe(
      true,
    );
    expect(isReadOnly({ kind: 'txn', ops: [unknown('node')] })).toBe(false);
    expect(isReadOnly({ kind: 'txn', ops: [kv('delete-cas', 'a')] })).toBe(false);
  });

  test('a transaction with any failure leaves every row, index and topic as it was', () => {
    const verbs: readonly KvVerb[] = [
      'set',
      'delete',
      'delete-tree',
      'cas',
      'delete-cas',
      'get',
      'check-not-exists',
    ];
    const op = fc
      .record({
        verb: fc.constantFrom(...verbs),
        key: fc.constantFrom('a', 'a/b', 'b', 'c'),
        value: fc.string(),
      })
      .map(({ verb, key, value }) => kv(verb, key, { value }));
    fc.assert(
      fc.property(fc.array(op, { maxLength: 12 }), fc.array(op, { maxLength: 12 }), (first, second) => {
        const fixture = new StateFixture();
        fixture.step({ kind: 'txn', ops: first });
        const before = rows(fixture);
        const tableIndex = fixture.store.tableIndex(Kind.kv);
        const step = fixture.step({ kind: 'txn', ops: [...second, kv('get', 'never there')] });
        expect(step.touched.size).toBe(0);
        expect(rows(fixture)).toEqual(before);
        expect(fixture.store.tableIndex(Kind.kv)).toBe(tableIndex);
      }),
    );
  });
});
