import { expect, test } from '@jest/globals';
import { type Answer, bodyOf, httpClient, type KvEntry } from './support/http.ts';
import { describeServers } from './support/servers.ts';

// The requests that these programs make, in their order, after reading their sources; each test is one claim that the
// program depends on.

interface HealthEntry {
  readonly Node: { readonly Node: string };
  readonly Service: { readonly ID: string; readonly Tags: readonly string[]; readonly Port: number };
  readonly Checks: readonly { readonly Status: string }[];
}
type Services = Readonly<Record<string, readonly string[]>>;

const lockFlags = '3304740253564472344';

describeServers('clients that discover', (server) => {
  const client = httpClient(server);

  test('Prometheus: the datacenter is that of the agent', async () => {
    expect(bodyOf(await client.get('/v1/agent/self'))).toMatchObject({ Config: { Datacenter: 'dc1' } });
  });

  test('Prometheus: services and instances are watched with stale reads, and the same index is no change', async () => {
    const path = '/v1/catalog/services?stale=&wait=120000ms';
    const listed = await client.get(path);
    expectMeta(listed);
    const waiting = client.get(`${path}&index=${listed.index}`);
    await register('prom-1', 'prom', { Tags: ['metrics', 'blue'], NodeMeta: { rack: 'r1' } });
    const woken = await waiting;
    expect(woken.index).toBeGreaterThan(listed.index);
    // In no order at Consul, which collects them in a map.
    expect((bodyOf(woken) as Services)['prom']?.toSorted()).toEqual(['blue', 'metrics']);

    const instances = '/v1/health/service/prom?stale=&wait=120000ms';
    const first = await client.get(`${instances}&tag=metrics&tag=blue&node-meta=rack:r1`);
    expectMeta(first);
    expect(idsOf(first)).toEqual(['prom-1']);
    expect(idsOf(await client.get(`${instances}&tag=metrics&tag=green`))).toEqual([]);
    expect(idsOf(await client.get(`${instances}&node-meta=rack:r2`))).toEqual([]);
    expect(
      idsOf(await client.get(`${instances}&filter=${encodeURIComponent('"blue" in Service.Tags')}`)),
    ).toEqual(['prom-1']);
    const same = await client.get(`/v1/health/service/prom?stale=&wait=20ms&index=${first.index}`);
    expect([same.index, same.text]).toEqual([
      first.index,
      (await client.get('/v1/health/service/prom')).text,
    ]);
    const waitingAgain = client.get(`${instances}&index=${first.index}`);
    await register('prom-2', 'prom', { Tags: ['metrics'] });
    const second = await waitingAgain;
    expect(second.index).toBeGreaterThan(first.index);
    expect(idsOf(second)).toEqual(['prom-1', 'prom-2']);
  });

  test('consul-template: an index that is lower than the one before makes it begin again with 0', async () => {
    await client.put('/v1/kv/template/a', '1');
    const listed = await client.get('/v1/kv/template/?recurse=&stale=&wait=60000ms');
    expectMeta(listed);
    // It was at another server, whose indexes were further.
    const elsewhere = listed.index + 1_000_000_000;
    const answer = await client.get(`/v1/kv/template/?recurse=&stale=&wait=100ms&index=${elsewhere}`);
    expect(answer.status).toBe(200);
    expect(answer.index).toBeLessThan(elsewhere);
    expect(answer.index).toBeGreaterThan(0);
    const again = await client.get('/v1/kv/template/?recurse=&stale=&wait=60000ms&index=0');
    expect(again.text).toBe(listed.text);
  });

  test('consul-template: a missing key is waited for, and so is a service that nobody has yet', async () => {
    const key = await client.get('/v1/kv/template/missing?stale=&wait=60000ms');
    expect(key.status).toBe(404);
    expectMeta(key);
    const service = await client.get('/v1/health/service/missing?passing=1&stale=&wait=60000ms');
    expect(service.text).toBe('[]');
    const waits = [
      client.get(`/v1/kv/template/missing?stale=&wait=60000ms&index=${key.index}`),
      client.get(`/v1/health/service/missing?passing=1&stale=&wait=60000ms&index=${service.index}`),
    ];
    await client.put('/v1/kv/template/missing', 'here');
    await register('missing-1', 'missing', {});
    const [found, served] = await Promise.all(waits);
    expect(found).toMatchObject({ status: 200 });
    expect(served === undefined ? [] : idsOf(served)).toEqual(['missing-1']);
  });

  test('consul-template: two of them elect the one that renders by a lock with a lock-delay of 1 ms', async () => {
    const create = { Name: 'consul-template', LockDelay: '1ms', TTL: '15s', Behavior: 'delete' };
    const { ID } = bodyOf(await client.put('/v1/session/create', create)) as { ID: string };
    const lock = '/v1/kv/consul-template/dedup/abc/lock';
    expect((await client.put(`${lock}?acquire=${ID}&flags=${lockFlags}`)).text).toBe('true');
    await client.put('/v1/kv/consul-template/dedup/abc/data', 'gob');
    await client.put(`/v1/session/destroy/${ID}`);
    expect((await client.get(lock)).status).toBe(404);
  });

  test('Traefik: a change of health wakes its watch of all checks, then it reads each service', async () => {
    await register('traefik-1', 'whoami', { Tags: ['traefik.enable=true'] });
    const [services, checks] = await Promise.all([
      client.get('/v1/catalog/services'),
      client.get('/v1/health/state/any'),
    ]);
    const waitForChecks = client.get(`/v1/health/state/any?index=${checks.index}`);
    await register('traefik-1', 'whoami', { Tags: ['traefik.enable=true'], Status: 'critical' });
    expect((await waitForChecks).index).toBeGreaterThan(checks.index);
    const waitForServices = client.get(`/v1/catalog/services?index=${services.index}`);
    await register('traefik-2', 'other', {});
    const names = bodyOf(await waitForServices) as Services;
    expect(Object.keys(names)).toEqual(expect.arrayContaining(['consul', 'other', 'whoami']));
    for (const mode of ['', '?stale=', '?consistent=', '?cached=']) {
      const [instance] = bodyOf(await client.get(`/v1/health/service/whoami${mode}`)) as HealthEntry[];
      expect(instance).toMatchObject({
        Service: { ID: 'traefik-1', Tags: ['traefik.enable=true'] },
        Checks: [{ Status: 'critical' }],
      });
    }
  });

  test('Traefik with keys: a tree is listed consistently and watched; nothing but a change ends the wait anew', async () => {
    // It asks for one odd key to see whether the store is there.
    expect(
      (await client.get('/v1/kv/qmslkjdfmqlskdjfmqlksjazcueznbvbwzlkajzebvkwjdcqmlsfj?consistent=')).status,
    ).toBe(404);
    await client.put(`/v1/kv/traefik/http/routers/a/rule?flags=${lockFlags}`, 'Host(`a`)');
    const listed = await client.get('/v1/kv/traefik/?recurse=&consistent=');
    expect(listed.text).toContain(`"Flags":${lockFlags},`);
    const same = await client.get(`/v1/kv/traefik/?recurse=&consistent=&wait=50ms&index=${listed.index}`);
    expect(same.index).toBe(listed.index);
    const waiting = client.get(`/v1/kv/traefik/?recurse=&consistent=&wait=15000ms&index=${listed.index}`);
    await client.put('/v1/kv/traefik-other', 'unrelated');
    await client.put('/v1/kv/traefik/http/routers/b/rule', 'Host(`b`)');
    const woken = await waiting;
    expect(woken.index).toBeGreaterThan(listed.index);
    expect(keysOf(woken)).toEqual(['traefik/http/routers/a/rule', 'traefik/http/routers/b/rule']);
  });

  test('Fabio: a watch of all checks without a wait of its own, then the catalog of each service', async () => {
    const checks = await client.get('/v1/health/state/any');
    const waiting = client.get(`/v1/health/state/any?index=${checks.index}`);
    await register('fabio-1', 'fabio-web', { Tags: ['urlprefix-/'], Port: 8000 });
    expect((await waiting).text).toContain('fabio-1');
    expect(bodyOf(await client.get('/v1/catalog/service/fabio-web'))).toMatchObject([
      { ServiceID: 'fabio-1', ServiceTags: ['urlprefix-/'], ServicePort: 8000, Address: '10.1.0.1' },
    ]);
  });

  test('consul-replicate: what is written after a list has a higher ModifyIndex than that list told', async () => {
    await client.put('/v1/kv/replicated/a', '1');
    const listed = await client.get('/v1/kv/replicated/?recurse=&stale=');
    await client.put('/v1/kv/replicated/b', '2');
    const next = await client.get(`/v1/kv/replicated/?recurse=&stale=&wait=60000ms&index=${listed.index}`);
    const fresh = (bodyOf(next) as KvEntry[]).filter(({ ModifyIndex }) => ModifyIndex > listed.index);
    expect(fresh.map(({ Key }) => Key)).toEqual(['replicated/b']);
    // A deletion shows by what the list of keys no longer has.
    await client.del('/v1/kv/replicated/a');
    const deleted = await client.get(`/v1/kv/replicated/?recurse=&stale=&wait=60000ms&index=${next.index}`);
    expect(keysOf(deleted)).toEqual(['replicated/b']);
    expect(bodyOf(await client.get('/v1/kv/replicated/?keys='))).toEqual(['replicated/b']);
  });

  test('Spring Cloud: the leader as a sign of health, and services watched by index', async () => {
    expect(bodyOf(await client.get('/v1/status/leader'))).toMatch(/^127\.0\.0\.1:\d+$/);
    // The first index of its watch is -1, which it does not send.
    const listed = await client.get('/v1/catalog/services?wait=2s');
    expect(listed.headers.get('X-Consul-KnownLeader')).toBe('true');
    expect(listed.index).toBeGreaterThan(0);
    const waiting = client.get(`/v1/catalog/services?wait=20s&index=${listed.index}`);
    await register('spring-1', 'spring', {});
    expect((await waiting).text).toContain('spring');
  });

  test('Spring Cloud: configuration below a prefix is watched, and values come back as text', async () => {
    await client.put('/v1/kv/config/application/greeting', 'grüezi');
    const listed = await client.get('/v1/kv/config/application/?recurse&wait=1s');
    expect(keysOf(listed)).toEqual(['config/application/greeting']);
    const same = await client.get(`/v1/kv/config/application/?recurse&wait=50ms&index=${listed.index}`);
    expect(same.index).toBe(listed.index);
    expect((await client.get('/v1/kv/config/application/greeting?raw')).text).toBe('grüezi');
    expect((await client.get('/v1/kv/config/none/?recurse&wait=1s')).status).toBe(404);
  });

  function expectMeta({ headers }: Answer): void {
    expect(headers.get('x-consul-index')).toMatch(/^[1-9]\d*$/);
    expect(headers.get('x-consul-lastcontact')).toMatch(/^\d+$/);
    expect(headers.get('x-consul-knownleader')).toBe('true');
  }

  function idsOf(answer: Answer): string[] {
    return (bodyOf(answer) as HealthEntry[]).map(({ Service }) => Service.ID);
  }

  function keysOf(answer: Answer): string[] {
    return (bodyOf(answer) as KvEntry[]).map(({ Key }) => Key);
  }

  /** Registers an instance on a node of its own, with one check. */
  async function register(
    id: string,
    name: string,
    { Tags = [], NodeMeta = {}, Status = 'passing', Port = 80 }: Registration,
  ): Promise<void> {
    const answer = await client.put('/v1/catalog/register', {
      Node: `node-of-${id}`,
      Address: '10.1.0.1',
      NodeMeta,
      Service: { ID: id, Service: name, Tags, Port },
      Check: { Node: `node-of-${id}`, CheckID: id, Name: id, ServiceID: id, Status },
    });
    expect(answer.text).toBe('true');
  }
});

interface Registration {
  readonly Tags?: readonly string[];
  readonly NodeMeta?: Readonly<Record<string, string>>;
  readonly Status?: 'passing' | 'critical';
  readonly Port?: number;
}
