import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, test } from '@jest/globals';
import { parseAddress } from '../../../migration/source/address.ts';
import { HttpConsulReader, defaultBounds } from '../../../migration/source/http-consul-reader.ts';
import { backoffMs } from '../../../migration/source/retry-policy.ts';
import { fullBucket, takeToken } from '../../../migration/source/token-bucket.ts';
import { connect, jumpingClock } from '../support.ts';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

const running: Server[] = [];

async function serve(handler: Handler, at?: string): Promise<string> {
  const server = createServer(handler);
  running.push(server);
  if (at === undefined) server.listen(0, '127.0.0.1');
  else server.listen(at);
  await once(server, 'listening');
  return at ?? `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Answers the given ones in turn, the last one for ever. */
function script(...answers: readonly Handler[]): { handler: Handler; asked: () => number } {
  let at = 0;
  return {
    handler: (request, response) => answers[Math.min(at++, answers.length - 1)]?.(request, response),
    asked: () => at,
  };
}

function reply(status: number, body: string, headers: Record<string, string> = {}): Handler {
  return (_request, response) => response.writeHead(status, headers).end(body);
}

const consul = { 'X-Consul-Index': '7', 'X-Consul-Knownleader': 'true', 'Content-Type': 'application/json' };
const request = { method: 'GET', path: '/v1/kv/a', bytesMax: 1_000_000 } as const;

afterEach(async () => {
  for (const server of running.splice(0)) {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }
});

describe('a connection', () => {
  test('waits and asks again when busy, leaderless or cut off, and says why', async () => {
    const turns = script(
      reply(429, '', { 'Retry-After': '2' }),
      reply(500, 'No cluster leader'),
      (_request, response) => response.destroy(),
      reply(200, '[]', { 'X-Consul-Knownleader': 'false' }),
      reply(200, '[]', consul),
    );
    const clock = jumpingClock();
    const reasons: string[] = [];
    const connection = connect(await serve(turns.handler), {
      clock,
      onRetry: ({ reason }) => reasons.push(reason),
    });
    const answer = await connection.request(request);
    expect(answer).toMatchObject({ kind: 'answer', status: 200 });
    expect(reasons).toEqual([
      'rate limited (429)',
      'no cluster leader',
      'no answer (ECONNRESET)',
      'answered without a known leader',
    ]);
    expect(clock.slept[0]).toBe(2000);
    connection.close();
  });

  test('does not repeat what will not get better', async () => {
    const turns = script(reply(403, 'Permission denied'));
    const connection = connect(await serve(turns.handler));
    expect(await connection.request(request)).toMatchObject({ status: 403 });
    expect(turns.asked()).toBe(1);
    connection.close();
  });

  test('gives the last answer back when the attempts are used up', async () => {
    const turns = script(reply(500, 'No cluster leader'));
    const connection = connect(await serve(turns.handler), { clock: jumpingClock(), attemptsMax: 3 });
    expect(await connection.request(request)).toMatchObject({ status: 500 });
    expect(turns.asked()).toBe(3);
    connection.close();
  });

  test('does not read an answer beyond its bound, compressed or not', async () => {
    const large = 'x'.repeat(200_000);
    const plain = connect(await serve(reply(200, large, consul)));
    expect(await plain.request({ ...request, bytesMax: 1000 })).toEqual({ kind: 'too-large' });
    plain.close();
    const zipped = connect(
      await serve((_request, response) => {
        response.writeHead(200, { ...consul, 'Content-Encoding': 'gzip' }).end(gzipSync(large));
      }),
    );
    expect(await zipped.request({ ...request, bytesMax: 1000 })).toEqual({ kind: 'too-large' });
    zipped.close();
  });

  test('keeps to its number of requests in flight, and sends the token', async () => {
    let inFlight = 0;
    let most = 0;
    const tokens = new Set<unknown>();
    const address = await serve((incoming, response) => {
      inFlight += 1;
      most = Math.max(most, inFlight);
      tokens.add(incoming.headers['x-consul-token']);
      setImmediate(() => {
        inFlight -= 1;
        response.writeHead(200, consul).end('[]');
      });
    });
    const connection = connect(address, { concurrencyMax: 3, token: 'secret' });
    await Promise.all(Array.from({ length: 20 }, () => connection.request(request)));
    expect(most).toBeLessThanOrEqual(3);
    expect([...tokens]).toEqual(['secret']);
    connection.close();
  });

  test('spends its tokens: the burst at once, the rest at the rate', async () => {
    const clock = jumpingClock();
    const turns = script(reply(200, '[]', consul));
    const connection = connect(await serve(turns.handler), { clock, requestsPerSecondMax: 10 });
    for (let at = 0; at < 5; at += 1) await connection.request(request);
    expect(clock.slept).toEqual([100, 100, 100]);
    connection.close();
  });

  test('speaks over a unix socket', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'sock-'));
    const socket = join(directory, 's');
    await serve(reply(200, '[]', consul), socket);
    const connection = connect(`unix://${socket}`);
    expect(await connection.request(request)).toMatchObject({ status: 200 });
    connection.close();
    await rm(directory, { recursive: true });
  });
});

