import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { Kind } from '../../../../src/state/kinds.ts';
import { mirrorState } from '../../../../src/state/mirror.ts';
import type { FakeSource } from './fake-source.ts';
import { until } from './fixture.ts';
import { Mirrored } from './mirrored.ts';

jest.setTimeout(60_000);

let all: Mirrored;
let source: FakeSource;
let start: Mirrored['start'];
let mirrored: Mirrored['mirrored'];
let caughtUp: Mirrored['caughtUp'];

beforeEach(() => {
  all = new Mirrored();
  ({ source, start, mirrored, caughtUp } = all);
});
afterEach(() => all.stop());

describe('the live mirror of keys', () => {
  test('copies what is there, then follows every change', async () => {
    const fixture = await mirrored({ a: '1', 'b/c': '2', 'b/d': '3' });
    expect(fixture.keys()).toEqual({ a: '1', 'b/c': '2', 'b/d': '3' });
    source.set('a', '2');
    source.set('new/key', 'x');
    source.delete('b/c');
    await caughtUp(fixture);
    expect(fixture.keys()).toEqual({ a: '2', 'b/d': '3', 'new/key': 'x' });
    expect(fixture.counts).toMatchObject({ copied: 5, deleted: 1 });
  });

  test('keys of the migration itself stay where they are', async () => {
    const fixture = await mirrored({ a: '1', '_gw/term/x': '1' });
    expect(fixture.keys()).toEqual({ a: '1' });
  });

  test('a rule in another phase is cut out of the one that it lies in, also when its phase changes', async () => {
    const fixture = await mirrored({ 'app/a': '1', 'app/in/b': '2' }, {});
    source.set('app/in/b', '3');
    await caughtUp(fixture);
    expect(fixture.step('kv', 'app/in/', 'mirror').kind).toBe('migration');
    await until(() => fixture.tail.progress('kv', 'app/in/')?.backfilled === true);
    expect(fixture.tail.progress('kv', 'app/in/')?.items).toBe(1);
    await until(() => fixture.tail.progress('kv', '')?.items === 1);
    expect(fixture.step('kv', 'app/in/', 'passthrough').kind).toBe('migration');
    await until(() => fixture.tail.progress('kv', 'app/in/') === undefined);
    source.set('app/in/b', '4');
    source.set('app/a', '5');
    await until(() => fixture.keys()['app/a'] === '5');
    expect(fixture.keys()['app/in/b']).toBe('3');
  });

  test('leaves that outgrow their aim are split, and keys beside all of them are found', async () => {
    const keys: Record<string, string> = {};
    for (let at = 0; at < 300; at += 1) keys[`app/${String(at % 10)}/k${String(at)}`] = 'v'.repeat(50);
    const limits = { leafNamesMax: 40, leafBytesAim: 4000 };
    const fixture = await mirrored(keys, { limits });
    const leaves = (): number =>
      (fixture.tail.status() as { rules: { leaves: number }[] }).rules[0]?.leaves ?? 0;
    expect(leaves()).toBeGreaterThan(5);
    source.set('zzz', '1');
    source.set('app/5', 'above');
    source.set('app/5/k5/below', 'x');
    source.delete('app/3/k3');
    await caughtUp(fixture);
    expect(fixture.counts).toMatchObject({ copied: 303, deleted: 1 });
  });

  test('leaves that have become small are joined', async () => {
    const keys: Record<string, string> = {};
    for (let at = 0; at < 45; at += 1) keys[`app/${String(at % 3)}/k${String(at)}`] = 'v';
    const fixture = await mirrored(keys, { limits: { leafNamesMax: 40 } });
    const leaves = (): number =>
      (fixture.tail.status() as { rules: { leaves: number }[] }).rules[0]?.leaves ?? 0;
    expect(leaves()).toBeGreaterThan(1);
    source.delete(...Object.keys(keys).slice(0, 36));
    await until(
      () => leaves() === 1,
      () => fixture.tail.status(),
    );
    source.set('zzz', '1');
    await caughtUp(fixture);
    expect(fixture.counts).toMatchObject({ copied: 46, deleted: 36 });
  });

  test('with more leaves than connections those without one are polled', async () => {
    const keys: Record<string, string> = {};
    for (let at = 0; at < 200; at += 1) keys[`app/${String(at % 20)}/k${String(at)}`] = 'v';
    const fixture = await mirrored(keys, { limits: { leafNamesMax: 10, waitingMax: 8 } });
    for (let at = 0; at < 200; at += 7) source.set(`app/${String(at % 20)}/k${String(at)}`, 'w');
    source.delete('app/3/k3', 'app/4/k4');
    await caughtUp(fixture);
    expect(fixture.counts).toMatchObject({ deleted: 2 });
  });

  test('a held lock is mirrored with its session, and named', async () => {
    const fixture = await mirrored({ a: '1' });
    source.set('lock', 'me', { session: 'session-1', lockIndex: 1 });
    await caughtUp(fixture);
    await until(() => fixture.tail.heldLocks().has('lock'));
    const row = fixture.state.store.get(Kind.kv, 'lock');
    expect(row?.ix).toBe('session-1');
    source.set('lock', 'me', { lockIndex: 1 });
    await until(() => fixture.tail.heldLocks().size === 0);
  });

  test('a value above the gateway’s bound stays behind and is counted', async () => {
    const fixture = await mirrored({ a: '1' });
    source.set('big', 'x'.repeat(600_000));
    source.set('b', '2');
    await until(() => fixture.keys()['b'] === '2');
    expect(Object.keys(fixture.keys())).toEqual(['a', 'b']);
  });
});

