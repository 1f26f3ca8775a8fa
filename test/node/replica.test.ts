import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { SqliteStore } from '../../src/io/sqlite-store.ts';
import { Kind } from '../../src/state/kinds.ts';
import type { Command } from '../../src/state/command.ts';
import type { Row } from '../../src/state/store.ts';
import { topic } from '../../src/state/topics.ts';
import { bytes, kvOp, Machine, put, register, startUs, textOf } from './machine.ts';

function rowsOf(machine: Machine, prefix = ''): readonly Row[] {
  return [...machine.store.range(Kind.kv, prefix, undefined)];
}

describe('indexes', () => {
  test('what a command answers as its index is the ModifyIndex of what it wrote, and the highest shown', () => {
    const machine = new Machine();
    const { index, outcome } = machine.step(put('a', '1'));
    expect(outcome).toMatchObject({
      kind: 'kv',
      applied: true,
      row: { modifyIndex: index, createIndex: index },
    });
    expect(machine.replica.highestIndex).toBe(index);
    expect(machine.store.tableIndex(Kind.kv)).toBe(index);
  });

  test('all writes of one command share one index, and each command has its own', () => {
    const machine = new Machine();
    const first = machine.step({ kind: 'txn', ops: ['a', 'b', 'c'].map((key) => kvOp('set', key, '1')) });
    expect(rowsOf(machine).map((row) => row.modifyIndex)).toEqual([first.index, first.index, first.index]);
    const second = machine.step(put('a', '2'));
    expect(second.index).toBeGreaterThan(first.index);
    expect(machine.kv('a')).toMatchObject({ createIndex: first.index, modifyIndex: second.index });
  });

  test('a write of the same value and flags makes no record, touches nothing and keeps its index', () => {
    const machine = new Machine();
    machine.step(put('a', 'v', { kind: 'plain' }, 7n));
    const before = machine.kv('a');
    const { headSeq, highestIndex } = machine.replica;
    const repeated = machine.step(put('a', 'v', { kind: 'plain' }, 7n));
    expect(repeated.outcome).toMatchObject({ kind: 'kv', applied: true });
    expect([...repeated.touched]).toEqual([]);
    expect(machine.kv('a')).toEqual(before);
    expect(machine.replica.headSeq).toBe(headSeq);
    expect(machine.replica.highestIndex).toBe(highestIndex);
    const flagged = machine.step(put('a', 'v', { kind: 'plain' }, 8n));
    expect(machine.kv('a')?.modifyIndex).toBe(flagged.index);
  });

  test('deleting what is not there changes nothing', () => {
    const machine = new Machine();
    const { headSeq } = machine.replica;
    for (const command of [
      { kind: 'kv-delete', key: 'absent' },
      { kind: 'kv-delete-tree', prefix: 'absent/' },
    ] satisfies Command[]) {
      const step = machine.step(command);
      expect(step.outcome).toMatchObject({ kind: 'kv', applied: true });
      expect([...step.touched]).toEqual([]);
    }
    expect(machine.replica.headSeq).toBe(headSeq);
    expect(rowsOf(machine)).toEqual([]);
  });

  test('a key that comes back after its deletion has a new CreateIndex, and higher indexes than its tombstone', () => {
    const machine = new Machine();
    const born = machine.step(put('a', '1')).index;
    const gone = machine.step({ kind: 'kv-delete', key: 'a' }).index;
    expect(machine.store.get(Kind.kv, 'a')).toMatchObject({
      value: null,
      modifyIndex: gone,
      createIndex: born,
    });
    const again = machine.step(put('a', '1')).index;
    expect(machine.kv('a')).toMatchObject({ createIndex: again, modifyIndex: again });
    expect(again).toBeGreaterThan(gone);
  });

  test('indexes rise strictly whatever the clock does, and also across restarts', () => {
    const jumps = fc.array(
      fc.record({
        clockUs: fc.integer({ min: 0, max: 2 * startUs }),
        restart: fc.boolean(),
        local: fc.boolean(),
      }),
      { minLength: 1, maxLength: 20 },
    );
    fc.assert(
      fc.property(jumps, (steps) => {
        const machine = new Machine();
        let last = machine.replica.highestIndex as number;
        for (const [i, { clockUs, restart, local }] of steps.entries()) {
          machine.nowUs = clockUs;
          if (restart) machine.restarted();
          // What only this gateway keeps takes an index too: it must not be given again.
          const command: Command = local
            ? {
                kind: 'local',
                puts: [{ kind: Kind.agentService, key: 's', value: bytes(String(i)) }],
                deletes: [],
                catalog: [],
              }
            : put('k', String(i));
          const { index } = machine.step(command);
          expect(index).toBeGreaterThan(last);
          expect(machine.store.get(local ? Kind.agentService : Kind.kv, local ? 's' : 'k')?.modifyIndex).toBe(
            index,
          );
          expect(machine.replica.highestIndex).toBe(index);
          last = index;
        }
      }),
    );
  });
});

