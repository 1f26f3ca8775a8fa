import { describe, expect, test } from '@jest/globals';
import { sumCells, sumScopes } from '../../../../migration/evidence/sums.ts';
import type { EvidenceStore } from '../../../../migration/live/shadow/evidence-file.ts';
import { buildReport } from '../../../../migration/report/build.ts';
import { facts } from '../../report/synthetic.ts';
import { FakeTime } from './fake-time.ts';
import { Joined, Rig } from './rig.ts';
import { SourceDouble } from './source-double.ts';

/** Two gateways of two regions before one source. */
async function pair(
  options: ConstructorParameters<typeof Rig>[0] = {},
): Promise<readonly [Rig, Rig, Joined]> {
  const joined = new Joined();
  const shared = { ...options, joined, time: new FakeTime(), source: new SourceDouble() };
  const [a, b] = [new Rig({ ...shared, name: 'gw-a' }), new Rig({ ...shared, name: 'gw-b', region: 'far' })];
  a.shadow.start();
  b.shadow.start();
  await shared.time.advance(1);
  return [a, b, joined];
}

function acknowledge(rig: Rig, key: string, value: string): ReturnType<SourceDouble['put']> {
  const entry = rig.put(key, value);
  const nowMs = rig.time.nowMs;
  const { modifyIndex: index } = entry;
  rig.shadow.acknowledged({ key, index, deleted: false, sourceMs: nowMs, hereMs: nowMs + 3 });
  return entry;
}

describe('writes on their way to the other gateways', () => {
  test('are seen there when they came, whatever the round trip, and bins that cannot be told stay unknown', async () => {
    const [a, b, joined] = await pair();
    joined.latencyMs = 15;
    for (let at = 0; at < 40; at += 1) {
      const entry = acknowledge(a, `k/${at}`, 'x');
      // oxlint-disable-next-line no-await-in-loop -- one write after the other
      await a.time.advance(140);
      b.copy(entry);
      // oxlint-disable-next-line no-await-in-loop -- as above
      await a.time.advance(2_000);
    }
    const { visibility } = sumScopes(a.shadow.ownEvidence().scopes);
    const bin = (where: 'own' | 'all', ms: number): object | undefined =>
      visibility[where].find(({ tMs }) => tMs === ms);
    expect(bin('own', 2)).toEqual({ tMs: 2, fresh: 0, stale: 40, unknown: 0 });
    expect(bin('own', 5)).toEqual({ tMs: 5, fresh: 40, stale: 0, unknown: 0 });
    expect(bin('all', 100)).toEqual({ tMs: 100, fresh: 0, stale: 40, unknown: 0 });
    expect(bin('all', 200)).toEqual({ tMs: 200, fresh: 40, stale: 0, unknown: 0 });
    expect(visibility.zone.every(({ fresh, stale, unknown }) => fresh + stale + unknown === 0)).toBe(true);
    await a.stop();
    await b.stop();
  });

  test('that never come are stale as long as was looked, and of a silent gateway nothing is known', async () => {
    const [a, b, joined] = await pair();
    acknowledge(a, 'lost', 'x');
    await a.time.advance(70_000);
    joined.silent.add('gw-b');
    acknowledge(a, 'unheard', 'x');
    await a.time.advance(70_000);
    const { all } = sumScopes(a.shadow.ownEvidence().scopes).visibility;
    expect(all.find(({ tMs }) => tMs === 30_000)).toEqual({ tMs: 30_000, fresh: 0, stale: 1, unknown: 0 });
    expect(all.reduce((sum, { fresh }) => sum + fresh, 0)).toBe(0);
    await a.stop();
    await b.stop();
  });
});

describe('agreement of gateways', () => {
  test('counts what all that were asked hold alike, and says unknown where one is silent', async () => {
    const [a, b, joined] = await pair({ agreementPercent: 100 });
    for (let at = 0; at < 10; at += 1) {
      const entry = a.put(`k/${at}`, 'x');
      if (at < 7) b.copy(entry);
    }
    await a.reads(...Array.from({ length: 10 }, (_, at) => `/v1/kv/k/${at}`));
    expect(sumScopes(a.shadow.ownEvidence().scopes).agreement).toEqual({
      ...{ all: { asked: 10, agreed: 7, unknown: 0 }, zone: { asked: 0, agreed: 0, unknown: 0 } },
    });
    joined.silent.add('gw-b');
    await a.reads('/v1/kv/k/0');
    expect(sumScopes(a.shadow.ownEvidence().scopes).agreement.all).toEqual({
      asked: 10,
      agreed: 7,
      unknown: 1,
    });
    await a.stop();
    await b.stop();
  });
});

