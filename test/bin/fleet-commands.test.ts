import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { main } from '../../bin/cli/main.ts';
import type { ConflictView } from '../../compat/fleet/port.ts';
import { routeTable } from '../../compat/routes/table.ts';
import type { RouteContext } from '../../compat/routes/context.ts';
import { Kind } from '../../src/state/kinds.ts';
import { encodeKv } from '../../src/state/values.ts';
import { externalNodes } from '../../src/state/zones.ts';
import { FrontDoor } from '../compat/http/harness.ts';
import { FakeFleet, memberView, originOf, originView, zoneView } from '../support/fleet.ts';
import { fleetAgent, StateFixture } from '../support/state.ts';

// The command line against a gateway whose fleet is made up: what it asks for, and what it says.

let fleet: FakeFleet;
let door: FrontDoor;
let left = 0;
const context = { ...new StateFixture().context };

beforeAll(async () => {
  const live = {
    get agent() {
      const control = { leave: () => void (left += 1), reload: () => Promise.reject(new Error('not asked')) };
      return { ...fleetAgent(fleet), control };
    },
    get view() {
      return door.machine.store;
    },
  };
  const shared = Object.defineProperties(
    { ...context },
    Object.getOwnPropertyDescriptors(live),
  ) as RouteContext;
  door = await new FrontDoor({ routes: routeTable, dispatcher: { context: shared } }).open();
});

afterAll(() => door.close());

const out: string[] = [];
const err: string[] = [];

beforeEach(() => {
  fleet = new FakeFleet('a', 'b');
  out.length = 0;
  err.length = 0;
  jest.spyOn(console, 'log').mockImplementation((text: unknown) => void out.push(String(text)));
  jest.spyOn(console, 'error').mockImplementation((text: unknown) => void err.push(String(text)));
  jest.spyOn(process.stdout, 'write').mockImplementation((text: unknown) => {
    out.push(Buffer.from(text as Uint8Array).toString());
    return true;
  });
});

afterEach(() => {
  jest.restoreAllMocks();
});

async function grapevine(...args: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  const code = await main([...args, `-http-addr=127.0.0.1:${door.port}`]);
  process.exitCode = undefined;
  return { code, out: out.join('\n'), err: err.join('\n') };
}

describe('zone list', () => {
  test('shows who owns what, since when and why, and what is wrong', async () => {
    fleet.zoneList = [
      zoneView('eu/', 'b', {
        cause: 'taken-over',
        by: 'a',
        reason: 'c burnt',
        reachable: false,
        problem: 'b is not reachable',
      }),
      zoneView('', 'a', { sinceMs: 0 }),
      zoneView(externalNodes, 'a', { cause: 'delegated', sinceMs: 0 }),
    ];
    const ran = await grapevine('zone', 'list');
    expect(ran.code).toBe(0);
    expect(
      ran.out.split('\n').map((line) => line.replaceAll(/\d+ d( \d+ h)? ago/g, 'long ago').split(/ {2,}/)),
    ).toEqual([
      ['Zone', 'Owner', 'Region', 'Term', 'Since', 'By', 'State'],
      ['(root)', 'a', 'eu', '1', '-', 'founded by a', 'ok'],
      ['(external nodes)', 'a', 'eu', '1', '-', 'delegated by a', 'ok'],
      ['eu/', 'b', 'eu', '1', 'long ago', 'taken-over by a: c burnt', 'b is not reachable'],
    ]);
    expect(JSON.parse((await grapevine('zone', 'list', '-json')).out.slice(ran.out.length))).toHaveLength(3);
  });

  test('says what is missing where there is none', async () => {
    fleet.zoneList = [];
    expect((await grapevine('zone', 'list')).out).toMatch(/^No zones: /);
  });
});

