import { beforeEach, describe, expect, test } from '@jest/globals';
import type { ConflictView } from '../../../compat/fleet/port.ts';
import { zoneRoutes } from '../../../compat/routes/zones.ts';
import { Kind } from '../../../src/state/kinds.ts';
import { catalogKey } from '../../../src/state/topics.ts';
import { encodeKv, encodeValue } from '../../../src/state/values.ts';
import { externalNodes } from '../../../src/state/zones.ts';
import { ask } from '../../support/ask.ts';
import { FakeFleet, nodeIdOf, originOf, originView, zoneView } from '../../support/fleet.ts';
import { apiRequest, fleetAgent, StateFixture } from '../../support/state.ts';

let fleet: FakeFleet;
let fixture: StateFixture;

beforeEach(() => {
  fleet = new FakeFleet('a', 'b');
  fleet.zoneList = [
    zoneView('us/', 'b', { region: 'us', term: 3, cause: 'taken-over', reason: 'b burnt', by: 'b' }),
    zoneView('', 'a'),
  ];
  fixture = new StateFixture({ agent: fleetAgent(fleet) });
});

const get = async (path: string): Promise<unknown> =>
  JSON.parse((await ask(fixture, 'GET', `/v1/grapevine/${path}`)).body);
const put = async (path: string, body: unknown): Promise<string> => {
  const { status, body: text } = await ask(fixture, 'PUT', `/v1/grapevine/zones/${path}`, body);
  return `${status} ${text}`;
};

test('zones are listed by prefix, with who owns them, since when and why', async () => {
  expect(await get('zones')).toEqual([
    expect.objectContaining({ Prefix: '', Owner: 'a', Cause: 'founded', Reason: '' }),
    {
      Prefix: 'us/',
      ExternalNodes: false,
      Owner: 'b',
      OwnerID: nodeIdOf('b'),
      Region: 'us',
      Term: 3,
      Since: '2023-11-14T22:13:20Z',
      Cause: 'taken-over',
      By: 'b',
      Reason: 'b burnt',
      Reachable: true,
      Ready: true,
      Problem: '',
    },
  ]);
});

describe('a delegation', () => {
  test('answers the zone as it stands then', async () => {
    const text = await put('delegate', { Prefix: 'us/', Gateway: 'b' });
    expect(text.slice(0, 4)).toBe('200 ');
    expect(JSON.parse(text.slice(4))).toMatchObject({ Prefix: 'us/', Owner: 'b' });
    expect(fleet.asked).toEqual(['delegate us/ b']);
  });

  test('of the root zone is said in as many words', async () => {
    expect(await put('delegate', { Gateway: 'b' })).toMatch(/^400 Missing prefix: /);
    expect(fleet.asked).toEqual([]);
    expect(await put('delegate', { Prefix: '', Gateway: 'b' })).toMatch(/^200 /);
  });

  test('of the external nodes names them', async () => {
    fleet.zoneList.push(zoneView(externalNodes, 'b'));
    const text = await put('delegate', { ExternalNodes: true, Gateway: 'b' });
    expect(JSON.parse(text.slice(4))).toMatchObject({ Prefix: '', ExternalNodes: true, Owner: 'b' });
    expect(fleet.asked).toEqual([`delegate ${externalNodes} b`]);
  });

  test.each([
    [{ Prefix: 'x' }, /^400 Missing gateway name: /],
    ['{', /^400 Request decode failed: /],
    [{ Prefix: 1, Gateway: 'b' }, /^400 Request decode failed: json: /],
  ])('of %j is refused', async (body, answer) => {
    expect(await put('delegate', body)).toMatch(answer);
    expect(fleet.asked).toEqual([]);
  });

  test('that the fleet refuses says why', async () => {
    fleet.outcome = { kind: 'refused', status: 404, message: 'no gateway of the name "x" is a member' };
    expect(await put('delegate', { Prefix: 'us/', Gateway: 'x' })).toBe(
      '404 no gateway of the name "x" is a member',
    );
  });
});

