import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { gunzipSync } from 'node:zlib';
import { FrontDoor, type Response } from './harness.ts';

let door: FrontDoor;
beforeAll(async () => {
  door = await new FrontDoor().open();
});
afterAll(async () => door.close());

function entries(response: Response): readonly Record<string, unknown>[] {
  return JSON.parse(response.text) as Record<string, unknown>[];
}

const limit = 524_288;

describe('KV over HTTP', () => {
  test('a key is put with true and got as an array of one, its ModifyIndex in the header', async () => {
    const put = await door.put('/v1/kv/a/b?flags=3304740253564472344', 'hello');
    expect([put.status, put.text, put.headers['content-type']]).toEqual([200, 'true', 'application/json']);
    expect(put.headers['x-consul-index']).toBeUndefined();
    const got = await door.request('/v1/kv/a/b');
    const index = got.headers['x-consul-index'] ?? '';
    expect(got.text).toBe(
      `[{"LockIndex":0,"Key":"a/b","Flags":3304740253564472344,"Value":"aGVsbG8=",` +
        `"CreateIndex":${String(index)},"ModifyIndex":${String(index)}}]`,
    );
    expect(got.headers).toMatchObject({
      'content-type': 'application/json',
      'x-consul-knownleader': 'true',
      'x-consul-lastcontact': '0',
      vary: 'Accept-Encoding',
      'x-consul-default-acl-policy': 'allow',
    });
  });

  test('an empty value is null, with or without a body', async () => {
    await door.put('/v1/kv/empty', '');
    expect(entries(await door.request('/v1/kv/empty'))).toMatchObject([{ Key: 'empty', Value: null }]);
    expect((await door.request('/v1/kv/empty?raw')).bytes).toHaveLength(0);
    expect((await door.request('/v1/kv/no-body', { method: 'PUT' })).text).toBe('true');
    expect(entries(await door.request('/v1/kv/no-body'))).toMatchObject([{ Value: null }]);
  });

  test('raw gives the bytes as they are, with headers that keep a browser from running them', async () => {
    const body = Buffer.from([0, 255, 10, 13, 0xc3, 0x28]);
    await door.put('/v1/kv/raw', body);
    const got = await door.request('/v1/kv/raw?raw');
    expect(got.bytes.equals(body)).toBe(true);
    expect(got.headers).toMatchObject({
      'content-type': 'text/plain',
      'x-content-type-options': 'nosniff',
      'content-security-policy': 'sandbox',
      'content-length': '6',
    });
    expect(got.headers['x-consul-index']).toMatch(/^\d+$/);
  });

  test('what is not there is 404 with index and leader headers, and an empty body', async () => {
    for (const path of ['/v1/kv/none', '/v1/kv/none/?recurse', '/v1/kv/none/?keys', '/v1/kv/none?raw']) {
      const got = await door.request(path);
      expect([got.status, got.text, got.headers['content-type']]).toEqual([404, '', undefined]);
      expect(got.index).toBeGreaterThan(0);
      expect(got.headers).toMatchObject({ 'x-consul-knownleader': 'true', 'x-consul-lastcontact': '0' });
    }
  });

  test('lists are bytewise, prefixes are strings, and separators fold', async () => {
    for (const key of ['l/b', 'l/a/1', 'l/a/2', 'l/a', 'l/%F0%9F%98%80', 'l/%EF%BF%BD'])
      await door.put(`/v1/kv/${key}`, 'x');
    const keys = async (query: string): Promise<unknown> =>
      JSON.parse((await door.request(`/v1/kv/${query}`)).text);
    expect(await keys('l/?keys')).toEqual(['l/a', 'l/a/1', 'l/a/2', 'l/b', 'l/\ufffd', 'l/😀']);
    expect(await keys('l/?keys&separator=/')).toEqual(['l/a', 'l/a/', 'l/b', 'l/\ufffd', 'l/😀']);
    expect(await keys('l/?keys&seperator=/')).toEqual(['l/a', 'l/a/', 'l/b', 'l/\ufffd', 'l/😀']);
    expect(await keys('l/a?keys')).toEqual(['l/a', 'l/a/1', 'l/a/2']);
    const tree = await door.request('/v1/kv/l/a?recurse&raw&separator=/');
    expect(entries(tree).map((entry) => entry['Key'])).toEqual(['l/a', 'l/a/1', 'l/a/2']);
    expect(tree.index).toBe(Math.max(...entries(tree).map((entry) => Number(entry['ModifyIndex']))));
  });

  test('flags of a query are tested by presence: false switches them on', async () => {
    await door.put('/v1/kv/presence', 'x');
    expect((await door.request('/v1/kv/presence?raw=false')).text).toBe('x');
    expect((await door.request('/v1/kv/presence?keys=false')).text).toBe('["presence"]');
  });

  test('pretty indents by four spaces and ends the line', async () => {
    await door.put('/v1/kv/pretty', 'x');
    const plain = await door.request('/v1/kv/pretty');
    const pretty = await door.request('/v1/kv/pretty?pretty');
    expect(pretty.text).toBe(`${JSON.stringify(JSON.parse(plain.text), null, 4)}\n`);
  });

  test('pretty keeps flags of 64 bits and escapes exact', async () => {
    await door.put('/v1/kv/exact%3C?flags=18446744073709551615', 'x');
    const { text } = await door.request('/v1/kv/exact%3C?pretty');
    expect(text).toContain('"Flags": 18446744073709551615,');
    expect(text).toContain(String.raw`"Key": "exact\u003c"`);
  });

  test('long answers are compressed for who accepts it, short ones never', async () => {
    const accept = { 'Accept-Encoding': 'gzip' };
    await door.put('/v1/kv/short', 'x');
    await door.put('/v1/kv/long', 'x'.repeat(1400));
    const short = await door.request('/v1/kv/short', { headers: accept });
    expect(short.headers['content-encoding']).toBeUndefined();
    const plain = await door.request('/v1/kv/long');
    expect(plain.headers['content-encoding']).toBeUndefined();
    for (const path of ['/v1/kv/long', '/v1/kv/long', '/v1/kv/long?raw']) {
      const zipped = await door.request(path, { headers: accept });
      expect(zipped.headers['content-encoding']).toBe('gzip');
      expect(zipped.headers.vary).toBe('Accept-Encoding');
      expect(gunzipSync(zipped.bytes).toString()).toBe((await door.request(path)).text);
      expect(zipped.headers['content-length']).toBe(String(zipped.bytes.length));
    }
    const refused = await door.request('/v1/kv/long', {
      headers: { 'Accept-Encoding': 'gzip;q=0, deflate' },
    });
    expect(refused.headers['content-encoding']).toBeUndefined();
  });

  test.each([
    ['GET', '/v1/kv/', 400, 'Missing key name'],
    ['PUT', '/v1/kv/', 400, 'Missing key name'],
    ['DELETE', '/v1/kv/', 400, 'Missing key name'],
    ['PUT', '/v1/kv/a?flags=abc', 500, 'strconv.ParseUint: parsing "abc": invalid syntax'],
    ['PUT', '/v1/kv/a?cas=-1', 500, 'strconv.ParseUint: parsing "-1": invalid syntax'],
    [
      'PUT',
      '/v1/kv/a?cas=18446744073709551616',
      500,
      'strconv.ParseUint: parsing "18446744073709551616": value out of range',
    ],
    ['PUT', '/v1/kv/a?cas=1&acquire=x', 400, 'Conflicting flags: acquire=x&cas=1'],
    ['DELETE', '/v1/kv/a?recurse&cas=1', 400, 'Conflicting flags: cas=1&recurse='],
    ['PUT', '/v1/kv/a?acquire=', 500, 'missing session'],
    ['PUT', '/v1/kv/a?release=', 500, 'missing session'],
    ['PUT', '/v1/kv/a?acquire=short', 500, 'failed session lookup: index error: UUID must be 36 characters'],
    ['GET', '/v1/kv/a?wait=10&index=1', 400, 'Invalid wait time'],
    ['GET', '/v1/kv/a?index=x', 400, 'Invalid index'],
    [
      'GET',
      '/v1/kv/a?stale&consistent',
      400,
      'Cannot specify ?stale with ?consistent, conflicting semantics.',
    ],
    ['GET', '/v1/kv/a?max_stale=foo', 400, 'Invalid max_stale value "foo"'],
    ['GET', '/v1/kv/a?dc=elsewhere', 500, 'No path to datacenter'],
    ['PUT', '/v1/kv/a?dc=elsewhere', 500, 'No path to datacenter'],
    ['POST', '/v1/kv/a', 405, 'method POST not allowed'],
    ['PATCH', '/v1/kv/a', 405, 'method PATCH not allowed'],
    ['GET', '/v1/kv/a?x=%zz', 500, ''],
    ['GET', '/v1/nothing', 404, 'Invalid URL path: not a recognized HTTP API endpoint\n'],
  ])('%s %s is %d %s', async (method, path, status, text) => {
    const got = await door.request(path, { method });
    expect([got.status, got.text]).toEqual([status, text]);
    expect(got.headers['content-type']).toBe(text === '' ? undefined : 'text/plain; charset=utf-8');
  });

  test('the Enterprise parameters are refused as the Community Edition does', async () => {
    const got = await door.request('/v1/kv/a?ns=x');
    expect([got.status, got.text]).toEqual([
      400,
      'Invalid query parameter: "ns" - Namespaces are a Consul Enterprise feature',
    ]);
  });

  test('a method that is not there names those that are, OPTIONS too, and HEAD is one that is not', async () => {
    for (const method of ['POST', 'OPTIONS', 'HEAD']) {
      const got = await door.request('/v1/kv/a', { method });
      expect(got.headers.allow).toBe('OPTIONS,GET,PUT,DELETE');
      expect(got.status).toBe(method === 'OPTIONS' ? 200 : 405);
    }
  });

  test('compare-and-set works with the index of the header', async () => {
    await door.put('/v1/kv/cas', '1');
    const { index } = await door.request('/v1/kv/cas');
    expect((await door.put(`/v1/kv/cas?cas=${index}`, '2')).text).toBe('true');
    expect((await door.put(`/v1/kv/cas?cas=${index}`, '3')).text).toBe('false');
    expect((await door.put('/v1/kv/cas?cas=0', '3')).text).toBe('false');
    expect((await door.request('/v1/kv/cas?raw')).text).toBe('2');
    expect((await door.request(`/v1/kv/cas?cas=${index}`, { method: 'DELETE' })).text).toBe('false');
    expect((await door.request('/v1/kv/cas?cas=0', { method: 'DELETE' })).text).toBe('false');
    const now = await door.request('/v1/kv/cas');
    expect((await door.request(`/v1/kv/cas?cas=${now.index}`, { method: 'DELETE' })).text).toBe('true');
    expect((await door.request('/v1/kv/cas?cas=7', { method: 'DELETE' })).text).toBe('true');
  });
});

