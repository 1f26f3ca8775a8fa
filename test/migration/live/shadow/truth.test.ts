import { describe, expect, jest, test } from '@jest/globals';
import { quantile } from '../../../../migration/evidence/histogram.ts';
import { seededChance } from '../../../../migration/evidence/statistics.ts';
import { sumCells, sumScopes } from '../../../../migration/evidence/sums.ts';
import type { DifferenceKind } from '../../../../migration/evidence/snapshot.ts';
import { buildReport } from '../../../../migration/report/build.ts';
import { compareReports } from '../../../../migration/report/diff.ts';
import type { Report } from '../../../../migration/report/model.ts';
import { defaultThresholds } from '../../../../migration/report/thresholds.ts';
import { kvRecord } from '../../../../migration/live/dual/kv-record.ts';
import { FakePhases, ruleOf } from '../../../support/live-gateway.ts';
import { facts } from '../../report/synthetic.ts';
import { Rig, type RigOptions } from './rig.ts';

// Thousands of reads: on a busy machine they take a while.
jest.setTimeout(30_000);

const rates: Readonly<Partial<Record<DifferenceKind, number>>> = {
  ...{ missing: 0.08, extra: 0.06, value: 0.1, flags: 0.05, session: 0.05 },
  ...{ order: 0.1, status: 0.12, header: 0.06, 'metadata-only': 0.08, 'target-newer': 0.06 },
};
const kinds = Object.keys(rates) as DifferenceKind[];
const recheckDelaysMs = [1_000, 5_000, 30_000];

function reportOf(rig: Rig): Report {
  const rules = rig.phases.rules.map(({ of, prefix, phase, step, term, sinceMs, reason }) => ({
    ...{ of, prefix, phase, step, term, sinceMs, reason },
  }));
  return buildReport(rig.snapshot, facts({ atMs: rig.time.clock.now(), rules }));
}

/** A rule for each kind of difference, so that each has an interval of its own. */
function rulesOfKinds(phase: 'shadow' | 'local-reads'): FakePhases {
  return new FakePhases(...[...kinds, 'equal'].map((kind) => ruleOf('kv', `${kind}/`, phase)));
}

/** Injects one difference of a kind; answers what a client has to read to meet it. */
function inject(
  rig: Rig,
  kind: DifferenceKind | 'equal',
  key: string,
  differs: boolean,
  tampered: Map<string, DifferenceKind | 'equal'>,
): string {
  const { source } = rig;
  if (kind === 'order') {
    const [b, a] = [source.put(`${key}/b`, '1'), source.put(`${key}/a`, '2')];
    rig.copy(b, a);
    if (differs) tampered.set(`${key}/`, kind);
    return `/v1/kv/${key}/?recurse`;
  }
  if (kind === 'status') {
    // An empty list is not the same as none.
    if (differs) tampered.set(`${key}/`, kind);
    return `/v1/kv/${key}/?recurse`;
  }
  if (kind === 'extra') {
    if (differs) rig.apply([{ ...kvRecord(source.put(key, 'x')) }]);
    const index = source.delete(key);
    if (!differs) rig.remove(key, index);
    return `/v1/kv/${key}`;
  }
  const entry = source.put(key, `value of ${key}`);
  const record = kvRecord(entry);
  if (!differs || kind === 'header') {
    rig.apply([record]);
    if (differs) tampered.set(key, kind);
    return `/v1/kv/${key}`;
  }
  if (kind === 'value') rig.copy({ ...entry, value: Buffer.from('other') });
  if (kind === 'flags') rig.copy({ ...entry, flags: 7n });
  if (kind === 'session') rig.copy({ ...entry, session: '11111111-2222-3333-4444-555555555555' });
  if (kind === 'metadata-only') rig.copy({ ...entry, modifyIndex: entry.modifyIndex - 50 });
  if (kind === 'target-newer') rig.copy({ ...entry, modifyIndex: entry.modifyIndex + 10_000_000 });
  return `/v1/kv/${key}`;
}

