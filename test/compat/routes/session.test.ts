import { beforeEach, describe, expect, test } from '@jest/globals';
import { ask } from '../../support/ask.ts';
import { StateFixture } from '../../support/state.ts';

let fixture: StateFixture;
let renewed: string[];
let expired: boolean;

beforeEach(() => {
  renewed = [];
  expired = false;
  fixture = new StateFixture({
    sessions: {
      renew: (id) => {
        renewed.push(id);
        return !expired;
      },
    },
  });
  const node = { id: '', node: 'gateway', address: '10.0.0.1', taggedAddresses: null, meta: null };
  fixture.step({ kind: 'catalog-register', node, skipNodeUpdate: false, checks: [] });
  const health = {
    node: 'gateway',
    checkId: 'serfHealth',
    name: 'Serf Health Status',
    status: 'passing',
    notes: '',
    output: '',
    serviceId: '',
    serviceName: '',
    serviceTags: [],
    type: '',
    definition: '',
  };
  fixture.step({ kind: 'member-health', node: 'gateway', check: health });
});

async function create(body?: unknown): Promise<string> {
  const { status, body: answer } = await ask(fixture, 'PUT', '/v1/session/create', body);
  expect(status).toBe(200);
  return (JSON.parse(answer) as { ID: string }).ID;
}

async function shown(id: string): Promise<Record<string, unknown>> {
  const { body } = await ask(fixture, 'GET', `/v1/session/info/${id}`);
  return (JSON.parse(body) as Record<string, unknown>[])[0] ?? {};
}

describe('creating sessions', () => {
  test('without a body a session has the defaults', async () => {
    const id = await create();
    const { body } = await ask(fixture, 'GET', `/v1/session/info/${id}`);
    expect(body.replaceAll(/\d{16}/g, 'N')).toBe(
      `[{"ID":"${id}","Name":"","Node":"gateway","LockDelay":15000000000,"Behavior":"release","TTL":"",` +
        `"NodeChecks":["serfHealth"],"ServiceChecks":null,"CreateIndex":N,"ModifyIndex":N}]`,
    );
  });

  test('names match in any case, the last spelling counts, unknown ones and what follows do no harm', async () => {
    const id = await create('{"name":"a","Name":"b","lockdelay":"0.001s","ttl":"15.0s","X":1} and more');
    expect(await shown(id)).toMatchObject({ Name: 'b', LockDelay: 1_000_000, TTL: '15.0s' });
  });

  test.each([
    [5, 5e9],
    ['5ns', 5e9],
    [1.5, 1e9],
    [-1, -1e9],
    ['90s', 90e9],
    [2_000_000_000, 2e9],
    [0, 0],
    [true, 0],
    [[], 0],
    [null, 15e9],
  ])('a LockDelay of %j is %d ns', async (given, ns) => {
    expect((await shown(await create({ LockDelay: given })))['LockDelay']).toBe(ns);
  });

  test.each([
    [{}, ['serfHealth'], undefined],
    [{ Checks: [] }, [], undefined],
    [{ Checks: null }, [], undefined],
    [{ NodeChecks: [] }, [], undefined],
    [{ NodeChecks: null }, null, undefined],
    [{ Checks: [], NodeChecks: ['serfHealth'] }, [], undefined],
    [{ Checks: ['serfHealth', 'serfHealth'] }, ['serfHealth'], ['serfHealth', 'serfHealth']],
    [{ Checks: ['serfHealth'], NodeChecks: [] }, [], undefined],
  ])('%j gives the node checks %j and the checks %j', async (body, nodeChecks, checks) => {
    const session = await shown(await create(body));
    expect(session['NodeChecks']).toEqual(nodeChecks);
    expect(session['Checks']).toEqual(checks);
  });

  // Each as a real Consul 1.8.7 answered it.
  test.each([
    [' ', 400, 'Request decode failed: EOF'],
    [
      '[]',
      400,
      'Request decode failed: json: cannot unmarshal array into Go value of type struct { LockDelay interface {}; *structs.Alias }',
    ],
    [
      '{"Name":1}',
      400,
      'Request decode failed: json: cannot unmarshal number into Go struct field .Name of type string',
    ],
    [
      '{"Checks":"x"}',
      400,
      'Request decode failed: json: cannot unmarshal string into Go struct field .Checks of type []types.CheckID',
    ],
    ['{"LockDelay":"7"}', 400, 'Request decode failed: time: missing unit in duration "7"'],
    ['{"TTL":"0.5s"}', 500, "Invalid Session TTL '500000000', must be between [10s=24h0m0s]"],
    ['{"TTL":"24h1s"}', 500, "Invalid Session TTL '86401000000000', must be between [10s=24h0m0s]"],
    ['{"TTL":"foo"}', 500, 'Session TTL \'foo\' invalid: time: invalid duration "foo"'],
    ['{"Behavior":"Release"}', 500, "Invalid Behavior setting 'Release'"],
    ['{"Node":"nobody"}', 500, 'Missing node registration'],
    ['{"Node":""}', 500, 'Must provide Node'],
    ['{"ServiceChecks":[{"ID":"z"}]}', 500, "Missing check 'z' registration"],
  ])('%s is refused', async (body, status, message) => {
    expect(await ask(fixture, 'PUT', '/v1/session/create', body)).toMatchObject({ status, body: message });
  });
});