describe('paths', () => {
  test.each([
    ['/v1/kv//x//y', '/v1/kv/x/y'],
    ['/v1/kv/x/../y', '/v1/kv/y'],
    ['/v1/kv/./x', '/v1/kv/x'],
    ['/v1/kv/a%2F%2Fb', '/v1/kv/a/b'],
    ['/v1/kv/%2Flead', '/v1/kv/lead'],
    ['/v1/kv/a%20%2F%2Fb%3F', '/v1/kv/a%20/b%3F'],
    ['//v1/kv/x', '/v1/kv/x'],
    ['/v1/kv', '/v1/kv/'],
  ])('%s is sent on to %s, for a write without a body', async (path, location) => {
    const put = await door.put(`${path}?flags=1`, 'x');
    expect([put.status, put.headers.location, put.text]).toEqual([301, `${location}?flags=1`, '']);
    const got = await door.request(path);
    expect([got.status, got.headers.location]).toEqual([301, location]);
    expect(got.text).toBe(`<a href="${location}">Moved Permanently</a>.\n\n`);
  });

  test.each(['/v1/kv/a%09b', '/v1/kv/a%0Ab', '/v1/kv/a%C2%A0b', '/v1/kv/a%00b', '/v1/kv/a%7Fb'])(
    '%s has what cannot be printed: 400 with an empty body',
    async (path) => {
      const got = await door.put(path, 'x');
      expect([got.status, got.text]).toEqual([400, '']);
    },
  );

  test.each([
    ['a%2Fb%2Fc', 'a/b/c'],
    ['with%20space', 'with space'],
    ['q%3Fx%23y', 'q?x#y'],
    ['%252F', '%2F'],
    ['%C3%A9%F0%9F%98%80', 'é😀'],
    ['a+b', 'a+b'],
    ['trailing/', 'trailing/'],
    ['a...b/..c', 'a...b/..c'],
    ['a%25zz', 'a%zz'],
  ])('%s names the key %s', async (path, key) => {
    expect((await door.put(`/v1/kv/${path}`, 'x')).text).toBe('true');
    expect(entries(await door.request(`/v1/kv/${path}`))).toMatchObject([{ Key: key }]);
  });
});

