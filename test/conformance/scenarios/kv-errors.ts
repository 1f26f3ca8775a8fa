import type { Area } from '../harness.ts';
import { del, get, put, request, scenario } from '../scenario.ts';

const valueBytesMax = 524_288;

export const kvErrors: Area = {
  name: 'KV errors',
  scenarios: [
    {
      ...scenario(
        'a request without a key is refused, but for lists',
        get('/v1/kv/', { expect: { status: 400, body: 'Missing key name' } }),
        put('/v1/kv/', 'x', { expect: { status: 400, body: 'Missing key name' } }),
        del('/v1/kv/', { expect: { status: 400, body: 'Missing key name' } }),
        get('/v1/kv/?raw', { expect: { status: 400 } }),
        get('/v1/kv/?keys', { expect: { status: 200, body: '[]' } }),
        get('/v1/kv/?recurse', { expect: { status: 404, body: '' } }),
        get('/v1/kv/?keys&separator=/', { expect: { status: 200, body: '[]' } }),
        put('/v1/kv/one', 'x'),
        get('/v1/kv/?keys', { expect: { status: 200, body: '["one"]' } }),
        get('/v1/kv/?recurse', { expect: { status: 200 } }),
        del('/v1/kv/?recurse', { expect: { status: 200, body: 'true' } }),
        get('/v1/kv/?keys', { expect: { status: 200, body: '[]' } }),
      ),
      untouched: true,
    },
    scenario(
      'flags that are no uint64 are refused',
      put('/v1/kv/e/a?flags=abc', 'x', {
        expect: { status: 500, body: 'strconv.ParseUint: parsing "abc": invalid syntax' },
      }),
      put('/v1/kv/e/a?flags=18446744073709551616', 'x', {
        expect: { status: 500, body: 'value out of range' },
      }),
      put('/v1/kv/e/a?flags=-1', 'x', { expect: { status: 500, body: 'invalid syntax' } }),
      put('/v1/kv/e/a?flags=1.5', 'x', { expect: { status: 500 } }),
      put('/v1/kv/e/a?flags=0x10', 'x', { expect: { status: 500 } }),
      put('/v1/kv/e/a?flags=%20', 'x', { expect: { status: 500 } }),
      put('/v1/kv/e/a?flags=%2B1', 'x', { expect: { status: 500 } }),
      put('/v1/kv/e/a?flags=1_0', 'x', { expect: { status: 500 } }),
      put('/v1/kv/e/a?flags=%22%0A', 'x', { expect: { status: 500 } }),
      get('/v1/kv/e/a', { expect: { status: 404 } }),
    ),
    scenario(
      'a cas that is no uint64 is refused',
      put('/v1/kv/e/b?cas=abc', 'x', {
        expect: { status: 500, body: 'strconv.ParseUint: parsing "abc": invalid syntax' },
      }),
      put('/v1/kv/e/b?cas=99999999999999999999', 'x', {
        expect: { status: 500, body: 'value out of range' },
      }),
      put('/v1/kv/e/b?cas=', 'x'),
      del('/v1/kv/e/b?cas=abc', { expect: { status: 500, body: 'invalid syntax' } }),
      del('/v1/kv/e/b?cas='),
      get('/v1/kv/e/b'),
    ),
    scenario(
      'flags that contradict each other are refused, named in order',
      put('/v1/kv/e/c?cas=1&acquire=x', 'x', {
        expect: { status: 400, body: 'Conflicting flags: acquire=x&cas=1' },
      }),
      put('/v1/kv/e/c?acquire=x&release=y', 'x', { expect: { status: 400, body: 'Conflicting flags' } }),
      put('/v1/kv/e/c?release=y&cas=0&flags=3', 'x', { expect: { status: 400, body: 'Conflicting flags' } }),
      put('/v1/kv/e/c?cas=1&release=a%20b%26', 'x', { expect: { status: 400, body: 'Conflicting flags' } }),
      put('/v1/kv/e/c?cas&acquire', 'x', { expect: { status: 400, body: 'Conflicting flags' } }),
      del('/v1/kv/e/c?recurse&cas=1', { expect: { status: 400, body: 'Conflicting flags: cas=1&recurse=' } }),
      del('/v1/kv/e/c?cas=0&recurse=true', { expect: { status: 400, body: 'Conflicting flags' } }),
    ),
    scenario(
      'acquire and release name a session, or are refused',
      put('/v1/kv/e/d?acquire=', 'x', { expect: { status: 500, body: 'missing session' } }),
      put('/v1/kv/e/d?acquire=short', 'x', {
        expect: { status: 500, body: 'failed session lookup: index error: UUID must be 36 characters' },
      }),
      put('/v1/kv/e/d?acquire=11111111-2222-3333-4444-555555555555', 'x', {
        expect: { status: 500, body: 'invalid session "11111111-2222-3333-4444-555555555555"' },
      }),
      put('/v1/kv/e/d?release=', 'x', { expect: { status: 500 } }),
      put('/v1/kv/e/d?release=short', 'x'),
      put('/v1/kv/e/d?release=11111111-2222-3333-4444-555555555555', 'x'),
      get('/v1/kv/e/d', { expect: { status: 404 } }),
      put('/v1/kv/e/d', 'x'),
      put('/v1/kv/e/d?release=11111111-2222-3333-4444-555555555555', 'x', { expect: { body: 'false' } }),
    ),
    scenario(
      'a value may have 512 KiB and not a byte more',
      put('/v1/kv/e/big', 'x'.repeat(valueBytesMax), { expect: { status: 200, body: 'true' } }),
      put('/v1/kv/e/big', 'x'.repeat(valueBytesMax + 1), {
        expect: { status: 413, body: 'Request body(524289 bytes) too large, max size: 524288 bytes. See ' },
      }),
      get('/v1/kv/e/big?raw', {
        ignore: ['$'],
        expect: { status: 200, headers: { 'Content-Length': '524288' } },
      }),
      put('/v1/kv/e/chunked', 'x'.repeat(valueBytesMax + 1), {
        chunked: true,
        differs: {
          id: 'kv-chunked-limit',
          at: ['status', 'body', 'header'],
          gateway: { status: 413, body: 'too large' },
        },
      }),
    ),
    scenario(
      'other methods are not allowed',
      request('POST', '/v1/kv/e/f', 'x', {
        expect: {
          status: 405,
          body: 'method POST not allowed',
          headers: { Allow: 'OPTIONS,GET,PUT,DELETE' },
        },
      }),
      request('HEAD', '/v1/kv/e/f', undefined, { expect: { status: 405 } }),
      request('PATCH', '/v1/kv/e/f', 'x', { expect: { status: 405 } }),
    ),
    scenario(
      'an unknown datacenter is refused for reads and writes',
      get('/v1/kv/e/g?dc=nowhere', { expect: { status: 500, body: 'No path to datacenter' } }),
      put('/v1/kv/e/g?dc=nowhere', 'x', { expect: { status: 500, body: 'No path to datacenter' } }),
      del('/v1/kv/e/g?dc=nowhere', { expect: { status: 500, body: 'No path to datacenter' } }),
      get('/v1/kv/e/?keys&dc=nowhere', { expect: { status: 500 } }),
      get('/v1/kv/e/?recurse&dc=nowhere', { expect: { status: 500 } }),
      put('/v1/kv/e/g?dc=dc1', 'x', { expect: { status: 200 } }),
      get('/v1/kv/e/g?dc=dc1', { expect: { status: 200 } }),
      get('/v1/kv/e/g?dc=DC1', { expect: { status: 500, body: 'No path to datacenter' } }),
    ),
  ],
};
