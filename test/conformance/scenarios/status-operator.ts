import type { Area } from '../harness.ts';
import { del, get, put, request, scenario } from '../scenario.ts';

const newer = {
  expect: { status: 404 },
  differs: { id: 'newer-endpoints', at: ['status', 'body', 'header'], gateway: { status: 200 } },
} as const;

export const statusOperator: Area = {
  name: 'Status and operator',
  scenarios: [
    scenario(
      'there is a leader, and a list of peers',
      get('/v1/status/leader', { expect: { status: 200, body: /^"127\.0\.0\.1:\d+"$/ } }),
      get('/v1/status/peers', { expect: { body: /^\["127\.0\.0\.1:\d+"\]$/ } }),
      get('/v1/status/leader?dc=nowhere', { expect: { status: 500, body: 'No path to datacenter' } }),
      get('/v1/status/peers?dc=nowhere', { expect: { status: 500, body: 'No path to datacenter' } }),
      put('/v1/status/leader', '', { expect: { status: 405 } }),
      put('/v1/status/peers', '', { expect: { status: 405 } }),
      get('/v1/status/nope', {
        expect: { status: 404 },
        differs: { id: 'unknown-path', at: ['body', 'header'], gateway: { status: 404 } },
      }),
    ),
    scenario(
      'the raft configuration has one server that leads',
      get('/v1/operator/raft/configuration', { mask: ['$.Index'], expect: { body: '"Leader":true' } }),
      put('/v1/operator/raft/configuration', '', { expect: { status: 405 } }),
    ),
    scenario(
      'autopilot is configured, and healthy',
      get('/v1/operator/autopilot/configuration', { expect: { status: 200 } }),
      get('/v1/operator/autopilot/health', {
        until: '"Healthy":true',
        mask: [
          '$.Servers[*].LastContact',
          '$.Servers[*].LastTerm',
          '$.Servers[*].LastIndex',
          '$.Servers[*].StableSince',
          '$.Servers[*].Version',
        ],
      }),
      put('/v1/operator/autopilot/health', '', { expect: { status: 405 } }),
    ),
    scenario(
      'there is no autopilot to configure',
      put(
        '/v1/operator/autopilot/configuration',
        { CleanupDeadServers: true },
        {
          expect: { status: 200, body: 'true' },
          differs: { id: 'refused', at: ['status', 'body', 'header'], gateway: { status: 501 } },
        },
      ),
    ),
    scenario(
      'what newer versions tell of autopilot and of use',
      get('/v1/operator/autopilot/state', newer),
      get('/v1/operator/usage', newer),
    ),
    scenario(
      'a snapshot is an archive, and what is none is not restored',
      get('/v1/snapshot', { ignore: ['$'], expect: { status: 200 } }), // An archive of each program's own.
      get('/v1/snapshot?stale', { ignore: ['$'], expect: { status: 200 } }), // As above.
      put('/v1/snapshot', 'this is no archive', { expect: { status: 500 }, ignore: ['$'] }), // The words of a decoder.
      get('/v1/snapshot?dc=nowhere', { expect: { status: 500, body: 'No path to datacenter' } }),
      request('POST', '/v1/snapshot', '', { expect: { status: 405 } }),
    ),
    scenario(
      'there is no raft to operate, and no keyring without encryption',
      del('/v1/operator/raft/peer', {
        expect: { status: 400 },
        differs: { id: 'refused', at: ['status', 'body'], gateway: { status: 501 } },
      }),
      request('POST', '/v1/operator/raft/peer', '', { expect: { status: 405 } }),
      get('/v1/operator/keyring', {
        expect: { status: 500, body: 'Keyring is empty (encryption not enabled)' },
      }),
      request('POST', '/v1/operator/keyring', '{"Key":"aJbSqcumUFUUMnVnY//Ly4EDgz1PUBDJda+Rsx3Qcwg="}', {
        expect: { status: 500, body: 'No keyring to modify (encryption not enabled)' },
      }),
    ),
  ],
};
