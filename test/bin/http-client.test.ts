import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import {
  findTarget,
  openClient,
  parseAnswer,
  type ClientFlags,
  type GatewayClient,
} from '../../bin/cli/http-client.ts';

describe('where the client connects', () => {
  const shown = (flags: ClientFlags, env: Record<string, string> = {}): string => {
    const target = findTarget(flags, env);
    return target.ok ? target.value.shown : target.error;
  };

  test.each<readonly [claim: string, flags: ClientFlags, env: Record<string, string>, address: string]>([
    ['this machine by default', {}, {}, 'http://127.0.0.1:8500'],
    ['where Consul clients do', {}, { CONSUL_HTTP_ADDR: 'a:1' }, 'http://a:1'],
    ['an own variable wins', {}, { CONSUL_HTTP_ADDR: 'a:1', GRAPEVINE_HTTP_ADDR: 'b:2' }, 'http://b:2'],
    ['a flag wins over both', { httpAddr: 'https://c:3' }, { GRAPEVINE_HTTP_ADDR: 'b:2' }, 'https://c:3'],
    [
      'CONSUL_HTTP_SSL asks for HTTPS',
      {},
      { CONSUL_HTTP_SSL: 'true', CONSUL_HTTP_ADDR: 'a:1' },
      'https://a:1',
    ],
    ['a socket', { httpAddr: 'unix:///run/x.sock' }, {}, 'unix:///run/x.sock'],
    ['IPv6', { httpAddr: '[::1]:8500' }, {}, 'http://[::1]:8500'],
    [
      'an unknown scheme',
      { httpAddr: 'ftp://a' },
      {},
      'Unknown protocol scheme: ftp (use http, https or unix)',
    ],
    ['nonsense', { httpAddr: ':bad' }, {}, 'cannot understand the address ":bad"'],
  ])('%s', (_claim, flags, env, address) => {
    expect(shown(flags, env)).toBe(address);
  });

  test('a missing token file is said so', () => {
    const client = openClient({ tokenFile: '/nope' }, {});
    expect(client).toEqual({
      ok: false,
      error: expect.stringMatching(/^Error connecting to Grapevine agent: Error loading token file: .*nope/),
    });
  });
});

describe('requests', () => {
  let server: Server;
  let directory: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'grapevine-client-'));
    server = createServer((request, response) => {
      if (request.url === '/fail') response.writeHead(500).end('it broke\n');
      else if (request.method === 'PUT') request.pipe(response);
      else response.end(JSON.stringify(request.headers));
    });
  });

  afterAll(async () => {
    await rm(directory, { recursive: true });
  });

  async function listening<T>(where: string | 0, use: (client: GatewayClient) => Promise<T>): Promise<T> {
    server.listen(...((where === 0 ? [0, '127.0.0.1'] : [where]) as [number, string]));
    await once(server, 'listening');
    const httpAddr = where === 0 ? `127.0.0.1:${(server.address() as AddressInfo).port}` : `unix://${where}`;
    const tokenFile = join(directory, 'token');
    await writeFile(tokenFile, 'from-file\n');
    const client = openClient({ httpAddr, tokenFile }, { CONSUL_HTTP_AUTH: 'user:pass' });
    try {
      if (!client.ok) throw new Error(client.error);
      return await use(client.value);
    } finally {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    }
  }

  test('carry token and login', async () => {
    const body = await listening(0, (client) => client.expectOk('GET', '/'));
    expect(body.ok && parseAnswer(body.value)).toMatchObject({
      ok: true,
      value: { 'x-consul-token': 'from-file', authorization: `Basic ${btoa('user:pass')}` },
    });
  });

  test('go over a socket, and may be streams', async () => {
    const body = await listening(join(directory, 'x.sock'), async (client) => {
      const opened = await client.open('PUT', '/', Readable.from(['a', 'b']));
      return opened.ok ? (await opened.value.toArray()).join('') : opened.error;
    });
    expect(body).toBe('ab');
  });

  test('that are refused name the status and the reason', async () => {
    expect(await listening(0, (client) => client.expectOk('GET', '/fail'))).toEqual({
      ok: false,
      error: 'Unexpected response code: 500 (it broke)',
    });
  });

  test('that reach nobody say so in the words of the consul command line, and what to do', async () => {
    const client = openClient({ httpAddr: `unix://${join(directory, 'gone.sock')}` }, {});
    const answer = client.ok ? await client.value.request('PUT', '/v1/agent/leave') : client;
    expect(answer).toEqual({
      ok: false,
      error: expect.stringMatching(
        /^Put "unix:.*gone\.sock\/v1\/agent\/leave": dial unix .*: connect: no such file or directory \(is a gateway/,
      ),
    });
  });

  test('answers that are no JSON are shown', () => {
    expect(parseAnswer(Buffer.from('<html>'))).toEqual({
      ok: false,
      error: 'the answer is not JSON: "<html>"',
    });
  });
});
