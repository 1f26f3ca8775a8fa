import { expect, test } from '@jest/globals';
import { httpClient, untilAnswered } from './support/http.ts';
import { npmConsul, Watched } from './support/npm-consul.ts';
import { describeServers } from './support/servers.ts';

interface HealthEntry {
  readonly Node: { readonly Node: string };
  readonly Service: { readonly ID: string; readonly Tags: readonly string[] };
  readonly Checks: readonly { readonly CheckID: string; readonly Status: string }[];
}

describeServers('npm consul: agent, catalog and health', (server) => {
  const consul = npmConsul(server);
  const client = httpClient(server);

  test('a service with a check is registered, kept alive, put into maintenance and deregistered', async () => {
    const { agent, health } = consul();
    await agent.service.register({
      name: 'web',
      id: 'web-1',
      address: '10.0.0.1',
      port: 8080,
      tags: ['blue', 'v1'],
      meta: { team: 'x' },
      check: { ttl: '1h', notes: 'heartbeat' } as never,
    });
    expect(await agent.services()).toMatchObject({
      'web-1': { ID: 'web-1', Service: 'web', Address: '10.0.0.1', Port: 8080, Tags: ['blue', 'v1'] },
    });
    const statusOf = async (): Promise<unknown> => (await agent.checks())['service:web-1']?.Status;
    expect(await statusOf()).toBe('critical');
    await agent.check.pass({ id: 'service:web-1', note: 'fine' });
    expect((await agent.checks())['service:web-1']).toMatchObject({ Status: 'passing', Output: 'fine' });
    await untilPassing('web', 1);
    expect(await health.service({ service: 'web', passing: true, tag: 'blue' })).toMatchObject([
      { Service: { ID: 'web-1', Meta: { team: 'x' } } },
    ]);
    expect(await health.service({ service: 'web', tag: 'green' })).toEqual([]);
    await agent.check.warn('service:web-1');
    expect(await statusOf()).toBe('warning');
    await agent.check.fail('service:web-1');
    expect(await statusOf()).toBe('critical');
    await agent.check.pass('service:web-1');

    await agent.service.maintenance({ id: 'web-1', enable: true, reason: 'cleaning' });
    await untilPassing('web', 0);
    await agent.service.maintenance({ id: 'web-1', enable: false });
    await untilPassing('web', 1);
    await agent.service.deregister('web-1');
    expect(await agent.services()).toEqual({});
    await untilPassing('web', 0);
  });

  test('a check of its own is registered and deregistered', async () => {
    const { agent } = consul();
    await agent.check.register({ name: 'disk', ttl: '1h', notes: 'space', timeout: '1s' });
    expect(await agent.checks()).toMatchObject({
      disk: { Name: 'disk', Notes: 'space', Status: 'critical' },
    });
    await agent.check.deregister('disk');
    expect(await agent.checks()).toEqual({});
  });

  test('the agent tells who it is, and whom it knows', async () => {
    const { agent, status, catalog } = consul();
    expect(await agent.self()).toMatchObject({
      Config: { Datacenter: 'dc1', NodeName: 'agent-one', Server: true },
      Member: { Name: 'agent-one', Addr: '127.0.0.1', Tags: { role: 'consul' } },
    });
    expect(await agent.members()).toMatchObject([{ Name: 'agent-one', Status: 1 }]);
    expect(await agent.members({ wan: true })).toMatchObject([{ Name: 'agent-one.dc1' }]);
    expect(await status.leader()).toBe(`127.0.0.1:${server.agent.ports.server}`);
    expect(await status.peers()).toEqual([`127.0.0.1:${server.agent.ports.server}`]);
    expect(await catalog.datacenters()).toEqual(['dc1']);
    await agent.reload();
    await expect(agent.forceLeave('nobody')).rejects.toMatchObject({ statusCode: 500 });
    await expect(agent.join('127.0.0.1:1')).rejects.toMatchObject({ statusCode: 500 });
  });

  test('the agent goes into maintenance and comes back', async () => {
    const { agent } = consul();
    await agent.maintenance({ enable: true, reason: 'disks' });
    expect(await agent.checks()).toMatchObject({ _node_maintenance: { Status: 'critical', Notes: 'disks' } });
    await agent.maintenance(false);
    expect(await agent.checks()).toEqual({});
  });

  test('nodes that have no agent are registered in the catalog, found and deregistered', async () => {
    const { catalog, health } = consul();
    await catalog.register({
      node: 'external',
      address: '10.0.0.7',
      nodemeta: { rack: 'r1' },
      service: { service: 'db', id: 'db-1', port: 5432, tags: ['primary'] },
      check: { node: 'external', checkid: 'db', name: 'db', serviceid: 'db-1', status: 'warning' },
    });
    expect(await catalog.nodes({ ...{ filter: 'Meta.rack == r1' } })).toMatchObject([{ Node: 'external' }]);
    expect(await catalog.node.services('external')).toMatchObject({
      Node: { Node: 'external', Address: '10.0.0.7' },
      Services: { 'db-1': { Service: 'db', Port: 5432 } },
    });
    expect(await catalog.services()).toMatchObject({ consul: [], db: ['primary'] });
    expect(await catalog.service.nodes('db')).toMatchObject([{ Node: 'external', ServicePort: 5432 }]);
    expect(await health.node('external')).toMatchObject([{ CheckID: 'db', Status: 'warning' }]);
    expect(await health.checks('db')).toMatchObject([{ CheckID: 'db', ServiceTags: ['primary'] }]);
    expect(await health.state('warning')).toMatchObject([{ CheckID: 'db' }]);
    expect(await health.service({ service: 'db', passing: true })).toEqual([]);
    await catalog.deregister('external');
    expect(await catalog.node.services('external')).toBeUndefined();
    expect(await catalog.service.nodes('db')).toEqual([]);
  });

  test('reads take the modes stale and consistent', async () => {
    const { catalog, health } = consul();
    for (const mode of [{ stale: true }, { consistent: true }] as object[]) {
      expect(await catalog.nodes({ ...mode })).toMatchObject([{ Node: 'agent-one' }]);
      expect(await health.service({ service: 'consul', ...mode })).toMatchObject([
        { Node: { Node: 'agent-one' } },
      ]);
    }
    await expect(catalog.nodes('nowhere')).rejects.toMatchObject({
      statusCode: 500,
      message: expect.stringContaining('No path to datacenter'),
    });
  });

  test('events are fired and listed with their payload', async () => {
    const { event } = consul();
    const fired = await event.fire('deploy', 'release 7');
    expect(fired).toMatchObject({ Name: 'deploy', Payload: 'release 7', ID: expect.any(String) });
    await event.fire({ name: 'bytes', payload: Buffer.from([0, 255]) });
    await untilAnswered(
      client,
      '/v1/event/list',
      ({ text }) => text.includes('bytes') && text.includes('deploy'),
    );
    expect(await event.list('deploy')).toMatchObject([{ ID: fired.ID, Payload: 'release 7' }]);
    expect((await event.list()).map(({ Name }) => Name)).toEqual(['deploy', 'bytes']);
    expect(await event.list('nothing')).toEqual([]);
  });

  test('a watch of a service tells each change of instances and health, and ends when it is told to', async () => {
    const watch = new Watched(
      consul(),
      (options: never) => consul().health.service(options),
      { service: 'api' },
      (data) =>
        (data as HealthEntry[]).map(({ Service, Checks }) => [Service.ID, ...Checks.map((c) => c.Status)]),
    );
    await watch.until(1);
    const register = (id: string, status: 'passing' | 'critical'): Promise<unknown> =>
      consul().catalog.register({
        node: 'api-node',
        address: '10.0.0.8',
        service: { service: 'api', id },
        check: { node: 'api-node', checkid: id, name: id, serviceid: id, status },
      });
    let told = 1;
    const steps = [
      () => register('api-1', 'passing'),
      () => register('api-2', 'passing'),
      () => register('api-1', 'critical'),
      () => consul().catalog.deregister({ node: 'api-node', serviceid: 'api-1' }),
      () => consul().catalog.deregister('api-node'),
    ];
    for (const step of steps) {
      await step();
      await consul().kv.set('unrelated', String(told));
      await watch.until(++told);
    }
    const ended = watch.ended();
    watch.end();
    await ended;
    expect(watch.changes).toEqual([
      [],
      [['api-1', 'passing']],
      [
        ['api-1', 'passing'],
        ['api-2', 'passing'],
      ],
      [
        ['api-1', 'critical'],
        ['api-2', 'passing'],
      ],
      [['api-2', 'passing']],
      [],
    ]);
    expect(watch.errors).toEqual([]);
  });

  // A real Consul has prepared queries; a gateway says that it has none.
  if (server.kind === 'gateway') {
    test('prepared queries are refused in one line, and there are none', async () => {
      const { query } = consul();
      expect(await query.list()).toEqual([]);
      await expect(query.create('web')).rejects.toMatchObject({
        statusCode: 501,
        message: 'Prepared queries are not supported yet',
      });
      await expect(query.execute('web')).rejects.toMatchObject({
        statusCode: 404,
        message: 'Query not found',
      });
    });
  }

  async function untilPassing(service: string, count: number): Promise<void> {
    await untilAnswered(
      client,
      `/v1/health/service/${service}?passing`,
      ({ text }) => (JSON.parse(text) as unknown[]).length === count,
    );
  }
});
