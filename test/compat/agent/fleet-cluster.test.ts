import { beforeEach, describe, expect, test } from '@jest/globals';
import { joinEndpoints } from '../../../compat/agent/join-address.ts';
import { FakeFleet, memberView, zoneView } from '../../support/fleet.ts';
import { ask } from '../../support/ask.ts';
import { fleetAgent, StateFixture } from '../../support/state.ts';

// Texts are those of a Consul 1.8.7 with two servers.

let fleet: FakeFleet;
let fixture: StateFixture;

beforeEach(() => {
  fleet = new FakeFleet('a', 'b', 'c');
  const resolve = (host: string): Promise<readonly string[]> =>
    Promise.resolve(host === 'both.example' ? ['10.9.0.1', '10.9.0.2'] : []);
  fixture = new StateFixture({ agent: fleetAgent(fleet, { datacenter: 'dc1' }, resolve) });
});

const get = async (path: string): Promise<unknown> => JSON.parse((await ask(fixture, 'GET', path)).body);
const put = async (path: string): Promise<string> => {
  const { status, body } = await ask(fixture, 'PUT', path);
  return `${status} ${body}`;
};

interface Row {
  readonly Name: string;
  readonly Status: number;
  readonly Port: number;
  readonly Tags: Readonly<Record<string, string>>;
}

describe('members', () => {
  test("have Serf's status numbers; who is suspected lives", async () => {
    fleet.change('a', { leaving: true });
    fleet.change('b', { state: 'suspect' });
    fleet.change('c', { state: 'failed' });
    fleet.lan.push(memberView('d', { state: 'left' }));
    const rows = (await get('/v1/agent/members')) as Row[];
    expect(rows.map(({ Name, Status }) => [Name, Status])).toEqual([
      ['a', 2],
      ['b', 1],
      ['c', 4],
      ['d', 3],
    ]);
  });

  test('show the tags of a Consul server, and their region where it says more than the datacenter', async () => {
    fleet.lan[1] = memberView('b', {}, 'dc1');
    const rows = (await get('/v1/agent/members')) as Row[];
    expect(Object.keys(rows[0]?.Tags ?? {})).toEqual([
      ...['acls', 'build', 'dc', 'ft_fs', 'id', 'port', 'raft_vsn', 'role', 'segment', 'vsn', 'vsn_max'],
      ...['vsn_min', 'wan_join_port', 'region'],
    ]);
    expect(rows[1]?.Tags).not.toHaveProperty('region');
  });

  test('are in the WAN pool by name and datacenter, with the gateways of other datacenters', async () => {
    const other = memberView('x.dc2');
    fleet.wan = [{ ...other, facts: { ...other.facts, datacenter: 'dc2' } }];
    const rows = (await get('/v1/agent/members?wan=1')) as Row[];
    expect(rows.map(({ Name, Port }) => [Name, Port])).toEqual([
      ['a.dc1', 8302],
      ['b.dc1', 8302],
      ['c.dc1', 8302],
      ['x.dc2', 8301],
    ]);
    expect(rows[0]?.Tags).not.toHaveProperty('wan_join_port');
  });
});

