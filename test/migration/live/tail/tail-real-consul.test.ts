import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, jest, test } from '@jest/globals';
import type { SourceSettings } from '../../../../migration/live/gateway-port.ts';
import { Kind } from '../../../../src/state/kinds.ts';
import { mirrorName } from '../../../../src/state/mirror.ts';
import { describeRealConsul, startRealConsul, type RealConsul } from '../../../support/real-consul.ts';
import { ask, deregister, put, putByTxn, register } from '../../support.ts';
import { Disk, TailFixture, until } from './fixture.ts';

// Real processes on a busy machine.
jest.setTimeout(60_000);

const waitMs = 30_000;
const limits = { hotMinMs: 20, tickMs: 50, canaryMs: 500, waitMs: 3000, identityMs: 1000 };

describeRealConsul('the live mirror of a real Consul', () => {
  let consul: RealConsul;
  let directory: string;
  const running: TailFixture[] = [];

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tail-'));
    consul = await startRealConsul();
  });

  afterEach(async () => {
    await Promise.all(running.splice(0).map((fixture) => fixture.tail.stop()));
    await ask(consul.url, '/v1/kv/?recurse', 'DELETE');
  });

  afterAll(async () => {
    await consul.stop();
    await rm(directory, { recursive: true, force: true });
  });

  function start(disk = new Disk(), more: ConstructorParameters<typeof TailFixture>[1] = {}): TailFixture {
    const source: SourceSettings = {
      // The first one answers nobody.
      addresses: ['127.0.0.1:1', consul.url],
      ...{ token: '', tls: {}, requestsPerSecondMax: 1000, connectionsMax: 64, timeoutMs: 10_000 },
    };
    const fixture = new TailFixture(undefined, {
      disk,
      source,
      ...more,
      limits: { ...limits, ...more.limits },
    });
    running.push(fixture);
    fixture.tail.start();
    return fixture;
  }

  async function fill(prefix: string, count: number): Promise<void> {
    const keys = Array.from({ length: count }, (_, at) => `${prefix}${String(at % 10)}/${String(at)}`);
    for (let at = 0; at < count; at += 60) {
      const some = keys.slice(at, at + 60).map((key): [string, string] => [key, `value of ${key}`]);
      await putByTxn(consul.url, Object.fromEntries(some));
    }
  }

  async function there(): Promise<Record<string, string>> {
    const response = await fetch(`${consul.url}/v1/kv/?recurse&consistent`);
    if (response.status === 404) return {};
    const entries = (await response.json()) as { Key: string; Value: string | null }[];
    return Object.fromEntries(
      entries
        .filter(({ Key }) => !Key.startsWith('_gw/'))
        .map(({ Key, Value }) => [Key, Buffer.from(Value ?? '', 'base64').toString()]),
    );
  }

  async function same(fixture: TailFixture): Promise<void> {
    const wanted = JSON.stringify(await there());
    await until(
      () => JSON.stringify(fixture.keys()) === wanted,
      () => fixture.tail.status(),
      waitMs,
    );
  }

  test('backfills some thousand keys in pieces, and follows writes, new places and deletes', async () => {
    await fill('app/', 3000);
    const fixture = start(new Disk(), { limits: { leafNamesMax: 400 } });
    fixture.step('kv', '', 'mirror');
    await same(fixture);
    await put(consul.url, 'app/3/3', 'changed');
    await put(consul.url, 'elsewhere/new', 'x');
    await put(consul.url, 'flags', 'v', '?flags=18446744073709551615');
    await putByTxn(consul.url, { 'odd//double': 'a', '/lead': 'b', 'odd/../up': 'c' });
    await ask(consul.url, '/v1/kv/app/5/5', 'DELETE');
    await same(fixture);
    expect(fixture.counts).toMatchObject({ copied: 3006, deleted: 1 });
    const { lagMs } = fixture.tail.status() as { lagMs: { canary?: number } };
    expect(lagMs.canary).toBeGreaterThan(0);
    const found = await fixture.tail.compareNow('kv', '', waitMs);
    expect(found).toEqual({ entries: 3004, changed: 0 });
  });

  test('goes on with exact counts after it was killed in the middle', async () => {
    await fill('app/', 1500);
    const disk = new Disk();
    const killed = start(disk, { limits: { leafNamesMax: 200, batchRecordsMax: 50, listsAtOnce: 2 } });
    killed.beforeCommand = () => {
      if (killed.commands.length > 12) throw new Error('killed');
    };
    killed.step('kv', '', 'mirror');
    await until(
      () => killed.commands.length > 12,
      () => killed.tail.status(),
      waitMs,
    );
    await killed.tail.stop();
    expect(Object.keys(killed.keys()).length).toBeLessThan(1500);
    await ask(consul.url, '/v1/kv/app/7/7', 'DELETE');
    const next = start(disk, { limits: { leafNamesMax: 200 } });
    await same(next);
    const { copied, deleted } = next.counts;
    expect(copied - deleted).toBe(1499);
    expect(copied).toBeLessThanOrEqual(1500);
  });

  test('sees a snapshot that is restored under it as another history, and follows that', async () => {
    await fill('app/', 300);
    const fixture = start();
    fixture.step('kv', '', 'mirror');
    await same(fixture);
    const file = join(directory, 'snapshot');
    await consul.cli(['snapshot', 'save', file]);
    await put(consul.url, 'app/0/0', 'later');
    await put(consul.url, 'only/later', 'x');
    await same(fixture);
    await consul.cli(['snapshot', 'restore', file]);
    await until(
      () => (fixture.phases.source?.timeline ?? 0) >= 2,
      () => fixture.tail.status(),
      waitMs,
    );
    await same(fixture);
    expect(Object.keys(fixture.keys())).toHaveLength(300);
    await put(consul.url, 'app/0/0', 'after');
    await same(fixture);
    expect(fixture.phases.source?.timeline).toBe(2);
  });

  test('mirrors nodes, services and checks, and follows them', async () => {
    const { url } = consul;
    const node = (name: string, service: string): Promise<string> =>
      register(url, {
        ...{
          Node: name,
          Address: '10.0.0.1',
          Service: { ID: service, Service: service, Port: 80, Tags: ['a'] },
        },
        Check: { Node: name, CheckID: `${service}-up`, Name: 'up', Status: 'passing', ServiceID: service },
      });
    await node('web-1', 'web');
    await node('Gateway', 'web');
    const fixture = start();
    expect(fixture.step('catalog', '', 'mirror').kind).toBe('migration');
    const names = (kind: typeof Kind.service | typeof Kind.check): string =>
      [...fixture.state.store.range(kind, '', undefined)]
        .filter((row) => row.value !== null)
        .map(mirrorName)
        .filter((name) => !name.endsWith('serfHealth'))
        .join();
    await until(
      () => names(Kind.service) === 'web-1/web',
      () => fixture.tail.status(),
      waitMs,
    );
    await node('web-2', 'db');
    await until(
      () => names(Kind.check) === 'web-1/web-up,web-2/db-up',
      () => fixture.tail.status(),
      waitMs,
    );
    await deregister(url, { Node: 'web-1' });
    await until(
      () => names(Kind.service) === 'web-2/db',
      () => fixture.tail.status(),
      waitMs,
    );
    expect(fixture.phases.source?.timeline).toBe(1);
    for (const name of ['web-2', 'Gateway']) await deregister(url, { Node: name });
  });
});
