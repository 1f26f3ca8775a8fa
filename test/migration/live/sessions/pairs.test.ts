import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { PassedReply } from '../../../../compat/http/interceptor.ts';
import { SourceClient } from '../../../../migration/live/proxy/source-client.ts';
import { openSessionPairs, type SessionPairs } from '../../../../migration/live/sessions/pairs.ts';
import { sessionModeOf } from '../../../../migration/live/sessions/session-mode.ts';
import { sessionValue } from '../../../../src/state/session-health.ts';
import { getSession } from '../../../../src/state/sessions.ts';
import { apiRequest as ask } from '../../../support/state.ts';
import { FleetClient } from '../../../support/fleet-client.ts';
import {
  FakePhases,
  LiveGateway,
  partContext,
  ruleOf,
  sourceSettings,
} from '../../../support/live-gateway.ts';
import { describeRealConsul, type RealConsul, startRealConsul } from '../../../support/real-consul.ts';

test('sessions are paired from local reads on, for as long as a key is decided at the source', () => {
  const mode = (...phases: readonly Parameters<typeof ruleOf>[2][]) =>
    sessionModeOf(phases.map((phase, n) => ruleOf('kv', `p${n}/`, phase)));
  expect(mode()).toBe('none');
  expect(mode('passthrough', 'shadow')).toBe('source');
  expect(mode('passthrough', 'local-reads')).toBe('paired');
  expect(mode('passthrough', 'final')).toBe('paired');
  expect(mode('cutover', 'final')).toBe('here');
});

describeRealConsul('sessions beside a real Consul', () => {
  let consul: RealConsul;
  let source: FleetClient;
  let gateway: LiveGateway;
  let phases: FakePhases;
  let client: SourceClient;
  let pairs: SessionPairs;
  beforeAll(async () => {
    consul = await startRealConsul();
    source = new FleetClient(consul.url);
  }, 90_000);
  afterAll(() => consul?.stop());
  beforeEach(() => {
    gateway = new LiveGateway();
    phases = new FakePhases(ruleOf('kv', '', 'passthrough'), ruleOf('kv', 'app/', 'local-reads'));
    gateway.state.step({
      kind: 'catalog-register',
      node: {
        node: 'gateway',
        id: 'gateway-id',
        address: '127.0.0.1',
        datacenter: 'dc1',
        taggedAddresses: null,
        meta: null,
      },
      checks: [],
    } as never);
    const settings = sourceSettings(consul.url);
    client = new SourceClient(gateway, settings);
    pairs = openSessionPairs(partContext(gateway, phases, settings), client);
    pairs.start();
  });
  afterEach(async () => {
    await pairs.stop();
    client.close();
  });

  const twin = (id: string) => {
    const row = getSession(gateway.view, id);
    return row === undefined ? undefined : sessionValue(row);
  };
  const untilTwin = (id: string, wanted: boolean) =>
    new Promise<void>((resolve) => {
      const look = (): void => {
        if ((twin(id) !== undefined) !== wanted) return;
        stop();
        resolve();
      };
      const stop = gateway.onCommit(look);
      look();
    });
  const put = async (path: string, body = ''): Promise<PassedReply & { text: string }> => {
    const passed = pairs.intercept(ask('PUT', path, body));
    const reply = await (passed as NonNullable<typeof passed>).reply;
    return { ...reply, text: Buffer.from(reply.body as Uint8Array).toString() };
  };
  const created = async (body: object): Promise<string> =>
    (JSON.parse((await put('/v1/session/create', JSON.stringify(body))).text) as { ID: string }).ID;

  test('one that is made through the gateway is at the source, and here at once under the same id', async () => {
    const id = await created({ Name: 'job', LockDelay: '3s', TTL: '20s', Behavior: 'delete' });
    expect(twin(id)).toMatchObject({
      name: 'job',
      lockDelayNs: 3e9,
      behavior: 'delete',
      ttl: '',
      paired: true,
    });
    expect(await source.json<unknown[]>(`/v1/session/info/${id}`)).toHaveLength(1);
    expect((await put(`/v1/session/renew/${id}`)).status).toBe(200);
    expect((await put(`/v1/session/destroy/${id}`)).text).toBe('true');
    expect(twin(id)).toBeUndefined();
    expect(await source.json<unknown[]>(`/v1/session/info/${id}`)).toHaveLength(0);
  });

  test('one that is made at the source comes here, and ends here when it ends there, freeing its lock', async () => {
    const { ID } = await source.json<{ ID: string }>('/v1/session/create', { LockDelay: '0s', TTL: '60s' });
    await untilTwin(ID, true);
    const mode = { kind: 'acquire', session: ID } as const;
    const lock = { kind: 'kv-put', key: 'elsewhere', flags: 0n, value: new Uint8Array(), mode } as const;
    expect(await gateway.propose(lock)).toMatchObject({ kind: 'kv', applied: true });
    await source.put(`/v1/session/destroy/${ID}`);
    await untilTwin(ID, false);
    const other = await created({ LockDelay: '0s' });
    const again = { ...lock, mode: { kind: 'acquire', session: other } as const };
    expect(await gateway.propose(again)).toMatchObject({ kind: 'kv', applied: true });
  });

  test('all sessions of the source have twins before a cutover goes on', async () => {
    const ids = await Promise.all(
      [1, 2, 3].map(
        async (n) => (await source.json<{ ID: string }>('/v1/session/create', { Name: `${n}` })).ID,
      ),
    );
    await pairs.ready(10_000);
    expect(ids.map((id) => twin(id)?.paired)).toEqual([true, true, true]);
  });

  test('a lock may be asked for here with a session that was made at the source just now', async () => {
    const { ID } = await source.json<{ ID: string }>('/v1/session/create', {});
    await pairs.adopt(ID);
    expect(twin(ID)).toBeDefined();
  });

  test('twins get clocks of their own when the last key has come here, and sessions are served here then', async () => {
    const id = await created({ TTL: '30s' });
    phases.set(ruleOf('kv', '', 'cutover'), ruleOf('kv', 'app/', 'final'));
    expect(pairs.intercept(ask('PUT', '/v1/session/create', '{}'))).toBeUndefined();
    await new Promise<void>((resolve) => {
      const look = (): void => {
        const held = twin(id);
        if (held?.ttl !== '30s' || held.paired === true) return;
        stop();
        resolve();
      };
      const stop = gateway.onCommit(look);
      look();
    });
  });

  test('twins end when all keys are decided at the source again', async () => {
    const id = await created({});
    phases.set(ruleOf('kv', '', 'passthrough'));
    await untilTwin(id, false);
    expect(await source.json<unknown[]>(`/v1/session/info/${id}`)).toHaveLength(1);
  });
});
