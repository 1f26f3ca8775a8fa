import { describe, expect, test } from '@jest/globals';
import { sumCells, sumScopes } from '../../../../migration/evidence/sums.ts';
import type { EvidencePart, SessionCounts } from '../../../../migration/evidence/snapshot.ts';
import { ruleOf } from '../../../support/live-gateway.ts';
import { SessionTracker } from '../../../../migration/live/shadow/session-tracker.ts';
import { Rig } from './rig.ts';

function sessionsOf(part: EvidencePart): SessionCounts {
  return sumScopes(part.scopes).sessions;
}

/** A client's write that both sides acknowledged. */
function wrote(rig: Rig, key: string, value: string, client: string, stored = true): void {
  const startedMs = rig.time.nowMs;
  const entry = rig.source.put(key, value);
  if (stored) rig.copy(entry);
  const request = { ...rig.request(`/v1/kv/${key}`, client), method: 'PUT' as const };
  const acknowledged = { sourceMs: startedMs, hereMs: startedMs, deleted: false };
  rig.shadow.acknowledged({ ...acknowledged, key, index: entry.modifyIndex, request, startedMs });
}

describe('what a client may expect of its own reads', () => {
  test('reads that miss its own writes are counted, and those of others are not', async () => {
    const rig = await new Rig().start();
    for (let at = 0; at < 20; at += 1) {
      const key = `k/${at}`;
      rig.put(key, 'old');
      await rig.time.advance(10);
      wrote(rig, key, 'new', 'alice', at >= 5);
      await rig.time.advance(10);
      rig.read(`/v1/kv/${key}`, { client: 'alice' });
      rig.read(`/v1/kv/${key}`, { client: 'bob' });
      await rig.idle();
    }
    const part = rig.shadow.ownEvidence();
    expect(sessionsOf(part).readYourWrites).toEqual({ checked: 20, violations: 5 });
    expect(sessionsOf(part).monotonicReads.violations).toBe(0);
    const samples = part.samples.filter(({ kind }) => kind === 'read-your-writes');
    expect(samples).toHaveLength(5);
    expect(samples[0]).toMatchObject({ outcome: 'violation', prefix: '' });
    await rig.stop();
  });

  test('a read that began before the write ended may miss it', async () => {
    const rig = await new Rig().start();
    rig.put('k', 'old');
    await rig.time.advance(10);
    wrote(rig, 'k', 'new', 'alice', false);
    rig.read('/v1/kv/k', { client: 'alice', tookMs: 5 });
    await rig.idle();
    expect(sessionsOf(rig.shadow.ownEvidence()).readYourWrites).toEqual({ checked: 0, violations: 0 });
    await rig.stop();
  });

  test('reads that go back in time are counted, by client, and so are indexes that fall', async () => {
    const rig = await new Rig().start();
    for (let at = 0; at < 12; at += 1) {
      const key = `k/${at}`;
      const old = rig.put(key, 'old');
      const before = {
        status: 200,
        body: JSON.stringify([{ Key: key, Value: 'b2xk', Flags: 0, ModifyIndex: old.modifyIndex }]),
      };
      rig.put(key, 'new');
      rig.read(`/v1/kv/${key}`);
      await rig.time.advance(10);
      // Another replica that is behind answers the same client; of the source, whose versions need no translation.
      if (at < 4) rig.read(`/v1/kv/${key}`, { ...before, answeredBy: 'source', index: old.modifyIndex });
      else rig.read(`/v1/kv/${key}`);
      await rig.idle();
    }
    const part = rig.shadow.ownEvidence();
    expect(sessionsOf(part).monotonicReads).toEqual({ checked: 12, violations: 4 });
    expect(sessionsOf(part).indexRegressions.checked).toBe(12);
    expect(part.timeline.reduce((sum, each) => sum + each.monotonicReads, 0)).toBe(4);
    await rig.stop();
  });

  test('an index that falls is counted once, and the client goes on from there', async () => {
    const rig = await new Rig().start();
    const entry = rig.put('k', 'x');
    for (const index of [10, 12, 5, 6, 7, 7]) {
      rig.read('/v1/kv/k', {
        ...{ status: 200, index, answeredBy: 'source' },
        body: JSON.stringify([{ Key: 'k', Value: 'eA==', Flags: 0, ModifyIndex: entry.modifyIndex }]),
      });
      await rig.time.advance(1);
    }
    expect(sessionsOf(rig.shadow.ownEvidence()).indexRegressions).toEqual({ checked: 5, violations: 1 });
    await rig.stop();
  });

  test('a client that had to be forgotten is counted under the rule that it was known for', () => {
    const forgotten: string[] = [];
    const tracker = new SessionTracker(({ prefix }) => forgotten.push(prefix), 2);
    const [a, b] = [ruleOf('kv', 'a/', 'dual'), ruleOf('kv', 'b/', 'dual')];
    tracker.wrote('alice', a, 'a/1', 7, 0);
    tracker.wrote('alice', b, 'b/1', 8, 0);
    tracker.wrote('bob', b, 'b/1', 8, 0);
    tracker.wrote('carol', b, 'b/1', 8, 0);
    expect(forgotten).toEqual(['a/', 'b/']);
    expect(tracker.read('alice', a, 'a/1', 1, 10, 11)).toEqual({
      readYourWrites: undefined,
      monotonicReads: undefined,
    });
  });

  test('histories that cannot have happened one at a time are found', async () => {
    const rig = await new Rig({ linearizablePercent: 100 }).start();
    const old = rig.put('k', 'old');
    await rig.time.advance(10);
    wrote(rig, 'k', 'new', 'alice');
    await rig.time.advance(10);
    rig.read('/v1/kv/k', { client: 'bob' });
    await rig.time.advance(10);
    rig.read('/v1/kv/k', {
      ...{ client: 'carol', answeredBy: 'source', status: 200, index: old.modifyIndex },
      body: JSON.stringify([{ Key: 'k', Value: 'b2xk', Flags: 0, ModifyIndex: old.modifyIndex }]),
    });
    rig.put('fine', 'x');
    rig.read('/v1/kv/fine');
    await rig.time.advance(10);
    rig.read('/v1/kv/fine');
    await rig.idle();
    await rig.time.advance(61_000);
    const { linearizable } = sumScopes(rig.shadow.ownEvidence().scopes);
    expect(linearizable).toMatchObject({ yes: 1, no: 1, unknown: 0 });
    await rig.stop();
  });

  test('versions of before and after a change of authority are not held against each other', async () => {
    const rig = await new Rig().start();
    rig.put('k', 'x');
    rig.read('/v1/kv/k', { index: 1_000 });
    await rig.time.advance(10);
    rig.phases.set(ruleOf('kv', '', 'cutover'));
    rig.read('/v1/kv/k', { index: 5 });
    await rig.idle();
    const sessions = sessionsOf(rig.shadow.ownEvidence());
    expect(sessions.indexRegressions.violations + sessions.monotonicReads.violations).toBe(0);
    await rig.stop();
  });
});

