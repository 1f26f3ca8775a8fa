import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { routeTable } from '../../compat/routes/table.ts';
import type { RouteContext } from '../../compat/routes/context.ts';
import { FrontDoor } from '../compat/http/harness.ts';
import { runCommand } from '../support/agent-process.ts';
import { FakeFleet, memberView, nodeIdOf, zoneView } from '../support/fleet.ts';
import { consulBinary, describeRealConsul } from '../support/real-consul.ts';
import { fleetAgent, StateFixture } from '../support/state.ts';

// Consul's own command line against a gateway whose fleet is made up: what it prints of members and keys.

describeRealConsul('the consul command line and a fleet', () => {
  let fleet: FakeFleet;
  let door: FrontDoor;

  beforeAll(async () => {
    const { context } = new StateFixture();
    const live = {
      get agent() {
        const self = { debugConfig: () => ({}), stats: () => ({ serf_lan: { members: '3' } }) };
        return { ...fleetAgent(fleet), self };
      },
      get view() {
        return door.machine.store;
      },
    };
    const gateway = { ...context.gateway, nodeName: 'a', nodeId: nodeIdOf('a') };
    const shared = Object.defineProperties(
      { ...context, gateway },
      Object.getOwnPropertyDescriptors(live),
    ) as RouteContext;
    door = await new FrontDoor({ routes: routeTable, dispatcher: { context: shared } }).open();
  });

  afterAll(() => door.close());

  beforeEach(() => {
    fleet = new FakeFleet('a', 'b');
    fleet.lan.push(memberView('c', { state: 'failed' }), memberView('d', { state: 'left' }));
  });

  const consul = async (...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await runCommand(consulBinary(), args, {
      env: { CONSUL_HTTP_ADDR: `127.0.0.1:${door.port}` },
    });
    return `${code} ${stdout}${stderr}`.trimEnd();
  };

  test('members shows who is alive, failed and gone', async () => {
    const rows = (await consul('members')).slice(2).split('\n');
    expect(rows.map((row) => row.split(/ {2,}/))).toEqual([
      ['Node', 'Address', 'Status', 'Type', 'Build', 'Protocol', 'DC', 'Segment'],
      ['a', '10.0.0.97:8301', 'alive', 'server', '1.21.4', '2', 'dc1', '<all>'],
      ['b', '10.0.0.98:8301', 'alive', 'server', '1.21.4', '2', 'dc1', '<all>'],
      ['c', '10.0.0.99:8301', 'failed', 'server', '1.21.4', '2', 'dc1', '<all>'],
      ['d', '10.0.0.100:8301', 'left', 'server', '1.21.4', '2', 'dc1', '<all>'],
    ]);
  });

  test('join says how many were reached', async () => {
    expect(await consul('join', '10.0.0.8', '10.0.0.9')).toBe(
      '0 Successfully joined cluster by contacting 2 nodes.',
    );
    fleet.joined = (endpoint) => ({ endpoint, ok: false, error: 'nobody there' });
    expect(await consul('join', '10.0.0.8')).toMatch(/^1 [^]*Failed to join 10\.0\.0\.8: nobody there/);
  });

  test('force-leave knows whom there is', async () => {
    expect(await consul('force-leave', '-prune', 'c')).toBe('0');
    expect(fleet.asked).toEqual(['force-leave c prune']);
    expect(await consul('force-leave', 'nope')).toContain("No node found with name 'nope'");
  });

  test('keyring shows and changes keys', async () => {
    const key = 'aJbSqcumUFUUMnVnY//Ly4EDgz1PUBDJda+Rsx3Qcwg=';
    const has = (node: string) => ({ node, ok: true, keys: [key], primary: key }) as const;
    const answers = [has('a'), has('b')];
    fleet.keyrings = [{ pool: 'lan', asked: 2, answers }];
    expect(await consul('keyring', '-list')).toBe(
      `0 ==> Gathering installed encryption keys...\n\ndc1 (LAN):\n  ${key} [2/2]`,
    );
    for (const order of ['install', 'use', 'remove']) {
      expect(await consul('keyring', `-${order}=${key}`)).toMatch(/^0 ==> \w+/);
    }
    expect(fleet.asked.slice(1)).toEqual(
      ['install', 'use', 'remove'].map((order) => `keyring ${order} ${key}`),
    );
    fleet.keyrings = [
      { pool: 'lan', asked: 2, answers: [has('a'), { node: 'b', ok: false, error: 'no answer' }] },
    ];
    expect(await consul('keyring', '-list')).toMatch(
      /^1 [^]*dc1 \(LAN\) error: 1\/2 nodes reported failure\n\t\* b: no answer/,
    );
  });

  test('rtt estimates from the coordinates of the catalog', async () => {
    for (const [node, seconds] of [
      ['a', 0],
      ['b', 0.04],
    ] as const) {
      await door.put('/v1/catalog/register', JSON.stringify({ Node: node, Address: '10.0.0.1' }));
      const Coord = { Vec: [seconds, 0, 0, 0, 0, 0, 0, 0], Error: 0.1, Adjustment: 0, Height: 0.00001 };
      await door.put('/v1/coordinate/update', JSON.stringify({ Node: node, Coord }));
    }
    expect(await consul('rtt', 'a', 'b')).toBe('0 Estimated a <-> b rtt: 40.020 ms (using LAN coordinates)');
    expect(await consul('rtt', '-wan', 'a.dc1', 'b.dc1')).toBe(
      '0 Estimated a.dc1 <-> b.dc1 rtt: 40.020 ms (using WAN coordinates)',
    );
  });

  test('operator raft shows the gateways, and the owner of the root zone as the leader', async () => {
    fleet.zoneList = [zoneView('', 'b')];
    const [head, ...rows] = (await consul('operator', 'raft', 'list-peers')).split('\n');
    expect(head).toMatch(/^0 Node +ID +Address +State +Voter +RaftProtocol$/);
    expect(rows.map((row) => row.split(/ {2,}/).filter((_, i) => i !== 1))).toEqual([
      ['a', '10.0.0.97:8300', 'follower', 'true', '3'],
      ['b', '10.0.0.98:8300', 'leader', 'true', '3'],
      ['c', '10.0.0.99:8300', 'follower', 'true', '3'],
    ]);
  });

  test('catalog datacenters and members -wan agree', async () => {
    expect(await consul('catalog', 'datacenters')).toBe('0 dc1');
    expect(await consul('members', '-wan')).toMatch(/\na\.dc1 +10\.0\.0\.97:8302 +alive/);
  });
});
