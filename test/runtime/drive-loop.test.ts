import { describe, expect, test } from '@jest/globals';
import { MemoryStore } from '../../src/io/memory-store.ts';
import { DriveLoop, type DriveLoopOptions } from '../../src/runtime/drive-loop.ts';
import type { CommandOutcome } from '../../src/state/command.ts';
import { Machine, put, textOf } from '../node/machine.ts';
import { replicaMachine } from '../support/replica-machine.ts';

/** Counts transactions, and fails the next one when told to: at its end, when the disk would be written. */
class WatchedStore extends MemoryStore {
  commits = 0;
  failNext: Error | undefined;
  committed = true;

  override transact<T>(work: () => T): T {
    const value = super.transact(() => {
      this.committed = false;
      const done = work();
      const error = this.failNext;
      this.failNext = undefined;
      if (error !== undefined) throw error;
      return done;
    });
    this.committed = true;
    this.commits += 1;
    return value;
  }
}

function setUp(options: Partial<DriveLoopOptions> = {}): {
  machine: Machine;
  store: WatchedStore;
  loop: DriveLoop;
  fatal: unknown[];
  defects: unknown[];
} {
  const store = new WatchedStore();
  const machine = new Machine(store);
  store.commits = 0;
  const fatal: unknown[] = [];
  const defects: unknown[] = [];
  const loop = new DriveLoop({
    machine: replicaMachine(machine.replica),
    store,
    now: () => ({ wallUs: (machine.nowUs += 1), monoMs: 0 }),
    onFatal: (error) => fatal.push(error),
    onDefect: (error) => defects.push(error),
    ...options,
  });
  return { machine, store, loop, fatal, defects };
}

/** After everything that is scheduled now has run. */
async function turns(count = 3): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

describe('the drive loop', () => {
  test('proposals of one turn share one commit and are answered in their order', async () => {
    const { loop, store, machine } = setUp();
    const answered: string[] = [];
    for (let i = 0; i < 100; i++) loop.propose(put(`k${i}`, String(i)), () => answered.push(`k${i}`));
    expect(store.commits).toBe(0);
    expect(loop.stats).toEqual({ commits: 0, commands: 0, queued: 100 });
    await turns();
    expect(store.commits).toBe(1);
    expect(loop.stats).toEqual({ commits: 1, commands: 100, queued: 0 });
    expect(answered).toEqual(Array.from({ length: 100 }, (_, i) => `k${i}`));
    expect(textOf(machine.kv('k99'))).toBe('99');
  });

  test('an answer comes after the commit, and watchers hear of it after the answers, once per commit', async () => {
    const { loop, store } = setUp();
    const events: string[] = [];
    loop.onCommit((touched) => events.push(`touched ${[...touched].join(' ')} committed=${store.committed}`));
    loop.propose(put('a', '1'), () => events.push(`a committed=${store.committed}`));
    loop.propose(put('b', '1'), () => events.push(`b committed=${store.committed}`));
    await turns();
    expect(events).toEqual(['a committed=true', 'b committed=true', 'touched k/a k/b committed=true']);
  });

  test('commands of one batch see each other, and each has its own index', async () => {
    const { loop } = setUp();
    const outcomes: CommandOutcome[] = [];
    loop.propose(put('a', '1', { kind: 'cas', index: 0n }), (outcome) => outcomes.push(outcome));
    loop.propose(put('a', '2', { kind: 'cas', index: 0n }), (outcome) => outcomes.push(outcome));
    loop.propose(put('a', '3'), (outcome) => outcomes.push(outcome));
    await turns();
    expect(outcomes).toMatchObject([{ applied: true }, { applied: false }, { applied: true }]);
    const indexes = outcomes.flatMap((one) => (one.kind === 'kv' && one.row ? [one.row.modifyIndex] : []));
    expect(new Set(indexes).size).toBe(2);
  });

  test('a large queue is committed in bounded batches, all of it, in order', async () => {
    const { loop, store } = setUp({ batchMax: 10 });
    const answered: number[] = [];
    for (let i = 0; i < 25; i++) loop.propose(put('k', String(i)), () => answered.push(i));
    await turns(6);
    expect(store.commits).toBe(3);
    expect(answered).toEqual(Array.from({ length: 25 }, (_, i) => i));
  });

  test('watchers hear nothing of a commit that changed nothing', async () => {
    const { loop } = setUp();
    const heard: string[] = [];
    loop.onCommit((touched) => heard.push([...touched].join(' ')));
    loop.propose(put('a', '1'), () => undefined);
    await turns();
    loop.propose(put('a', '1'), () => undefined);
    await turns();
    expect(heard).toEqual(['k/a']);
  });

  test('a commit that fails is fatal: nobody of it is answered or notified, and nothing is taken after it', async () => {
    const { loop, store, machine, fatal } = setUp({ batchMax: 2 });
    const events: string[] = [];
    loop.onCommit(() => events.push('touched'));
    const full = Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });
    store.failNext = full;
    for (const key of ['a', 'b', 'queued behind']) loop.propose(put(key, '1'), () => events.push(key));
    await turns();
    loop.propose(put('late', '1'), () => events.push('late'));
    await turns();
    loop.stop();
    expect(fatal).toEqual([full]);
    expect(events).toEqual([]);
    expect(store.commits).toBe(0);
    expect(machine.kv('a')).toBeUndefined();
  });

  test('an answer that throws costs neither the other answers nor the watchers, and is reported', async () => {
    const { loop, defects, fatal } = setUp();
    const events: string[] = [];
    const thrown = new Error('rendering failed');
    loop.onCommit(() => events.push('first watcher'));
    loop.onCommit(() => {
      throw thrown;
    });
    loop.onCommit(() => events.push('last watcher'));
    loop.propose(put('a', '1'), () => {
      throw thrown;
    });
    loop.propose(put('b', '1'), () => events.push('b'));
    await turns();
    expect(events).toEqual(['b', 'first watcher', 'last watcher']);
    expect(defects).toEqual([thrown, thrown]);
    expect(fatal).toEqual([]);
    loop.propose(put('c', '1'), () => events.push('c'));
    await turns();
    expect(events).toContain('c');
  });

  test('a watcher that left hears no more', async () => {
    const { loop } = setUp();
    const heard: string[] = [];
    const leave = loop.onCommit(() => heard.push('x'));
    leave();
    loop.propose(put('a', '1'), () => undefined);
    await turns();
    expect(heard).toEqual([]);
  });

  test('what is proposed by an answer is committed next', async () => {
    const { loop, machine } = setUp();
    loop.propose(put('a', '1'), () => loop.propose(put('b', '2'), () => undefined));
    await turns();
    expect(textOf(machine.kv('b'))).toBe('2');
  });

  test('stopping commits and answers all that is queued, and takes no more', async () => {
    const { loop, machine } = setUp({ batchMax: 2 });
    const answered: string[] = [];
    for (const key of ['a', 'b', 'c', 'd', 'e']) loop.propose(put(key, '1'), () => answered.push(key));
    loop.stop();
    expect(answered).toEqual(['a', 'b', 'c', 'd', 'e']);
    loop.propose(put('late', '1'), () => answered.push('late'));
    await turns();
    expect(answered).not.toContain('late');
    expect(machine.kv('late')).toBeUndefined();
  });
});
