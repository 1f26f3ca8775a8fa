import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { serveForeign, unpackReply } from '../../../compat/http/foreign.ts';
import { routeTable } from '../../../compat/routes/table.ts';
import { FrontDoor } from './harness.ts';

// Requests of other datacenters come without a connection.

let door: FrontDoor;
beforeAll(async () => {
  door = await new FrontDoor({ routes: routeTable }).open();
});
afterAll(() => door.close());

async function asked(method: string, url: string, body = ''): Promise<readonly [number, string]> {
  const request = { method, url, headers: {}, body: Buffer.from(body).toString('base64') };
  const raw = await serveForeign(Buffer.from(JSON.stringify(request)), door.server.serve);
  const reply = unpackReply(raw);
  return [reply.status, Buffer.from(reply.body).toString()];
}

test('endpoints that carry the load and those that do not are all answered whole', async () => {
  expect(await asked('PUT', '/v1/kv/a', 'x')).toEqual([200, 'true']);
  expect(await asked('GET', '/v1/kv/a?raw')).toEqual([200, 'x']);
  const txn = JSON.stringify([{ KV: { Verb: 'set', Key: 'b', Value: 'eQ==' } }]);
  expect(await asked('PUT', '/v1/txn', txn)).toEqual([200, expect.stringContaining('"Key":"b"')]);
  expect(await asked('GET', '/v1/session/list')).toEqual([200, '[]']);
  expect(await asked('GET', '/v1/catalog/services')).toEqual([200, '{}']);
  expect(await asked('GET', '/v1/nonsense')).toEqual([404, expect.any(String)]);
});