async function injected(
  phase: 'shadow' | 'local-reads',
  options: { readonly share?: number; readonly keys?: number; readonly seed?: number } & RigOptions = {},
): Promise<{ rig: Rig; report: Report; truth: Map<string, { differ: number; of: number }> }> {
  const { share = 1, keys = 150, seed = 9, ...rest } = options;
  const chance = seededChance(seed);
  const rig = await new Rig({ phases: rulesOfKinds(phase), recheckDelaysMs, ...rest }).start();
  const tampered = new Map<string, DifferenceKind | 'equal'>();
  rig.source.index = 1_000;
  rig.source.tamper = (path, answer) => {
    const key = decodeURIComponent((path.split('?')[0] ?? '').slice('/v1/kv/'.length));
    const kind = tampered.get(key);
    if (kind === 'order')
      return { ...answer, body: JSON.stringify((JSON.parse(answer.body) as unknown[]).toReversed()) };
    if (kind === 'status') return { ...answer, status: 200, body: '[]' };
    if (kind === 'header') return { ...answer, index: 0 };
    return answer;
  };
  const truth = new Map<string, { differ: number; of: number }>();
  const urls: string[] = [];
  for (const kind of [...kinds, 'equal'] as const) {
    const rate = (kind === 'equal' ? 0 : (rates[kind] ?? 0)) * share;
    let differ = 0;
    for (let at = 0; at < keys; at += 1) {
      const differs = chance() < rate;
      if (differs) differ += 1;
      urls.push(inject(rig, kind, `${kind}/key-${at}`, differs, tampered));
    }
    truth.set(kind, { differ, of: keys });
  }
  for (let at = 0; at < urls.length; at += 500) {
    // oxlint-disable-next-line no-await-in-loop -- no more at once than the queue holds
    await rig.reads(...urls.slice(at, at + 500));
  }
  await rig.time.advance(40_000);
  await rig.idle();
  return { rig, report: reportOf(rig), truth };
}

describe.each(['shadow', 'local-reads'] as const)(
  'differences injected at known rates in phase %s',
  (phase) => {
    test('are found with the right kind, all of them and no others, and the interval holds the true rate', async () => {
      const { rig, report, truth } = await injected(phase);
      for (const kind of kinds) {
        const row = report.prefixes.find(({ prefix }) => prefix === `${kind}/`);
        const { differ, of } = truth.get(kind) ?? { differ: 0, of: 0 };
        expect({ kind, row }).toMatchObject({
          kind,
          row: { compared: of, matched: of - differ, persistent: differ, byKind: { [kind]: differ } },
        });
        expect(Object.keys(row?.byKind ?? {})).toEqual([kind]);
        expect(row?.transient).toBe(0);
        const [low, high] = row?.rate?.interval95 ?? [1, 0];
        expect(low).toBeLessThanOrEqual(rates[kind] ?? 0);
        expect(high).toBeGreaterThanOrEqual(rates[kind] ?? 0);
      }
      const equal = report.prefixes.find(({ prefix }) => prefix === 'equal/');
      expect(equal).toMatchObject({ compared: 150, matched: 150, byKind: {} });
      expect(rig.gateway.base.complaints).toEqual([]);
      await rig.stop();
    });
  },
);

/** Runs in which nothing lasts, over the same keys. */
async function calm(seed: number, delayed: number): Promise<Report> {
  const rig = await new Rig({ phases: new FakePhases(ruleOf('kv', 'app/', 'local-reads')) }).start();
  const chance = seededChance(seed);
  const keys = Array.from({ length: 700 }, (_, at) => `app/key-${at}`);
  rig.copy(...keys.map((key) => rig.source.put(key, key)));
  const urls = keys.map((key) => `/v1/kv/${key}`);
  for (let round = 0; round < 3; round += 1) {
    const late = keys.filter(() => chance() < delayed);
    const entries = late.map((key) => rig.source.put(key, `round ${round}`));
    // oxlint-disable-next-line no-await-in-loop -- rounds
    await rig.reads(...urls);
    // oxlint-disable-next-line no-await-in-loop -- what is late comes now
    await rig.time.advance(200 + chance() * 100);
    rig.copy(...entries);
    // oxlint-disable-next-line no-await-in-loop -- all looks are over
    await rig.time.advance(40_000);
  }
  const report = reportOf(rig);
  await rig.stop();
  return report;
}

