import type { Area } from '../harness.ts';
import { del, get, put, scenario, timesOut, woken } from '../scenario.ts';

const fromHeader = { index: 'header X-Consul-Index' };

export const kvBlocking: Area = {
  name: 'KV blocking queries',
  scenarios: [
    scenario(
      'a waiting read of a key is answered by a write to it, with the index of that write',
      put('/v1/kv/w/a', '1'),
      get('/v1/kv/w/a', { capture: fromHeader }),
      woken('/v1/kv/w/a?index=<<index>>', [put('/v1/kv/w/a', '2')], { expect: { body: '"Value":"Mg=="' } }),
      get('/v1/kv/w/a'),
    ),
    scenario(
      'an older index is answered at once',
      put('/v1/kv/old/a', '1'),
      get('/v1/kv/old/a', { capture: fromHeader }),
      get('/v1/kv/old/a?index=<<index-1>>&wait=20s', { expect: { status: 200 } }),
      get('/v1/kv/old/a?index=1&wait=20s', { expect: { status: 200 } }),
      get('/v1/kv/old/a?index=0&wait=20s', { expect: { status: 200 } }),
      get('/v1/kv/old/a?wait=20s', { expect: { status: 200 } }),
      get('/v1/kv/old/a?index=&wait=20s', { expect: { status: 200 } }),
    ),
    scenario(
      'the end of the wait answers 200 with the unchanged index and what there is',
      put('/v1/kv/end/a', '1'),
      get('/v1/kv/end/a', { capture: fromHeader }),
      timesOut('/v1/kv/end/a?index=<<index>>', [], { expect: { status: 200, body: '"Value":"MQ=="' } }),
      timesOut('/v1/kv/end/a?raw&index=<<index>>', []),
    ),
    scenario(
      'a write to another key does not wake the watch of a key',
      put('/v1/kv/quiet/a', '1'),
      put('/v1/kv/quiet/b', '1'),
      get('/v1/kv/quiet/a', { capture: fromHeader }),
      timesOut('/v1/kv/quiet/a?index=<<index>>', [
        put('/v1/kv/quiet/b', '2'),
        put('/v1/kv/quiet/ab', '2'),
        del('/v1/kv/quiet/b'),
        put('/v1/kv/elsewhere', '2'),
      ]),
    ),
    scenario(
      'writing the same again wakes nobody',
      put('/v1/kv/noop/a?flags=3', '1'),
      get('/v1/kv/noop/a', { capture: fromHeader }),
      timesOut('/v1/kv/noop/a?index=<<index>>', [put('/v1/kv/noop/a?flags=3', '1')]),
      timesOut('/v1/kv/noop/?recurse&index=<<index>>', [put('/v1/kv/noop/a?flags=3', '1')]),
    ),
    scenario(
      'a refused cas wakes nobody',
      put('/v1/kv/refused/a', '1'),
      get('/v1/kv/refused/a', { capture: fromHeader }),
      timesOut('/v1/kv/refused/a?index=<<index>>', [
        put('/v1/kv/refused/a?cas=0', '2'),
        del('/v1/kv/refused/a?cas=1'),
      ]),
    ),
    scenario(
      'other flags wake',
      put('/v1/kv/flagged/a', '1'),
      get('/v1/kv/flagged/a', { capture: fromHeader }),
      woken('/v1/kv/flagged/a?index=<<index>>', [put('/v1/kv/flagged/a?flags=9', '1')], {
        expect: { body: '"Flags":9' },
      }),
    ),
    scenario(
      'a deletion wakes with 404',
      put('/v1/kv/dead/a', '1'),
      get('/v1/kv/dead/a', { capture: fromHeader }),
      woken('/v1/kv/dead/a?index=<<index>>', [del('/v1/kv/dead/a')], { expect: { status: 404, body: '' } }),
    ),
    scenario(
      'a deletion of the tree above wakes with 404',
      put('/v1/kv/deadtree/a/b', '1'),
      get('/v1/kv/deadtree/a/b', { capture: fromHeader }),
      woken('/v1/kv/deadtree/a/b?index=<<index>>', [del('/v1/kv/deadtree/?recurse')], {
        expect: { status: 404 },
      }),
    ),
    scenario(
      'a missing key is watched until it is written',
      get('/v1/kv/tocome/a', { capture: fromHeader, expect: { status: 404 } }),
      woken('/v1/kv/tocome/a?index=<<index>>', [put('/v1/kv/tocome/a', '1')], { expect: { status: 200 } }),
    ),
    scenario(
      'the watch of a missing key ends in 404',
      get('/v1/kv/never/a', { capture: fromHeader, expect: { status: 404 } }),
      timesOut('/v1/kv/never/a?index=<<index>>', [], { expect: { status: 404, body: '' } }),
    ),
    scenario(
      'the watch of a missing key is woken by a write elsewhere',
      get('/v1/kv/absent/a', { capture: fromHeader }),
      timesOut('/v1/kv/absent/a?index=<<index>>', [put('/v1/kv/present/a', '1')], {
        expect: { outcome: 'answered', status: 404, body: '' },
        differs: {
          id: 'missing-key-watch',
          at: ['outcome', 'header X-Consul-Index'],
          gateway: { outcome: 'timed out', status: 404 },
        },
      }),
    ),
    scenario(
      'a waiting read of a prefix is answered by a new key, a change and a deletion under it',
      put('/v1/kv/tree/a', '1'),
      get('/v1/kv/tree/?recurse', { capture: fromHeader }),
      woken('/v1/kv/tree/?recurse&index=<<index>>', [put('/v1/kv/tree/b', '1')], { capture: fromHeader }),
      woken('/v1/kv/tree/?recurse&index=<<index>>', [put('/v1/kv/tree/a', '2')], { capture: fromHeader }),
      woken('/v1/kv/tree/?recurse&index=<<index>>', [del('/v1/kv/tree/b')], { capture: fromHeader }),
      woken('/v1/kv/tree/?keys&index=<<index>>', [put('/v1/kv/tree/c/d', '1')], { capture: fromHeader }),
      woken('/v1/kv/tree/?keys&separator=/&index=<<index>>', [put('/v1/kv/tree/c/e', '1')], {
        capture: fromHeader,
      }),
      woken('/v1/kv/tree/?recurse&index=<<index>>', [del('/v1/kv/tree/?recurse')], {
        expect: { status: 404 },
      }),
    ),
    scenario(
      'a write outside of a prefix does not wake its watch',
      put('/v1/kv/inside/a', '1'),
      get('/v1/kv/inside/?recurse', { capture: fromHeader }),
      timesOut('/v1/kv/inside/?recurse&index=<<index>>', [
        put('/v1/kv/inside', '1'),
        put('/v1/kv/insidf', '1'),
        put('/v1/kv/a/inside/a', '1'),
      ]),
      timesOut('/v1/kv/inside/?keys&index=<<index>>', [put('/v1/kv/outside', '1')]),
    ),
    scenario(
      'an empty prefix is watched until something is under it',
      get('/v1/kv/void/?recurse', { capture: fromHeader, expect: { status: 404 } }),
      woken('/v1/kv/void/?recurse&index=<<index>>', [put('/v1/kv/void/a', '1')], { expect: { status: 200 } }),
      get('/v1/kv/void2/?keys', { capture: fromHeader, expect: { status: 404 } }),
      woken('/v1/kv/void2/?keys&index=<<index>>', [put('/v1/kv/void2/a', '1')], { expect: { status: 200 } }),
    ),
    scenario(
      'the root is a prefix',
      put('/v1/kv/root1', '1'),
      get('/v1/kv/?recurse', { capture: fromHeader, ignore: ['$'] }), // What other scenarios left is theirs.
      woken('/v1/kv/?recurse&index=<<index>>', [put('/v1/kv/root1', '2')], { ignore: ['$'] }), // As above.
    ),
    scenario(
      'an index above all that there is waits for its whole time, whatever is written',
      put('/v1/kv/future/a', '1'),
      get('/v1/kv/future/a', { capture: fromHeader }),
      timesOut('/v1/kv/future/a?index=<<index+1000000000000>>', [put('/v1/kv/future/a', '2')], {
        differs: {
          id: 'index-from-elsewhere',
          at: ['outcome', 'body', 'header X-Consul-Index'],
          gateway: { outcome: 'answered' },
        },
      }),
      get('/v1/kv/future/a'),
    ),
    scenario(
      'consistent and stale reads wait too',
      put('/v1/kv/modes/a', '1'),
      get('/v1/kv/modes/a', { capture: fromHeader }),
      woken('/v1/kv/modes/a?consistent&index=<<index>>', [put('/v1/kv/modes/a', '2')], {
        capture: fromHeader,
      }),
      woken('/v1/kv/modes/a?stale&index=<<index>>', [put('/v1/kv/modes/a', '3')], { capture: fromHeader }),
      timesOut('/v1/kv/modes/a?consistent&index=<<index>>', [], { expect: { status: 200 } }),
    ),
    scenario(
      'a transaction wakes the watches of all its keys',
      put('/v1/kv/both/a', '1'),
      put('/v1/kv/both/b', '1'),
      get('/v1/kv/both/b', { capture: fromHeader }),
      woken('/v1/kv/both/b?index=<<index>>', [
        put('/v1/txn', [
          { KV: { Verb: 'set', Key: 'both/a', Value: 'Mg==' } },
          { KV: { Verb: 'set', Key: 'both/b', Value: 'Mg==' } },
        ]),
      ]),
      get('/v1/kv/both/?recurse'),
    ),
    scenario(
      'waits and indexes that are none are refused',
      get('/v1/kv/bad?wait=10&index=1', { expect: { status: 400, body: 'Invalid wait time' } }),
      get('/v1/kv/bad?wait=abc', { expect: { status: 400, body: 'Invalid wait time' } }),
      get('/v1/kv/bad?wait=', { expect: { status: 404 } }),
      get('/v1/kv/bad?wait=1s&index=abc', { expect: { status: 400, body: 'Invalid index' } }),
      get('/v1/kv/bad?index=-1', { expect: { status: 400, body: 'Invalid index' } }),
      get('/v1/kv/bad?index=1.5', { expect: { status: 400, body: 'Invalid index' } }),
      get('/v1/kv/bad?index=18446744073709551616', { expect: { status: 400, body: 'Invalid index' } }),
      get('/v1/kv/bad?wait=1d&index=1', { expect: { status: 400, body: 'Invalid wait time' } }),
      get('/v1/kv/bad?wait=1h1m1.5s', { expect: { status: 404 } }),
      get('/v1/kv/bad?wait=.5s', { expect: { status: 404 } }),
      get('/v1/kv/bad?wait=1%C2%B5s', { expect: { status: 404 } }),
      get('/v1/kv/bad?wait=5', { expect: { status: 400 } }),
      get('/v1/kv/bad?wait=0', { expect: { status: 404 } }),
      get('/v1/kv/bad?wait=-5s', { expect: { status: 404 } }),
      get('/v1/kv/bad?wait=99999999999h', { expect: { status: 400 } }),
    ),
  ],
};
