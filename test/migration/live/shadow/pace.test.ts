import { gzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { sumCells, sumScopes } from '../../../../migration/evidence/sums.ts';
import { Pace, paceLimits } from '../../../../migration/live/shadow/pace.ts';
import { BoundedMap } from '../../../../migration/live/shadow/bounded-map.ts';
import { FakePhases, ruleOf } from '../../../support/live-gateway.ts';
import { Rig } from './rig.ts';

/** How many reads are looked at in a second in which so many come, one after the other. */
function second(pace: Pace, time: { nowMs: number }, reads: number): number {
  let taken = 0;
  for (let at = 0; at < reads; at += 1) {
    time.nowMs += 1000 / reads;
    if (pace.take()) taken += 1;
  }
  return taken;
}

describe('the pace of looking at reads', () => {
  test('is that of the reads while the event loop has time to spare', () => {
    const time = { nowMs: 0 };
    const pace = new Pace(
      () => time.nowMs,
      () => 0.4,
    );
    expect(second(pace, time, 3_000)).toBe(3_000);
  });

  test('falls to a few within a second when the loop has none, and rises slowly when it has again', () => {
    const time = { nowMs: 0 };
    let load = 1;
    const pace = new Pace(
      () => time.nowMs,
      () => load,
    );
    second(pace, time, 4_000);
    expect(pace.perSecond).toBe(paceLimits.slowestPerSecond);
    expect(second(pace, time, 4_000)).toBeLessThanOrEqual(2 * paceLimits.slowestPerSecond);
    load = (paceLimits.busyLoad + paceLimits.freeLoad) / 2;
    expect(second(pace, time, 4_000)).toBeLessThanOrEqual(2 * paceLimits.slowestPerSecond);
    load = 0;
    const first = second(pace, time, 4_000);
    const later = second(pace, time, 4_000);
    expect(later).toBeGreaterThan(first);
    expect(later).toBeLessThan(2_000);
  });

  test('after a quiet time is what it was before: that nobody asked tells nothing', () => {
    const time = { nowMs: 0 };
    let load = 1;
    const pace = new Pace(
      () => time.nowMs,
      () => load,
    );
    second(pace, time, 4_000);
    load = 0;
    time.nowMs += 60_000;
    expect(second(pace, time, 10)).toBe(10);
    expect(pace.perSecond).toBeLessThan(1_000);
  });
});

describe('reads on a busy gateway', () => {
  /** Asks for each of so many reads whether it is wanted, and tells of those that are. */
  async function reads(rig: Rig, key: string, count: number): Promise<number> {
    let told = 0;
    for (let at = 0; at < count; at += 1) {
      const url = `/v1/kv/${key}`;
      const rule = rig.phases.ofKey(key);
      if (rule !== undefined && rig.shadow.wants?.(rig.request(url), [rule]) !== false) {
        rig.read(url);
        told += 1;
      }
      // oxlint-disable-next-line no-await-in-loop -- time goes on between them
      await rig.time.advance(10);
    }
    await rig.idle();
    return told;
  }

  test('are counted every one; those that were passed over as busy, and nothing else is claimed of them', async () => {
    const rig = await new Rig({ load: () => 1, settings: { shadowPercent: 100 } }).start();
    rig.put('k', 'x');
    const told = await reads(rig, 'k', 300);
    expect(told).toBeLessThan(150);
    const part = rig.shadow.ownEvidence();
    const { counts, latency } = sumCells(part.cells);
    const { coverage, sessions } = sumScopes(part.scopes);
    expect(coverage).toMatchObject({ reads: 300, sampled: told, busy: 300 - told });
    expect(counts).toMatchObject({ compared: told, matched: told, dropped: 0 });
    // All but the first of them have one before them.
    expect(sessions.monotonicReads).toEqual({ checked: told - 1, violations: 0 });
    expect(latency.here.count).toBeGreaterThanOrEqual(told);
    expect(part.notes.some((note) => note.includes('busy'))).toBe(true);
    await rig.stop();
  });

  test('of keys that nobody compares are counted and not called busy; a free gateway looks at all', async () => {
    const none = await new Rig({ load: () => 1, settings: { shadowPercent: 0 } }).start();
    expect(await reads(none, 'k', 50)).toBe(0);
    expect(sumScopes(none.shadow.ownEvidence().scopes).coverage).toMatchObject({ reads: 50, busy: 0 });
    await none.stop();
    const free = await new Rig({ load: () => 0.3, settings: { shadowPercent: 100 } }).start();
    free.put('k', 'x');
    expect(await reads(free, 'k', 50)).toBe(50);
    const part = free.shadow.ownEvidence();
    expect(sumScopes(part.scopes).coverage).toMatchObject({ reads: 50, sampled: 50, busy: 0 });
    expect(part.notes.some((note) => note.includes('busy'))).toBe(false);
    await free.stop();
  });

  test('of lists under rules in different phases are not asked about', async () => {
    const rules = [ruleOf('kv', 'a/', 'shadow'), ruleOf('kv', 'a/b/', 'local-reads')];
    const rig = await new Rig({ phases: new FakePhases(...rules) }).start();
    expect(rig.shadow.wants?.(rig.request('/v1/kv/a/?recurse'), rules)).toBe(false);
    await rig.stop();
  });
});

test('an answer that was packed is compared as what is in it, and one that came in pieces counts as dropped', async () => {
  const rig = await new Rig({ phases: new FakePhases(ruleOf('kv', '', 'shadow')) }).start();
  rig.put('k', 'x');
  const answer = rig.source.answer('/v1/kv/k');
  if ('kind' in answer) throw new Error(answer.why);
  const plain = Buffer.from(answer.body);
  rig.read('/v1/kv/k', { body: gzipSync(plain), encoding: 'gzip' });
  await rig.idle();
  expect(sumCells(rig.shadow.ownEvidence().cells).counts).toMatchObject({ compared: 1, matched: 1 });
  rig.read('/v1/kv/k', { body: null });
  rig.read('/v1/kv/k', { body: plain, encoding: 'br' });
  rig.read('/v1/kv/k', { body: Buffer.from('no gzip'), encoding: 'gzip' });
  await rig.idle();
  const { counts } = sumCells(rig.shadow.ownEvidence().cells);
  expect(counts).toMatchObject({ compared: 1, dropped: 2, sourceErrors: 1 });
  await rig.stop();
});

test('a bounded map forgets what was not used for long, and never what is used all the time', () => {
  const forgotten: number[] = [];
  const map = new BoundedMap<number>(100, (value) => forgotten.push(value));
  map.set('hot', -1);
  for (let at = 0; at < 1_000; at += 1) {
    map.set(`k${at}`, at);
    if (map.get('hot') === undefined) throw new Error('the one in use was forgotten');
  }
  expect(map.size).toBe(100);
  expect(forgotten).toHaveLength(901);
  expect(forgotten).not.toContain(-1);
  expect(forgotten).toEqual(forgotten.toSorted((a, b) => a - b));
});
