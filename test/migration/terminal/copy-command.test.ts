import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { MemoryTarget } from '../../../migration/target/memory-target.ts';
import { copyCommand, type CopyFlags } from '../../../migration/terminal/copy-command.ts';
import { bytes, duration, percent, shellWord } from '../../../migration/terminal/format.ts';
import { lineDisplay } from '../../../migration/terminal/progress-display.ts';
import { describeRealConsul, startRealConsul, type RealConsul } from '../../support/real-consul.ts';
import { startMirrorServer, type MirrorServer } from '../mirror-server.ts';
import { ask, jumpingClock, put, putByTxn, testHost } from '../support.ts';

// Real processes on a busy machine.
jest.setTimeout(120_000);

describeRealConsul('grapevine migrate copy, over the mirror API', () => {
  let consul: RealConsul;
  let target: MemoryTarget;
  let gateway: MirrorServer;
  let directory: string;

  beforeAll(async () => {
    consul = await startRealConsul();
    directory = await mkdtemp(join(tmpdir(), 'copy-'));
    for (let batch = 0; batch < 40; batch += 1) {
      const keys = Array.from({ length: 60 }, (_, at) => `app/${batch}/${at}`);
      await putByTxn(consul.url, Object.fromEntries(keys.map((key) => [key, `value of ${key}`])));
    }
    await put(consul.url, 'app/flags', 'v', '?flags=18446744073709551615');
    await put(consul.url, 'big/almost', new Uint8Array(524_288));
  });
  afterAll(async () => {
    await consul.stop();
    await rm(directory, { recursive: true });
  });
  beforeEach(async () => {
    target = new MemoryTarget('gw');
    gateway = await startMirrorServer(target);
  });
  afterEach(() => gateway.stop());

  async function run(
    flags: CopyFlags = {},
    host = testHost(),
  ): Promise<{ code: number; text: string; complaints: string }> {
    const code = await copyCommand({ from: consul.url, to: gateway.url, rps: 5000, ...flags }, host);
    return { code, text: host.printed.join('\n'), complaints: host.complained.join('\n') };
  }

  test('copies everything in bounded batches, then says what comes next', async () => {
    const first = await run();
    expect(first.code).toBe(0);
    expect(first.text).toMatch(/^Copied 2,404, deleted 0, 0 unchanged in /);
    expect(first.text).toContain('keys      2,402 copied, 0 deleted, 0 unchanged');
    expect(first.text).toContain(`Next: grapevine migrate compare -from=${consul.url} -to=${gateway.url}`);
    expect(target.live('kv', 'app/flags')).toMatchObject({ flags: 18446744073709551615n });
    expect(target.live('kv', 'big/almost')).toMatchObject({ value: { length: 524_288 } });
    const second = await run();
    expect(second.code).toBe(0);
    expect(second.text).toMatch(/^Copied 0, deleted 0, 2,404 unchanged in /);
  });

  test('a dry run says what it would do and leaves the gateway alone', async () => {
    const { code, text } = await run({ dryRun: true });
    expect(code).toBe(0);
    expect(text).toMatch(/^Dry run: would copy 2,404 and delete 0/);
    expect(target.applies).toBe(0);
  });

  test('withheld deletes end with 1 and name the way on', async () => {
    await putByTxn(
      consul.url,
      Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`gone/${at}`, 'v'])),
    );
    await run({ prefix: ['gone/'], kvOnly: true });
    await ask(consul.url, '/v1/kv/gone/?recurse', 'DELETE');
    const held = await run({ prefix: ['gone/'], kvOnly: true });
    expect(held.code).toBe(1);
    expect(held.text).toContain('Withheld 60: deletes held back by the mass-delete breaker');
    expect(held.text).toContain('and 55 more');
    const allowed = await run({ prefix: ['gone/'], kvOnly: true, allowDeletes: true });
    expect(allowed.code).toBe(0);
    expect(target.liveKeys('kv')).toEqual([]);
  });

  test('interrupted it exits with 130 and prints the command that goes on', async () => {
    const abort = new AbortController();
    const host = testHost(undefined, {
      signal: abort.signal,
      args: ['migrate', 'copy', '-from=x', '-prefix=a b'],
      progress: { step: () => abort.abort(), line: () => undefined, end: () => undefined },
    });
    const { code, complaints } = await run({}, host);
    expect(code).toBe(130);
    expect(complaints).toBe("Interrupted. To go on from here: grapevine migrate copy -from=x '-prefix=a b'");
    const resumed = await run();
    expect(resumed.code).toBe(0);
    expect(resumed.text).toContain('Copied 2,404, deleted 0, 0 unchanged');
    expect(target.liveKeys('kv').length).toBe(2402);
  });

  test('-list writes everything that was not simply copied, one object a line', async () => {
    await put(consul.url, 'odd/key with: signs', 'v');
    const list = join(directory, 'list.ndjson');
    await run({ list });
    const lines = (await readFile(list, 'utf8'))
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines).toContainEqual({
      code: 'refused-by-1.21.5',
      action: 'copied',
      kind: 'kv',
      key: 'odd/key with: signs',
    });
  });

  test('a gateway without the mirror API ends with 2 and says so', async () => {
    const { code, complaints } = await run({ to: consul.url.replace('127.0.0.1', 'localhost') });
    expect(code).toBe(2);
    expect(complaints).toContain('this is no Grapevine gateway, or one without the mirror API');
  });
});

describe('what people read', () => {
  test('plain progress comes every two seconds, with rate and time left', async () => {
    const clock = jumpingClock(0);
    const lines: string[] = [];
    const display = lineDisplay((line) => lines.push(line), clock);
    for (let at = 0; at <= 10; at += 1) {
      display.step({ phase: 'keys', done: at * 100, total: 1000, detail: `${at} MiB` });
      await clock.sleep(1000);
    }
    expect(lines).toEqual([
      'keys: 200 of 1,000 (20 %), 100/s, 8.0 s left, 2 MiB',
      'keys: 400 of 1,000 (40 %), 100/s, 6.0 s left, 4 MiB',
      'keys: 600 of 1,000 (60 %), 100/s, 4.0 s left, 6 MiB',
      'keys: 800 of 1,000 (80 %), 100/s, 2.0 s left, 8 MiB',
      'keys: 1,000 of 1,000 (100 %), 100/s, 10 MiB',
    ]);
  });

  test('numbers have units that fit them', () => {
    expect([duration(850), duration(12_300), duration(250_000)]).toEqual(['850 ms', '12 s', '4 min 10 s']);
    expect([bytes(12), bytes(1536), bytes(5 * 1024 ** 3)]).toEqual(['12 B', '1.5 KiB', '5.0 GiB']);
    expect([percent(0), percent(0.5), percent(0.000_012)]).toEqual(['0 %', '50 %', '0.0012 %']);
    expect([shellWord('a/b-c=1'), shellWord("it's")]).toEqual(['a/b-c=1', `'it'\\''s'`]);
  });
});
