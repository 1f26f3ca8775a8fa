import { expect, test } from '@jest/globals';
import { bodyOf, httpClient, type KvEntry, untilAnswered } from './support/http.ts';
import { describeServers } from './support/servers.ts';

// The requests that these programs make, in their order, after reading their sources; each test is one claim that the
// program depends on.

interface AgentService {
  readonly ID: string;
  readonly Service: string;
}
interface Check {
  readonly CheckID: string;
  readonly Status: string;
  readonly ModifyIndex: number;
}

describeServers('clients of the agent', (server) => {
  const client = httpClient(server);

  test("Nomad: the fields of its fingerprint are there, and of Consul's types", async () => {
    expect(bodyOf(await client.get('/v1/agent/self'))).toMatchObject({
      Config: {
        Server: true,
        Version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
        Revision: expect.any(String),
        NodeName: 'agent-one',
        NodeID: expect.stringMatching(/^[0-9a-f-]{36}$/),
        Datacenter: 'dc1',
      },
      Member: { Tags: { segment: expect.any(String) } },
      DebugConfig: {
        ConnectEnabled: false,
        GRPCPort: -1,
        DNSPort: server.agent.ports.dns,
        DNSAddrs: expect.arrayContaining([`udp://127.0.0.1:${server.agent.ports.dns}`]),
      },
    });
  });

  test('Nomad: the services of the agent are its own, never those of the catalog', async () => {
    await client.put('/v1/catalog/register', {
      Node: 'another-node',
      Address: '10.0.0.2',
      Service: { ID: '_nomad-task-elsewhere', Service: 'elsewhere' },
    });
    await client.put('/v1/agent/service/register?replace-existing-checks=true', {
      ID: '_nomad-task-here',
      Name: 'here',
      Checks: [{ CheckID: '_nomad-check-1', Name: 'alive', TTL: '1h' }],
    });
    const listed = bodyOf(await client.get('/v1/agent/services')) as Record<string, AgentService>;
    expect(Object.keys(listed)).toEqual(['_nomad-task-here']);
    const filter = encodeURIComponent('Service == "here"');
    expect(Object.keys(bodyOf(await client.get(`/v1/agent/services?filter=${filter}`)) as object)).toEqual([
      '_nomad-task-here',
    ]);
    // Deregistering what it does not know of, it takes nothing of the other node's away.
    await client.put('/v1/agent/service/deregister/_nomad-task-elsewhere');
    expect((await client.get('/v1/catalog/service/elsewhere')).text).toContain('_nomad-task-elsewhere');
  });

  test('Nomad: a service that is registered again with other checks has those and no others', async () => {
    const register = (checks: readonly string[]): Promise<unknown> =>
      client.put('/v1/agent/service/register?replace-existing-checks=true', {
        ID: '_nomad-task-checks',
        Name: 'checks',
        Checks: checks.map((CheckID) => ({ CheckID, Name: CheckID, TTL: '1h' })),
      });
    await register(['_nomad-check-a', '_nomad-check-b']);
    await client.put('/v1/agent/check/update/_nomad-check-b', { Status: 'passing', Output: 'nomad: ok' });
    await register(['_nomad-check-b', '_nomad-check-c']);
    const filter = encodeURIComponent('ServiceID == "_nomad-task-checks"');
    const checks = bodyOf(await client.get(`/v1/agent/checks?filter=${filter}`)) as Record<string, Check>;
    expect(Object.keys(checks).toSorted()).toEqual(['_nomad-check-b', '_nomad-check-c']);
    expect(checks['_nomad-check-b']).toMatchObject({ Status: 'passing', Output: 'nomad: ok' });
    for (const id of ['_nomad-task-checks', '_nomad-task-here']) {
      expect((await client.put(`/v1/agent/service/deregister/${id}`)).status).toBe(200);
    }
    expect((await client.get('/v1/agent/services')).text).toBe('{}');
  });

  test('registrator: asks for the leader, registers with a check, lists, and deregisters what is gone', async () => {
    expect(bodyOf(await client.get('/v1/status/leader'))).not.toBe('');
    const id = 'host:container:80';
    await client.put('/v1/agent/service/register', {
      ID: id,
      Name: 'nginx',
      Port: 32768,
      Tags: ['v1'],
      Address: '10.0.0.3',
      Check: { HTTP: 'http://127.0.0.1:1/health', Interval: '1h', Timeout: '1s' },
    });
    expect(bodyOf(await client.get('/v1/agent/services'))).toMatchObject({
      [id]: { Service: 'nginx', Port: 32768, Tags: ['v1'], Address: '10.0.0.3' },
    });
    await untilAnswered(client, '/v1/catalog/service/nginx', ({ text }) => text.includes(id));
    await client.put(`/v1/agent/service/deregister/${id}`);
    await untilAnswered(client, '/v1/catalog/service/nginx', ({ text }) => text === '[]');
  });

  test('registrator with keys: puts and deletes one key for each container', async () => {
    expect((await client.put('/v1/kv/containers/nginx/host:container:80', '10.0.0.3:32768')).text).toBe(
      'true',
    );
    expect((await client.del('/v1/kv/containers/nginx/host:container:80')).text).toBe('true');
  });

  test('Spring Cloud: a heartbeat that nobody knows is answered with 404 or 5xx, so that it registers again', async () => {
    const pass = '/v1/agent/check/pass/service:orders-1';
    const { status } = await client.put(pass);
    expect(status === 404 || status >= 500).toBe(true);
    await client.put('/v1/agent/service/register', {
      ID: 'orders-1',
      Name: 'orders',
      Check: { TTL: '30s', DeregisterCriticalServiceAfter: '90m' },
    });
    expect((await client.put(pass)).status).toBe(200);
    await client.put('/v1/agent/service/deregister/orders-1');
  });

  test('consul-esm: every instance of the service consul tells its version', async () => {
    const instances = bodyOf(await client.get('/v1/health/service/consul')) as {
      Service: { Meta: object };
    }[];
    expect(instances).toHaveLength(1);
    expect(instances[0]?.Service.Meta).toMatchObject({ version: expect.stringMatching(/^\d+\.\d+\.\d+$/) });
  });

  test('consul-esm: external nodes are watched by their metadata, their checks by state', async () => {
    const nodes = await client.get('/v1/catalog/nodes?node-meta=external-node:true');
    const waiting = client.get(`/v1/catalog/nodes?node-meta=external-node:true&index=${nodes.index}`);
    const definition = { HTTP: 'http://10.0.0.5/', IntervalDuration: '30s', TimeoutDuration: '1s' };
    await client.put('/v1/catalog/register', {
      Node: 'esm-node',
      Address: '10.0.0.5',
      NodeMeta: { 'external-node': 'true', 'external-probe': 'true' },
      Service: { ID: 'esm-web', Service: 'esm-web', Port: 80 },
      Check: {
        Node: 'esm-node',
        CheckID: 'esm-check',
        Name: 'web',
        ServiceID: 'esm-web',
        Status: 'passing',
        Definition: definition,
      },
    });
    expect((bodyOf(await waiting) as { Node: string }[]).map(({ Node }) => Node)).toEqual(['esm-node']);
    const checks = bodyOf(await client.get('/v1/health/state/any?node-meta=external-node:true')) as {
      Definition: object;
    }[];
    expect(checks).toMatchObject([{ CheckID: 'esm-check', Definition: { HTTP: 'http://10.0.0.5/' } }]);
    expect(bodyOf(await client.get('/v1/health/node/esm-node?consistent'))).toHaveLength(1);
  });

  test("consul-esm: a check's new status is set by its version, and fails where somebody was faster", async () => {
    const check = async (): Promise<Check> =>
      (bodyOf(await client.get('/v1/health/node/esm-node?consistent')) as Check[])[0] as Check;
    const update = (ModifyIndex: number, Status: string): Promise<{ status: number; text: string }> =>
      client.put('/v1/txn', [
        {
          Check: {
            Verb: 'cas',
            Check: {
              Node: 'esm-node',
              CheckID: 'esm-check',
              Name: 'web',
              ServiceID: 'esm-web',
              Status,
              Output: 'probed',
              ModifyIndex,
            },
          },
        },
      ]);
    const before = await check();
    expect((await update(before.ModifyIndex, 'critical')).status).toBe(200);
    expect(await check()).toMatchObject({ Status: 'critical', Output: 'probed' });
    const late = await update(before.ModifyIndex, 'passing');
    expect(late.status).toBe(409);
    expect(late.text).toContain('"OpIndex":0');
    expect(await check()).toMatchObject({ Status: 'critical' });
  });

  test('consul-esm: a node that is gone too long is reaped by its version, together with its key', async () => {
    await client.put('/v1/kv/consul-esm/probes/esm-node', 'x');
    const [entry] = bodyOf(await client.get('/v1/kv/consul-esm/probes/esm-node')) as KvEntry[];
    const { Node } = bodyOf(await client.get('/v1/catalog/node/esm-node')) as {
      Node: { ModifyIndex: number };
    };
    const reap = (ModifyIndex: number): Promise<{ status: number }> =>
      client.put('/v1/txn', [
        { Node: { Verb: 'delete-cas', Node: { Node: 'esm-node', ModifyIndex } } },
        { KV: { Verb: 'delete-cas', Key: 'consul-esm/probes/esm-node', Index: entry?.ModifyIndex } },
      ]);
    expect((await reap(Node.ModifyIndex + 1)).status).toBe(409);
    expect((await client.get('/v1/kv/consul-esm/probes/esm-node')).status).toBe(200);
    expect((await reap(Node.ModifyIndex)).status).toBe(200);
    expect((await client.get('/v1/catalog/node/esm-node')).text).toBe('null');
    expect((await client.get('/v1/catalog/service/esm-web')).text).toBe('[]');
    expect((await client.get('/v1/kv/consul-esm/probes/esm-node')).status).toBe(404);
  });

  test('consul-esm: a coordinate may be missing, and is shown once it was sent', async () => {
    await client.put('/v1/catalog/register', { Node: 'pinged', Address: '10.0.0.6' });
    expect((await client.get('/v1/coordinate/node/pinged')).status).toBe(404);
    const Coord = { Vec: [0.01, 0, 0, 0, 0, 0, 0, 0], Error: 1.5, Adjustment: 0, Height: 0.001 };
    expect((await client.put('/v1/coordinate/update', { Node: 'pinged', Coord })).status).toBe(200);
    // A real Consul writes coordinates in batches, every five seconds.
    const shown = await untilAnswered(client, '/v1/coordinate/node/pinged', ({ status }) => status === 200);
    expect(bodyOf(shown)).toMatchObject([{ Node: 'pinged', Coord }]);
  }, 30_000);
});
