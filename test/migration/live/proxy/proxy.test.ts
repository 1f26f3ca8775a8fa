import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { upstreamRequest } from '../../../../migration/live/proxy/upstream-request.ts';
import { Slots } from '../../../../migration/live/proxy/slots.ts';
import { FakePhases, ruleOf } from '../../../support/live-gateway.ts';
import { apiRequest } from '../../../support/state.ts';
import { MigratingDoor } from '../dual/door.ts';
import { FakeSource } from '../dual/fake-source.ts';

let source: FakeSource;
let migrating: MigratingDoor;
const phases = (): FakePhases => new FakePhases(ruleOf('kv', '', 'passthrough'));

beforeEach(async () => {
  source = await new FakeSource().open();
  migrating = await new MigratingDoor(source.address, phases()).open();
});
afterEach(async () => {
  await migrating.close();
  await source.close();
});

const get = (path: string, more: { headers?: Record<string, string>; signal?: AbortSignal } = {}) =>
  migrating.door.request(path, more);

test('a request goes to the source as it came: method, path, query, body and the client’s own token', async () => {
  source.bend = () => ({ status: 200, body: 'true' });
  await migrating.door.request('/v1/kv/a%20b/%3Fc?flags=7&cas=%31&x', {
    method: 'PUT',
    body: 'whole\u0000body',
    headers: { 'X-Consul-Token': 'secret', 'Content-Type': 'application/x-odd', Cookie: 'no' },
  });
  await get('/v1/catalog/services?token=in-query', { headers: { Authorization: 'Bearer b' } });
  const [put, read] = source.seen;
  expect([put?.method, put?.url, put?.body]).toEqual([
    'PUT',
    '/v1/kv/a%20b/%3Fc?flags=7&cas=%31&x',
    'whole\u0000body',
  ]);
  expect(put?.headers['x-consul-token']).toBe('secret');
  expect(put?.headers['content-type']).toBe('application/x-odd');
  expect(put?.headers['cookie']).toBeUndefined();
  expect([read?.url, read?.headers['authorization']]).toEqual([
    '/v1/catalog/services?token=in-query',
    'Bearer b',
  ]);
});

test('an answer comes back as it is: status, headers as the source wrote them, and body', async () => {
  source.bend = (_, res) => {
    res.writeHead(409, {
      'X-Odd-Name': 'kept',
      'X-Consul-Index': '77',
      'Content-Type': 'text/odd',
      'Keep-Alive': 'timeout=9',
    });
    res.end('why not');
    return 'handled';
  };
  const answer = await get('/v1/kv/a');
  expect([answer.status, answer.text, answer.index]).toEqual([409, 'why not', 77]);
  expect(answer.headers).toMatchObject({ 'x-odd-name': 'kept', 'content-type': 'text/odd' });
  expect(answer.headers['keep-alive']).not.toBe('timeout=9');
  expect(answer.headers['x-consul-default-acl-policy']).toBeUndefined();
});

test('a large answer, packed or not, comes whole', async () => {
  const large = Buffer.alloc(3_000_000, 'grape');
  source.bend = (_, res) => {
    res.writeHead(200, { 'Content-Encoding': 'gzip' });
    res.end(large);
    return 'handled';
  };
  const answer = await get('/v1/kv/?recurse', { headers: { 'Accept-Encoding': 'gzip' } });
  expect(answer.headers['content-encoding']).toBe('gzip');
  expect(answer.bytes.equals(large)).toBe(true);
});

test('an answer that breaks off is no whole answer for the client either', async () => {
  source.bend = (_, res, socket) => {
    res.writeHead(200, { 'Content-Length': '2000000' });
    res.write(Buffer.alloc(600_000), () => socket.destroy());
    return 'handled';
  };
  await expect(get('/v1/kv/?recurse')).rejects.toThrow(/aborted|closed|hang up/);
});

test('a client that goes away takes its request at the source with it', async () => {
  const closed = new Promise<void>((resolve) => {
    source.bend = (_, res) => {
      res.on('close', resolve);
      gone.abort();
      return 'handled';
    };
  });
  const gone = new AbortController();
  await expect(get('/v1/kv/a', { signal: gone.signal })).rejects.toThrow(/aborted|closed|hang up/);
  await closed;
});

