import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { OriginId } from '../../src/crdt/dot.ts';
import { MemoryStore } from '../../src/io/memory-store.ts';
import { SqliteStore } from '../../src/io/sqlite-store.ts';
import { Replica } from '../../src/node/replica.ts';
import type { Command, CommandOutcome } from '../../src/state/command.ts';
import { Kind } from '../../src/state/kinds.ts';
import type { Store } from '../../src/state/store.ts';

const origin = 'ab'.repeat(16) as OriginId;

class Machine {
  readonly store: Store;
  replica: Replica;

  constructor(store: Store) {
    this.store = store;
    this.replica = new Replica({ store, origin, nodeId: 'me' });
    store.transact(() => this.replica.found(1000));
  }

  step(command: Command, nowUs: number): CommandOutcome {
    return this.store.transact(() => this.replica.step(command, nowUs).outcome);
  }

  put(key: string, nowUs: number): void {
    this.step({ kind: 'kv-put', key, flags: 0n, value: new Uint8Array([1]), mode: { kind: 'plain' } }, nowUs);
  }

  delete(key: string, nowUs: number): void {
    this.step({ kind: 'kv-delete', key }, nowUs);
  }
}

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'grapevine-collect-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const stores: readonly (readonly [string, () => Store])[] = [
  ['memory', () => new MemoryStore()],
  ['SQLite', () => new SqliteStore({ file: join(directory, 'state.db') })],
];

describe.each(stores)('collecting tombstones in %s', (_name, open) => {
  test('an old tombstone goes, a young one and every live key stay', () => {
    const machine = new Machine(open());
    for (const key of ['old', 'young', 'live']) machine.put(key, 2000);
    machine.delete('old', 3000);
    machine.delete('young', 5000);
    const outcome = machine.step({ kind: 'collect-tombstones', belowIndex: 4000, limit: 10 }, 6000);
    expect(outcome).toEqual({ kind: 'collected', count: 1 });
    const keys = [...machine.store.range(Kind.kv, '', undefined)].map((row) => [row.key, row.value !== null]);
    expect(keys).toEqual([
      ['live', true],
      ['young', false],
    ]);
  });

  test('the oldest go first, no more than the limit at once', () => {
    const machine = new Machine(open());
    for (const key of ['a', 'b', 'c']) machine.put(key, 2000);
    machine.delete('c', 3000);
    machine.delete('a', 3001);
    machine.delete('b', 3002);
    machine.step({ kind: 'collect-tombstones', belowIndex: 9000, limit: 2 }, 9000);
    expect([...machine.store.range(Kind.kv, '', undefined)].map((row) => row.key)).toEqual(['b']);
  });

  test("neither the table's index nor the head of the log falls when the newest row goes", () => {
    const machine = new Machine(open());
    machine.put('only', 2000);
    machine.delete('only', 3000);
    const before = [machine.store.tableIndex(Kind.kv), machine.store.headSeq(1)];
    machine.step({ kind: 'collect-tombstones', belowIndex: 9000, limit: 10 }, 9000);
    expect(machine.store.get(Kind.kv, 'only')).toBeUndefined();
    expect([machine.store.tableIndex(Kind.kv), machine.store.headSeq(1)]).toEqual(before);
    expect(machine.replica.headSeq).toBe(before[1]);
  });

  test('a lock-delay that is over goes, one that runs stays', () => {
    const machine = new Machine(open());
    machine.step(
      {
        kind: 'catalog-register',
        node: { id: '', node: 'n', address: '10.0.0.1', taggedAddresses: null, meta: null },
        skipNodeUpdate: false,
        checks: [],
      },
      2000,
    );
    const session = (id: string, lockDelayNs: number): Command => ({
      kind: 'session-create',
      session: {
        id,
        name: '',
        node: 'n',
        lockDelayNs,
        behavior: 'release',
        ttl: '',
        nodeChecks: [],
        serviceChecks: [],
      },
    });
    const ids = ['11111111-1111-1111-1111-111111111111', '22222222-2222-2222-2222-222222222222'] as const;
    machine.step(session(ids[0], 1e9), 2000);
    machine.step(session(ids[1], 30e9), 2000);
    for (const id of ids) {
      const mode = { kind: 'acquire', session: id } as const;
      machine.step({ kind: 'kv-put', key: id, flags: 0n, value: new Uint8Array(), mode }, 3000);
      machine.step({ kind: 'session-destroy', id }, 3000);
    }
    machine.step({ kind: 'collect-tombstones', belowIndex: 0, limit: 10 }, 5_000_000);
    expect([...machine.store.range(Kind.lockDelay, '', undefined)].map((row) => row.key)).toEqual([ids[1]]);
  });
});

test('a head that only a collected row carried is known after a restart', () => {
  const file = join(directory, 'state.db');
  const machine = new Machine(new SqliteStore({ file }));
  machine.put('only', 2000);
  machine.delete('only', 3000);
  machine.step({ kind: 'collect-tombstones', belowIndex: 9000, limit: 10 }, 9000);
  const head = machine.replica.headSeq;
  machine.store.close();
  const reopened = new SqliteStore({ file });
  expect(new Replica({ store: reopened, origin, nodeId: 'me' }).headSeq).toBe(head);
  reopened.close();
});
