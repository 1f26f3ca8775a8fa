import { beforeAll, expect, test } from '@jest/globals';
import { describeRealConsul } from '../support/real-consul.ts';
import { bodyOf, httpClient, untilAnswered } from './support/http.ts';
import { normalized } from './support/normalize.ts';
import { type ServerUnderTest, serverUnderTest } from './support/servers.ts';

interface Command {
  readonly args: readonly string[];
  readonly stdin?: string;
}

/** Commands that run one after the other on both sides: each must end and print alike. */
const scripts: Record<string, readonly Command[]> = {
  'kv: values': [
    { args: ['kv', 'put', 'app/greeting', 'hello'] },
    { args: ['kv', 'put', 'app/empty'] },
    { args: ['kv', 'put', 'app/stdin', '-'], stdin: 'two\nlines\n' },
    { args: ['kv', 'put', '-base64', 'app/bytes', 'AP8Q'] },
    { args: ['kv', 'put', '-base64', 'app/bytes', 'no base64!'] },
    { args: ['kv', 'put', 'app/ünïcode key?#%&', 'wörld'] },
    { args: ['kv', 'put', '/app/slash', 'x'] },
    { args: ['kv', 'get', 'app/greeting'] },
    { args: ['kv', 'get', '-base64', 'app/bytes'] },
    { args: ['kv', 'get', '-detailed', 'app/greeting'] },
    { args: ['kv', 'get', '-detailed', 'app/empty'] },
    { args: ['kv', 'get', '-detailed', '-base64', 'app/bytes'] },
    { args: ['kv', 'get', 'app/ünïcode key?#%&'] },
    { args: ['kv', 'get', '/app/greeting'] },
    { args: ['kv', 'get', 'app/missing'] },
    { args: ['kv', 'get', '-stale', 'app/greeting'] },
    { args: ['kv', 'get', '-datacenter=nowhere', 'app/greeting'] },
    { args: ['kv', 'put', '-datacenter=nowhere', 'app/greeting', 'x'] },
  ],
  'kv: lists': [
    { args: ['kv', 'get', '-recurse', 'app/'] },
    { args: ['kv', 'get', '-recurse', '-detailed', 'app/'] },
    { args: ['kv', 'get', '-recurse', '-base64', 'app/'] },
    { args: ['kv', 'get', '-recurse', 'nothing/'] },
    { args: ['kv', 'get', '-keys'] },
    { args: ['kv', 'get', '-keys', 'app/'] },
    { args: ['kv', 'get', '-keys', '-separator=', 'app'] },
    { args: ['kv', 'get', '-keys', '-separator=e', 'app/'] },
    { args: ['kv', 'get', '-keys', 'nothing/'] },
    { args: ['kv', 'export', 'app/'] },
    { args: ['kv', 'export', 'nothing/'] },
    { args: ['kv', 'export'] },
  ],
  'kv: flags up to the last bit of uint64': [
    { args: ['kv', 'put', '-flags=18446744073709551615', 'flags/most', 'x'] },
    { args: ['kv', 'put', '-flags=3304740253564472344', 'flags/lock', 'x'] },
    { args: ['kv', 'put', '-flags=9007199254740993', 'flags/odd', 'x'] },
    { args: ['kv', 'get', '-detailed', 'flags/most'] },
    { args: ['kv', 'get', '-detailed', '-recurse', 'flags/'] },
    { args: ['kv', 'export', 'flags/'] },
  ],
  'kv: import': [
    {
      args: ['kv', 'import', '-'],
      stdin: JSON.stringify([
        { key: 'imported/a', flags: 0, value: 'YQ==' },
        { key: 'imported/b/c', flags: 42, value: '' },
      ]).replace('42', '18446744073709551615'),
    },
    { args: ['kv', 'get', '-recurse', '-detailed', 'imported/'] },
    { args: ['kv', 'import', '-prefix=below/', '-'], stdin: '[{"key":"a","flags":7,"value":"YQ=="}]' },
    { args: ['kv', 'export', 'below/'] },
    { args: ['kv', 'import', 'no json'] },
  ],
  'kv: check and set': [
    { args: ['kv', 'put', '-cas', '-modify-index=1', 'cas/a', 'x'] },
    { args: ['kv', 'put', '-cas', 'cas/a', 'x'] },
    { args: ['kv', 'put', 'cas/a', 'x'] },
    { args: ['kv', 'put', '-cas', '-modify-index=1', 'cas/a', 'y'] },
    { args: ['kv', 'delete', '-cas', '-modify-index=1', 'cas/a'] },
    { args: ['kv', 'delete', '-cas', 'cas/a'] },
    { args: ['kv', 'get', 'cas/a'] },
  ],
  'kv: delete': [
    { args: ['kv', 'delete', 'app/greeting'] },
    { args: ['kv', 'delete', 'app/greeting'] },
    { args: ['kv', 'delete', '-recurse', 'app/'] },
    { args: ['kv', 'delete', '-recurse', 'nothing/'] },
    { args: ['kv', 'delete', '-recurse'] },
    { args: ['kv', 'get', '-recurse'] },
  ],
  'kv: a lock without a session': [
    { args: ['kv', 'put', '-acquire', 'locks/a', 'x'] },
    { args: ['kv', 'put', '-acquire', '-session=no-uuid', 'locks/a', 'x'] },
    { args: ['kv', 'put', '-acquire', '-session=6e4bba3d-1d0e-4e6f-9d3e-3a1f2a6b8f00', 'locks/a', 'x'] },
    { args: ['kv', 'put', '-release', '-session=6e4bba3d-1d0e-4e6f-9d3e-3a1f2a6b8f00', 'locks/a', 'x'] },
  ],
  catalog: [
    { args: ['catalog', 'datacenters'] },
    { args: ['catalog', 'nodes'] },
    { args: ['catalog', 'nodes', '-detailed'] },
    { args: ['catalog', 'nodes', '-service=web'] },
    { args: ['catalog', 'nodes', '-service=nothing'] },
    { args: ['catalog', 'nodes', '-node-meta=rack=r1'] },
    { args: ['catalog', 'nodes', '-node-meta=rack=r9'] },
    { args: ['catalog', 'nodes', '-near=_agent'] },
    { args: ['catalog', 'nodes', '-filter=Meta.rack == r1'] },
    { args: ['catalog', 'nodes', '-datacenter=nowhere'] },
    { args: ['catalog', 'services'] },
    { args: ['catalog', 'services', '-tags'] },
    { args: ['catalog', 'services', '-node=external-1'] },
    { args: ['catalog', 'services', '-node=external-1', '-tags'] },
    { args: ['catalog', 'services', '-node=nobody'] },
    { args: ['catalog', 'services', '-node-meta=rack=r1'] },
  ],
  members: [
    { args: ['members'] },
    { args: ['members', '-detailed'] },
    { args: ['members', '-wan'] },
    { args: ['members', '-status=alive'] },
    { args: ['members', '-status=failed'] },
  ],
  'operators and agents': [
    { args: ['operator', 'raft', 'list-peers'] },
    { args: ['operator', 'autopilot', 'get-config'] },
    { args: ['keyring', '-list'] },
    { args: ['force-leave', 'nobody'] },
    { args: ['force-leave', '-prune', 'nobody'] },
    { args: ['reload'] },
    { args: ['version'] },
    { args: ['maint'] },
    { args: ['snapshot', 'inspect', '/nowhere/at/all'] },
    { args: ['services', 'deregister', '-id=nothing-of-the-kind', 'too', 'many'] },
    { args: ['event'] },
  ],
};