describe('a takeover', () => {
  test('needs a reason', async () => {
    expect(await put('takeover', { Prefix: 'us/', Reason: ' ' })).toMatch(/^400 Missing reason: /);
    expect(fleet.asked).toEqual([]);
    expect(await put('takeover', { Prefix: 'us/', Reason: 'b burnt' })).toMatch(/^200 /);
    expect(fleet.asked).toEqual(['takeover us/ b burnt']);
  });
});

describe('conflicts', () => {
  const conflict = (n: number, over: Partial<ConflictView> = {}): ConflictView => ({
    id: String(n).padStart(6, '0'),
    zone: 'us/',
    kind: Kind.kv,
    key: `us/${n}`,
    value: encodeKv({
      flags: 2n ** 63n,
      lockIndex: 0,
      session: '',
      value: new TextEncoder().encode('hello'),
    }),
    term: 2,
    zoneTerm: 3,
    stamp: 1_700_000_000_123_456,
    origin: originOf('b'),
    seq: n,
    node: 'b',
    keptMs: 1_700_000_100_000,
    replayed: false,
    ...over,
  });

  test('are shown with what was written, when and under which term', async () => {
    const node = { id: '', node: 'ext', address: '10.1.1.1', taggedAddresses: null, meta: null };
    fleet.conflictList = [
      conflict(1),
      conflict(2, { value: null, replayed: true }),
      conflict(3, { kind: Kind.check, key: catalogKey('ext', 'ping'), value: encodeValue(node) }),
    ];
    const { body } = await ask(fixture, 'GET', '/v1/grapevine/zones/conflicts');
    expect(body).toContain('"Flags":9223372036854775808');
    expect(JSON.parse(body)).toMatchObject([
      {
        ...{
          ID: '000001',
          Zone: 'us/',
          Kind: 'kv',
          Key: 'us/1',
          Deleted: false,
          Value: 'aGVsbG8=',
          Entry: null,
        },
        ...{ Term: 2, ZoneTerm: 3, Written: '2023-11-14T22:13:20.123Z', Node: 'b', Seq: 1 },
        ...{ Kept: '2023-11-14T22:15:00Z', Replayed: false },
      },
      { Deleted: true, Value: null, Flags: null, Replayed: true },
      { Kind: 'check', Key: 'ext/ping', Entry: { node: 'ext' }, Value: null },
    ]);
  });

  test('are paged by id', async () => {
    fleet.conflictList = [1, 2, 3].map((n) => conflict(n));
    expect(await get('zones/conflicts?limit=2')).toHaveLength(2);
    expect(await get('zones/conflicts?after=000002')).toMatchObject([{ ID: '000003' }]);
    for (const limit of ['0', 'x', '10001']) {
      expect((await ask(fixture, 'GET', `/v1/grapevine/zones/conflicts?limit=${limit}`)).status).toBe(400);
    }
  });

  test('are exported whole, one a line', async () => {
    fleet.conflictList = Array.from({ length: 2500 }, (_, n) => conflict(n + 1));
    const route = zoneRoutes.find(({ path }) => path.endsWith('/conflicts'));
    const result = route?.methods.GET?.(
      apiRequest('GET', '/v1/grapevine/zones/conflicts?export'),
      fixture.context,
    );
    if (result?.kind !== 'download') throw new Error('no download');
    const opened = await result.open;
    if ('kind' in opened) throw new Error('no stream');
    let text = '';
    for await (const chunk of opened) text += new TextDecoder().decode(chunk);
    const lines = text.trimEnd().split('\n');
    expect(lines).toHaveLength(2500);
    expect(JSON.parse(lines[2499] ?? '')).toMatchObject({ ID: '002500', Key: 'us/2500' });
  });

  test('are written again one by one or all, and each says what came of it', async () => {
    fleet.replayed = [
      { id: '000001', key: 'us/1', outcome: { kind: 'done' } },
      {
        id: '000002',
        key: 'us/2',
        outcome: { kind: 'refused', status: 500, message: 'No cluster leader: …' },
      },
    ];
    expect(await put('conflicts/replay', { IDs: ['000001', '000002'] })).toBe(
      '200 [{"ID":"000001","Key":"us/1","Applied":true,"Error":""},' +
        '{"ID":"000002","Key":"us/2","Applied":false,"Error":"No cluster leader: …"}]',
    );
    await put('conflicts/replay', { All: true });
    expect(fleet.asked).toEqual(['replay 000001,000002', 'replay all']);
    for (const body of [{}, { All: true, IDs: ['1'] }, { IDs: [] }, { IDs: [1] }]) {
      expect(await put('conflicts/replay', body)).toMatch(/^400 /);
    }
    expect(fleet.asked).toHaveLength(2);
  });

  test('are not what was quarantined', async () => {
    fleet.quarantineList = [
      {
        ...{ id: '1', reason: 'not the authority', kind: 99, key: 'k', origin: originOf('b'), seq: 7 },
        ...{ node: 'b', keptMs: 1_700_000_000_000 },
      },
    ];
    expect(await get('quarantine')).toMatchObject([
      { Kind: 'kind-99', Key: 'k', Reason: 'not the authority' },
    ]);
  });
});

