import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { ConnectionError } from '../../../../migration/source/connection.ts';
import type { FakeSource } from './fake-source.ts';
import { Disk, until } from './fixture.ts';
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

describe('trouble', () => {
  test('with the source deletes nothing, is named, and passes', async () => {
    const fixture = await mirrored({ a: '1' });
    source.failing = 'fake: 500 No cluster leader';
    source.wake();
    await until(
      () => fixture.tail.progress('kv', '')?.throttledBy.includes('the source has no leader') === true,
    );
    expect(fixture.tail.progress('kv', '')?.lagMs).toBeGreaterThan(0);
    source.failing = undefined;
    source.set('a', '2');
    await caughtUp(fixture);
    await until(() => fixture.tail.progress('kv', '')?.problem === undefined);
  });

  test('of the operator’s making holds everything until it is over', async () => {
    const fixture = await mirrored({ a: '1' });
    fixture.tail.pause('lunch');
    const { lists } = source;
    source.set('a', '2');
    await until(() => source.lists > lists);
    await until(() => fixture.tail.progress('kv', '')?.throttledBy.includes('paused: lunch') === true);
    expect(fixture.keys()).toEqual({ a: '1' });
    fixture.tail.resume();
    await caughtUp(fixture);
  });

  test('of other gateways that do not keep up slows the copying down, and is named', async () => {
    const fixture = await mirrored({ a: '1' });
    fixture.unacknowledged = { messages: 3, bytes: 3_000_000 };
    source.set('a', '2');
    const isNamed = (): boolean =>
      fixture.tail.progress('kv', '')?.throttledBy.some((reason) => reason.startsWith('gossip backlog')) ===
      true;
    await until(isNamed);
    expect(fixture.keys()).toEqual({ a: '1' });
    fixture.unacknowledged = { messages: 0, bytes: 0 };
    await caughtUp(fixture);
    fixture.unacknowledged = { messages: 10_000, bytes: 0 };
    source.set('a', '3');
    // One who never keeps up stops nothing.
    await caughtUp(fixture);
  });

  test('ends the work of who is the runner no more, and begins it with who is', async () => {
    const fixture = await mirrored({ a: '1' });
    fixture.setRunner(false);
    await until(() => !(fixture.tail.status() as { running: boolean }).running);
    source.set('a', '2');
    expect(fixture.keys()).toEqual({ a: '1' });
    fixture.setRunner(true);
    await caughtUp(fixture);
  });
});

describe('a tail that is killed', () => {
  test('goes on where the last commit stood, and its counts are exact', async () => {
    const keys = Array.from({ length: 500 }, (_, at) => `app/${String(at % 10)}/${String(at)}`);
    for (const key of keys) source.set(key, 'v');
    const disk = new Disk();
    const limits = { batchRecordsMax: 7, leafNamesMax: 60, listsAtOnce: 2 };
    let lives = 0;
    for (let kills = 0; kills < 5; kills += 1) {
      const fixture = start({ disk, limits });
      if (kills === 0) fixture.step('kv', '', 'mirror');
      const stopAfter = 3 + kills * 4;
      fixture.beforeCommand = (command) => {
        if (command.kind !== 'mirror-apply') return;
        lives += 1;
        if (fixture.commands.length >= stopAfter) throw new Error('killed');
      };
      await until(() => fixture.commands.length >= stopAfter);
      await fixture.tail.stop();
    }
    expect(lives).toBeGreaterThan(10);
    const last = start({ disk, limits });
    await caughtUp(last);
    expect(last.counts).toMatchObject({ copied: 500, deleted: 0 });
  });

  test('is gone on with by another gateway, which reads all once and counts only what it writes itself', async () => {
    const before = await mirrored({ 'app/a': '1', 'app/b': '2', 'app/c': '3', d: '4' });
    await before.tail.stop();
    const next = start();
    // What was replicated; places and counts stay where they were made.
    next.setRunner(false);
    next.step('kv', '', 'mirror');
    if (before.phases.source !== undefined)
      next.run({ kind: 'migration-source', source: before.phases.source });
    for (const command of before.commands) {
      if (command.kind === 'mirror-apply') next.run({ ...command, cursors: {} });
    }
    source.set('app/a', '5');
    source.delete('app/b');
    source.reap();
    next.setRunner(true);
    await caughtUp(next);
    expect(next.keys()).toEqual({ 'app/a': '5', 'app/c': '3', d: '4' });
    expect(next.counts).toMatchObject({ copied: 1, deleted: 1 });
  });

  test('and finds out what was deleted, and reaped, while it was away', async () => {
    const disk = new Disk();
    const fixture = await mirrored({ 'app/a': '1', 'app/b': '2', c: '3' }, { disk });
    await fixture.tail.stop();
    source.delete('app/b');
    source.reap();
    const next = start({ disk, limits: {} });
    await caughtUp(next);
    expect(next.keys()).toEqual({ 'app/a': '1', c: '3' });
    expect(next.counts).toMatchObject({ copied: 3, deleted: 1 });
  });
});

describe('what is known', () => {
  test('is compared in full through an index of the source that grows', async () => {
    const fixture = await mirrored({ a: '1' }, { limits: { waitMs: 30 } });
    source.set('a', '2');
    const { index } = source;
    await until(() => (fixture.tail.progress('kv', '')?.verifiedThroughIndex ?? 0) >= index);
    const found = await fixture.tail.compareNow('kv', '', 2000);
    expect(found).toEqual({ entries: 1, changed: 0 });
  });

  test('the way of a change is measured by a key of its own', async () => {
    const fixture = await mirrored({ a: '1' });
    await until(() => {
      const { lagMs } = fixture.tail.status() as { lagMs: { canary?: number } };
      return lagMs.canary !== undefined;
    });
    expect(source.entries.has('_gw/canary/gateway')).toBe(true);
  });

  test('is in doubt where the source takes that key and does not show it', async () => {
    const fixture = await mirrored({ a: '1' });
    source.hidden = (key) => key.startsWith('_gw/canary/');
    await until(() => fixture.tail.progress('kv', '')?.problem?.includes('took _gw/canary/gateway') === true);
    source.hidden = () => false;
    await until(() => fixture.tail.progress('kv', '')?.problem === undefined);
    expect(source.entries.has('_gw/canary/gateway')).toBe(true);
  });

  test('of a leaf that this process has not looked at yet is how far it is behind: nothing', async () => {
    const disk = new Disk();
    const before = await mirrored({ a: '1' }, { disk });
    await before.tail.stop();
    source.beforeList = () => {
      throw new ConnectionError('refused', 'not yet');
    };
    const next = start({ disk });
    await until(() => next.tail.progress('kv', '')?.problem === 'not yet');
    expect(next.tail.progress('kv', '')).toMatchObject({ backfilled: true, lagMs: Infinity });
    source.beforeList = () => undefined;
    await until(() => Number.isFinite(next.tail.progress('kv', '')?.lagMs));
  });
});