describe('zone delegate', () => {
  test('waits until the new owner serves', async () => {
    fleet.zoneList.push(
      zoneView('eu/', 'b', { ready: false, term: 7, problem: 'its handoff is in progress' }),
    );
    let asked = 0;
    fleet.zones = () => {
      asked += 1;
      if (asked === 3) fleet.zoneList = [zoneView('', 'a'), zoneView('eu/', 'b', { term: 7 })];
      return fleet.zoneList;
    };
    const ran = await grapevine('zone', 'delegate', 'eu/', 'b');
    expect(ran).toMatchObject({ code: 0, out: 'eu/ is owned by b, since term 7.' });
    expect(fleet.asked).toEqual(['delegate eu/ b']);
  });

  test('says so when the new owner does not serve in time', async () => {
    fleet.zoneList.push(zoneView('eu/', 'b', { ready: false, problem: 'its handoff is in progress' }));
    const ran = await grapevine('zone', 'delegate', 'eu/', 'b', '-wait=1ms');
    expect(ran).toMatchObject({
      code: 1,
      err: 'Error delegating: delegated to b, which does not serve it yet: its handoff is in progress',
    });
  });

  test('of the root zone and of the external nodes', async () => {
    fleet.zoneList.push(zoneView(externalNodes, 'b'));
    expect((await grapevine('zone', 'delegate', '', 'b')).code).toBe(0);
    expect((await grapevine('zone', 'delegate', '-external-nodes', '', 'b')).code).toBe(0);
    expect(fleet.asked).toEqual(['delegate  b', `delegate ${externalNodes} b`]);
  });

  test('that is refused says why, in one line', async () => {
    fleet.outcome = { kind: 'refused', status: 404, message: 'no live gateway has the name "x"' };
    const ran = await grapevine('zone', 'delegate', 'eu/', 'x');
    expect(ran).toMatchObject({ code: 1, err: 'Error delegating: no live gateway has the name "x"' });
  });
});

describe('zone takeover', () => {
  test('is not of an owner that can be reached, unless it must be', async () => {
    const ran = await grapevine('zone', 'takeover', 'eu/', '-reason=x');
    expect(ran.code).toBe(1);
    expect(ran.err).toMatch(/a owns \(root\) and can be reached: `grapevine zone delegate` loses nothing/);
    expect(fleet.asked).toEqual([]);
    expect((await grapevine('zone', 'takeover', 'eu/', '-reason', 'x', '-force')).code).toBe(0);
    expect(fleet.asked).toEqual(['takeover eu/ x']);
  });

  test('says what becomes of the writes of the old owner', async () => {
    fleet.zoneList = [zoneView('eu/', 'b', { reachable: false })];
    const ran = await grapevine('zone', 'takeover', 'eu/', '-reason=b burnt');
    expect(ran.out).toBe(
      'eu/ is owned by b, since term 1. What b had written and nobody had seen turns up in ' +
        '`grapevine zone conflicts` when it returns.',
    );
  });

  test('needs a reason', async () => {
    const ran = await grapevine('zone', 'takeover', 'eu/');
    expect(ran).toMatchObject({ code: 2, err: expect.stringMatching(/^-reason is needed/) });
  });
});

describe('zone conflicts', () => {
  const conflict: ConflictView = {
    ...{ id: '17', zone: 'eu/', kind: Kind.kv, key: 'eu/\u001b[31m', term: 1, zoneTerm: 2, replayed: false },
    value: encodeKv({ flags: 0n, lockIndex: 0, session: '', value: new Uint8Array(3) }),
    ...{ stamp: 1_700_000_000_000_000, origin: originOf('b'), seq: 3, node: 'b', keptMs: 1_700_000_000_000 },
  };

  test('are listed, and no key reaches the terminal as a control sequence', async () => {
    fleet.conflictList = [conflict, { ...conflict, id: '18', value: null, replayed: true }];
    expect((await grapevine('zone', 'conflicts')).out).toBe(
      [
        'ID  Kind  Key          What     Written                   By  Term   State',
        '17  kv    eu/\\x1b[31m  3 bytes  2023-11-14T22:13:20.000Z  b   1 < 2  open',
        '18  kv    eu/\\x1b[31m  deleted  2023-11-14T22:13:20.000Z  b   1 < 2  replayed',
        '1 open conflict. Values: -export. To write them again: -replay.',
      ].join('\n'),
    );
  });

  test('are exported, one a line', async () => {
    fleet.conflictList = [conflict, { ...conflict, id: '18' }];
    const { out: text } = await grapevine('zone', 'conflicts', '-export');
    expect(
      text
        .trimEnd()
        .split('\n')
        .map((line) => (JSON.parse(line) as { ID: string }).ID),
    ).toEqual(['17', '18']);
  });

  test('are replayed, all or those that are named, and what failed is listed', async () => {
    fleet.replayed = [{ id: '17', key: 'eu/x', outcome: { kind: 'done' } }];
    expect(await grapevine('zone', 'conflicts', '-replay')).toMatchObject({
      code: 0,
      out: '1 conflict replayed.',
    });
    fleet.replayed.push({
      id: '18',
      key: 'eu/y',
      outcome: { kind: 'refused', status: 500, message: 'away' },
    });
    const ran = await grapevine('zone', 'conflicts', '-replay', '-id=17', '-id=18');
    expect(ran).toMatchObject({
      code: 1,
      err: expect.stringContaining('replayed 1 of 2; these not:\n  18 eu/y: away'),
    });
    fleet.replayed.pop();
    expect(await grapevine('zone', 'conflicts', '-drop')).toMatchObject({ code: 0 });
    expect((await grapevine('zone', 'conflicts', '-drop', '-replay')).code).toBe(1);
    fleet.conflictList = [conflict, { ...conflict, id: '18' }];
    expect((await grapevine('zone', 'conflicts', '-drop', '-all')).code).toBe(0);
    expect(fleet.asked).toEqual(['replay all', 'replay 17,18', 'drop replayed', 'drop 17,18']);
  });
});

