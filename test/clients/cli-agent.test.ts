import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { bodyOf, httpClient, untilAnswered } from './support/http.ts';
import { describeServersWithCli } from './support/servers.ts';

interface AgentService {
  readonly ID: string;
  readonly Service: string;
  readonly Port: number;
  readonly Tags: readonly string[];
  readonly Meta: Readonly<Record<string, string>>;
}
interface AgentCheck {
  readonly CheckID: string;
  readonly Status: string;
  readonly Notes: string;
  readonly ServiceID: string;
}

const servicesInHcl = `
services {
  id   = "hcl-1"
  name = "from-hcl"
  port = 8080
  tags = ["a", "b"]
  meta = { team = "blue" }
  check {
    id     = "hcl-ttl"
    name   = "heartbeat"
    ttl    = "1h"
    status = "passing"
  }
}
services {
  name = "second"
}
`;

const servicesInJson = {
  service: {
    name: 'from-json',
    port: 9090,
    tagged_addresses: { lan: { address: '10.0.0.1', port: 90 } },
    checks: [{ name: 'alive', ttl: '1h' }],
  },
};

describeServersWithCli('the consul CLI and its agent', (server) => {
  const client = httpClient(server);
  let place: string;

  beforeAll(async () => {
    place = await mkdtemp(join(tmpdir(), 'grapevine-test-cli-'));
  });

  afterAll(() => rm(place, { recursive: true, force: true }));

  test('services register takes files in HCL and JSON, deregister takes them again', async () => {
    const hcl = await inFile('web.hcl', servicesInHcl);
    const json = await inFile('web.json', JSON.stringify(servicesInJson));
    expect(await server.cli(['services', 'register', hcl, json])).toEqual({
      code: 0,
      stdout: 'Registered service: from-hcl\nRegistered service: second\nRegistered service: from-json\n',
      stderr: '',
    });
    const services = bodyOf(await client.get('/v1/agent/services')) as Record<string, AgentService>;
    expect(Object.keys(services).toSorted()).toEqual(['from-json', 'hcl-1', 'second']);
    expect(services['hcl-1']).toMatchObject({
      Service: 'from-hcl',
      Port: 8080,
      Tags: ['a', 'b'],
      Meta: { team: 'blue' },
    });
    const checks = await agentChecks();
    expect(checks['hcl-ttl']).toMatchObject({ ServiceID: 'hcl-1', Status: 'passing' });
    expect(checks['service:from-json']).toMatchObject({ ServiceID: 'from-json', Status: 'critical' });
    await untilAnswered(client, '/v1/catalog/services', ({ text }) => text.includes('from-hcl'));

    expect(await server.cli(['services', 'deregister', hcl])).toMatchObject({ code: 0, stderr: '' });
    expect(await server.cli(['services', 'deregister', '-id=from-json'])).toMatchObject({
      code: 0,
      stderr: '',
    });
    expect((await client.get('/v1/agent/services')).text).toBe('{}');
    await untilAnswered(client, '/v1/catalog/services', ({ text }) => !text.includes('from-'));
  });

  test('services register takes flags', async () => {
    const args = ['-name=flagged', '-id=f1', '-port=7', '-tag=x', '-tag=y', '-meta=k=v', '-address=10.0.0.9'];
    expect(await server.cli(['services', 'register', ...args])).toMatchObject({
      code: 0,
      stdout: 'Registered service: flagged\n',
    });
    expect(bodyOf(await client.get('/v1/agent/service/f1')) as AgentService).toMatchObject({
      ID: 'f1',
      Service: 'flagged',
      Address: '10.0.0.9',
      Port: 7,
      Tags: ['x', 'y'],
      Meta: { k: 'v' },
    });
    expect(await server.cli(['services', 'deregister', '-id=f1'])).toMatchObject({ code: 0 });
  });

  test('maint puts the node into maintenance with a reason, says so, and takes it out', async () => {
    expect(await server.cli(['maint', '-enable', '-reason=new disks & <cables>'])).toMatchObject({
      code: 0,
      stdout: 'Node maintenance is now enabled\n',
    });
    expect((await agentChecks())['_node_maintenance']).toMatchObject({
      Status: 'critical',
      Notes: 'new disks & <cables>',
    });
    expect((await server.cli(['maint'])).stdout).toBe(
      'Node:\n  Name:   agent-one\n  Reason: new disks & <cables>\n\n',
    );
    await untilAnswered(client, '/v1/health/state/critical', ({ text }) =>
      text.includes('_node_maintenance'),
    );
    expect(await server.cli(['maint', '-disable'])).toMatchObject({
      code: 0,
      stdout: 'Node maintenance is now disabled\n',
    });
    expect(await agentChecks()).toEqual({});
    expect(await server.cli(['maint'])).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  test('maint of a service hides it from those that ask for passing instances', async () => {
    await client.put('/v1/agent/service/register', { ID: 'web/1', Name: 'web' });
    const passing = '/v1/health/service/web?passing';
    await untilAnswered(client, passing, ({ text }) => text !== '[]');
    expect(await server.cli(['maint', '-enable', '-service=web/1'])).toMatchObject({
      code: 0,
      stdout: 'Service maintenance is now enabled for "web/1"\n',
    });
    await untilAnswered(client, passing, ({ text }) => text === '[]');
    expect((await server.cli(['maint'])).stdout).toBe(
      'Service:\n  ID:     web/1\n' +
        '  Reason: Maintenance mode is enabled for this service, but no reason was provided. This is a default message.\n\n',
    );
    expect(await server.cli(['maint', '-disable', '-service=web/1'])).toMatchObject({ code: 0 });
    await untilAnswered(client, passing, ({ text }) => text !== '[]');
    expect((await server.cli(['maint', '-enable', '-service=nobody'])).code).toBe(1);
    await client.put('/v1/agent/service/deregister/web%2F1');
  });

  test('the monitor shows the line of a request, without its token', async () => {
    const lines = await monitored('?loglevel=debug', '/v1/kv/monitored?token=secret&raw');
    expect(lines.at(-1)).toMatch(
      /^\S+Z \[DEBUG\] agent\.http: Request finished: method=GET url="?\/v1\/kv\/monitored\?token=<hidden>&raw"? from=127\.0\.0\.1:\d+ latency=\S+s$/,
    );
  });

  test('the monitor shows lines as JSON', async () => {
    const lines = await monitored('?loglevel=debug&logjson', '/v1/kv/in-json');
    expect(JSON.parse(lines.at(-1) ?? '')).toMatchObject({
      '@level': 'debug',
      '@message': 'Request finished',
      '@module': 'agent.http',
      method: 'GET',
      url: '/v1/kv/in-json',
    });
  });

  // The CLI asks for gzip, and 1.8.7 answers it with plain bytes that it calls gzip: `consul monitor` ends at once.
  if (server.kind === 'gateway') {
    test('consul monitor prints the line of a request', async () => {
      const monitor = server.startCli(['monitor', '-log-level=debug']);
      const stop = request('/v1/kv/monitored');
      await monitor.untilPrinted('/v1/kv/monitored');
      await stop();
      monitor.signal('SIGINT');
      expect(await monitor.exited()).toBe(0);
    });
  }

  test('consul monitor says that it does not know a level', async () => {
    const monitor = await server.cli(['monitor', '-log-level=nonsense']);
    expect(monitor.code).toBe(1);
    expect(monitor.stderr).toContain('Unknown log level: nonsense');
  });

  test('info shows what scripts look for: the role, the leader and the build', async () => {
    const info = await server.cli(['info']);
    expect(info.code).toBe(0);
    expect(info.stdout).toMatch(/^agent:$/m);
    expect(info.stdout).toMatch(/^\tversion = \d+\.\d+\.\d+$/m);
    expect(info.stdout).toMatch(/^\tserver = true$/m);
    expect(info.stdout).toMatch(/^\tleader = true$/m);
    expect(info.stdout).toMatch(/^\tleader_addr = 127\.0\.0\.1:\d+$/m);
    expect(info.stdout).toMatch(/^serf_lan:$/m);
    expect(info.stdout).toMatch(/^\tmembers = 1$/m);
  });

  test('join says why it cannot, and how many it joined', async () => {
    const joined = await server.cli(['join', '127.0.0.1:1']);
    expect(joined.code).toBe(1);
    expect(joined.stderr).toMatch(
      /^Error joining address '127\.0\.0\.1:1': Unexpected response code: 500 \(/,
    );
    expect(joined.stderr).toMatch(/Failed to join 127\.0\.0\.1/);
    expect(joined.stderr).toMatch(/Failed to join any nodes\.\n$/);
  });

  test('a snapshot is saved, verified and inspected', async () => {
    await client.put('/v1/kv/in/the/snapshot', 'x');
    const file = join(place, 'backup.snap');
    const saved = await server.cli(['snapshot', 'save', file]);
    expect(saved).toMatchObject({ code: 0, stderr: '' });
    expect(saved.stdout).toMatch(/^Saved and verified snapshot to index \d+\n$/);
    const inspected = await server.cli(['snapshot', 'inspect', file]);
    expect(inspected.code).toBe(0);
    const index = /index (\d+)/.exec(saved.stdout)?.[1];
    expect(inspected.stdout).toMatch(
      new RegExp(`^ID +\\S+\\nSize +\\d+\\nIndex +${index}\\nTerm +\\d+\\nVersion +\\d+\\n`),
    );
  });

  test('a restored snapshot brings back what was saved', async () => {
    const file = join(place, 'restored.snap');
    await client.put('/v1/kv/restored', 'before');
    await server.cli(['snapshot', 'save', file]);
    await client.put('/v1/kv/restored', 'after');
    expect(await server.cli(['snapshot', 'restore', file])).toEqual({
      code: 0,
      stdout: 'Restored snapshot\n',
      stderr: '',
    });
    expect((await client.get('/v1/kv/restored?raw')).text).toBe('before');
    // The server goes on: what follows is written, and seen.
    await client.put('/v1/kv/restored', 'later');
    expect((await server.cli(['kv', 'get', 'restored'])).stdout).toBe('later\n');
  });

  test('an event is seen by the agents that its filters name', async () => {
    await server.cli(['event', '-name=elsewhere', '-node=^other-', 'x']);
    const fired = await server.cli(['event', '-name=here', '-node=^agent-', 'payload']);
    const id = /^Event ID: (\S+)\n$/.exec(fired.stdout)?.[1];
    const listed = await untilAnswered(client, '/v1/event/list', ({ text }) => text !== '[]');
    expect(JSON.parse(listed.text)).toMatchObject([
      { ID: id, Name: 'here', Payload: Buffer.from('payload').toString('base64'), NodeFilter: '^agent-' },
    ]);
  });

  /** Reads the monitor until it shows a request of this path, which is made until then. */
  async function monitored(query: string, path: string): Promise<string[]> {
    const end = new AbortController();
    const response = await fetch(`${server.agent.url}/v1/agent/monitor${query}`, {
      headers: { 'Accept-Encoding': 'identity' },
      signal: AbortSignal.any([end.signal, AbortSignal.timeout(20_000)]),
    });
    const stop = request(path);
    let text = '';
    const wanted = path.split('?')[0] ?? '';
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk as Uint8Array).toString();
      if (text.includes(wanted) && text.endsWith('\n')) break;
    }
    end.abort();
    await stop();
    return text.split('\n').filter((line) => line.includes(wanted));
  }

  /** Requests the path over and over: when a monitor has begun to listen is not told. */
  function request(path: string): () => Promise<void> {
    const end = new AbortController();
    const requests = (async () => {
      while (!end.signal.aborted) await client.get(path);
    })();
    return async () => {
      end.abort();
      await requests;
    };
  }

  async function inFile(name: string, text: string): Promise<string> {
    const file = join(place, name);
    await writeFile(file, text);
    return file;
  }

  async function agentChecks(): Promise<Record<string, AgentCheck>> {
    return bodyOf(await client.get('/v1/agent/checks')) as Record<string, AgentCheck>;
  }
});

describeServersWithCli(
  'consul leave',
  (server) => {
    test('the agent says good-bye and its process ends with 0', async () => {
      const ended = server.agent.exited();
      expect(await server.cli(['leave'])).toEqual({
        code: 0,
        stdout: 'Graceful leave complete\n',
        stderr: '',
      });
      expect(await ended).toBe(0);
      // A real Consul gives peers, of which it has none, time to hear of it.
    }, 30_000);
  },
  { performance: { leave_drain_time: '1ms' } },
);