describe('blocking reads', () => {
  test('are compared as what they woke with, and waking late is measured', async () => {
    const rig = await new Rig().start();
    for (let at = 0; at < 10; at += 1) {
      const key = `k/${at}`;
      rig.put(key, 'old');
      const entry = rig.source.put(key, 'new');
      // The source woke its client now; what is here comes 80 ms later.
      rig.shadow.observed({
        request: rig.request(`/v1/kv/${key}?index=${entry.modifyIndex - 1}`),
        ...{ answeredBy: 'source', status: 200, index: entry.modifyIndex, tookMs: 3_000 },
        body: JSON.stringify([
          {
            Key: key,
            Value: 'bmV3',
            Flags: 0,
            CreateIndex: entry.createIndex,
            ModifyIndex: entry.modifyIndex,
            LockIndex: 0,
          },
        ]),
      });
      await rig.idle();
      await rig.time.advance(80);
      rig.copy(entry);
      await rig.time.advance(2_000);
    }
    const sum = sumCells(
      rig.shadow.ownEvidence().cells.filter(({ endpoint }) => endpoint === 'kv-get?index'),
    );
    expect(sum.counts).toMatchObject({ compared: 10, transient: 10, persistent: 0 });
    expect(sum.wake.later.count).toBe(10);
    expect(sum.wake.later.max).toBeGreaterThan(75);
    expect(sum.wake.later.max).toBeLessThan(90);
    await rig.stop();
  });
});