describe('status', () => {
  test('is one screen, and well', async () => {
    fleet.lan.push(memberView('t', { rttMs: 74.6 }, 'tokyo'));
    fleet.originList = [originView('a', { ageMs: 0 }), originView('t', { ageMs: 80, headKnown: 99 })];
    const ran = await grapevine('status');
    expect(ran.code).toBe(0);
    expect(ran.out).toContain('a (10.0.0.97, dc1, region eu), Grapevine 0.0.0, healthy');
    expect(ran.out).toMatch(/^tokyo +1 +- +- +- +75 ms$/m);
    expect(ran.out).toMatch(/^t +eu +99 +- +80 ms +-$/m);
    expect(ran.out).toContain('Queues: events 2/100, 1 dropped.');
    expect(ran.out).toMatch(/Nothing needs attention\.$/);
  });

  test('lists what needs a person, and exits with 3', async () => {
    fleet.change('b', { state: 'failed' });
    fleet.zoneList.push(zoneView('eu/', 'b', { reachable: false, problem: 'b is not reachable' }));
    fleet.originList = [
      originView('b', {
        missing: 3,
        gaps: [
          { from: 5, to: 6 },
          { from: 9, to: 9 },
        ],
        ageMs: 60_000,
      }),
      originView('c', { ageMs: undefined }),
    ];
    fleet.counted = {
      ...fleet.counted,
      conflicts: 2,
      quarantined: 1,
      divergence: { found: 1, repaired: 4, lastMs: 0 },
    };
    const ran = await grapevine('status');
    expect(ran.code).toBe(3);
    expect(ran.out.split('Needs attention:\n')[1]?.split('\n')).toEqual([
      '  ! nobody takes writes for eu/: b is not reachable',
      '  ! 1 gateway failed: b',
      '  ! entries of 1 writer are missing here, and being fetched',
      '  ! 2 writers not heard of for more than 10 s: what is read of them here may be old',
      '  ! 2 writes left behind by a takeover: `grapevine zone conflicts`, and -drop once they are dealt with',
      '  ! 1 record quarantined: GET /v1/grapevine/quarantine',
      "  ! state differed from a peer's 1 time, 4 registers repaired",
    ]);
    expect(ran.out).toMatch(/^b +eu +10 +3 +1 m +5-6, 9$/m);
    expect(ran.out).toMatch(/^c +eu +10 +- +never proved +-$/m);
  });

  test('as JSON is what the gateway answers', async () => {
    expect(JSON.parse((await grapevine('status', '-json')).out)).toMatchObject({
      ClusterID: '0123456789abcdef',
    });
  });
});

describe('why', () => {
  test('explains where a value came from, who decides it, how fresh it is and what is missing', async () => {
    fleet.originList = [originView('a'), originView('b', { missing: 1, gaps: [{ from: 9, to: 9 }] })];
    fleet.zoneList = [zoneView('', 'a', { sinceMs: 0 })];
    fleet.fresh = () => ({ knownLeader: true, lastContactMs: 41, remote: true });
    const asked = jest.spyOn(fleet, 'freshness');
    await door.put('/v1/kv/x/y%20z', 'hello');
    const ran = await grapevine('why', 'x/y z');
    expect(asked).toHaveBeenCalledWith({ kind: 'key', key: 'x/y z' });
    expect(ran.code).toBe(0);
    const lines = ran.out.split('\n');
    expect(lines[0]).toMatch(/^x\/y z: 5 bytes, ModifyIndex \d+$/);
    expect(lines[1]).toMatch(
      /^ {2}written {3}2023-\S+ \(\d+ d.* ago\) by a \(eu\): entry \d+ of its log, term 1$/,
    );
    expect(lines.slice(2)).toEqual([
      '  decided   by a (eu), who owns (root) since term 1 (founded by a); it can be reached',
      '  fresh     all that a had written up to 41 ms ago is here',
      '  missing   nothing of the owner; entries of 1 other gateway',
    ]);
  });

  test('says what is not known', async () => {
    fleet.zoneList = [];
    fleet.fresh = () => ({ knownLeader: false, lastContactMs: 365 * 86_400_000 });
    expect((await grapevine('why', 'nope')).out.split('\n')).toEqual([
      'nope: never heard of here',
      '  written   by nobody that this gateway knows of',
      '  decided   by nobody: this datacenter was not founded, or this gateway joined nobody',
      '  fresh     not proved since this gateway started; the owner cannot be asked now',
      '  missing   nothing that is known',
    ]);
  });
});

