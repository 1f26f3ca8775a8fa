import type { Area } from '../harness.ts';
import { get, pause, put, request, scenario, woken } from '../scenario.ts';

export const agentMisc: Area = {
  name: 'Agent',
  scenarios: [
    scenario(
      'the agent tells who it is',
      get('/v1/agent/self', {
        expect: { status: 200 },
        // Versions and revisions are each program's own; debug and stats are its inner life; the vector of a
        // coordinate is chance.
        mask: ['$.Config.Version', '$.Config.Revision', '$.Member.Tags.*', '$.Meta.*'],
        ignore: [
          '$.DebugConfig',
          '$.Stats',
          '$.Coord',
          '$.Member.Tags.build',
          '$.Member.Tags.raft_vsn',
          '$.Member.Tags.vsn*',
          '$.xDS',
        ],
      }),
    ),
    scenario(
      'the agent tells what Nomad looks for',
      get('/v1/agent/self', {
        only: [
          '$.DebugConfig.ConnectEnabled',
          '$.DebugConfig.GRPCPort',
          '$.DebugConfig.DNSPort',
          '$.DebugConfig.DNSAddrs',
          '$.DebugConfig.Bootstrap',
          '$.DebugConfig.Datacenter',
          '$.DebugConfig.NodeName',
          '$.DebugConfig.ServerMode',
        ],
      }),
    ),
    scenario(
      'members are listed as serf knows them',
      get('/v1/agent/members', { mask: ['$[*].Tags.*'], expect: { body: '"Status":1' } }),
      get('/v1/agent/members?wan=1', { mask: ['$[*].Tags.*'], expect: { body: 'agent-one.dc1' } }),
      get('/v1/agent/members?wan', { mask: ['$[*].Tags.*'] }),
      get('/v1/agent/members?segment=_all', { mask: ['$[*].Tags.*'], expect: { status: 200 } }),
      get('/v1/agent/members?segment=none'),
    ),
    scenario(
      'the machine is described',
      get('/v1/agent/host', {
        ignore: ['$.Memory', '$.CPU', '$.Host', '$.Disk', '$.CollectionTime'],
        expect: { status: 200 },
      }), // What changes while one looks.
    ),
    scenario(
      'metrics come as JSON and for Prometheus',
      get('/v1/agent/metrics', {
        // Which metrics there are is each program's own.
        ignore: ['$.Gauges', '$.Counters', '$.Samples', '$.Points', '$.Timestamp'],
        expect: { status: 200 },
      }),
      get('/v1/agent/metrics?format=prometheus', { ignore: ['$'], expect: { status: 200, body: '# TYPE' } }), // As above.
    ),
    scenario(
      'the agent goes into maintenance and comes back',
      put('/v1/agent/maintenance', undefined, { expect: { status: 400, body: 'Missing value for enable' } }),
      put('/v1/agent/maintenance?enable', undefined, {
        expect: { status: 400, body: 'Invalid value for enable: ""' },
      }),
      put('/v1/agent/maintenance?enable=maybe', undefined, { expect: { status: 400 } }),
      put('/v1/agent/maintenance?enable=true&reason=because%20so', undefined, {
        expect: { status: 200, body: '' },
      }),
      get('/v1/agent/checks', { expect: { body: '_node_maintenance' } }),
      put('/v1/agent/maintenance?enable=true&reason=other'),
      get('/v1/agent/checks'),
      get('/v1/health/state/critical', { until: '_node_maintenance' }),
      put('/v1/agent/maintenance?enable=false'),
      get('/v1/agent/checks', { expect: { body: '{}' } }),
      put('/v1/agent/maintenance?enable=true'),
      get('/v1/agent/checks'),
      put('/v1/agent/maintenance?enable=false'),
      put('/v1/agent/maintenance?enable=false'),
    ),
    scenario(
      'the log is streamed',
      get('/v1/agent/monitor?loglevel=nope', {
        expect: { status: 400, body: 'Bad request: Unknown log level: nope' },
        differs: {
          id: 'bad-request-prefix',
          at: ['body'],
          gateway: { status: 400, body: /^Unknown log level: nope$/ },
        },
      }),
      ...['loglevel=debug', 'loglevel=trace&logjson'].map((level) => ({
        ...woken(`/v1/agent/monitor?${level}`, [
          pause(300, 'a stream that has begun has no sign of it before its first line'),
          put('/v1/agent/service/register', { Name: 'logged' }),
          put('/v1/agent/service/deregister/logged'),
        ]),
        stream: true as const,
        differs: { id: 'monitor-type', at: ['header Content-Type'] } as const,
        ignore: ['$'], // Words of each program's own.
      })),
    ),
    scenario(
      'reload, join and force-leave answer without a body',
      put('/v1/agent/reload', undefined, { expect: { status: 200, body: '' } }),
      put('/v1/agent/force-leave/nobody', undefined, {}),
      put('/v1/agent/force-leave/nobody?prune', undefined, {}),
      put('/v1/agent/force-leave/', undefined, {}),
    ),
    scenario(
      'an address that nobody listens on cannot be joined',
      put('/v1/agent/join/127.0.0.1:1', undefined, { expect: { status: 500 }, ignore: ['$'] }), // The words of the network.
    ),
    scenario(
      'tokens cannot be set where access is not controlled',
      put(
        '/v1/agent/token/default',
        { Token: 'x' },
        { expect: { status: 401, body: 'ACL support disabled' } },
      ),
      put('/v1/agent/token/nope', { Token: 'x' }, { expect: { status: 401 } }),
    ),
    scenario(
      'methods',
      put('/v1/agent/self', '', { expect: { status: 405 } }),
      put('/v1/agent/members', '', { expect: { status: 405 } }),
      put('/v1/agent/host', '', { expect: { status: 405 } }),
      put('/v1/agent/metrics', '', { expect: { status: 405 } }),
      put('/v1/agent/monitor', '', { expect: { status: 405 } }),
      get('/v1/agent/maintenance', { expect: { status: 405 } }),
      get('/v1/agent/reload', { expect: { status: 405 } }),
      get('/v1/agent/leave', { expect: { status: 405 } }),
      get('/v1/agent/join/x', { expect: { status: 405 } }),
      get('/v1/agent/force-leave/x', { expect: { status: 405 } }),
      get('/v1/agent/token/default', { expect: { status: 405 } }),
      request('POST', '/v1/agent/reload', '', { expect: { status: 405 } }),
      get('/v1/agent/nope', {
        expect: { status: 404 },
        differs: { id: 'unknown-path', at: ['body', 'header'], gateway: { status: 404 } },
      }),
      get('/v1/agent/version', {
        expect: { status: 404 },
        differs: {
          id: 'newer-endpoints',
          at: ['status', 'body', 'header'],
          gateway: { status: 200, body: '"HumanVersion"' },
        },
      }),
    ),
  ],
};