describe('sessions that are there', () => {
  test('a renewal restarts the clock under the one spelling of the id', async () => {
    const id = await create({ TTL: '10s' });
    const answer = await ask(fixture, 'PUT', `/v1/session/renew/${id.toUpperCase()}`);
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toMatchObject([{ ID: id }]);
    expect(renewed).toEqual([id]);
  });

  test('a renewal for another datacenter renews nothing', async () => {
    const id = await create({ TTL: '10s' });
    const { status } = await ask(fixture, 'PUT', `/v1/session/renew/${id}?dc=dc2`);
    expect([status, renewed]).toEqual([500, []]);
  });

  test('a session whose time has just run out cannot be renewed; one without a TTL always can', async () => {
    const [timed, untimed] = [await create({ TTL: '10s' }), await create()];
    expired = true;
    expect(await ask(fixture, 'PUT', `/v1/session/renew/${timed}`)).toMatchObject({
      status: 404,
      body: `Session id '${timed}' not found`,
    });
    expect((await ask(fixture, 'PUT', `/v1/session/renew/${untimed}`)).status).toBe(200);
  });

  test('destroying is true, also of what is not there; then info is empty and wakes who waits', async () => {
    const id = await create();
    const info = await ask(fixture, 'GET', `/v1/session/info/${id}`);
    expect((await ask(fixture, 'PUT', `/v1/session/destroy/${id.toUpperCase()}`)).body).toBe('true');
    expect((await ask(fixture, 'PUT', `/v1/session/destroy/${id}`)).body).toBe('true');
    const after = await ask(fixture, 'GET', `/v1/session/info/${id}`);
    expect(after).toMatchObject({ status: 200, body: '[]' });
    expect(after.index).toBeGreaterThan(Number(info.index));
  });

  test('lists are in the order of ids, of one node or of all', async () => {
    const ids = [await create(), await create(), await create()];
    for (const url of ['/v1/session/list', '/v1/session/node/GATEWAY']) {
      const { body } = await ask(fixture, 'GET', url);
      expect((JSON.parse(body) as { ID: string }[]).map(({ ID }) => ID)).toEqual(ids.toSorted());
    }
    expect(await ask(fixture, 'GET', '/v1/session/node/nobody')).toMatchObject({ status: 200, body: '[]' });
  });

  test('what is no id is refused, with the headers of a read that failed', async () => {
    expect(await ask(fixture, 'GET', '/v1/session/info/x')).toMatchObject({
      status: 500,
      body: 'failed session lookup: index error: UUID must be 36 characters',
      headers: { 'X-Consul-Index': '1', 'X-Consul-Knownleader': 'false' },
    });
    expect(await ask(fixture, 'PUT', '/v1/session/renew/')).toMatchObject({
      status: 400,
      body: 'Missing session',
    });
    expect(await ask(fixture, 'GET', '/v1/session/node/')).toMatchObject({
      status: 400,
      body: 'Missing node name',
    });
  });
});
