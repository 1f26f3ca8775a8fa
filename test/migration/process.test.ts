import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { gatewayCommand, startGateway, type GatewayProcess } from '../support/gateway-process.ts';
import { describeRealConsul, startRealConsul, type RealConsul } from '../support/real-consul.ts';
import { ask, putByTxn } from './support.ts';

// Real processes on a busy machine.
jest.setTimeout(120_000);

type Ended = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

describeRealConsul('grapevine migrate as a process', () => {
  let consul: RealConsul;
  let gateway: GatewayProcess;
  let directory: string;
  const keys = 6000;

  beforeAll(async () => {
    [consul, gateway] = await Promise.all([startRealConsul(), startGateway()]);
    directory = await mkdtemp(join(tmpdir(), 'migrate-'));
    for (let from = 0; from < keys; from += 60) {
      const names = Array.from({ length: 60 }, (_, at) => `k/${from + at}`);
      await putByTxn(consul.url, Object.fromEntries(names.map((key) => [key, 'x'.repeat(800)])));
    }
  });
  afterAll(async () => {
    await Promise.all([consul.stop(), gateway.stop()]);
    await rm(directory, { recursive: true });
  });

  /** Runs the program; `act` is called with its process once the gateway holds some of the keys. */
  async function run(args: readonly string[], act?: (pid: number) => void): Promise<Ended> {
    const [command, ...before] = gatewayCommand();
    const sides = [`-from=${consul.url}`, `-to=${gateway.url}`];
    const child = spawn(command, [...before, 'migrate', ...args, ...sides], { cwd: directory });
    const ended = once(child, 'close') as Promise<[number | null]>;
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    if (act !== undefined) {
      // Event, not time: the blocking read returns with the first batch that the copy commits.
      await ask(gateway.url, `/v1/kv/k/?keys&index=${await headerIndex()}&wait=30s`).catch(() => undefined);
      act(child.pid ?? 0);
    }
    const [code] = await ended;
    return { code, stdout, stderr };
  }

  async function headerIndex(): Promise<string> {
    const response = await fetch(`${gateway.url}/v1/kv/k/?keys`);
    await response.text();
    return response.headers.get('x-consul-index') ?? '1';
  }

  async function held(): Promise<number> {
    const response = await fetch(`${gateway.url}/v1/kv/k/?keys`);
    return response.status === 404 ? 0 : ((await response.json()) as string[]).length;
  }

  test('killed, then interrupted, then left alone, a copy ends complete with exact counts', async () => {
    // Slow enough to be caught in the middle: eight requests a second, and some ten leaves.
    const copy = ['copy', '-kv-only', '-rps=8', '-concurrency=1'];
    const killed = await run(copy, (pid) => process.kill(pid, 'SIGKILL'));
    expect(killed.code).toBeNull();
    const afterKill = await held();
    expect(afterKill).toBeGreaterThan(0);
    expect(afterKill).toBeLessThan(keys);

    const interrupted = await run(copy, (pid) => process.kill(pid, 'SIGINT'));
    expect(interrupted.code).toBe(130);
    expect(interrupted.stderr).toContain('Interrupted. To go on from here: grapevine migrate copy -kv-only');

    const ended = await run(['copy', '-kv-only', '-rps=5000']);
    expect(ended.stdout).toContain('keys      6,000 copied, 0 deleted, 0 unchanged');
    expect(ended.stdout).toContain('Taken up where an earlier run ended');
    expect(ended.code).toBe(0);
    expect(await held()).toBe(keys);
  });

  test('compare prints its verdict first, writes the report, and exits by it', async () => {
    const equal = await run(['compare', '-kv-only', '-recheck=10ms']);
    expect(equal.stdout).toMatch(/^EQUAL: all 6,000 entries/);
    expect(equal.code).toBe(0);
    await ask(gateway.url, '/v1/kv/only-here', 'PUT', 'x');
    const different = await run(['compare', '-kv-only', '-recheck=10ms', '-out=second.json']);
    expect(different.stdout).toMatch(/^DIFFERENT: 1 of /);
    expect(different.code).toBe(1);
    expect((await run(['compare', '-recheck=nonsense'])).code).toBe(2);
  });
});