describe('the size of bodies', () => {
  const text = (bytes: number): string =>
    `Request body(${bytes} bytes) too large, max size: 524288 bytes. ` +
    'See https://www.consul.io/docs/agent/options.html#kv_max_value_size.';

  test.each([false, true])('a value of just the limit is taken (chunked: %s)', async (chunked) => {
    const body = Buffer.alloc(limit, 7);
    const put = await door.request('/v1/kv/limit', { method: 'PUT', body, chunked });
    expect([put.status, put.text]).toEqual([200, 'true']);
    expect((await door.request('/v1/kv/limit?raw')).bytes.equals(body)).toBe(true);
  });

  test.each([
    [false, limit + 1],
    [false, 3_000_000],
    [true, limit + 1],
    [true, 3_000_000],
  ])('above it the sender reads a 413 that says so, whole (chunked: %s, %d bytes)', async (chunked, size) => {
    for (let i = 0; i < 5; i++) {
      const put = await door.request('/v1/kv/too-large', {
        method: 'PUT',
        body: Buffer.alloc(size),
        chunked,
      });
      expect([put.status, put.text]).toEqual([413, text(size)]);
      expect(put.headers['content-type']).toBe('text/plain; charset=utf-8');
    }
    expect((await door.request('/v1/kv/too-large')).status).toBe(404);
  });
});

