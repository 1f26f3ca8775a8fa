import type { Area } from '../harness.ts';
import { get, put, scenario, timesOut, woken } from '../scenario.ts';

const reads = [
  '/v1/kv/a',
  '/v1/catalog/nodes',
  '/v1/catalog/services',
  '/v1/catalog/service/consul',
  '/v1/catalog/node/agent-one',
  '/v1/catalog/node-services/agent-one',
  '/v1/health/service/consul',
  '/v1/health/node/agent-one',
  '/v1/health/checks/consul',
  '/v1/health/state/any',
  '/v1/session/list',
  '/v1/session/node/agent-one',
];
// What the answers say is compared elsewhere; an agent's own entries have words of its own.
const ignore = ['$'];

export const modes: Area = {
  name: 'Consistency modes',
  scenarios: [
    scenario('every read says how it was answered', ...reads.map((path) => get(path, { ignore }))),
    scenario('a stale read says so', ...reads.map((path) => get(`${path}?stale`, { ignore }))),
    scenario('a consistent read says so', ...reads.map((path) => get(`${path}?consistent`, { ignore }))),
    scenario('a read by the leader says so', ...reads.map((path) => get(`${path}?leader`, { ignore }))),
    scenario(
      'max_stale means stale, as long as it is fresh enough',
      ...reads.map((path) => get(`${path}?max_stale=5s`, { ignore })),
    ),
    scenario(
      'modes that contradict each other are refused',
      get('/v1/kv/a?stale&consistent', {
        expect: { status: 400, body: 'Cannot specify ?stale with ?consistent, conflicting semantics.' },
      }),
      get('/v1/health/service/x?cached&consistent', {
        expect: { status: 400, body: 'Cannot specify ?cached with ?consistent, conflicting semantics.' },
      }),
      get('/v1/kv/a?stale=false&consistent=false', { expect: { status: 400 } }),
      get('/v1/catalog/nodes?stale&consistent', { expect: { status: 400 } }),
      get('/v1/session/list?stale&consistent', { expect: { status: 400 } }),
      get('/v1/kv/a?max_stale=5s&consistent'),
      get('/v1/kv/a?leader&stale'),
      get('/v1/kv/a?leader&consistent'),
    ),
    scenario(
      'durations of modes are durations',
      get('/v1/kv/a?max_stale=foo', { expect: { status: 400, body: 'Invalid max_stale value "foo"' } }),
      get('/v1/kv/a?max_stale=', {}),
      get('/v1/kv/a?max_stale=0'),
      get('/v1/kv/a?max_stale=-1s'),
      get('/v1/kv/a?max_stale=10', { expect: { status: 400 } }),
    ),
    scenario(
      'what is cached is said to be',
      put('/v1/catalog/register', { Node: 'c', Address: '10.0.0.1', Service: { Service: 'cached' } }),
      get('/v1/health/service/cached?cached', { expect: { headers: { 'X-Cache': 'MISS' } } }),
      get('/v1/health/service/cached?cached', { expect: { headers: { 'X-Cache': 'HIT', Age: /\d/ } } }),
      get('/v1/health/service/cached?cached', { headers: { 'Cache-Control': 'max-age=10' } }),
      get('/v1/health/service/cached?cached', {
        headers: { 'Cache-Control': 'max-age=foo' },
        expect: { status: 400, body: 'Invalid Cache-Control header.' },
      }),
      get('/v1/health/service/cached?cached', { headers: { 'Cache-Control': 'must-revalidate' } }),
      get('/v1/health/service/cached?cached', {
        headers: { 'Cache-Control': 'max-age=10, stale-if-error=60' },
      }),
      get('/v1/health/service/cached?cached', { headers: { 'Cache-Control': 'max-age=0' } }),
      get('/v1/catalog/services?cached', { ignore }),
      get('/v1/catalog/services?cached', { ignore }),
      ...[
        '/v1/catalog/nodes',
        '/v1/catalog/node/c',
        '/v1/catalog/node-services/c',
        '/v1/health/node/c',
        '/v1/health/checks/cached',
        '/v1/health/state/any',
        '/v1/kv/a',
        '/v1/session/list',
        '/v1/agent/service/none',
      ].map((path) => get(`${path}?cached`, { ignore, expect: { headers: { 'X-Cache': null } } })),
      get('/v1/catalog/service/cached'),
      get('/v1/catalog/service/cached?cached', {
        expect: { headers: { 'X-Cache': 'MISS' } },
        differs: {
          id: 'cached-is-current',
          at: ['header X-Cache', 'header Age'],
          gateway: { headers: { 'X-Cache': 'HIT', Age: '0' } },
        },
      }),
      get('/v1/catalog/datacenters?cached', { headers: { 'Cache-Control': 'max-age=0' } }),
      get('/v1/catalog/datacenters?cached', {
        expect: { headers: { 'X-Cache': 'HIT' } },
        differs: {
          id: 'cached-is-current',
          at: ['header X-Cache', 'header Age'],
          gateway: { headers: { 'X-Cache': 'MISS' } },
        },
      }),
      get('/v1/health/service/cached?cached', { capture: { index: 'header X-Consul-Index' } }),
      timesOut('/v1/health/service/cached?cached&index=<<index>>', [], {
        expect: { headers: { 'X-Cache': 'MISS' } },
      }),
      woken(
        '/v1/health/service/cached?cached&index=<<index>>',
        [put('/v1/catalog/register', { Node: 'c', Address: '10.0.0.2', Service: { Service: 'cached' } })],
        { expect: { headers: { 'X-Cache': 'MISS' } } },
      ),
      put('/v1/catalog/deregister', { Node: 'c' }),
    ),
    scenario(
      'an instruction to caches is read, whatever it is sent with',
      get('/v1/kv/a', { headers: { 'Cache-Control': 'max-age=foo' }, expect: { status: 400 } }),
      get('/v1/health/service/x', { headers: { 'Cache-Control': 'max-age=' }, expect: { status: 400 } }),
      get('/v1/health/service/x', { headers: { 'Cache-Control': 'max-age' }, expect: { status: 200 } }),
      get('/v1/kv/a', { headers: { 'Cache-Control': 'stale-if-error=1.5' }, expect: { status: 400 } }),
      get('/v1/kv/a?raw', { headers: { 'Cache-Control': 'Max-Age=+5 , max-age=-1, foo' } }),
    ),
    scenario(
      'of what is wrong with a read the first is named',
      get('/v1/kv/a?max_stale=z&stale&consistent&wait=1&index=x', {
        expect: { status: 400, body: 'Invalid max_stale value "z"' },
      }),
      get('/v1/kv/a?stale&consistent&wait=1&index=x', { expect: { status: 400, body: 'Cannot specify' } }),
      get('/v1/kv/a?wait=1&index=x', {
        headers: { 'Cache-Control': 'max-age=z' },
        expect: { status: 400, body: 'Invalid Cache-Control header.' },
      }),
      get('/v1/kv/a?wait=1&index=x', { expect: { status: 400, body: 'Invalid wait time' } }),
    ),
  ],
};
