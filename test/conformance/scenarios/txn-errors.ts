import type { Area } from '../harness.ts';
import { get, put, request, scenario } from '../scenario.ts';

const sets = (count: number): object[] =>
  Array.from({ length: count }, (_, i) => ({ KV: { Verb: 'set', Key: `many/${i}`, Value: 'eA==' } }));

export const transactionErrors: Area = {
  name: 'Transaction errors',
  // By default the whole body may have as much as one value, and the limit of a value is never met.
  config: { limits: { txn_max_req_len: 1_000_000 } },
  scenarios: [
    scenario(
      'a transaction has 64 operations at most, newer versions allow 128',
      put('/v1/txn', sets(64), { expect: { status: 200 } }),
      put('/v1/txn', sets(65), {
        expect: { status: 413, body: 'Transaction contains too many operations (65 > 64)' },
        differs: { id: 'txn-operations', at: ['status', 'body', 'header'], gateway: { status: 200 } },
      }),
      put('/v1/txn', sets(129), {
        expect: { status: 413, body: 'Transaction contains too many operations (129 > 64)' },
        differs: {
          id: 'txn-operations',
          at: ['body'],
          gateway: { status: 413, body: 'Transaction contains too many operations (129 > 128)' },
        },
      }),
    ),
    scenario(
      'a body that cannot be read is refused',
      put('/v1/txn', '{', { expect: { status: 400, body: 'Failed to parse body: ' } }),
      put('/v1/txn', '{}', { expect: { status: 400, body: 'Failed to parse body: ' } }),
      put('/v1/txn', '"x"', { expect: { status: 400, body: 'Failed to parse body: ' } }),
      put('/v1/txn', '[1]', { expect: { status: 400, body: 'Failed to parse body: ' } }),
      put('/v1/txn', '[{"KV":{"Verb":1}}]', {
        expect: { status: 400, body: 'Failed to parse body: ' },
      }),
      put('/v1/txn', '[{"KV":{"Verb":"set","Key":"a","Value":"***"}}]', {
        expect: { status: 400, body: 'Failed to parse body: ' },
      }),
      put('/v1/txn', '[{"KV":{"Verb":"set","Key":"a","Value":"eA"}}]', {
        expect: { status: 400, body: 'Failed to parse body: ' },
      }),
    ),
    scenario(
      'an operation of nothing, and of an unknown kind',
      put('/v1/txn', '[{}]'),
      put('/v1/txn', '[{"KV":null}]'),
      put('/v1/txn', '[{"KV":{}}]'),
      put('/v1/txn', '[{"Unknown":{"Verb":"set"}}]', {
        expect: { status: 400, body: 'Failed to parse body: json: unknown field "Unknown"' },
      }),
      put('/v1/txn', '[{"KV":{"Verb":"check-not-exists","Key":"none","Unknown":1}}]', {
        expect: { status: 400, body: 'unknown field' },
        differs: { id: 'unknown-fields', at: ['status', 'body', 'header'], gateway: { status: 200 } },
      }),
    ),
    scenario(
      'verbs that are none, and keys that are missing',
      put('/v1/txn', [{ KV: { Verb: 'nope', Key: 'a' } }], {
        expect: { status: 409, body: String.raw`unknown KV verb \"nope\"` },
      }),
      put('/v1/txn', [{ KV: { Verb: 'SET', Key: 'a' } }]),
      put('/v1/txn', [{ KV: { Verb: '', Key: 'a' } }]),
      put('/v1/txn', [{ KV: { Verb: 'set', Key: '' } }], {
        expect: { status: 409, body: 'Must provide key' },
      }),
      put('/v1/txn', [{ KV: { Verb: 'get', Key: '' } }]),
      put('/v1/txn', [{ KV: { Verb: 'get-tree', Key: '' } }], { ignore: ['$'] }), // All that other scenarios wrote.
      put('/v1/txn', [{ KV: { Verb: 'delete', Key: '' } }]),
      put('/v1/txn', [{ KV: { Verb: 'lock', Key: '', Session: 'x' } }]),
    ),
    scenario(
      'a value of more than 512 KiB is refused by its key, a body of more than is configured as a whole',
      put('/v1/txn', [{ KV: { Verb: 'set', Key: 'k', Value: Buffer.alloc(524_289).toString('base64') } }], {
        expect: { status: 413, body: 'Value for key "k" is too large (524289 > 524288 bytes)' },
      }),
      put('/v1/txn', [{ KV: { Verb: 'set', Key: 'k', Value: Buffer.alloc(524_288).toString('base64') } }], {
        expect: { status: 200 },
      }),
      put('/v1/txn', ' '.repeat(999_999) + '[]', {
        expect: { status: 413, body: 'Request body(1000001 bytes) too large, max size: 1000000 bytes. See ' },
      }),
      put('/v1/txn', ' '.repeat(999_998) + '[]', { expect: { status: 200 } }),
    ),
    scenario(
      'get-or-empty came with newer versions',
      put('/v1/txn', [{ KV: { Verb: 'get-or-empty', Key: 'goe/missing' } }], {
        expect: { status: 409 },
        differs: {
          id: 'txn-get-or-empty',
          at: ['status', 'body', 'header'],
          gateway: { status: 200, body: '"Key":"goe/missing"' },
        },
      }),
    ),
    scenario(
      'other methods, and datacenters that are not there',
      get('/v1/txn', { expect: { status: 405 } }),
      request('POST', '/v1/txn', '[]', { expect: { status: 405 } }),
      put('/v1/txn?dc=nowhere', '[]', { expect: { status: 500, body: 'No path to datacenter' } }),
      put('/v1/txn?dc=dc1', '[]', { expect: { status: 200 } }),
    ),
  ],
};