describe('evidence of a fleet', () => {
  test('adds up under one secret, so that one key counts once', async () => {
    const [a, b] = await pair();
    a.source.put('k', 'only at the source');
    await a.reads('/v1/kv/k');
    await b.reads('/v1/kv/k');
    await a.time.advance(40_000);
    const whole = await a.time.until(a.shadow.gatherEvidence());
    expect(whole.absent).toEqual([]);
    expect(new Set(whole.parts.map((part) => part.redaction.secretId)).size).toBe(1);
    const sum = sumCells(whole.parts.flatMap(({ cells }) => cells));
    expect(sum.counts).toMatchObject({ compared: 2, persistent: 2 });
    expect(sum.clusters).toEqual([{ key: sum.clusters[0]?.key, transient: 0, persistent: 2 }]);
    await a.stop();
    await b.stop();
  });

  test('names who did not answer, and no report of it is complete', async () => {
    const [a, b, joined] = await pair();
    joined.silent.add('gw-b');
    const whole = await a.time.until(a.shadow.gatherEvidence());
    expect(whole.parts.map(({ gateway }) => gateway.name)).toEqual(['gw-a']);
    expect(whole.absent).toEqual(['gw-b']);
    const report = buildReport(whole, facts({ atMs: a.time.clock.now() }));
    expect(report.gate?.find(({ name }) => name === 'complete')?.state).toBe('unknown');
    await a.stop();
    await b.stop();
  });
});

describe('a gateway that is started again', () => {
  function disk(): EvidenceStore & { text: string | undefined } {
    return {
      text: undefined,
      load(): Promise<string | undefined> {
        return Promise.resolve(this.text);
      },
      save(text): Promise<void> {
        this.text = text;
        return Promise.resolve();
      },
    };
  }

  test('goes on counting where it stopped, under the same secret; what was open has no known end', async () => {
    const store = disk();
    const first = await new Rig({ disk: store }).start();
    first.put('k/1', 'x');
    await first.reads('/v1/kv/k/1');
    first.source.put('k/2', 'x');
    await first.reads('/v1/kv/k/2');
    const before = first.shadow.ownEvidence();
    await first.stop();
    const second = await new Rig({ disk: store, source: first.source }).start();
    second.copy(...second.source.keys.values());
    await second.reads('/v1/kv/k/1', '/v1/kv/k/2');
    const after = second.shadow.ownEvidence();
    expect(after).toMatchObject({ restarts: 1, sinceMs: before.sinceMs, redaction: before.redaction });
    expect(after.epoch).toBeGreaterThan(before.epoch);
    expect(sumCells(after.cells).counts).toMatchObject({
      compared: 4,
      matched: 3,
      indeterminate: 1,
      open: 0,
    });
    await second.stop();
  });

  test('loses no more than half a minute when it is killed', async () => {
    const store = disk();
    const first = await new Rig({ disk: store }).start();
    first.put('k', 'x');
    await first.reads('/v1/kv/k');
    await first.time.advance(31_000);
    const second = await new Rig({ disk: store }).start();
    expect(sumCells(second.shadow.ownEvidence().cells).counts.compared).toBe(1);
    await first.stop();
    await second.stop();
  });

  test('begins anew where what was kept is damaged, and says so', async () => {
    const store = disk();
    store.text = '{"secret": 5, "part": {"cells": "no"}}';
    const rig = await new Rig({ disk: store }).start();
    expect(rig.shadow.ownEvidence().restarts).toBe(0);
    expect(rig.gateway.base.complaints).toEqual([
      'the evidence of before could not be read: a new one begins',
    ]);
    await rig.stop();
  });

  test('does not take over the evidence of another gateway', async () => {
    const store = disk();
    const other = await new Rig({ disk: store, name: 'other' }).start();
    other.put('k', 'x');
    await other.reads('/v1/kv/k');
    await other.stop();
    const rig = await new Rig({ disk: store }).start();
    expect(rig.shadow.ownEvidence().cells).toEqual([]);
    await rig.stop();
  });
});