describe('absence', () => {
  test('is proved by a point read where the index of the list is older than what is held', async () => {
    const fixture = await mirrored(
      { 'app/a': '1', 'app/b': '2', 'app/c': '3', z: '9' },
      { limits: { waitMs: 50 } },
    );
    expect(fixture.step('kv', 'app/', 'mirror').kind).toBe('migration');
    await until(() => fixture.tail.progress('kv', 'app/')?.backfilled === true);
    fixture.tail.pause('test');
    source.delete('app/c');
    source.reap();
    const gets = source.gets;
    fixture.tail.resume();
    await until(() => !('app/c' in fixture.keys()));
    expect(source.gets).toBeGreaterThan(gets);
    expect(fixture.marks.filter((mark) => mark.startsWith('fork'))).toEqual([]);
  });

  test('in an answer that ACLs shortened says nothing', async () => {
    const fixture = await mirrored({ a: '1', b: '2' });
    source.meta = { filtered: true };
    source.hidden = (key) => key === 'b';
    source.set('a', '3');
    await until(() => fixture.keys()['a'] === '3');
    expect(fixture.keys()).toEqual({ a: '3', b: '2' });
    await until(() => fixture.tail.progress('kv', '')?.problem?.includes('hides keys under *') === true);
  });

  test('in a list that ACLs shortened without a word is asked for, key by key', async () => {
    source.selfAnswer = { ...source.selfAnswer, aclsEnabled: true };
    for (const key of ['a', 'b', 'c']) source.set(key, '1');
    const fixture = start();
    fixture.step('kv', '', 'mirror');
    await caughtUp(fixture);
    source.hidden = (key) => key === 'b';
    source.delete('c');
    await until(() => !('c' in fixture.keys()));
    expect(fixture.keys()).toEqual({ a: '1', b: '1' });
    await until(
      () => fixture.tail.progress('kv', '')?.problem?.startsWith('1 key under * cannot be read') === true,
    );
    await expect(fixture.tail.compareNow('kv', '', 2000)).rejects.toThrow('cannot be read');
    await until(() => fixture.marks.some((mark) => mark.startsWith('hidden: 1 key under')));
    source.hidden = () => false;
    source.set('a', '2');
    await until(() => fixture.tail.progress('kv', '')?.problem === undefined);
    await until(() => fixture.marks.some((mark) => mark.startsWith('hidden-over')));
    expect(await fixture.tail.compareNow('kv', '', 2000)).toMatchObject({ entries: 2 });
  });

  test('in an answer without an index or a leader deletes nothing', async () => {
    const fixture = await mirrored({ a: '1', b: '2' });
    for (const meta of [{ index: null }, { knownLeader: false }]) {
      source.meta = meta;
      source.entries.delete('b');
      const lists = source.lists;
      source.wake();
      await expect(fixture.tail.compareNow('kv', '', 100)).rejects.toThrow('not compared');
      expect(source.lists).toBeGreaterThan(lists);
      expect(fixture.keys()).toEqual({ a: '1', b: '2' });
    }
  });

  test('of very many keys at once waits for a human, leaf by leaf, and the others go on', async () => {
    const keys: Record<string, string> = {};
    for (let at = 0; at < 200; at += 1) keys[`app/${String(at)}`] = 'v';
    for (const [key, value] of Object.entries(keys)) source.set(key, value);
    source.set('other/a', '1');
    const fixture = start();
    fixture.step('kv', 'app/', 'mirror');
    fixture.step('kv', 'other/', 'mirror');
    await until(
      () => Object.keys(fixture.keys()).length === 201,
      () => fixture.tail.status(),
    );
    source.delete(...Object.keys(keys).slice(0, 100));
    await until(() => fixture.tail.progress('kv', 'app/')?.breaker !== undefined);
    expect(fixture.tail.progress('kv', 'app/')?.breaker).toContain('100 of 200 under app/*');
    source.set('other/a', '2');
    await until(() => fixture.keys()['other/a'] === '2');
    expect(Object.keys(fixture.keys('app/'))).toHaveLength(200);
    expect(fixture.marks.some((mark) => mark.startsWith('mass-delete'))).toBe(true);
    expect(fixture.tail.answerBreaker('app/', true)).toBe(true);
    await until(
      () => Object.keys(fixture.keys('app/')).length === 100,
      () => fixture.tail.status(),
    );
  });

  test('of very many keys that a human forbade is withheld, and the leaf goes on', async () => {
    const keys: Record<string, string> = {};
    for (let at = 0; at < 100; at += 1) keys[`app/${String(at)}`] = 'v';
    const fixture = await mirrored(keys);
    source.delete(...Object.keys(keys).slice(0, 80));
    await until(() => fixture.tail.progress('kv', '')?.breaker !== undefined);
    fixture.tail.answerBreaker('', false);
    source.set('app/99', 'w');
    await until(() => fixture.keys()['app/99'] === 'w');
    expect(Object.keys(fixture.keys())).toHaveLength(100);
    const { rules } = fixture.tail.status() as { rules: { withheld: number }[] };
    expect(rules[0]?.withheld).toBe(80);
    expect(fixture.tail.progress('kv', '')?.problem).toContain('kept here by order');
    expect(fixture.tail.answerBreaker('', true)).toBe(true);
    await until(() => Object.keys(fixture.keys()).length === 20);
    await until(() => fixture.tail.progress('kv', '')?.problem === undefined);
  });

  test('of all keys of many small leaves is a mass delete, too', async () => {
    const keys: Record<string, string> = {};
    for (let at = 0; at < 400; at += 1) keys[`app/${String(at % 20)}/k${String(at)}`] = 'v';
    const fixture = await mirrored(keys, { limits: { leafNamesMax: 20 } });
    source.delete(...Object.keys(keys));
    await until(
      () => fixture.tail.progress('kv', '')?.breaker !== undefined,
      () => fixture.tail.status(),
    );
    expect(Object.keys(fixture.keys()).length).toBeGreaterThan(200);
  });
});

