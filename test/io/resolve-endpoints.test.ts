import { describe, expect, test } from '@jest/globals';
import { resolveEndpoints, resolveHost, type ResolveHost } from '../../src/io/resolve-endpoints.ts';

const names: Readonly<Record<string, readonly string[]>> = {
  'gw.example': ['10.0.0.1', '10.0.0.2', '2001:db8:0:0::1'],
  one: ['10.0.0.1'],
  mapped: ['::ffff:10.0.0.7'],
  empty: [],
  odd: ['not an address'],
};

const known: ResolveHost = async (host) => {
  const found = names[host];
  if (found === undefined) throw Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' });
  return found;
};

const options = { portDefault: 8301, resolve: known, waitMsMax: 10_000 };

describe('an address to join', () => {
  test.each<readonly [address: string, endpoints: readonly (readonly [string, number])[]]>([
    ['10.0.0.9', [['10.0.0.9', 8301]]],
    ['10.0.0.9:9301', [['10.0.0.9', 9301]]],
    ['2001:DB8::0:1', [['2001:db8::1', 8301]]],
    ['[2001:db8::1]', [['2001:db8::1', 8301]]],
    ['[2001:db8::1]:9301', [['2001:db8::1', 9301]]],
    ['::1', [['::1', 8301]]],
    ['::ffff:10.0.0.7', [['10.0.0.7', 8301]]],
    ['[fe80::1%eth0]:9301', [['fe80::1%eth0', 9301]]],
    ['mapped:1', [['10.0.0.7', 1]]],
    [
      'gw.example:9301',
      [
        ['10.0.0.1', 9301],
        ['10.0.0.2', 9301],
        ['2001:db8::1', 9301],
      ],
    ],
  ])('%s', async (address, endpoints) => {
    const resolved = await resolveEndpoints([address], options);
    expect(resolved.problems).toEqual([]);
    expect(resolved.endpoints.map((each) => [each.address, each.port])).toEqual(endpoints);
  });

  test.each<readonly [address: string, why: string]>([
    ['nobody', 'lookup nobody: no such host'],
    ['empty', 'lookup empty: no such host'],
    ['odd', 'lookup odd: no such host'],
    ['', 'no host'],
    [':8301', 'no host'],
    ['one:', 'invalid port ""'],
    ['one:http', 'invalid port "http"'],
    ['one:0', 'invalid port "0"'],
    ['one:65536', 'invalid port "65536"'],
    ['one:-1', 'invalid port "-1"'],
    ['[10.0.0.1]:1', 'no IPv6 address in brackets'],
    ['[2001:db8::1', 'invalid host "[2001:db8:"'],
    ['2001:db8::1:99999', 'invalid port "99999"'],
    ['a b', 'invalid host "a b"'],
    ['http://one', 'invalid port "//one"'],
    ['x'.repeat(254), 'longer than 253 characters'],
    ['provider=aws tag_key=x', 'cloud auto-join is not built in: give addresses or DNS names'],
  ])('%j means none, and is told why', async (address, why) => {
    expect(await resolveEndpoints([address], options)).toEqual({
      endpoints: [],
      problems: [{ address, problem: expect.stringContaining(`Failed to resolve ${address}: `) }],
    });
    expect((await resolveEndpoints([address], options)).problems[0]?.problem).toContain(why);
  });
});

describe('several addresses', () => {
  test('give each endpoint once, in their order, beside the problems of others', async () => {
    const resolved = await resolveEndpoints(
      ['one', 'nobody', 'gw.example', '10.0.0.1:9301', '10.0.0.2'],
      options,
    );
    expect(resolved.endpoints).toEqual([
      { address: '10.0.0.1', port: 8301 },
      { address: '10.0.0.2', port: 8301 },
      { address: '2001:db8::1', port: 8301 },
      { address: '10.0.0.1', port: 9301 },
    ]);
    expect(resolved.problems.map(({ address }) => address)).toEqual(['nobody']);
  });

  test('are looked up side by side: a name server that hangs costs its own name only', async () => {
    const asked: string[] = [];
    const resolve: ResolveHost = (host) => {
      asked.push(host);
      return host === 'hangs' ? new Promise(() => undefined) : known(host);
    };
    const resolved = await resolveEndpoints(['hangs', 'one'], { portDefault: 1, resolve, waitMsMax: 20 });
    expect(asked).toEqual(['hangs', 'one']);
    expect(resolved.endpoints).toEqual([{ address: '10.0.0.1', port: 1 }]);
    expect(resolved.problems[0]?.problem).toBe(
      'Failed to resolve hangs: lookup hangs: no answer within 20 ms',
    );
  });

  test('give no more endpoints than can be tried', async () => {
    const resolve: ResolveHost = async () =>
      Array.from({ length: 400 }, (_, i) => `10.1.${i >> 8}.${i & 255}`);
    const { endpoints, problems } = await resolveEndpoints(['all', 'more:1'], { ...options, resolve });
    expect(endpoints).toHaveLength(256);
    expect(problems).toEqual([]);
  });
});

test('the resolver of the host knows its own name', async () => {
  const found = await resolveHost('localhost');
  expect(found.some((address) => address === '127.0.0.1' || address === '::1')).toBe(true);
});
