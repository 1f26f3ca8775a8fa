import type { Area } from '../harness.ts';
import { get, put, scenario } from '../scenario.ts';

type Op = Readonly<Record<string, unknown>>;
const kvOp = (Verb: string, Key: string, more: Op = {}): Op => ({ KV: { Verb, Key, ...more } });
const txn = (ops: readonly Op[], options = {}): ReturnType<typeof put> => put('/v1/txn', ops, options);
const b64 = (text: string): string => Buffer.from(text).toString('base64');

export const transactions: Area = {
  name: 'Transactions',
  scenarios: [
    scenario(
      'a transaction writes all its keys at one index and shows them without values',
      txn([kvOp('set', 't/a', { Value: b64('1'), Flags: 7 }), kvOp('set', 't/b', { Value: b64('2') })], {
        expect: { status: 200, body: '"Value":null' },
      }),
      get('/v1/kv/t/?recurse'),
      txn([kvOp('get', 't/a'), kvOp('get-tree', 't/')], { expect: { status: 200, body: '"Value":"MQ=="' } }),
    ),
    scenario(
      'an empty transaction is fine',
      put('/v1/txn', '[]', { expect: { status: 200 } }),
      put('/v1/txn', 'null', { expect: { status: 200 } }),
      put('/v1/txn', ''),
    ),
    scenario(
      'later operations see what earlier ones did',
      txn([
        kvOp('set', 'seq/a', { Value: b64('1') }),
        kvOp('get', 'seq/a'),
        kvOp('set', 'seq/a', { Value: b64('2') }),
        kvOp('get', 'seq/a'),
        kvOp('delete', 'seq/a'),
        kvOp('check-not-exists', 'seq/a'),
        kvOp('set', 'seq/b', { Value: b64('3') }),
        kvOp('get-tree', 'seq/'),
      ]),
      get('/v1/kv/seq/?recurse'),
    ),
    scenario(
      'deletes give no result',
      put('/v1/kv/d/a', '1'),
      put('/v1/kv/d/b/1', '1'),
      put('/v1/kv/d/b/2', '1'),
      txn([kvOp('delete', 'd/a'), kvOp('delete', 'd/none'), kvOp('delete-tree', 'd/b')], {
        expect: { status: 200, body: '{"Results":[],"Errors":null}' },
      }),
      get('/v1/kv/d?recurse', { expect: { status: 404 } }),
    ),
    scenario(
      'cas sets what has the index, and creates with zero',
      txn([kvOp('cas', 'c/a', { Index: 0, Value: b64('1') })], { expect: { status: 200 } }),
      get('/v1/kv/c/a', { capture: { index: '$[0].ModifyIndex' } }),
      txn([kvOp('cas', 'c/a', { Index: 0, Value: b64('2') })], {
        expect: { status: 409, body: String.raw`failed to set key \"c/a\", index is stale` },
      }),
      put('/v1/txn', `[{"KV":{"Verb":"cas","Key":"c/a","Index":<<index>>,"Value":"${b64('3')}"}}]`, {
        expect: { status: 200 },
      }),
      get('/v1/kv/c/a'),
      put('/v1/txn', '[{"KV":{"Verb":"delete-cas","Key":"c/a","Index":<<index>>}}]', {
        expect: { status: 409, body: String.raw`failed to delete key \"c/a\", index is stale` },
      }),
      get('/v1/kv/c/a', { capture: { now: '$[0].ModifyIndex' } }),
      put('/v1/txn', '[{"KV":{"Verb":"delete-cas","Key":"c/a","Index":<<now>>}}]', {
        expect: { status: 200 },
      }),
      get('/v1/kv/c/a', { expect: { status: 404 } }),
      txn([kvOp('delete-cas', 'c/none', { Index: 5 })]),
      txn([kvOp('cas', 'c/none', { Index: 5, Value: b64('x') })], { expect: { status: 409 } }),
    ),
    scenario(
      'reading a missing key fails the transaction, a missing tree does not',
      txn([kvOp('get', 'none')], { expect: { status: 409, body: String.raw`key \"none\" doesn't exist` } }),
      txn([kvOp('get-tree', 'none/')], { expect: { status: 200, body: '"Results":[]' } }),
    ),
    scenario(
      'checks of an index, of existence and of a session',
      put('/v1/kv/k/a', '1'),
      get('/v1/kv/k/a', { capture: { index: '$[0].ModifyIndex' } }),
      put('/v1/txn', '[{"KV":{"Verb":"check-index","Key":"k/a","Index":<<index>>}}]', {
        expect: { status: 200 },
      }),
      txn([kvOp('check-index', 'k/a', { Index: 1 })], {
        expect: { status: 409, body: /failed index check for key \\"k\/a\\", current modify index \d+ != 1/ },
      }),
      txn([kvOp('check-index', 'k/none', { Index: 1 })], {
        expect: { status: 409, body: String.raw`failed to check index, key \"k/none\" doesn't exist` },
      }),
      txn([kvOp('check-not-exists', 'k/none')], { expect: { status: 200 } }),
      txn([kvOp('check-not-exists', 'k/a')], {
        expect: { status: 409, body: String.raw`key \"k/a\" exists` },
      }),
      txn([kvOp('check-session', 'k/a', { Session: '11111111-2222-3333-4444-555555555555' })], {
        expect: {
          status: 409,
          body: String.raw`failed session check for key \"k/a\", current session \"\" != \"11111111-2222`,
        },
      }),
      txn([kvOp('check-session', 'k/none', { Session: '11111111-2222-3333-4444-555555555555' })], {
        expect: { status: 409, body: String.raw`failed to check session, key \"k/none\" doesn't exist` },
      }),
    ),
    scenario(
      'locks are taken, checked and released in transactions',
      put('/v1/session/create', { LockDelay: '0s' }, { capture: { one: '$.ID' } }),
      put('/v1/session/create', { LockDelay: '0s' }, { capture: { two: '$.ID' } }),
      txn([kvOp('lock', 'l/a', { Session: '<<one>>', Value: b64('1') })], {
        expect: { status: 200, body: '"LockIndex":1' },
      }),
      get('/v1/kv/l/a'),
      txn([kvOp('check-session', 'l/a', { Session: '<<one>>' }), kvOp('set', 'l/b', { Value: b64('1') })], {
        expect: { status: 200 },
      }),
      txn([kvOp('lock', 'l/a', { Session: '<<two>>', Value: b64('2') })], {
        expect: { status: 409, body: String.raw`failed to lock key \"l/a\"` },
      }),
      txn([kvOp('unlock', 'l/a', { Session: '<<two>>', Value: b64('2') })], {
        expect: {
          status: 409,
          body: String.raw`failed to unlock key \"l/a\", lock isn't held, or is held by another session`,
        },
      }),
      txn([kvOp('lock', 'l/a', { Session: '<<one>>', Value: b64('3') })], { expect: { status: 200 } }),
      get('/v1/kv/l/a'),
      txn([kvOp('unlock', 'l/a', { Session: '<<one>>', Value: b64('4') })], { expect: { status: 200 } }),
      get('/v1/kv/l/a'),
      txn([kvOp('unlock', 'l/none', { Session: '<<one>>' })], { expect: { status: 409 } }),
      txn([kvOp('lock', 'l/a', {})], { expect: { status: 409, body: 'missing session' } }),
      txn([kvOp('lock', 'l/a', { Session: '11111111-2222-3333-4444-555555555555' })], {
        expect: { status: 409, body: String.raw`invalid session \"11111111` },
      }),
      txn([kvOp('lock', 'l/a', { Session: 'short' })], { expect: { status: 409 } }),
      txn([kvOp('unlock', 'l/a', {})], { expect: { status: 409, body: 'missing session' } }),
      txn([kvOp('unlock', 'l/a', { Session: 'short' })], { expect: { status: 409 } }),
      txn([kvOp('check-session', 'l/a', {})]),
    ),
    scenario(
      'every operation that fails is named, and nothing is done',
      put('/v1/kv/f/a', '1'),
      txn(
        [
          kvOp('set', 'f/new', { Value: b64('1') }),
          kvOp('get', 'f/none'),
          kvOp('check-not-exists', 'f/a'),
          kvOp('cas', 'f/a', { Index: 1, Value: b64('2') }),
          kvOp('delete', 'f/a'),
        ],
        {
          expect: { status: 409, body: /"Results":null,"Errors":\[\{"OpIndex":1.*"OpIndex":2.*"OpIndex":3/ },
        },
      ),
      get('/v1/kv/f/?recurse'),
    ),
    scenario(
      'a transaction that only reads says how fresh its answer is',
      put('/v1/kv/r/a', '1'),
      txn([kvOp('get', 'r/a')], {
        expect: { headers: { 'X-Consul-Knownleader': 'true', 'X-Consul-Lastcontact': '0' } },
      }),
      txn([kvOp('get-tree', 'r/'), kvOp('check-not-exists', 'r/none')], {
        expect: { headers: { 'X-Consul-Knownleader': 'true' } },
      }),
      put('/v1/txn?stale', [kvOp('get', 'r/a')]),
      put('/v1/txn?consistent', [kvOp('get', 'r/a')]),
      put('/v1/txn?stale&consistent', [kvOp('get', 'r/a')], { expect: { status: 400 } }),
      txn([kvOp('get', 'r/none')]),
      txn([kvOp('get', 'r/a'), kvOp('set', 'r/b', { Value: b64('1') })]),
    ),
    scenario(
      'setting the same again keeps the index',
      txn([kvOp('set', 'n/a', { Value: b64('1') }), kvOp('set', 'n/b', { Value: b64('1') })]),
      get('/v1/kv/n/?recurse'),
      txn([kvOp('set', 'n/a', { Value: b64('1') }), kvOp('set', 'n/b', { Value: b64('2') })]),
      get('/v1/kv/n/?recurse'),
    ),
    scenario(
      'flags keep all 64 bits',
      put('/v1/txn', '[{"KV":{"Verb":"set","Key":"u/a","Flags":18446744073709551615,"Value":""}}]', {
        expect: { status: 200, body: '"Flags":18446744073709551615' },
      }),
      get('/v1/kv/u/a'),
      put('/v1/txn', '[{"KV":{"Verb":"set","Key":"u/a","Flags":18446744073709551616,"Value":""}}]', {
        expect: { status: 400 },
      }),
      put('/v1/txn', '[{"kv":{"VERB":"set","key":"u/b","flags":5,"value":"eA=="}}]', {
        expect: { status: 200 },
      }),
      get('/v1/kv/u/b'),
      put('/v1/txn', '[{"KV":{"Verb":"set","Key":"u/c","Value":null}}]', { expect: { status: 200 } }),
      get('/v1/kv/u/c'),
      put('/v1/txn', '[{"KV":{"Verb":"set","Key":"u/d"}}]', { expect: { status: 200 } }),
      get('/v1/kv/u/d'),
    ),
    scenario(
      'nodes, services and checks are set and read',
      txn([
        { Node: { Verb: 'set', Node: { Node: 'tx', Address: '10.7.7.1', Meta: { a: 'b' } } } },
        { Service: { Verb: 'set', Node: 'tx', Service: { Service: 'web', Port: 80, Tags: ['x'] } } },
        {
          Check: {
            Verb: 'set',
            Check: { Node: 'tx', CheckID: 'ok', Name: 'ok', Status: 'passing', ServiceID: 'web' },
          },
        },
        { KV: { Verb: 'set', Key: 'mixed', Value: b64('1') } },
      ]),
      get('/v1/catalog/node/tx'),
      get('/v1/health/node/tx'),
      get('/v1/kv/mixed'),
      txn([
        { Node: { Verb: 'get', Node: { Node: 'tx' } } },
        { Service: { Verb: 'get', Node: 'tx', Service: { ID: 'web', Service: 'web' } } },
        { Check: { Verb: 'get', Check: { Node: 'tx', CheckID: 'ok' } } },
      ]),
      txn([{ Node: { Verb: 'get', Node: { Node: 'none' } } }], { expect: { status: 409 } }),
      txn([{ Service: { Verb: 'get', Node: 'tx', Service: { ID: 'none', Service: 'none' } } }], {
        expect: { status: 409 },
      }),
      txn([{ Check: { Verb: 'get', Check: { Node: 'tx', CheckID: 'none' } } }], { expect: { status: 409 } }),
      txn([{ Service: { Verb: 'delete', Node: 'tx', Service: { ID: 'web', Service: 'web' } } }]),
      get('/v1/health/node/tx'),
      txn([{ Node: { Verb: 'delete', Node: { Node: 'tx' } } }]),
      get('/v1/catalog/node/tx', { expect: { body: 'null' } }),
    ),
    scenario(
      'catalog entries are set and deleted by their index',
      txn([{ Node: { Verb: 'cas', Node: { Node: 'ty', Address: '10.7.7.2', ModifyIndex: 0 } } }]),
      txn([{ Node: { Verb: 'cas', Node: { Node: 'ty', Address: '10.7.7.3', ModifyIndex: 1 } } }], {
        expect: { status: 409 },
      }),
      txn([
        {
          Check: {
            Verb: 'cas',
            Check: { Node: 'ty', CheckID: 'c', Name: 'c', Status: 'passing', ModifyIndex: 0 },
          },
        },
      ]),
      txn(
        [
          {
            Check: {
              Verb: 'cas',
              Check: { Node: 'ty', CheckID: 'c', Name: 'c', Status: 'critical', ModifyIndex: 1 },
            },
          },
        ],
        {
          expect: { status: 409 },
        },
      ),
      get('/v1/health/node/ty', { capture: { check: '$[0].ModifyIndex' } }),
      put(
        '/v1/txn',
        '[{"Check":{"Verb":"cas","Check":{"Node":"ty","CheckID":"c","Name":"c","Status":"critical","ModifyIndex":<<check>>}}}]',
        { expect: { status: 200 } },
      ),
      get('/v1/health/node/ty', { capture: { check: '$[0].ModifyIndex' } }),
      txn([{ Check: { Verb: 'delete-cas', Check: { Node: 'ty', CheckID: 'c', ModifyIndex: 1 } } }], {
        expect: { status: 409 },
      }),
      put(
        '/v1/txn',
        '[{"Check":{"Verb":"delete-cas","Check":{"Node":"ty","CheckID":"c","ModifyIndex":<<check>>}}}]',
      ),
      txn([{ Service: { Verb: 'cas', Node: 'ty', Service: { Service: 's', ModifyIndex: 0 } } }]),
      txn(
        [{ Service: { Verb: 'delete-cas', Node: 'ty', Service: { ID: 's', Service: 's', ModifyIndex: 1 } } }],
        { expect: { status: 409 } },
      ),
      get('/v1/catalog/service/s', { capture: { service: '$[0].ModifyIndex' } }),
      put(
        '/v1/txn',
        '[{"Service":{"Verb":"delete-cas","Node":"ty","Service":{"ID":"s","Service":"s","ModifyIndex":<<service>>}}}]',
      ),
      txn([{ Node: { Verb: 'delete-cas', Node: { Node: 'ty', ModifyIndex: 1 } } }], {
        expect: { status: 409 },
      }),
      txn([{ Node: { Verb: 'get', Node: { Node: 'ty' } } }], {
        capture: { node: '$.Results[0].Node.ModifyIndex' },
      }),
      put('/v1/txn', '[{"Node":{"Verb":"delete-cas","Node":{"Node":"ty","ModifyIndex":<<node>>}}}]', {
        expect: { status: 200 },
      }),
      get('/v1/catalog/node/ty'),
    ),
    scenario(
      'a check is set on its service, and a service on its node, only where these are',
      txn([{ Service: { Verb: 'set', Node: 'nobody', Service: { Service: 'web' } } }], {
        expect: { status: 409 },
      }),
      txn([{ Check: { Verb: 'set', Check: { Node: 'nobody', CheckID: 'c', Name: 'c' } } }], {
        expect: { status: 409 },
      }),
      txn(
        [
          {
            Check: { Verb: 'set', Check: { Node: 'agent-one', CheckID: 'c', Name: 'c', ServiceID: 'none' } },
          },
        ],
        {
          expect: { status: 409 },
        },
      ),
      txn([{ Node: { Verb: 'nope', Node: { Node: 'x' } } }], { expect: { status: 409 } }),
      txn([{ Service: { Verb: 'nope', Node: 'x', Service: { Service: 'x' } } }], { expect: { status: 409 } }),
      txn([{ Check: { Verb: 'nope', Check: { Node: 'x', CheckID: 'x' } } }], { expect: { status: 409 } }),
    ),
    scenario(
      'a body has 512 KiB at most',
      put('/v1/txn', ' '.repeat(524_287) + '[]', {
        expect: { status: 413, body: 'Request body(524289 bytes) too large, max size: 524288 bytes. See ' },
      }),
      put('/v1/txn', ' '.repeat(524_286) + '[]', { expect: { status: 200 } }),
    ),
  ],
};