describe('the database of a gateway that comes back', () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'grapevine-test-replica-'));
  });
  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  test('gives back values, indexes, seq and zones, and goes on above them with a clock that is behind', () => {
    const file = join(dir, 'grapevine.db');
    const before = new Machine(new SqliteStore({ file }));
    before.step(put('a', '1'));
    before.step({ kind: 'kv-delete', key: 'a' });
    const { highestIndex, headSeq, zones } = before.replica;
    before.store.close();

    const after = new Machine(new SqliteStore({ file }), false);
    after.nowUs = 5;
    expect(after.replica.highestIndex).toBe(highestIndex);
    expect(after.replica.headSeq).toBe(headSeq);
    expect(after.replica.zones).toEqual(zones);
    const { index } = after.step(put('a', '2'));
    expect(index).toBe(highestIndex + 2);
    expect(after.store.get(Kind.kv, 'a')).toMatchObject({ seq: headSeq + 1, modifyIndex: index });
    after.store.close();
  });

  test('knows nothing of a batch whose transaction was rolled back', () => {
    const store = new SqliteStore({ file: join(dir, 'grapevine.db') });
    const machine = new Machine(store);
    const { highestIndex, headSeq } = machine.replica;
    expect(() =>
      store.transact(() => {
        machine.replica.step(put('a', '1'), startUs + 1);
        machine.replica.step(put('b', '1'), startUs + 2);
        throw new Error('the disk says no');
      }),
    ).toThrow('the disk says no');
    const again = machine.restarted();
    expect(again.highestIndex).toBe(highestIndex);
    expect(again.headSeq).toBe(headSeq);
    expect(rowsOf(machine)).toEqual([]);
    store.close();
  });
});

describe('the log', () => {
  /** Rows of the KV by the seq under which they were logged. */
  function perSeq(machine: Machine): ReadonlyMap<number, number> {
    const counts = new Map<number, number>();
    for (const row of rowsOf(machine)) counts.set(row.seq, (counts.get(row.seq) ?? 0) + 1);
    return counts;
  }

  test('a command is one dot per 128 registers, and seqs are dense', () => {
    const machine = new Machine();
    const head = machine.replica.headSeq;
    const keys = Array.from({ length: 128 }, (_, i) => `k/${String(i).padStart(3, '0')}`);
    machine.step({ kind: 'txn', ops: keys.map((key) => kvOp('set', key, '1')) });
    expect([...perSeq(machine)]).toEqual([[head + 1, 128]]);
    machine.step(put('k/128', '1'));
    expect(machine.replica.headSeq).toBe(head + 2);
    const deleted = machine.step({ kind: 'kv-delete-tree', prefix: 'k/' });
    expect(machine.replica.headSeq).toBe(head + 4);
    expect([...perSeq(machine)]).toEqual([
      [head + 3, 128],
      [head + 4, 1],
    ]);
    expect(new Set(rowsOf(machine).map((row) => row.modifyIndex))).toEqual(new Set([deleted.index]));
    machine.step(put('next', '1'));
    expect(machine.store.get(Kind.kv, 'next')?.seq).toBe(head + 5);
  });

  test('what a transaction undid takes no seq, and what only this gateway keeps is not logged', () => {
    const machine = new Machine();
    const { headSeq } = machine.replica;
    machine.step({ kind: 'txn', ops: [kvOp('set', 'a', '1'), kvOp('get', 'absent')] });
    machine.step({
      kind: 'local',
      puts: [{ kind: Kind.agentService, key: 's', value: bytes('x') }],
      deletes: [],
      catalog: [],
    });
    expect(machine.replica.headSeq).toBe(headSeq);
    expect(machine.store.get(Kind.agentService, 's')).toMatchObject({ origin: 0, seq: 0, term: 0 });
    machine.step(put('a', '1'));
    expect(machine.store.get(Kind.kv, 'a')).toMatchObject({ origin: 1, seq: headSeq + 1, term: 1 });
  });

  test('every change is touched by its topic exactly, and what was undone is not', () => {
    const machine = new Machine();
    expect([...machine.step(put('a/b', '1')).touched]).toEqual([topic.key('a/b')]);
    const failed = machine.step({ kind: 'txn', ops: [kvOp('set', 'a', '1'), kvOp('get', 'absent')] });
    expect([...failed.touched]).toEqual([]);
    expect(machine.kv('a')).toBeUndefined();
  });
});

describe('ownership', () => {
  test('without a root zone every write is refused, and nothing changes', () => {
    const machine = new Machine(undefined, false);
    for (const command of [
      put('a', '1'),
      { kind: 'kv-delete', key: 'a' },
      { kind: 'kv-delete-tree', prefix: '' },
      { kind: 'txn', ops: [kvOp('set', 'a', '1')] },
      register('n1'),
    ] satisfies Command[]) {
      const step = machine.step(command);
      expect(step.outcome).toEqual({
        kind: 'not-owned',
        zone: '',
        owner: '',
        reason: 'no gateway has founded this datacenter',
      });
      expect([...step.touched]).toEqual([]);
    }
    expect(machine.replica.headSeq).toBe(0);
  });

  test('a datacenter is founded once: again does nothing, also after a restart', () => {
    const machine = new Machine();
    const { headSeq } = machine.replica;
    expect(machine.store.transact(() => machine.replica.found(startUs))).toBeUndefined();
    expect(machine.store.transact(() => machine.restarted().found(startUs))).toBeUndefined();
    expect(machine.replica.headSeq).toBe(headSeq);
    expect(machine.replica.zones).toEqual([{ prefix: '', ownerId: 'this-gateway', term: 1 }]);
  });
});

