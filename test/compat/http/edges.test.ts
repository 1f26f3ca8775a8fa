import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { healthRoutes } from '../../../compat/routes/health.ts';
import { kvRoutes } from '../../../compat/routes/kv.ts';
import { FrontDoor } from './harness.ts';

let door: FrontDoor;
let lastContactMs = 0;

beforeAll(async () => {
  door = await new FrontDoor({
    routes: [...kvRoutes, ...healthRoutes],
    dispatcher: {
      responseHeaders: { 'X-Custom': 'yes' },
      freshness: () => ({ knownLeader: true, lastContactMs }),
    },
  }).open();
});

afterAll(() => door.close());

describe('what is no endpoint', () => {
  test.each(['GET', 'PUT', 'POST', 'OPTIONS'])('%s / says whose port this is', async (method) => {
    const { status, text, headers } = await door.request('/?a=%zz', { method });
    expect([status, text, headers['x-custom']]).toEqual([200, 'Consul Agent', 'yes']);
  });

  test.each([
    ['/v1/nope', 'Invalid URL path: not a recognized HTTP API endpoint\n'],
    [
      '/kv/a?x=/v1/',
      "Invalid URL path: if attempting to use the HTTP API, ensure the path starts with '/v1/'\n",
    ],
  ])('%s is not found, and the answer says why', async (path, expected) => {
    const { status, text, headers } = await door.request(path);
    expect([status, text, headers['x-custom']]).toEqual([404, expected, 'yes']);
  });
});

describe('a redirect to a clean path', () => {
  test.each([
    ['/v1/kv/p/..', '/v1/kv/'],
    ['/v1/kv/.', '/v1/kv/'],
    ['/v1/kv/..', '/v1'],
    ['/v1/kv/a/../', '/v1/kv/'],
    ['/v1/k%76?q=1', '/v1/kv/?q=1'],
    ["/v1/kv//a'b!(c)*%5B%3F", '/v1/kv/a%27b%21%28c%29%2A%5B%3F'],
  ])('from %s goes to %s', async (path, location) => {
    const { status, headers } = await door.request(path);
    expect([status, headers.location]).toEqual([301, location]);
  });

  test('carries no headers that are configured, and is safe to show', async () => {
    const { text, headers } = await door.request(`/v1/kv//a?"><script>alert('&')`);
    expect(headers).not.toHaveProperty('x-custom');
    expect(headers).not.toHaveProperty('vary');
    expect(text).toBe(
      '<a href="/v1/kv/a?&#34;&gt;&lt;script&gt;alert(&#39;&amp;&#39;)">Moved Permanently</a>.\n\n',
    );
  });
});

describe('?cached', () => {
  const path = '/v1/health/service/web?cached';

  test('says whether the result was at hand, and how old what it is made of may be', async () => {
    const first = await door.request(path);
    expect([first.headers['x-cache'], first.headers.age]).toEqual(['MISS', undefined]);
    lastContactMs = 1700;
    const second = await door.request(path);
    expect([second.headers['x-cache'], second.headers.age]).toEqual(['HIT', '2']);
    lastContactMs = 0;
  });

  test('is passed over where Consul has no cache', async () => {
    const { headers } = await door.request('/v1/kv/a?cached');
    expect(headers).not.toHaveProperty('x-cache');
  });

  test.each(['max-age=x', 'max-age=', 'stale-if-error=1.5'])(
    'or not: Cache-Control: %s is refused',
    async (value) => {
      const { status, text } = await door.request('/v1/kv/a', { headers: { 'Cache-Control': value } });
      expect([status, text]).toEqual([400, 'Invalid Cache-Control header.']);
    },
  );

  test.each(['max-age=0', 'must-revalidate', 'max-age', 'MAX-AGE=+5 , no-store'])(
    'Cache-Control: %s is taken',
    async (value) => {
      const { status } = await door.request(path, { headers: { 'Cache-Control': value } });
      expect(status).toBe(200);
    },
  );
});

test.each([
  ['X-Consul-Namespace', 'Namespaces'],
  ['X-Consul-Partition', 'Partitions'],
])('the header %s is refused, with and without a query', async (header, plural) => {
  for (const path of ['/v1/kv/a', '/v1/kv/a?raw']) {
    const { status, text } = await door.request(path, { headers: { [header]: 'x' } });
    expect([status, text]).toEqual([
      400,
      `Invalid header: "${header}" - ${plural} are a Consul Enterprise feature`,
    ]);
  }
});

test('a datacenter is another one when its case differs', async () => {
  const { status, text } = await door.request('/v1/kv/a?dc=DC1');
  expect([status, text]).toEqual([500, 'No path to datacenter']);
});
