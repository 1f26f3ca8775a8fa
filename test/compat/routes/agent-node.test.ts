import { describe, expect, test } from '@jest/globals';
import { agentClusterRoutes } from '../../../compat/routes/agent-cluster.ts';
import { agentObserveRoutes } from '../../../compat/routes/agent-observe.ts';
import { agentRefusedRoutes } from '../../../compat/routes/agent-refused.ts';
import { agentSelfRoutes } from '../../../compat/routes/agent-self.ts';
import type { LogLine } from '../../../src/kernel/log-line.ts';
import type { Method } from '../../../compat/wire/http.ts';
import { AgentFixture } from '../agent/agent-fixture.ts';

const routes = [...agentClusterRoutes, ...agentObserveRoutes, ...agentRefusedRoutes, ...agentSelfRoutes];

async function ask(fixture: AgentFixture, method: Method, path: string): Promise<string> {
  const reply = await fixture.request(routes, method, `/v1/agent/${path}`);
  return `${reply.status} ${String(reply.body)}`;
}

async function read(path: string): Promise<Record<string, unknown>> {
  const fixture = await AgentFixture.start();
  const reply = await fixture.request(routes, 'GET', `/v1/agent/${path}`);
  return JSON.parse(String(reply.body)) as Record<string, unknown>;
}

describe('self', () => {
  test('has what clients read of it', async () => {
    const self = await read('self');
    expect(Object.keys(self)).toEqual(['Config', 'DebugConfig', 'Coord', 'Member', 'Stats', 'Meta']);
    expect(self['Config']).toMatchObject({
      Datacenter: 'dc1',
      NodeName: 'n1',
      NodeID: '42c8f297-c116-4fe6-0c17-c4038ba4e561',
      Server: true,
      Version: expect.stringMatching(/^\d+\.\d+\.\d+$/),
    });
    expect(self['Member']).toMatchObject({ Name: 'n1', Addr: '10.1.1.1', Port: 8301, Status: 1 });
    expect(self['Meta']).toEqual({ rack: 'r1', 'consul-network-segment': '' });
    expect(self['Coord']).toMatchObject({ Vec: [0, 0, 0, 0, 0, 0, 0, 0], Error: 1.5 });
  });
});

describe('members', () => {
  test('has this gateway as a server, in both pools', async () => {
    const fixture = await AgentFixture.start();
    const lan = JSON.parse((await ask(fixture, 'GET', 'members')).slice(4)) as unknown[];
    expect(lan).toEqual([
      {
        Name: 'n1',
        Addr: '10.1.1.1',
        Port: 8301,
        Tags: expect.objectContaining({
          role: 'consul',
          dc: 'dc1',
          port: '8300',
          build: expect.stringMatching(/^\d+\.\d+\.\d+:grapevine$/),
          wan_join_port: '8302',
        }),
        Status: 1,
        ProtocolMin: 1,
        ProtocolMax: 5,
        ProtocolCur: 2,
        DelegateMin: 2,
        DelegateMax: 5,
        DelegateCur: 4,
      },
    ]);
    expect(await ask(fixture, 'GET', 'members?wan=1')).toContain('"Name":"n1.dc1"');
    expect(await ask(fixture, 'GET', 'members?segment=_all')).toContain('"Name":"n1"');
    expect(await ask(fixture, 'GET', 'members?filter=Name==x')).toBe('200 []');
  });

  test('knows no segments', async () => {
    const fixture = await AgentFixture.start();
    expect(await ask(fixture, 'GET', 'members?segment=x')).toBe(
      '500 Network segments are not supported in this version of Consul',
    );
    expect(await ask(fixture, 'GET', 'members?segment=x&wan=1')).toBe(
      '400 Cannot provide a segment with wan=true',
    );
  });
});

describe('a cluster of one', () => {
  test('joins itself and refuses others', async () => {
    const fixture = await AgentFixture.start();
    expect(await ask(fixture, 'PUT', 'join/10.1.1.1:8301')).toBe('200 ');
    expect(await ask(fixture, 'PUT', 'join/10.9.9.9')).toMatch(/^500 1 error occurred:\n\t\* Failed to join/);
    expect(await ask(fixture, 'PUT', 'force-leave/n1')).toBe('200 ');
    expect(await ask(fixture, 'PUT', 'force-leave/nope')).toBe("500 agent: No node found with name 'nope'");
  });

  test('leaves when it is told to', async () => {
    const fixture = await AgentFixture.start();
    expect(await ask(fixture, 'PUT', 'leave')).toBe('200 ');
    expect(fixture.left).toBe(true);
    expect(await ask(fixture, 'PUT', 'reload')).toBe('200 ');
  });
});

describe('monitor', () => {
  const line: LogLine = {
    level: 'info',
    time: '2026-11-22T16:19:52.031Z',
    name: 'agent',
    message: 'Synced service',
    fields: { service: 'x y', count: 2 },
  };

  test.each([
    ['monitor', '2026-11-22T16:19:52.031Z [INFO]  agent: Synced service: service="x y" count=2\n'],
    [
      'monitor?logjson',
      '{"@level":"info","@message":"Synced service","@module":"agent",' +
        '"@timestamp":"2026-11-22T16:19:52.031000Z","service":"x y","count":2}\n',
    ],
  ])('%s streams the log as Consul prints it, until the client leaves', async (path, text) => {
    const fixture = await AgentFixture.start();
    const result = fixture.result(routes, 'GET', `/v1/agent/${path}`);
    if (result.kind !== 'stream') throw new Error('no stream');
    const chunks: (string | Uint8Array)[] = [];
    const stop = result.start((chunk) => void chunks.push(chunk));
    for (const monitor of fixture.monitors) monitor.line(line);
    expect(chunks).toEqual([text]);
    stop();
    expect(fixture.monitors.size).toBe(0);
  });

  test('takes a level, in any case, and no other word', async () => {
    const fixture = await AgentFixture.start();
    const result = fixture.result(routes, 'GET', '/v1/agent/monitor?loglevel=Debug');
    if (result.kind !== 'stream') throw new Error('no stream');
    result.start(() => undefined);
    expect([...fixture.monitors].map(({ level }) => level)).toEqual(['debug']);
    expect(await ask(fixture, 'GET', 'monitor?loglevel=foo')).toBe('400 Unknown log level: foo');
  });
});

describe('metrics', () => {
  test('in the form of Prometheus are 415 when they are not kept', async () => {
    const fixture = await AgentFixture.start();
    expect(await ask(fixture, 'GET', 'metrics?format=prometheus')).toBe(
      '415 Prometheus is not enabled since its retention time is not positive',
    );
    expect(await ask(fixture, 'GET', 'metrics')).toMatch(
      /^200 {"Timestamp":"1970-01-01 00:00:00 \+0000 UTC"/,
    );
  });
});

describe('what is not here', () => {
  test.each<[Method, string, string]>([
    ['PUT', 'token/default', '401 ACL support disabled'],
    ['GET', 'connect/ca/roots', '500 Connect must be enabled in order to use this endpoint'],
    ['GET', 'connect/ca/leaf/web', '500 Connect must be enabled in order to use this endpoint'],
    ['POST', 'connect/authorize', '500 Connect must be enabled in order to use this endpoint'],
  ])('%s %s answers %s', async (method, path, answer) => {
    expect(await ask(await AgentFixture.start(), method, path)).toBe(answer);
  });
});

describe('version and host', () => {
  test('answer', async () => {
    expect(await read('version')).toMatchObject({ HumanVersion: expect.stringMatching(/^\d/), FIPS: '' });
    expect(await read('host')).toEqual({ Errors: null });
  });
});
