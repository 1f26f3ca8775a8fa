import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Report } from '../../migration/compare/report.ts';
import { MemoryTarget } from '../../migration/target/memory-target.ts';
import { compareCommand } from '../../migration/terminal/compare-command.ts';
import { describeRealConsul, startRealConsul, type RealConsul } from '../support/real-consul.ts';
import { ask, copy, jumpingClock, putByTxn, readerOf, testHost } from './support.ts';

// Consul lists such a key as U+FFFD, and no read of that name finds it.
const nameless = ['\uFFFD', 'odd/a\uFFFDb', 'odd/\uFFFD/x'];

describeRealConsul('keys that are not UTF-8', () => {
  let source: RealConsul;
  let target: RealConsul;

  beforeAll(async () => {
    [source, target] = await Promise.all([startRealConsul(), startRealConsul()]);
    for (const path of ['%ff', 'odd/a%ffb', 'odd/%fe/x']) await ask(source.url, `/v1/kv/${path}`, 'PUT', 'v');
    for (const { url } of [source, target]) await putByTxn(url, { 'odd/plain': 'v' });
  });
  afterAll(async () => {
    await Promise.all([source.stop(), target.stop()]);
  });

  async function listed(): Promise<unknown> {
    const summary = await copy(readerOf(source.url), new MemoryTarget(), { catalog: false });
    const notice = summary.notices.find((each) => each.code === 'not-utf8');
    return { ...notice, examples: notice?.examples.toSorted(), skipped: summary.counts.kv.skipped };
  }

  async function compared(): Promise<{ readonly code: number; readonly report: Report }> {
    const directory = await mkdtemp(join(tmpdir(), 'nameless-'));
    const out = join(directory, 'report.json');
    const sides = { from: source.url, to: target.url, rps: 5000 };
    const code = await compareCommand(
      { ...sides, out, kvOnly: true, reveal: true },
      testHost(jumpingClock()),
    );
    const report = JSON.parse(await readFile(out, 'utf8')) as Report;
    await rm(directory, { recursive: true });
    return { code, report };
  }

  function missing({ report }: { readonly report: Report }): readonly string[] {
    expect(report.totals).toMatchObject({ persistent: 3, transient: 0, byKind: { missing: 3 } });
    return report.samples.map((sample) => sample.key.key ?? '').toSorted();
  }

  test('are listed by a copy and missed by a comparison, where one answer covers all keys', async () => {
    expect(await listed()).toMatchObject({ action: 'skipped', count: 3, examples: nameless.toSorted() });
    const outcome = await compared();
    expect(outcome.code).toBe(1);
    expect(missing(outcome)).toEqual(nameless.toSorted());
  });

  test('and where the key space is read in pieces', async () => {
    for (let batch = 0; batch < 40; batch += 1) {
      const entries = Array.from({ length: 60 }, (_, at) => [`many/${batch}/${at}`, 'v']);
      for (const { url } of [source, target]) await putByTxn(url, Object.fromEntries(entries));
    }
    expect(await listed()).toMatchObject({ action: 'skipped', count: 3, skipped: 3 });
    const outcome = await compared();
    expect(outcome.code).toBe(1);
    expect(missing(outcome)).toEqual(nameless.toSorted());
  });
});