const limits = {
  ...defaultThresholds,
  // Fit for a few thousand reads.
  diff: { ...defaultThresholds.diff, rateEffectMin: 0.01, quantileEffectMsMin: 5 },
};

describe('two runs', () => {
  test('of equal behaviour compare as the same, and one in which much more is late as worse', async () => {
    const [a, b, worse] = [await calm(3, 0.05), await calm(4, 0.05), await calm(5, 0.4)];
    expect(a.totals).toMatchObject({ persistent: 0, indeterminate: 0, open: 0, dropped: 0 });
    expect(a.totals.transient).toBeGreaterThan(0);
    const same = compareReports(a, b, limits, { force: false });
    expect({ result: same.result, obstacles: same.obstacles, reasons: same.reasons }).toEqual({
      ...{ result: 'same', obstacles: [], reasons: [] },
    });
    expect(compareReports(a, worse, limits, { force: false }).result).toBe('worse');
  });
});

describe('an answer that is late by a known time', () => {
  test('ends as transient, and the times printed are those that it was late', async () => {
    const rig = await new Rig().start();
    const chance = seededChance(21);
    const delays: number[] = [];
    for (let at = 0; at < 120; at += 1) {
      const key = `late/${at}`;
      rig.put(key, 'old');
      const entry = rig.source.put(key, 'new');
      const delayMs = 50 + Math.floor(chance() * 750);
      delays.push(delayMs);
      rig.read(`/v1/kv/${key}`);
      // oxlint-disable-next-line no-await-in-loop -- keys one after the other
      await rig.idle();
      // oxlint-disable-next-line no-await-in-loop -- as above
      await rig.time.advance(delayMs);
      rig.copy(entry);
      // oxlint-disable-next-line no-await-in-loop -- as above
      await rig.time.advance(1_000);
    }
    const sum = sumCells(rig.shadow.ownEvidence().cells);
    expect(sum.counts).toMatchObject({ compared: 120, transient: 120, persistent: 0, indeterminate: 0 });
    expect(sum.kinds.value.transient).toBe(120);
    delays.sort((a, b) => a - b);
    for (const q of [0.1, 0.5, 0.9, 0.99]) {
      const truth = delays[Math.ceil(q * delays.length) - 1] ?? 0;
      expect(quantile(sum.openMs, q)).toBeGreaterThan(truth * 0.95 - 5);
      expect(quantile(sum.openMs, q)).toBeLessThan(truth * 1.05 + 5);
    }
    await rig.stop();
  });

  test('is found stale by how long it was, exactly where the write came through this fleet', async () => {
    const rig = await new Rig().start();
    for (let at = 0; at < 40; at += 1) {
      const key = `late/${at}`;
      rig.put(key, 'old');
      const sourceMs = rig.time.nowMs;
      const entry = rig.source.put(key, 'new');
      rig.shadow.acknowledged({ key, index: entry.modifyIndex, deleted: false, sourceMs, hereMs: sourceMs });
      // oxlint-disable-next-line no-await-in-loop -- keys one after the other
      await rig.time.advance(300);
      rig.read(`/v1/kv/${key}`);
      // oxlint-disable-next-line no-await-in-loop -- as above
      await rig.idle();
      rig.copy(entry);
      // oxlint-disable-next-line no-await-in-loop -- as above
      await rig.time.advance(2_000);
    }
    const { staleness, versionsBehind } = sumScopes(rig.shadow.ownEvidence().scopes);
    expect(staleness.low.count).toBe(40);
    for (const q of [0.01, 0.5, 0.99]) {
      expect(quantile(staleness.low, q)).toBeGreaterThan(290);
      expect(quantile(staleness.low, q)).toBeLessThan(310);
    }
    expect(versionsBehind[1]).toBe(40);
    await rig.stop();
  });

  test('of a write past this fleet is bounded from both sides, not wider than the looks were apart', async () => {
    const rig = await new Rig().start();
    rig.put('late/a', 'old');
    await rig.reads('/v1/kv/late/a');
    await rig.time.advance(100);
    const entry = rig.source.put('late/a', 'new');
    for (let at = 0; at < 10; at += 1) {
      rig.read('/v1/kv/late/a');
      // oxlint-disable-next-line no-await-in-loop -- one read after the other
      await rig.idle();
      // oxlint-disable-next-line no-await-in-loop -- as above
      await rig.time.advance(20);
    }
    rig.copy(entry);
    const { staleness } = sumScopes(rig.shadow.ownEvidence().scopes);
    // The last read was 180 ms after the write; the source was seen with the old version 100 ms before it.
    expect(staleness.low.max).toBeGreaterThan(170);
    expect(staleness.low.max).toBeLessThan(195);
    expect(staleness.high.max).toBeGreaterThanOrEqual(staleness.low.max);
    expect(staleness.high.max).toBeLessThan(300);
    await rig.stop();
  });

  test('of a key that was never seen before is not taken for late since the beginning', async () => {
    const rig = await new Rig().start();
    await rig.time.advance(500_000);
    rig.put('late/a', 'old');
    rig.put('other', 'x');
    await rig.reads('/v1/kv/other');
    await rig.time.advance(1_000);
    const entry = rig.source.put('late/a', 'new');
    await rig.time.advance(10);
    await rig.reads('/v1/kv/late/a');
    rig.copy(entry);
    await rig.time.advance(2_000);
    const { staleness } = sumScopes(rig.shadow.ownEvidence().scopes);
    // The write is dated by the index of another one, not by the beginning.
    expect(staleness.high.max).toBeGreaterThanOrEqual(10);
    expect(staleness.high.max).toBeLessThan(600);
    await rig.stop();
  });
});

