import type { Area } from '../harness.ts';
import { del, get, put, scenario } from '../scenario.ts';

export const kv: Area = {
  name: 'KV',
  scenarios: [
    scenario(
      'a value is read back with its flags and indexes',
      put('/v1/kv/entry/a?flags=42', 'hello', { expect: { status: 200, body: 'true' } }),
      get('/v1/kv/entry/a', {
        expect: { status: 200, body: '"LockIndex":0,"Key":"entry/a","Flags":42,"Value":"aGVsbG8="' },
      }),
    ),
    scenario(
      'the index of a single key is its ModifyIndex, whatever else is written',
      put('/v1/kv/header/a', '1'),
      put('/v1/kv/header/b', '1'),
      get('/v1/kv/header/a'),
      get('/v1/kv/header/b'),
      put('/v1/kv/header/a', '2'),
      get('/v1/kv/header/a'),
      get('/v1/kv/header/b'),
      get('/v1/kv/header/?recurse'),
      get('/v1/kv/header/?keys'),
      get('/v1/kv/header/a?raw'),
    ),
    scenario(
      'writing the same value and flags again changes no index, other flags do',
      put('/v1/kv/same/a?flags=1', 'x'),
      get('/v1/kv/same/a'),
      put('/v1/kv/same/a?flags=1', 'x'),
      get('/v1/kv/same/a'),
      put('/v1/kv/same/a?flags=2', 'x'),
      get('/v1/kv/same/a'),
      put('/v1/kv/same/a', 'x'),
      get('/v1/kv/same/a'),
    ),
    scenario(
      'an empty value is null',
      put('/v1/kv/empty/a', ''),
      get('/v1/kv/empty/a', { expect: { body: '"Value":null' } }),
      get('/v1/kv/empty/a?raw', { expect: { status: 200, body: '' } }),
      put('/v1/kv/empty/b'),
      get('/v1/kv/empty/?recurse'),
    ),
    scenario(
      'a missing key answers 404 with the headers of a read and no body',
      get('/v1/kv/missing/a', { expect: { status: 404, body: '', headers: { 'X-Consul-Index': /\d/ } } }),
      get('/v1/kv/missing/?recurse', { expect: { status: 404, body: '' } }),
      get('/v1/kv/missing/?keys', { expect: { status: 404, body: '' } }),
      get('/v1/kv/missing/a?raw', { expect: { status: 404, body: '' } }),
    ),
    scenario(
      'delete answers true, whether or not there was a key',
      put('/v1/kv/gone/a', '1'),
      del('/v1/kv/gone/a', { expect: { status: 200, body: 'true' } }),
      get('/v1/kv/gone/a', { expect: { status: 404 } }),
      del('/v1/kv/gone/a', { expect: { status: 200, body: 'true' } }),
      put('/v1/kv/gone/a', '2'),
      get('/v1/kv/gone/a'),
    ),
  ],
};