describe('join', () => {
  test.each([
    ['10.0.0.9', 'join lan 10.0.0.9:8301'],
    ['10.0.0.9:7000', 'join lan 10.0.0.9:7000'],
    ['10.0.0.9?wan=1', 'join wan 10.0.0.9:8302'],
    ['fd00::9', 'join lan fd00::9:8301'],
    ['[fd00::9]:7000', 'join lan fd00::9:7000'],
    ['both.example', 'join lan 10.9.0.1:8301 10.9.0.2:8301'],
  ])('%s asks for %s', async (address, asked) => {
    expect(await put(`/v1/agent/join/${address}`)).toBe('200 ');
    expect(fleet.asked).toEqual([asked]);
  });

  test('of itself has nothing to do', async () => {
    expect(await put('/v1/agent/join/10.0.0.97:8301')).toBe('200 ');
    expect(fleet.asked).toEqual([]);
  });

  test('says of each address why it could not be joined', async () => {
    fleet.joined = (endpoint) => ({
      endpoint,
      ok: false,
      error: `dial tcp ${endpoint.address}:8301: connect: connection refused`,
    });
    expect(await put('/v1/agent/join/both.example')).toBe(
      '500 2 errors occurred:\n' +
        '\t* Failed to join 10.9.0.1: dial tcp 10.9.0.1:8301: connect: connection refused\n' +
        '\t* Failed to join 10.9.0.2: dial tcp 10.9.0.2:8301: connect: connection refused\n\n',
    );
  });

  test('succeeds when one of several addresses does', async () => {
    fleet.joined = (endpoint) =>
      endpoint.address === '10.9.0.2' ? { endpoint, ok: true } : { endpoint, ok: false, error: 'no' };
    expect(await put('/v1/agent/join/both.example')).toBe('200 ');
  });

  test.each([
    ['nowhere.example', 'lookup nowhere.example: no such host'],
    ['', 'lookup : no such host'],
    ['10.0.0.9:99999', 'strconv.ParseUint: parsing "99999": value out of range'],
    ['10.0.0.9:x', 'strconv.ParseUint: parsing "x": invalid syntax'],
  ])('of %j has nowhere to go', async (address, why) => {
    expect(await put(`/v1/agent/join/${address}`)).toBe(
      `500 1 error occurred:\n\t* Failed to resolve ${address}: ${why}\n\n`,
    );
    expect(fleet.asked).toEqual([]);
  });

  test('takes a resolver that fails for one that finds nothing', async () => {
    const outcome = await joinEndpoints('x.example', 1, () => Promise.reject(new Error('SERVFAIL')));
    expect(outcome).toEqual({
      ok: false,
      error: 'Failed to resolve x.example: lookup x.example: no such host',
    });
  });
});

describe('force-leave', () => {
  test.each([
    ['b', 'force-leave b'],
    ['b?prune', 'force-leave b prune'],
    ['b.dc1', 'force-leave b'],
  ])('%s is handed on as %s', async (path, asked) => {
    expect(await put(`/v1/agent/force-leave/${path}`)).toBe('200 ');
    expect(fleet.asked).toEqual([asked]);
  });

  test('of a name that nobody has is refused', async () => {
    expect(await put('/v1/agent/force-leave/nope')).toBe("500 agent: No node found with name 'nope'");
    expect(fleet.asked).toEqual([]);
  });
});

describe('the leader', () => {
  test('is the gateway that owns the root zone', async () => {
    fleet.zoneList = [zoneView('', 'b'), zoneView('eu/', 'a')];
    expect(await get('/v1/status/leader')).toBe('10.0.0.98:8300');
  });

  test.each([
    ['cannot be reached', { reachable: false }],
    ['does not take writes yet', { ready: false }],
    ['is no member', { ownerId: 'ffffffff-0000-4000-8000-000000000000' }],
  ])('is nobody while the owner %s', async (_why, over) => {
    fleet.zoneList = [zoneView('', 'b', over)];
    expect(await get('/v1/status/leader')).toBe('');
    const health = await ask(fixture, 'GET', '/v1/operator/autopilot/health');
    expect(health.status).toBe(429);
  });

  test('has those that live for peers', async () => {
    fleet.change('c', { state: 'failed' });
    expect(await get('/v1/status/peers')).toEqual(['10.0.0.97:8300', '10.0.0.98:8300']);
  });

  test('is marked among the voters, of whom those that left are none', async () => {
    fleet.zoneList = [zoneView('', 'b')];
    fleet.change('c', { state: 'left' });
    expect(await get('/v1/operator/raft/configuration')).toMatchObject({
      Servers: [
        { Node: 'a', Leader: false, Voter: true },
        { Node: 'b', Leader: true, Voter: true },
      ],
    });
    expect((await ask(fixture, 'GET', '/v1/operator/autopilot/health')).status).toBe(200);
    fleet.change('a', { state: 'failed' });
    expect((await ask(fixture, 'GET', '/v1/operator/autopilot/health')).status).toBe(429);
  });
});

test('datacenters are in the order of their distance, this one first, unmeasured ones last', async () => {
  const of = (
    name: string,
    datacenter: string,
    rttMs: number | undefined,
    state: 'alive' | 'left' = 'alive',
  ) => {
    const view = memberView(name, { rttMs, state });
    return { ...view, facts: { ...view.facts, datacenter } };
  };
  fleet.wan = [
    of('n', 'near', 10),
    ...[of('z', 'zz', undefined), of('y', 'yy', undefined)],
    ...[of('f1', 'far', 90), of('f2', 'far', 5), of('f3', 'far', 95)],
    of('g', 'gone', 1, 'left'),
  ];
  expect(await get('/v1/catalog/datacenters')).toEqual(['dc1', 'near', 'far', 'yy', 'zz']);
});
