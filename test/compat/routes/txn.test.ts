import { beforeEach, describe, expect, test } from '@jest/globals';
import { encodeValue, type ZoneValue } from '../../../src/state/values.ts';
import { Kind } from '../../../src/state/kinds.ts';
import { Replica } from '../../../src/node/replica.ts';
import { ask } from '../../support/ask.ts';
import { StateFixture } from '../../support/state.ts';

let fixture: StateFixture;

beforeEach(() => {
  fixture = new StateFixture();
});

const readTail = ',"Index":0,"LastContact":0,"KnownLeader":true,"ConsistencyLevel":""}';
const indexes = (body: string): string => body.replaceAll(/Index":\d{10,}/g, 'Index":N');

async function txn(body: unknown): Promise<{ status: number; body: string }> {
  const { status, body: answer } = await ask(fixture, 'PUT', '/v1/txn', body);
  return { status, body: indexes(answer) };
}

describe('/v1/txn', () => {
  test('writes answer without values, reads with them; only reads say how fresh they are', async () => {
    const written = await ask(fixture, 'PUT', '/v1/txn', [
      { KV: { Verb: 'set', Key: 'a', Value: 'aGk=', Flags: 5 } },
      { KV: { Verb: 'delete', Key: 'b' } },
    ]);
    expect(indexes(written.body)).toBe(
      '{"Results":[{"KV":{"LockIndex":0,"Key":"a","Flags":5,"Value":null,"CreateIndex":N,"ModifyIndex":N}}],"Errors":null}',
    );
    expect(written.headers).toEqual({});
    const read = await ask(fixture, 'PUT', '/v1/txn', [{ KV: { Verb: 'get', Key: 'a' } }]);
    expect(indexes(read.body)).toBe(
      '{"Results":[{"KV":{"LockIndex":0,"Key":"a","Flags":5,"Value":"aGk=","CreateIndex":N,"ModifyIndex":N}}],"Errors":null' +
        readTail,
    );
    expect(read.headers).toEqual({ 'X-Consul-Knownleader': 'true', 'X-Consul-Lastcontact': '0' });
  });

  test('flags keep all of their 64 bits', async () => {
    const flags = '3304740253564472344';
    await txn(`[{"KV":{"Verb":"set","Key":"a","Flags":${flags}}}]`);
    expect((await txn([{ KV: { Verb: 'get', Key: 'a' } }])).body).toContain(`"Flags":${flags},`);
  });

  test('get-or-empty answers for a key that is not there', async () => {
    expect((await txn([{ KV: { Verb: 'get-or-empty', Key: 'none' } }])).body).toBe(
      '{"Results":[{"KV":{"LockIndex":0,"Key":"none","Flags":0,"Value":null,"CreateIndex":0,"ModifyIndex":0}}],"Errors":null' +
        readTail,
    );
  });

  test('operations of nothing are left out and do not count', async () => {
    for (const body of ['[]', 'null', '[{}]', '[{"KV":null}]', '[null]']) {
      expect(await txn(body)).toEqual({ status: 200, body: `{"Results":[],"Errors":null${readTail}` });
    }
    expect((await txn([{}, { KV: { Verb: 'get', Key: 'none' } }])).body).toContain('"OpIndex":0');
  });

  test('nodes, services and checks are shown as they are held', async () => {
    await txn([{ Node: { Verb: 'set', Node: { Node: 'e1', Address: '10.0.0.1' } } }]);
    expect((await txn([{ Node: { Verb: 'get', Node: { Node: 'E1' } } }])).body).toContain(
      '{"Node":{"ID":"","Node":"e1","Address":"10.0.0.1","Datacenter":"dc1","TaggedAddresses":null,"Meta":null,',
    );
    expect(
      (await txn([{ Service: { Verb: 'set', Node: 'e1', Service: { Service: 'api', Port: 80 } } }])).body,
    ).toBe(
      '{"Results":[{"Service":{"ID":"api","Service":"api","Tags":null,"Address":"","Meta":null,"Port":80,' +
        '"Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,"Proxy":{"MeshGateway":{},"Expose":{}},' +
        '"Connect":{},"CreateIndex":N,"ModifyIndex":N}}],"Errors":null}',
    );
    const check = { Node: 'e1', CheckID: 'c', Definition: { Interval: '10s', HTTP: 'http://x' } };
    expect((await txn([{ Check: { Verb: 'set', Check: check } }])).body).toBe(
      '{"Results":[{"Check":{"Node":"e1","CheckID":"c","Name":"","Status":"critical","Notes":"","Output":"",' +
        '"ServiceID":"","ServiceName":"","ServiceTags":null,"Type":"","Definition":{"Interval":"10s","HTTP":"http://x"},' +
        '"CreateIndex":N,"ModifyIndex":N}}],"Errors":null}',
    );
  });

  // Each as a real Consul 1.8.7 answered it.
  test.each([
    ['{}', 'json: cannot unmarshal object into Go value of type api.TxnOps'],
    ['', 'EOF'],
    ['[{]', "invalid character ']' looking for beginning of object key string"],
    ['[1]', 'json: cannot unmarshal number into Go value of type api.TxnOp'],
    ['[{"KV":[]}]', 'json: cannot unmarshal array into Go struct field TxnOp.KV of type api.KVTxnOp'],
    [
      '[{"KV":{"Verb":5}}]',
      'json: cannot unmarshal number into Go struct field KVTxnOp.KV.Verb of type api.KVOp',
    ],
    [
      '[{"KV":{"Verb":"set","Key":"b","Flags":-1}}]',
      'json: cannot unmarshal number -1 into Go struct field KVTxnOp.KV.Flags of type uint64',
    ],
    ['[{"KV":{"Verb":"set","Key":"b","Value":"!!"}}]', 'illegal base64 data at input byte 0'],
    [
      '[{"KV":{"Verb":"set","Key":"b","Value":5}}]',
      'json: cannot unmarshal number into Go struct field KVTxnOp.KV.Value of type []uint8',
    ],
    ['[{"Session":{"Verb":"delete"}}]', 'json: unknown field "Session"'],
  ])('%s cannot be read', async (body, why) => {
    expect(await txn(body)).toEqual({ status: 400, body: `Failed to parse body: ${why}` });
  });

  test('what a catalog entry lacks is found before anything is applied', async () => {
    const answer = await txn([
      { KV: { Verb: 'get', Key: 'none' } },
      { Node: { Verb: 'set', Node: { Address: '1' } } },
      { Node: { Verb: 'set', Node: { Node: 'n', ID: 'abc' } } },
      { Service: { Verb: 'delete', Node: 'n', Service: { ID: 'x' } } },
      { Service: { Verb: 'set', Node: 'n', Service: { Service: 'x', Address: '0.0.0.0' } } },
    ]);
    expect(answer.status).toBe(409);
    expect(
      (JSON.parse(answer.body) as { Errors: { What: string }[] }).Errors.map(({ What }) => What),
    ).toEqual([
      'Must provide node',
      'Bad node ID: uuid string is wrong length',
      'Must provide service name with ID',
      'Invalid service address',
    ]);
  });

  test('128 operations are taken, 129 are too many, and a value has its own limit', async () => {
    const sets = (count: number): unknown =>
      Array.from({ length: count }, (_, i) => ({ KV: { Verb: 'set', Key: `k${i}` } }));
    expect((await txn(sets(128))).status).toBe(200);
    expect(await txn(sets(129))).toEqual({
      status: 413,
      body: 'Transaction contains too many operations (129 > 128)',
    });
    const large = Buffer.alloc(524_289).toString('base64');
    expect(await txn([{ KV: { Verb: 'set', Key: 'k', Value: large } }])).toEqual({
      status: 413,
      body: 'Value for key "k" is too large (524289 > 524288 bytes)',
    });
  });

  test('keys of several owners are refused with both of them named; reads are answered from here', async () => {
    const zone: ZoneValue = { prefix: 'theirs/', ownerId: 'other-gateway', term: 2 };
    const root = fixture.store.get(Kind.zone, '');
    fixture.store.transact(() =>
      fixture.store.put({
        ...(root as NonNullable<typeof root>),
        key: zone.prefix,
        value: encodeValue(zone),
      }),
    );
    const replica = new Replica({
      store: fixture.store,
      origin: fixture.replica.origin,
      nodeId: 'gateway-id',
    });
    const other = Object.assign(
      Object.create(Object.getPrototypeOf(fixture) as object) as StateFixture,
      fixture,
      {
        replica,
      },
    );
    const answer = await ask(other, 'PUT', '/v1/txn', [
      { KV: { Verb: 'set', Key: 'ours' } },
      { KV: { Verb: 'set', Key: 'theirs/a' } },
    ]);
    expect(answer.status).toBe(409);
    expect(JSON.parse(answer.body)).toEqual({
      Results: null,
      Errors: [
        {
          OpIndex: 1,
          What:
            'key "theirs/a" belongs to other-gateway, but key "ours" to gateway-id: ' +
            'a transaction needs all of its keys under one owner',
        },
      ],
    });
    const theirs = await ask(other, 'PUT', '/v1/txn', [{ KV: { Verb: 'set', Key: 'theirs/a' } }]);
    expect(theirs).toMatchObject({ status: 500 });
    expect(theirs.body).toMatch(/^No cluster leader/);
    const read = await ask(other, 'PUT', '/v1/txn', [{ KV: { Verb: 'check-not-exists', Key: 'theirs/a' } }]);
    expect(read.status).toBe(200);
  });
});