describe('configuration of the front door', () => {
  test('blocked endpoints, response headers and who may write are as configured', async () => {
    const strict = await new FrontDoor({
      dispatcher: {
        blockEndpoints: ['/v1/kv/secret'],
        responseHeaders: { 'X-Extra': 'yes', 'Access-Control-Allow-Origin': '*' },
        mayWrite: () => false,
      },
    }).open();
    try {
      const blocked = await strict.request('/v1/kv/secret/x');
      expect([blocked.status, blocked.text]).toEqual([403, 'Endpoint is blocked by agent configuration']);
      const put = await strict.put('/v1/kv/a', 'x');
      expect([put.status, put.text]).toEqual([403, 'Access is restricted']);
      const got = await strict.request('/v1/kv/a');
      expect(got.headers).toMatchObject({ 'x-extra': 'yes', 'access-control-allow-origin': '*' });
    } finally {
      await strict.close();
    }
  });

  test('a route that throws answers 500, is reported, and the connection goes on', async () => {
    const broken = await new FrontDoor({
      routes: [
        {
          path: '/v1/broken',
          common: 'none',
          state: 'same',
          methods: {
            GET: () => {
              throw new Error('a defect');
            },
            PUT: () => ({
              kind: 'write',
              command: { kind: 'kv-delete', key: 'x' },
              reply: () => {
                throw new Error('a defect in the reply');
              },
            }),
          },
        },
      ],
    }).open();
    try {
      for (const method of ['GET', 'PUT', 'GET']) {
        const got = await broken.request('/v1/broken', { method });
        expect([got.status, got.text]).toEqual([500, 'internal error: see the log of this gateway']);
      }
      expect(broken.defects).toHaveLength(3);
    } finally {
      await broken.close();
    }
  });
});