describe('a reader', () => {
  test.each([
    [
      'an index beyond 2^53',
      '[{"Key":"a","Value":null,"Flags":0,"CreateIndex":1,"ModifyIndex":99999999999999999999}]',
    ],
    ['a value that is not base64', '[{"Key":"a","Value":"%%%","Flags":0,"CreateIndex":1,"ModifyIndex":1}]'],
    ['negative flags', '[{"Key":"a","Value":null,"Flags":-1,"CreateIndex":1,"ModifyIndex":1}]'],
    ['no array', '{"Key":"a"}'],
    ['no JSON', '<html>'],
  ])('refuses %s', async (_what, body) => {
    const reader = new HttpConsulReader(connect(await serve(reply(200, body, consul))), defaultBounds);
    await expect(reader.list('a/')).rejects.toThrow('/v1/kv/a/');
  });

  test("does not take a load balancer's 404 for an empty prefix", async () => {
    const reader = new HttpConsulReader(connect(await serve(reply(404, 'not found'))), defaultBounds);
    await expect(reader.list('a/')).rejects.toThrow('404');
    await expect(reader.get('a')).rejects.toThrow('404');
  });

  test('keeps flags exact up to the last bit', async () => {
    const body = '[{"Key":"a","Value":"eA==","Flags":18446744073709551615,"CreateIndex":1,"ModifyIndex":2}]';
    const reader = new HttpConsulReader(connect(await serve(reply(200, body, consul))), defaultBounds);
    expect(await reader.get('a')).toMatchObject({ entry: { flags: 18446744073709551615n, modifyIndex: 2 } });
  });

  test('tells a filtered list from a whole one', async () => {
    const headers = { ...consul, 'X-Consul-Results-Filtered-By-ACLs': 'true' };
    const reader = new HttpConsulReader(connect(await serve(reply(404, '', headers))), defaultBounds);
    expect(await reader.list('a/')).toMatchObject({ meta: { index: 7, knownLeader: true, filtered: true } });
  });
});

describe('small parts', () => {
  test('addresses are read as clients of Consul write them', () => {
    expect(parseAddress('10.0.0.1:8500')).toMatchObject({ value: { baseUrl: 'http://10.0.0.1:8500' } });
    expect(parseAddress('https://c.example/base/')).toMatchObject({
      value: { baseUrl: 'https://c.example/base' },
    });
    expect(parseAddress('unix:///run/c.sock')).toMatchObject({ value: { socketPath: '/run/c.sock' } });
    expect(parseAddress('http://user:pw@h:1')).toMatchObject({ ok: false });
    expect(parseAddress('ftp://h')).toMatchObject({ ok: false });
  });

  test('backoff doubles up to its ceiling, with jitter in its upper half', () => {
    const limits = { firstMs: 100, ceilingMs: 1000 };
    expect([0, 1, 2, 9].map((attempt) => backoffMs(attempt, limits, 0))).toEqual([50, 100, 200, 500]);
    expect(backoffMs(9, limits, 0.999)).toBeLessThanOrEqual(1000);
  });

  test('a token bucket goes into debt and says how long to wait', () => {
    const limits = { perSecond: 100, burst: 1 };
    let bucket = fullBucket(limits, 0);
    const waits: number[] = [];
    for (let at = 0; at < 3; at += 1) {
      const taken = takeToken(bucket, limits, 0);
      bucket = taken.bucket;
      waits.push(taken.waitMs);
    }
    expect(waits).toEqual([0, 10, 20]);
  });
});