describe('keyring', () => {
  test('list shows each key, who has it, and which is the primary one', async () => {
    const has = (node: string, keys: readonly string[]) =>
      ({ node, ok: true, keys, primary: keys[0] ?? '' }) as const;
    fleet.keyrings = [{ pool: 'lan', asked: 2, answers: [has('a', ['kkkk', 'oooo']), has('b', ['kkkk'])] }];
    expect((await grapevine('keyring', 'list')).out).toBe('dc1 (LAN):\n  kkkk [2/2] primary\n  oooo [1/2]');
  });

  test.each([
    ['install', 'The key is on every gateway.'],
    ['use', 'Every gateway encrypts with the key.'],
    ['remove', 'The key is on no gateway.'],
  ])('%s asks every gateway', async (order, said) => {
    fleet.keyrings = [];
    expect(await grapevine('keyring', order, 'aaaa')).toMatchObject({ code: 0, out: said });
    expect(fleet.asked).toEqual([`keyring ${order} aaaa`]);
  });

  test('of a gateway without encryption fails with what it says', async () => {
    const ran = await grapevine('keyring', 'list');
    expect(ran.code).toBe(1);
    expect(ran.err).toContain('Keyring is empty (encryption not enabled)');
  });
});

describe('join and force-leave', () => {
  test('join counts what could be joined, and fails when nothing could', async () => {
    fleet.joined = (endpoint) =>
      endpoint.address === '10.0.0.8' ? { endpoint, ok: true } : { endpoint, ok: false, error: 'refused' };
    const some = await grapevine('join', '10.0.0.8', '10.0.0.9');
    expect(some).toMatchObject({ code: 0, out: 'Successfully joined cluster by contacting 1 nodes.' });
    expect(some.err).toMatch(
      /^Error joining address '10.0.0.9': Unexpected response code: 500 \(1 error occurred:/,
    );
    expect(await grapevine('join', '-wan', '10.0.0.9')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/Failed to join any nodes\.$/),
    });
    expect(fleet.asked).toEqual([
      'join lan 10.0.0.8:8301',
      'join lan 10.0.0.9:8301',
      'join wan 10.0.0.9:8302',
    ]);
  });

  test('force-leave reminds of the zones that nobody can write to now', async () => {
    fleet.zoneList.push(zoneView('eu/', 'b'));
    const ran = await grapevine('force-leave', '-prune', 'b');
    expect(ran.code).toBe(0);
    expect(ran.out).toMatch(/^b still owns 1 zone, to which nobody can write/);
    expect(fleet.asked).toEqual(['force-leave b prune']);
    expect(await grapevine('force-leave', 'nope')).toMatchObject({
      code: 1,
      err: "Error force leaving: Unexpected response code: 500 (agent: No node found with name 'nope')",
    });
  });
});

describe('leave', () => {
  test('is not done by who owns zones, as long as there are others to own them', async () => {
    fleet.zoneList.push(zoneView('eu/', 'b'));
    const ran = await grapevine('leave');
    expect(ran.code).toBe(1);
    expect(ran.err).toMatch(/^Error leaving: it owns 1 zone to which nobody could write then: \(root\)\. /);
    expect(left).toBe(0);
    expect(await grapevine('leave', '-force')).toMatchObject({ code: 0, out: 'Graceful leave complete' });
    fleet.change('b', { state: 'failed' });
    expect((await grapevine('leave')).code).toBe(0);
    expect(left).toBe(2);
  });
});

test('members show their region, round trip and state beside what Consul shows', async () => {
  fleet.change('b', { state: 'suspect', rttMs: 3.21 });
  expect((await grapevine('members')).out.split('\n')).toEqual([
    'Node  Address         Status  Type    Build   Protocol  DC   Segment  Region  RTT     State',
    'a     10.0.0.97:8301  alive   server  1.21.4  2         dc1  <all>    eu      -       alive',
    'b     10.0.0.98:8301  alive   server  1.21.4  2         dc1  <all>    eu      3.2 ms  suspect',
  ]);
});