const roundTripTimes: readonly Command[] = [
  { args: ['rtt', 'external-1', 'external-2'] },
  { args: ['rtt', 'external-2', 'external-1'] },
  { args: ['rtt', 'external-1', 'nobody'] },
  { args: ['rtt', '-wan', 'external-1', 'external-2'] },
  { args: ['rtt'] },
];

describeRealConsul('the consul CLI prints the same', () => {
  const servers = [serverUnderTest('Consul'), serverUnderTest('gateway')] as const;

  beforeAll(() => Promise.all(servers.map(fillCatalog)));

  test.each(Object.entries(scripts))('%s', async (_, commands) => {
    const [ofConsul, ofGateway] = await Promise.all(servers.map((server) => outputs(server, commands)));
    expect(ofGateway).toEqual(ofConsul);
  });

  test('kv: check and set, and locks, with the index and session that the server gave', async () => {
    const results = await Promise.all(
      servers.map(async (server) => {
        const said: unknown[] = [];
        const run = async (...args: string[]): Promise<string> => {
          const result = await server.cli(['kv', ...args]);
          said.push(normalized(result, server.agent));
          return result.stdout;
        };
        const shown = async (field: string): Promise<string> =>
          new RegExp(`^${field} +(\\S+)$`, 'm').exec(await run('get', '-detailed', 'turn/a'))?.[1] ?? '';
        await run('put', 'turn/a', 'one');
        const index = await shown('ModifyIndex');
        await run('put', '-cas', `-modify-index=${index}`, 'turn/a', 'two');
        await run('put', '-cas', `-modify-index=${index}`, 'turn/a', 'three');
        await run('delete', '-cas', `-modify-index=${index}`, 'turn/a');
        const { ID } = bodyOf(await httpClient(server).put('/v1/session/create')) as { ID: string };
        await run('put', '-acquire', `-session=${ID}`, 'turn/a', 'locked');
        expect(await shown('Session')).toBe(ID);
        await run('put', '-release', `-session=${ID}`, 'turn/a', 'free');
        expect(await shown('Session')).toBe('-');
        await run('put', '-release', `-session=${ID}`, 'turn/a', 'free');
        await run('delete', '-cas', `-modify-index=${await shown('ModifyIndex')}`, 'turn/a');
        await run('get', 'turn/a');
        return said;
      }),
    );
    expect(results[1]).toEqual(results[0]);
  });

  test('rtt: from coordinates that were sent for the nodes', async () => {
    const [ofConsul, ofGateway] = await Promise.all(
      servers.map(async (server) => {
        // A real Consul writes coordinates in batches, every five seconds.
        await untilAnswered(
          httpClient(server),
          '/v1/coordinate/nodes',
          ({ text }) => text.includes('external-1') && text.includes('external-2'),
        );
        return outputs(server, roundTripTimes);
      }),
    );
    expect(ofGateway).toEqual(ofConsul);
    expect(ofGateway?.[0]).toMatchObject({ code: 0, stdout: expect.stringContaining('22.000 ms') });
  });
});

