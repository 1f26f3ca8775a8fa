import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import type { Report } from '../../migration/compare/report.ts';
import { compareCommand } from '../../migration/terminal/compare-command.ts';
import { copyCommand, type CopyFlags } from '../../migration/terminal/copy-command.ts';
import { startGateway, type GatewayProcess } from '../support/gateway-process.ts';
import { describeRealConsul, startRealConsul, type RealConsul } from '../support/real-consul.ts';
import { ask, deregister, put, putByTxn, register, testHost } from './support.ts';

// Real processes on a busy machine.
jest.setTimeout(120_000);

describeRealConsul('a real Consul copied into a real gateway, and compared', () => {
  let consul: RealConsul;
  let gateway: GatewayProcess;
  let directory: string;

  beforeAll(async () => {
    [consul, gateway] = await Promise.all([startRealConsul(), startGateway()]);
    directory = await mkdtemp(join(tmpdir(), 'migrate-'));
    const { url } = consul;
    for (let batch = 0; batch < 20; batch += 1) {
      const keys = Array.from({ length: 60 }, (_, at) => `app/${batch}/${at}`);
      await putByTxn(url, Object.fromEntries(keys.map((key) => [key, `value of ${key}`])));
    }
    await put(url, 'app/flags', 'v', '?flags=18446744073709551615');
    await put(url, 'app/empty', '');
    await put(url, 'über/schlüssel mit leerzeichen', 'ü');
    await put(url, 'binary', new Uint8Array([0, 255, 128, 1]));
    await putByTxn(url, { 'odd//double': 'a', '/lead': 'b', 'odd/../up': 'c', 'odd/t\tab': 'd' });
    for (let at = 0; at < 5; at += 1) {
      await register(url, {
        ID: `0000000${at}-0000-4000-8000-000000000000`,
        Node: `web-${at}`,
        Address: `10.0.0.${at}`,
        TaggedAddresses: { lan: `10.0.0.${at}`, wan: `198.51.100.${at}` },
        NodeMeta: { rack: `r${at % 2}`, empty: '' },
        Service: {
          ID: `web/${at}`,
          Service: 'web',
          Tags: ['v1', `n${at}`],
          Port: 8080,
          Meta: { version: '1.2', empty: '' },
          Weights: { Passing: 3, Warning: 1 },
          EnableTagOverride: at === 0,
        },
        Checks: [
          {
            CheckID: `service:web/${at}`,
            Name: 'web alive',
            Status: at === 3 ? 'critical' : 'passing',
            ServiceID: `web/${at}`,
            Output: 'HTTP GET 200',
            Definition: { HTTP: 'http://10.0.0.1:8080/health', Interval: '10s', Timeout: '1s' },
          },
          { CheckID: 'serfHealth', Name: 'Serf Health Status', Status: 'passing' },
          { CheckID: 'disk', Name: 'disk', Status: 'warning', Notes: 'space left' },
        ],
      });
    }
  });
  afterAll(async () => {
    await Promise.all([consul.stop(), gateway.stop()]);
    await rm(directory, { recursive: true });
  });

  async function copy(flags: CopyFlags = {}): Promise<{ code: number; text: string }> {
    const host = testHost();
    const code = await copyCommand({ from: consul.url, to: gateway.url, rps: 5000, ...flags }, host);
    return { code, text: [...host.printed, ...host.complained].join('\n') };
  }

  async function compare(): Promise<{ code: number; text: string; report: Report }> {
    const host = testHost();
    const out = join(directory, 'report.json');
    const flags = { from: consul.url, to: gateway.url, out, recheck: '10ms,20ms', reveal: true, rps: 5000 };
    const code = await compareCommand(flags, host);
    const report = JSON.parse(await readFile(out, 'utf8')) as Report;
    return { code, text: [...host.printed, ...host.complained].join('\n'), report };
  }

  /** What differs, for a failing test to show. */
  function differences(report: Report): readonly string[] {
    return report.samples.map((sample) =>
      [sample.mismatch, sample.entry, sample.key.key, sample.source?.text, sample.target?.text].join(' | '),
    );
  }

  test('the copy is equal in every key and catalog entry, and a second copy changes nothing', async () => {
    const first = await copy();
    expect(first.text).toContain('keys      1,208 copied');
    expect(first.code).toBe(0);
    const compared = await compare();
    expect(differences(compared.report)).toEqual([]);
    expect(compared.text.split('\n')[0]).toMatch(/^EQUAL: all 1,\d\d\d entries/);
    expect(compared.code).toBe(0);
    expect(compared.report.coverage.seen.source).toMatchObject({ kv: 1208, service: 5 });

    const index = await ask(gateway.url, '/v1/kv/app/flags');
    const second = await copy();
    expect(second.text).toMatch(/^Copied 0, deleted 0, /);
    expect(await ask(gateway.url, '/v1/kv/app/flags')).toBe(index);
  });

  test('changes and deletes at the source follow, others are not touched', async () => {
    const { url } = consul;
    await put(url, 'app/0/0', 'changed');
    await put(url, 'app/new', 'new');
    await ask(url, '/v1/kv/app/1/?recurse', 'DELETE');
    await ask(url, '/v1/txn', 'PUT', JSON.stringify([{ KV: { Verb: 'delete', Key: 'odd//double' } }]));
    await deregister(url, { Node: 'web-4' });
    await deregister(url, { Node: 'web-3', ServiceID: 'web/3' });
    await register(url, {
      Node: 'web-0',
      Address: '10.0.0.0',
      SkipNodeUpdate: true,
      Check: { CheckID: 'disk', Name: 'disk', Status: 'critical' },
    });

    const before = await compare();
    expect(before.code).toBe(1);
    expect(before.report.totals.byKind).toMatchObject({ missing: 1, value: 2 });
    const { code, text } = await copy({ allowDeletes: true });
    expect(text).toContain('keys      2 copied, 61 deleted');
    expect(code).toBe(0);
    const after = await compare();
    expect(differences(after.report)).toEqual([]);
    expect(after.code).toBe(0);
  });

  test('a restored snapshot of the source is followed under a new timeline', async () => {
    const { url } = consul;
    const snapshot = join(consul.dataDir, 'copy.snap');
    expect((await consul.cli(['snapshot', 'save', snapshot])).code).toBe(0);
    await put(url, 'app/0/0', 'after the snapshot');
    await put(url, 'app/lost', 'after the snapshot');
    await register(url, { Node: 'late', Address: '10.0.0.99' });
    expect((await copy()).code).toBe(0);
    expect((await consul.cli(['snapshot', 'restore', snapshot])).code).toBe(0);
    const { text } = await copy();
    expect(text).toContain("The source's history was replaced");
    expect(text).toContain('timeline 2');
    const after = await compare();
    expect(differences(after.report)).toEqual([]);
  });

  test('a gateway killed in the middle of a copy is waited for, and the copy ends complete', async () => {
    const { url } = consul;
    for (let batch = 0; batch < 100; batch += 1) {
      const keys = Array.from({ length: 60 }, (_, at) => `more/${batch}/${at}`);
      await putByTxn(url, Object.fromEntries(keys.map((key) => [key, 'x'.repeat(1000)])));
    }
    let restarted: Promise<void> | undefined;
    const host = testHost(undefined, {
      progress: {
        step: ({ done }) => (done > 2000 ? (restarted ??= gateway.restart()) : undefined),
        line: (line) => host.lines.push(line),
        end: () => undefined,
      },
    });
    const code = await copyCommand(
      { from: url, to: gateway.url, rps: 5000, prefix: ['more/'], kvOnly: true },
      host,
    );
    await restarted;
    expect(restarted).toBeDefined();
    expect(host.lines.join('\n')).toMatch(/waiting for .*: no answer/);
    expect(host.printed.join('\n')).toContain('6,000 copied');
    expect(code).toBe(0);
    const { report } = await compare();
    expect(differences(report)).toEqual([]);
  });
});