describe('a source whose history is replaced', () => {
  test('is followed in a new timeline, agreed on by the fleet: what it has is the truth, the rest is deleted', async () => {
    const fixture = await mirrored({ a: '1', b: '2' });
    const snapshot = source.snapshot();
    source.set('a', '3');
    source.set('late', '4');
    await caughtUp(fixture);
    source.restore(snapshot);
    await until(
      () => fixture.phases.source?.timeline === 2,
      () => fixture.tail.status(),
    );
    await caughtUp(fixture);
    expect(fixture.keys()).toEqual({ a: '1', b: '2' });
    expect(fixture.marks.some((mark) => mark.startsWith('fork: timeline 2'))).toBe(true);
  });

  test('and whose writes reuse the same indexes is told by the bytes', async () => {
    const fixture = await mirrored({ a: '1', b: '2' });
    const entry = source.entries.get('b');
    if (entry === undefined) throw new Error('b');
    source.entries.set('b', { ...entry, text: Buffer.from('other').toString('base64') });
    source.set('a', '5');
    await until(
      () => fixture.phases.source?.timeline === 2,
      () => fixture.tail.status(),
    );
    await caughtUp(fixture);
    expect(fixture.keys()).toEqual({ a: '5', b: 'other' });
  });

  test('is no fork where only the index of a prefix falls back', async () => {
    const fixture = await mirrored({ 'app/a': '1', z: '1' }, { limits: { waitMs: 40 } });
    source.set('app/b', '2');
    source.delete('app/b');
    await caughtUp(fixture);
    source.reap();
    source.set('z', '2');
    await caughtUp(fixture);
    await fixture.tail.compareNow('kv', '', 2000);
    expect(fixture.phases.source?.timeline).toBe(1);
  });

  test('by another cluster altogether is not followed until somebody says so', async () => {
    const fixture = await mirrored({ a: '1' });
    source.serverIds = ['stranger-1'];
    await until(
      () => fixture.tail.progress('kv', '')?.problem === 'other-cluster',
      () => fixture.tail.status(),
    );
    source.set('a', '2');
    source.set('b', '1');
    expect(fixture.tail.progress('kv', '')?.throttledBy.join()).toContain('other-cluster');
    expect(fixture.keys()).toEqual({ a: '1' });
    expect(fixture.tail.acceptOtherCluster()).toBe(true);
    await caughtUp(fixture);
    expect(fixture.phases.source?.timeline).toBe(2);
  });

  test('is told from another cluster before anything of it is taken', async () => {
    const fixture = await mirrored({ a: '1', b: '1' }, { limits: { identityMs: 60_000 } });
    source.serverIds = ['stranger-1'];
    source.entries.clear();
    source.index = 3;
    source.set('a', 'other');
    source.set('c', 'other');
    await expect(fixture.tail.compareNow('kv', '', 200)).rejects.toThrow('not compared');
    expect(fixture.tail.progress('kv', '')?.problem).toBe('other-cluster');
    expect(fixture.keys()).toEqual({ a: '1', b: '1' });
    expect(fixture.phases.source?.timeline).toBe(1);
  });

  test('server by server stays the same one', async () => {
    const fixture = await mirrored({ a: '1' });
    const remembered = (): string => {
      const id = fixture.phases.source?.id ?? '';
      const row = fixture.state.store.get(Kind.mirror, id);
      return mirrorState(row?.value ?? null, id).cursors['tail-servers'] ?? '';
    };
    source.serverIds = ['server-2', 'server-3'];
    await until(() => remembered().includes('server-3'), remembered);
    source.serverIds = ['server-3', 'server-4'];
    await until(() => remembered().includes('server-4'), remembered);
    source.set('a', '2');
    await caughtUp(fixture);
    expect(fixture.phases.source?.timeline).toBe(1);
  });
});
