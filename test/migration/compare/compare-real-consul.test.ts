import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, jest, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { Report } from '../../../migration/compare/report.ts';
import { compareCommand, type CompareFlags } from '../../../migration/terminal/compare-command.ts';
import { describeRealConsul, startRealConsul, type RealConsul } from '../../support/real-consul.ts';
import { projectRoot } from '../../support/agent-process.ts';
import { ask, jumpingClock, put, register, testHost } from '../support.ts';

// Real processes on a busy machine.
jest.setTimeout(120_000);

describeRealConsul('a comparison of two real Consuls', () => {
  let source: RealConsul;
  let target: RealConsul;
  let directory: string;
  let validate: (report: unknown) => string;

  beforeAll(async () => {
    [source, target] = await Promise.all([startRealConsul(), startRealConsul()]);
    directory = await mkdtemp(join(tmpdir(), 'compare-'));
    const schemaFile = join(projectRoot(), 'docs/report-schema/readconsistency-1.schema.json');
    const ajv = new Ajv2020({ allErrors: true, strict: true, allowUnionTypes: true });
    const check = ajv.compile(JSON.parse(await readFile(schemaFile, 'utf8')) as object);
    validate = (report) => (check(report) ? 'valid' : ajv.errorsText(check.errors));
  });
  afterAll(async () => {
    await Promise.all([source.stop(), target.stop()]);
    await rm(directory, { recursive: true });
  });
  beforeEach(async () => {
    for (const { url } of [source, target]) await ask(url, '/v1/kv/?recurse', 'DELETE');
  });

  async function compare(
    flags: Partial<CompareFlags> = {},
  ): Promise<{ code: number; text: string; complaints: string; report: Report }> {
    const host = testHost(jumpingClock());
    const out = join(directory, 'report.json');
    // The other server's own node and the source's are different hosts: KV alone is the same on both sides.
    const code = await compareCommand(
      { from: source.url, to: target.url, out, kvOnly: true, ...flags },
      host,
    );
    const report = JSON.parse(await readFile(out, 'utf8')) as Report;
    expect(validate(report)).toBe('valid');
    return { code, text: host.printed.join('\n'), complaints: host.complained.join('\n'), report };
  }

  async function both(key: string, value: string, query = ''): Promise<void> {
    await put(source.url, key, value, query);
    await put(target.url, key, value, query);
  }

  test('equal sides are called equal, with the bound that zero of n allows, and exit 0', async () => {
    for (let at = 0; at < 30; at += 1) await both(`app/${at}`, `value ${at}`, `?flags=${at}`);
    const { code, text, report } = await compare();
    expect(code).toBe(0);
    expect(text.split('\n')[0]).toBe('EQUAL: all 30 entries are the same on both sides.');
    expect(text.split('\n').length).toBeLessThanOrEqual(10);
    expect(report.verdict).toEqual({ result: 'equal', reasons: [] });
    expect(report.totals).toMatchObject({ compared: 30, matched: 30, persistent: 0 });
    expect(report.totals.rate.upper95).toBeCloseTo(3 / 30);
    // Nothing is left of the draft that was renamed into place.
    expect(await readdir(directory)).toEqual(['report.json']);
  });

  test('each kind of difference is found in both directions, by kind and prefix, and exits 1', async () => {
    for (let at = 0; at < 10; at += 1) await both(`same/${at}`, 'v');
    await put(source.url, 'app/missing', 'v');
    await put(target.url, 'app/extra', 'v');
    await put(source.url, 'app/value', 'a');
    await put(target.url, 'app/value', 'b');
    await put(source.url, 'app/flags', 'v', '?flags=18446744073709551615');
    await put(target.url, 'app/flags', 'v', '?flags=18446744073709551614');
    const { ID } = JSON.parse(await ask(source.url, '/v1/session/create', 'PUT', '{}')) as { ID: string };
    await put(source.url, 'lock', 'v', `?acquire=${ID}`);

    const { code, text, report } = await compare();
    expect(code).toBe(1);
    expect(text.split('\n')[0]).toBe('DIFFERENT: 5 of 15 entries differ.');
    expect(report.totals.byKind).toEqual({ missing: 1, extra: 1, value: 1, flags: 1, session: 1, status: 0 });
    expect(report.prefixes[0]).toMatchObject({ kind: 'kv', prefix: 'app/', compared: 4, persistent: 4 });
    expect(report.samples.map((sample) => sample.mismatch).toSorted()).toEqual([
      'extra',
      'flags',
      'missing',
      'session',
      'value',
    ]);
    expect(report.samples.every((sample) => sample.looks === 4)).toBe(true);
    await ask(source.url, `/v1/session/destroy/${ID}`, 'PUT');
  });

  test('keys and values are redacted unless they are asked for', async () => {
    await put(source.url, 'customers/jane-doe', 'secret-value');
    const hidden = await compare({ recheck: 'none' });
    expect(JSON.stringify(hidden.report)).not.toMatch(/jane-doe|secret-value/);
    expect(hidden.report.samples[0]?.key).toMatchObject({ prefix: 'customers/' });
    const shown = await compare({ recheck: 'none', reveal: true });
    expect(shown.report.samples[0]).toMatchObject({
      key: { key: 'customers/jane-doe' },
      source: { text: 'secret-value' },
    });
    expect(shown.report.run.redaction.mode).toBe('revealed');
    expect(shown.report.samples[0]?.key.hmac).not.toBe(hidden.report.samples[0]?.key.hmac);
  });

  test('prefixes limit what is compared', async () => {
    await both('in/a', 'v');
    await put(source.url, 'out/a', 'v');
    const { code, report } = await compare({ prefix: ['in/'] });
    expect(code).toBe(0);
    expect(report.totals.compared).toBe(1);
    expect(report.coverage.prefixes).toEqual(['in/']);
  });

  test('catalog entries are compared field by field; the output of checks is not', async () => {
    const web = {
      Node: 'n1',
      Address: '10.0.0.1',
      Service: { ID: 'w', Service: 'web', Port: 80, Tags: ['a'] },
    };
    const check = { CheckID: 'c', Name: 'c', Status: 'passing', ServiceID: 'w' };
    await register(source.url, { ...web, Check: { ...check, Output: 'here' } });
    await register(target.url, { ...web, Check: { ...check, Output: 'there' } });
    const ignoring = { kvOnly: false, catalogOnly: true, recheck: 'none' };
    const first = await compare(ignoring);
    // What differs is the source's own server node, which the target does not have.
    expect(first.report.samples.map((sample) => `${sample.mismatch} ${sample.entry}`).toSorted()).toEqual([
      'missing check',
      'missing node',
    ]);
    expect(first.report.coverage.ignored).toMatchObject({ 'target-own-node': 1 });

    await register(target.url, { ...web, Service: { ...web.Service, Port: 81 } });
    await register(target.url, { ...web, Service: web.Service, Check: { ...check, Status: 'critical' } });
    await register(target.url, { ...web, Service: { ...web.Service, Port: 81 } });
    const second = await compare({ ...ignoring, reveal: true });
    const found = second.report.samples.filter((sample) => sample.key.key?.startsWith('n1/'));
    expect(found.map((sample) => [sample.entry, sample.mismatch, sample.fields])).toEqual(
      expect.arrayContaining([
        ['service', 'value', ['Port']],
        ['check', 'status', ['Status']],
      ]),
    );
  });

  test('an unreachable source ends with 2 and one line', async () => {
    const host = testHost(jumpingClock());
    const code = await compareCommand({ from: 'http://127.0.0.1:1', to: target.url, recheck: 'none' }, host);
    expect(code).toBe(2);
    expect(host.complained).toEqual([expect.stringContaining('no answer after 10 attempts (ECONNREFUSED)')]);
  });

  test('wrong flags end with 2 and say what is allowed', async () => {
    const cases: [CompareFlags, string][] = [
      [{ to: target.url }, '-from is missing'],
      [{ from: target.url, to: target.url }, 'the same'],
      [{ from: source.url, to: target.url, recheck: '5s,1s' }, '-recheck=5s,1s'],
      [{ from: 'ftp://x', to: target.url }, 'scheme ftp'],
      [{ from: source.url, to: target.url, kvOnly: true, catalogOnly: true }, 'exclude each other'],
    ];
    for (const [flags, said] of cases) {
      const host = testHost(jumpingClock());
      expect(await compareCommand(flags, host)).toBe(2);
      expect(host.complained.join('\n')).toContain(said);
    }
  });
});