describe('status', () => {
  test('shows the fleet as this gateway sees it', async () => {
    fleet.originList = [
      originView('b', { missing: 2, gaps: [{ from: 5, to: 6 }], contiguous: 4, ageMs: 61.2 }),
      originView('c', { ageMs: undefined }),
    ];
    fleet.change('b', { rttMs: 12.34567 });
    expect(await get('status')).toMatchObject({
      ClusterID: '0123456789abcdef',
      Gateway: { Name: 'a', Self: true, Region: 'eu' },
      Leader: '10.0.0.97:8300',
      Members: [{ Name: 'a' }, { Name: 'b', RTTMs: 12.346, State: 'alive', Self: false }],
      Zones: [{ Prefix: '' }, { Prefix: 'us/' }],
      Origins: [
        { Node: 'b', Missing: 2, Gaps: [{ From: 5, To: 6 }], AgeMs: 62 },
        { Node: 'c', AgeMs: null },
      ],
      Queues: [{ Name: 'events', Length: 2, LengthMax: 100, Dropped: 1 }],
      Divergence: { Found: 0, Repaired: 0, Last: null },
      Totals: { packets_sent: 12 },
    });
    expect(await get('members')).toMatchObject([{ Name: 'a' }, { Name: 'b' }]);
  });
});

describe('why', () => {
  test('tells where a value came from, who decides it, how fresh it is and what is missing', async () => {
    fleet.originList = [originView('a'), originView('b', { missing: 1, gaps: [{ from: 9, to: 9 }] })];
    fleet.fresh = () => ({ knownLeader: true, lastContactMs: 41, remote: true });
    await ask(fixture, 'PUT', '/v1/kv/us/x?flags=7', 'hello');
    expect(await get('why/kv/us/x')).toMatchObject({
      ...{ Key: 'us/x', Exists: true, Deleted: false, Bytes: 5, Flags: 7, Session: '' },
      Version: { Term: 1, Timeline: 0, Written: '2023-11-14T22:13:20.001Z' },
      Writer: { Node: 'a', Seq: expect.any(Number) },
      Zone: { Prefix: 'us/', Owner: 'b' },
      ...{ KnownLeader: true, LastContactMs: 41 },
      OwnerLogs: [{ Node: 'b', Missing: 1 }],
      Behind: [{ Node: 'b' }],
    });
  });

  test('tells the same of a key that is not there, or not any more', async () => {
    expect(await get('why/kv/nope')).toMatchObject({
      ...{ Exists: false, Deleted: false, Version: null, Writer: null, ModifyIndex: null },
      Zone: { Prefix: '', Owner: 'a' },
    });
    await ask(fixture, 'PUT', '/v1/kv/gone', 'x');
    await ask(fixture, 'DELETE', '/v1/kv/gone');
    expect(await get('why/kv/gone')).toMatchObject({ Exists: false, Deleted: true, Writer: { Seq: 3 } });
    expect((await ask(fixture, 'GET', '/v1/grapevine/why/kv/')).status).toBe(400);
  });
});