async function outputs(server: ServerUnderTest, commands: readonly Command[]): Promise<unknown[]> {
  const all: unknown[] = [];
  for (const { args, stdin } of commands) {
    const result = await server.cli(args, stdin === undefined ? {} : { stdin });
    all.push({ command: args.join(' '), ...normalized(result, server.agent) });
  }
  return all;
}

async function fillCatalog(server: ServerUnderTest): Promise<void> {
  const client = httpClient(server);
  for (const [node, rack, service, tags] of [
    ['external-1', 'r1', 'web', ['v1', 'blue']],
    ['external-2', 'r2', 'web', ['v2']],
    ['external-3', 'r1', 'db', []],
  ] as const) {
    await client.put('/v1/catalog/register', {
      Node: node,
      ID: `00000000-0000-0000-0000-00000000000${node.at(-1)}`,
      Address: `10.0.0.${node.at(-1)}`,
      NodeMeta: { rack },
      Service: { Service: service, Tags: tags, Port: 80 },
    });
  }
  const vectors = { 'external-1': [0.01, 0, 0, 0, 0, 0, 0, 0], 'external-2': [0.03, 0, 0, 0, 0, 0, 0, 0] };
  for (const [Node, Vec] of Object.entries(vectors)) {
    await client.put('/v1/coordinate/update', {
      Node,
      Coord: { Vec, Error: 1.5, Adjustment: 0, Height: 0.001 },
    });
  }
}