describe('KV commands', () => {
  test('a compare-and-set takes the index shown or the stamp, 0 creates only, and a mismatch changes nothing', () => {
    const machine = new Machine();
    const cas = (index: number | bigint, text: string): unknown =>
      machine.do(put('a', text, { kind: 'cas', index: BigInt(index) }));
    expect(cas(1, 'x')).toMatchObject({ applied: false });
    expect(cas(0, '1')).toMatchObject({ applied: true });
    expect(cas(0, '2')).toMatchObject({ applied: false });
    const { modifyIndex = 0 } = machine.kv('a') ?? {};
    expect(cas(modifyIndex - 1, '2')).toMatchObject({ applied: false });
    expect(textOf(machine.kv('a'))).toBe('1');
    expect(cas(modifyIndex, '2')).toMatchObject({ applied: true });
    expect(cas(modifyIndex, '3')).toMatchObject({ applied: false });
    expect(textOf(machine.kv('a'))).toBe('2');
    expect(cas(machine.store.get(Kind.kv, 'a')?.stamp ?? 0, '3')).toMatchObject({ applied: true });
    expect(cas(2n ** 64n - 1n, '4')).toMatchObject({ applied: false });
  });

  test('a conditional delete: of a missing key true, of another index false, of the held one true', () => {
    const machine = new Machine();
    const del = (cas: bigint): unknown => machine.do({ kind: 'kv-delete', key: 'a', cas });
    expect(del(5n)).toMatchObject({ applied: true });
    machine.step(put('a', '1'));
    expect(del(0n)).toMatchObject({ applied: false });
    expect(del(5n)).toMatchObject({ applied: false });
    expect(machine.kv('a')).toBeDefined();
    expect(del(BigInt(machine.kv('a')?.modifyIndex ?? 0))).toMatchObject({ applied: true });
    expect(machine.kv('a')).toBeUndefined();
  });

  test('deleting a tree takes the keys that start with the string, and no other', () => {
    const machine = new Machine();
    const keys = ['z/fold', 'z/fold/a', 'z/folder', 'z/folE', 'z/fole', 'z/fol', 'z', '\u{10ffff}'];
    for (const key of keys) machine.step(put(key, '1'));
    machine.step({ kind: 'kv-delete-tree', prefix: 'z/fold' });
    const live = (): readonly string[] =>
      rowsOf(machine)
        .filter((row) => row.value !== null)
        .map((row) => row.key);
    expect(live()).toEqual(['z', 'z/fol', 'z/folE', 'z/fole', '\u{10ffff}']);
    machine.step({ kind: 'kv-delete-tree', prefix: '\u{10ffff}' });
    expect(live()).toEqual(['z', 'z/fol', 'z/folE', 'z/fole']);
    machine.step({ kind: 'kv-delete-tree', prefix: '' });
    expect(live()).toEqual([]);
  });

  test('flags of 64 bits and empty values come back as they were put', () => {
    const machine = new Machine();
    machine.step(put('a', '', { kind: 'plain' }, 0xffff_ffff_ffff_ffffn));
    expect(machine.kv('a')).toMatchObject({ flags: 18446744073709551615n, lockIndex: 0, session: '' });
    expect(machine.kv('a')?.value).toHaveLength(0);
  });

  test('a transaction with one failing operation applies nothing and lists every failure', () => {
    const machine = new Machine();
    machine.step(put('held', '1'));
    const before = rowsOf(machine);
    const outcome = machine.do({
      kind: 'txn',
      ops: [
        kvOp('set', 'new', '1'),
        kvOp('get', 'absent'),
        kvOp('delete', 'held'),
        kvOp('check-not-exists', 'new'),
      ],
    });
    expect(outcome).toEqual({
      kind: 'txn',
      results: [],
      errors: [
        { opIndex: 1, what: `key "absent" doesn't exist` },
        { opIndex: 3, what: 'key "new" exists' },
      ],
    });
    expect(rowsOf(machine)).toEqual(before);
  });

  test('operations of a transaction see those before them', () => {
    const machine = new Machine();
    const outcome = machine.do({
      kind: 'txn',
      ops: [kvOp('set', 'a', '1'), kvOp('set', 'a', '2'), kvOp('get', 'a'), kvOp('delete', 'a')],
    });
    expect(outcome).toMatchObject({ kind: 'txn', errors: [] });
    expect(machine.kv('a')).toBeUndefined();
  });
});