test('a query waits at the source, and one with an index that the source never showed is answered at once', async () => {
  source.set('a', 'one');
  const first = await get('/v1/kv/a');
  expect(first.index).toBe(11);
  const waiting = get('/v1/kv/a?index=11&wait=60s');
  while (source.seen.length < 2) await new Promise((resolve) => setTimeout(resolve, 2));
  source.set('a', 'two');
  expect((await waiting).index).toBe(12);
  const moved = await get('/v1/kv/a?index=1700000000000000&wait=60s&stale');
  expect([moved.status, moved.index]).toEqual([200, 12]);
  expect(source.seen.at(-1)?.url).toBe('/v1/kv/a?wait=60s&stale');
});

test('a query that waits is given as long as the source may take', () => {
  const blocks = (query: string): number | undefined =>
    upstreamRequest(apiRequest('GET', `/v1/kv/a?${query}`), Infinity).blocksMs;
  expect(blocks('index=1&wait=16s')).toBe(17_000);
  expect(blocks('index=1')).toBe(318_750);
  expect(blocks('index=1&wait=60m')).toBe(637_500);
  expect([blocks('wait=16s'), blocks('index=0')]).toEqual([undefined, undefined]);
});

test('a source that cannot be reached is answered in Consul’s words, and told of once', async () => {
  await source.close();
  for (let at = 0; at < 3; at += 1) {
    const answer = await get('/v1/kv/a');
    expect([answer.status, answer.text.startsWith('rpc error making call: ')]).toEqual([500, true]);
    expect(answer.headers['content-type']).toBe('text/plain; charset=utf-8');
  }
  const put = await migrating.door.request('/v1/kv/a', { method: 'PUT', body: 'x' });
  expect(put.status).toBe(500);
  expect(migrating.gateway.base.complaints).toEqual(['the source does not answer']);
  expect(migrating.gateway.counts.get('proxy.unreachable')).toBe(4);
  source = await new FakeSource().open();
});

test('requests go on to the next address where the first cannot have heard them, and stay there', async () => {
  const other = await new FakeSource().open();
  other.set('a', 'there');
  const free = createServer().listen(0, '127.0.0.1');
  await once(free, 'listening');
  const { port } = free.address() as { port: number };
  free.close();
  await once(free, 'close');
  const both = await new MigratingDoor(`127.0.0.1:${port}`, phases(), {
    addresses: [`127.0.0.1:${port}`, other.address],
  }).open();
  expect((await both.door.request('/v1/kv/b', { method: 'PUT', body: 'x' })).text).toBe('true');
  expect((await both.door.request('/v1/kv/a')).status).toBe(200);
  expect(other.entries.get('b')?.value).toBe('x');
  await both.close();
  await other.close();
});

test('a write that may have been heard is not sent twice', async () => {
  source.bend = (_seen, _res, socket) => {
    socket.destroy();
    return 'handled';
  };
  const answer = await migrating.door.request('/v1/kv/a', { method: 'PUT', body: 'x' });
  expect([answer.status, source.seen.length]).toEqual([500, 1]);
});

test('queries that wait never take the last connections, and too many requests are refused in words', async () => {
  const few = await new MigratingDoor(source.address, phases(), { connectionsMax: 4 }).open();
  source.set('a', 'one');
  await few.door.request('/v1/kv/a');
  const gone = new AbortController();
  const waiting = [1, 2, 3].map((n) =>
    few.door.request(`/v1/kv/a?index=11&wait=60s&n=${n}`, { signal: gone.signal }).catch(() => undefined),
  );
  while (source.seen.length < 4) await new Promise((resolve) => setTimeout(resolve, 2));
  expect((await few.door.request('/v1/kv/a')).status).toBe(200);
  gone.abort();
  await Promise.all(waiting);
  await few.close();
  const slots = new Slots({ slotsMax: 1, waitingMax: 1, waitMsMax: 5 });
  const first = slots.take();
  const second = slots.take();
  expect([typeof first, second instanceof Promise, slots.take()]).toEqual(['function', true, undefined]);
  expect(await second).toBeUndefined();
  (first as () => void)();
  expect(slots.taken).toBe(0);
});

test('endpoints that are refused here are the source’s meanwhile, known or not, and counted', async () => {
  source.bend = () => ({ status: 200, body: '[]' });
  for (const path of ['/v1/acl/tokens', '/v1/query', '/v1/peerings', '/v1/peerings']) {
    expect((await get(path)).text).toBe('[]');
  }
  const posted = await migrating.door.request('/v1/peering/token', { method: 'POST', body: '{"a":1}' });
  expect(posted.status).toBe(200);
  expect(source.seen.at(-1)?.body).toBe('{"a":1}');
  expect(migrating.part.usedEndpoints()).toMatchObject({
    'GET /v1/acl/tokens': 1,
    'GET /v1/peerings': 2,
    'POST /v1/peering/token': 1,
  });
});