describe('what is no lasting difference', () => {
  test('a change between the readings is indeterminate', async () => {
    for (const phase of ['shadow', 'local-reads'] as const) {
      const rig = await new Rig({ phases: new FakePhases(ruleOf('kv', '', phase)) }).start();
      for (let at = 0; at < 50; at += 1) rig.put(`k/${at}`, 'old');
      const changed = new Set<string>();
      rig.source.before = (path) => {
        const key = path.slice('/v1/kv/'.length).split('?')[0] ?? '';
        if (changed.has(key)) rig.source.put(key, `newer ${rig.source.index}`);
      };
      for (let at = 0; at < 50; at += 1) {
        rig.source.put(`k/${at}`, 'new');
        rig.read(`/v1/kv/k/${at}`);
        changed.add(`k/${at}`);
      }
      await rig.idle();
      const { counts } = sumCells(rig.shadow.ownEvidence().cells);
      expect({ phase, counts }).toMatchObject({
        phase,
        counts: { compared: 50, indeterminate: 50, matched: 0, open: 0, persistent: 0, transient: 0 },
      });
      await rig.stop();
    }
  });

  test('the clock of the looks starts anew when the key changes, and stops when nothing does', async () => {
    const rig = await new Rig().start();
    rig.put('k', 'old');
    rig.source.put('k', 'v0');
    await rig.reads('/v1/kv/k');
    // Changed every 20 s: never through the 30 s that it has to stay.
    for (let at = 1; at <= 3; at += 1) {
      await rig.time.advance(20_000);
      rig.source.put('k', `v${at}`);
      expect(sumCells(rig.shadow.ownEvidence().cells).counts).toMatchObject({ open: 1, persistent: 0 });
    }
    await rig.time.advance(20_000);
    expect(sumCells(rig.shadow.ownEvidence().cells).counts).toMatchObject({ open: 1, persistent: 0 });
    // The change is seen by the next look, and 30 s after that one it has stayed.
    await rig.time.advance(42_000);
    expect(sumCells(rig.shadow.ownEvidence().cells).counts).toMatchObject({ open: 0, persistent: 1 });
    await rig.stop();
  });

  test('lasting are exactly those that stayed', async () => {
    const rig = await new Rig().start();
    const entries = Array.from({ length: 60 }, (_, at) => rig.source.put(`k/${at}`, 'x'));
    await rig.reads(...entries.map(({ key }) => `/v1/kv/${key}`));
    rig.copy(...entries.slice(0, 20));
    await rig.time.advance(3_000);
    rig.copy(...entries.slice(20, 40));
    await rig.time.advance(20_000);
    rig.copy(...entries.slice(40, 50));
    await rig.time.advance(10_000);
    const { counts, clusters, openMs } = sumCells(rig.shadow.ownEvidence().cells);
    expect(counts).toMatchObject({ compared: 60, transient: 50, persistent: 10, open: 0, indeterminate: 0 });
    expect(clusters.filter(({ persistent }) => persistent === 1)).toHaveLength(10);
    expect(openMs.max).toBeGreaterThan(22_000);
    expect(openMs.max).toBeLessThan(24_000);
    await rig.stop();
  });

  test('what there is no room for is counted as dropped, and nothing is lost from the sum', async () => {
    const rig = await new Rig().start();
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    rig.source.before = () => held;
    rig.put('k', 'x');
    for (let at = 0; at < 3_000; at += 1) rig.read('/v1/kv/k');
    await rig.time.advance(0);
    release();
    await rig.idle();
    const part = rig.shadow.ownEvidence();
    const { counts } = sumCells(part.cells);
    expect(counts.dropped).toBeGreaterThan(1_900);
    expect(counts.compared + counts.dropped).toBe(3_000);
    expect(part.timeline.reduce((sum, { dropped }) => sum + dropped, 0)).toBe(counts.dropped);
    await rig.stop();
  });

  test('a source that disagrees with itself shows in the noise lane and nowhere else', async () => {
    const rig = await new Rig({ noisePercent: 100 }).start();
    for (let at = 0; at < 100; at += 1) rig.put(`k/${at}`, 'x');
    await rig.reads(...Array.from({ length: 100 }, (_, at) => `/v1/kv/k/${at}`));
    const quiet = sumCells(rig.shadow.ownEvidence().cells);
    expect(quiet.noise).toEqual({ compared: 100, differed: 0, kinds: {} });
    // Of every comparison the first reading is right; of the noise lane's three the second one is wrong for 20 keys.
    const readings = new Map<string, number>();
    rig.source.tamper = (path, answer) => {
      const reading = (readings.get(path) ?? 0) + 1;
      readings.set(path, reading);
      if (!/\/k\/[0-9]*0(\?|$)|\/k\/[0-9]*5(\?|$)/.test(path) || reading !== 3) return answer;
      return { ...answer, body: answer.body.replace('"eA=="', '"eQ=="') };
    };
    await rig.reads(...Array.from({ length: 100 }, (_, at) => `/v1/kv/k/${at}`));
    const noisy = sumCells(rig.shadow.ownEvidence().cells);
    expect(noisy.noise).toEqual({ compared: 200, differed: 20, kinds: { value: 20 } });
    expect(noisy.counts).toMatchObject({ compared: 200, matched: 200, open: 0 });
    await rig.stop();
  });

  test('evidence shows no key and no value, unless an operator said so', async () => {
    for (const reveal of [false, true]) {
      const rig = await new Rig({ reveal, noisePercent: 100 }).start();
      rig.put('passwords/alice-account', 'hunter2-hunter2', { flags: 5n });
      rig.source.put('passwords/alice-account', 'correct-horse');
      rig.source.put('bob', 'battery-staple');
      await rig.reads(
        '/v1/kv/passwords/alice-account',
        '/v1/kv/passwords/?recurse',
        '/v1/kv/bob',
        '/v1/kv/bob?raw',
      );
      await rig.time.advance(40_000);
      const text = JSON.stringify(rig.snapshot);
      expect(rig.shadow.ownEvidence().samples.length).toBeGreaterThan(2);
      const secrets = ['alice-account', 'bob', 'hunter2-hunter2', 'correct-horse', 'battery-staple'];
      const shown = secrets.filter((each) =>
        [each, Buffer.from(each).toString('base64'), Buffer.from(each).toString('hex')].some((form) =>
          text.includes(form),
        ),
      );
      expect(shown).toEqual(reveal ? expect.arrayContaining(['alice-account', 'bob']) : []);
      await rig.stop();
    }
  });
});
