import type { Area } from '../harness.ts';
import { get, put, request, scenario, woken } from '../scenario.ts';

const register = (body: object | string, options = {}): ReturnType<typeof put> =>
  put('/v1/agent/check/register', body, options);
const deregister = (id: string, options = {}): ReturnType<typeof put> =>
  put(`/v1/agent/check/deregister/${id}`, undefined, options);
const unknownCheck = {
  expect: { status: 500, body: 'CheckID "nope" does not have associated TTL' },
  differs: {
    id: 'agent-unknown-id',
    at: ['status', 'body'],
    gateway: {
      status: 404,
      body: 'Unknown check ID "nope". Ensure that the check ID is passed, not the check name.',
    },
  },
} as const;

const unknownDeregistered = {
  expect: { status: 200, body: '' },
  differs: {
    id: 'agent-unknown-id',
    at: ['status', 'body', 'header'],
    gateway: { status: 404, body: /^Unknown check ID/ },
  },
} as const;

export const agentChecks: Area = {
  name: 'Agent checks',
  scenarios: [
    scenario(
      'a TTL check starts critical and is what it is told to be',
      register({ Name: 'mem', TTL: '60s', Notes: 'notes' }, { expect: { status: 200, body: '' } }),
      get('/v1/agent/checks', { expect: { body: '"Status":"critical"' } }),
      put('/v1/agent/check/pass/mem', undefined, { expect: { status: 200, body: '' } }),
      get('/v1/agent/checks', { expect: { body: '"Status":"passing"' } }),
      put('/v1/agent/check/warn/mem?note=careful'),
      get('/v1/agent/checks', { expect: { body: 'careful' } }),
      put('/v1/agent/check/fail/mem?note=broken%20now'),
      get('/v1/agent/checks', { expect: { body: 'broken now' } }),
      put('/v1/agent/check/update/mem', { Status: 'passing', Output: 'all good' }),
      get('/v1/agent/checks', { expect: { body: 'all good' } }),
      put('/v1/agent/check/update/mem', { status: 'warning', output: 'lower case' }),
      get('/v1/agent/checks'),
      put('/v1/agent/check/update/mem', { Status: 'critical' }),
      get('/v1/agent/checks'),
      get('/v1/health/node/agent-one', {
        until: /"CheckID":"mem".*"Status":"critical"/,
        ignore: ['$[*].CreateIndex', '$[*].ModifyIndex', '$[1].Output'],
      }), // When the agent told the catalog is its own affair; the words of serfHealth.
      deregister('mem', { expect: { status: 200, body: '' } }),
      get('/v1/agent/checks', { expect: { body: '{}' } }),
    ),
    scenario(
      'a check has the status that it is registered with, an id, and a service that is there',
      put('/v1/agent/service/register', { Name: 'svc', Tags: ['t'] }),
      register({ ID: 'own', Name: 'named', TTL: '60s', Status: 'passing', ServiceID: 'svc' }),
      register({ CheckID: 'own2', Name: 'named2', TTL: '60s', Status: 'warning' }),
      register({
        id: 'own3',
        name: 'n3',
        ttl: '60s',
        service_id: 'svc',
        deregister_critical_service_after: '90m',
      }),
      get('/v1/agent/checks'),
      register(
        { Name: 'orphan', TTL: '60s', ServiceID: 'nope' },
        { expect: { status: 500, body: 'ServiceID "nope" does not exist' } },
      ),
      put('/v1/agent/service/deregister/svc'),
      get('/v1/agent/checks'),
    ),
    scenario(
      'a registration that cannot be is refused with a reason',
      register({}, { expect: { status: 400, body: 'Missing check name' } }),
      register({ ID: 'x', TTL: '10s' }, { expect: { status: 400, body: 'Missing check name' } }),
      register(
        { Name: 'x', TTL: '10s', Status: 'bogus' },
        { expect: { status: 400, body: 'Bad check status' } },
      ),
      register(
        { Name: 'x' },
        { expect: { status: 400, body: 'Invalid check: TTL must be > 0 for TTL checks' } },
      ),
      register(
        { Name: 'x', HTTP: 'http://x' },
        { expect: { status: 400, body: 'Interval must be > 0 for Script, HTTP, or TCP checks' } },
      ),
      register(
        { Name: 'x', HTTP: 'http://x', Interval: '10s', TTL: '10s' },
        { expect: { status: 400, body: 'Interval and TTL cannot both be specified' } },
      ),
      register({ Name: 'x', Interval: '10s' }, { expect: { status: 400 } }),
      register({ Name: 'x', TTL: '-10s' }, { expect: { status: 400 } }),
      register({ Name: 'x', HTTP: 'http://x', Interval: '-1s' }, { expect: { status: 400 } }),
      register({ Name: 'x', TTL: '10s', SuccessBeforePassing: 1 }),
      register({ Name: 'x', TTL: '10s', OutputMaxSize: -5 }),
      register('{', { expect: { status: 400, body: 'Request decode failed: unexpected EOF' } }),
      register('', { expect: { status: 400, body: 'Request decode failed: EOF' } }),
      register({ Name: 5 }, { expect: { status: 400 } }),
      register({ Name: 'x', TTL: 'abc' }, { expect: { status: 400, body: 'Request decode failed: ' } }),
      register({ Name: 'x', TTL: true }, { expect: { status: 400 } }),
      register(
        { Name: 'x', TTL: '10s', Foo: 1 },
        {
          expect: { status: 400, body: 'Request decode failed: json: unknown field "Foo"' },
          differs: {
            id: 'unknown-fields',
            at: ['status', 'body', 'header'],
            gateway: { status: 200, body: '' },
          },
        },
      ),
      deregister('x'),
      get('/v1/agent/checks', { expect: { body: '{}' } }),
    ),
    scenario(
      'a check that is not there',
      put('/v1/agent/check/pass/nope', undefined, unknownCheck),
      put('/v1/agent/check/warn/nope', undefined, unknownCheck),
      put('/v1/agent/check/fail/nope', undefined, unknownCheck),
      put('/v1/agent/check/update/nope', { Status: 'passing' }, unknownCheck),
      deregister('nope', unknownDeregistered),
      put('/v1/agent/check/pass/', undefined, {
        expect: { status: 500, body: 'CheckID "" does not have' },
        differs: {
          id: 'agent-unknown-id',
          at: ['status', 'body'],
          gateway: { status: 404, body: 'Unknown check ID ""' },
        },
      }),
      put('/v1/agent/check/deregister/', undefined, {
        expect: { status: 500, body: 'CheckID missing' },
        differs: {
          id: 'agent-unknown-id',
          at: ['status', 'body'],
          gateway: { status: 404, body: 'Unknown check ID ""' },
        },
      }),
    ),
    scenario(
      'an update needs a status that is one',
      register({ Name: 'upd', TTL: '60s' }),
      put(
        '/v1/agent/check/update/upd',
        { Status: 'foo' },
        { expect: { status: 400, body: "Invalid check status: 'foo'" } },
      ),
      put('/v1/agent/check/update/upd', {}, { expect: { status: 400, body: "Invalid check status: ''" } }),
      put('/v1/agent/check/update/upd', '{', { expect: { status: 400, body: 'Request decode failed' } }),
      put('/v1/agent/check/update/upd', '', { expect: { status: 400 } }),
      put('/v1/agent/check/update/upd', { Status: 'passing', Output: 'x'.repeat(5000) }),
      get('/v1/agent/checks'),
      deregister('upd'),
    ),
    scenario(
      'only a TTL check is told its status',
      register({ Name: 'tcp', TCP: '<<self>>', Interval: '60s', Status: 'passing' }),
      put('/v1/agent/check/pass/tcp', undefined, {
        expect: { status: 500, body: 'CheckID "tcp" does not have associated TTL' },
      }),
      deregister('tcp'),
    ),
    scenario(
      'an HTTP check asks its URL',
      register({ Name: 'http', HTTP: 'http://<<self>>/v1/status/leader', Interval: '1s', Timeout: '1s' }),
      get('/v1/agent/checks', { until: '"Status":"passing"' }),
      deregister('http'),
      register({ Name: 'http404', HTTP: 'http://<<self>>/v1/kv/nothing-here', Interval: '1s' }),
      get('/v1/agent/checks', { until: '404 Not Found' }),
      deregister('http404'),
      put('/v1/agent/service/register', { Name: 'warned', Check: { TTL: '60s', Status: 'warning' } }),
      // A check of a service: the health that it asks for counts the checks of the node.
      put('/v1/agent/service/register', {
        Name: 'asking',
        Check: {
          CheckID: 'http429',
          HTTP: 'http://<<self>>/v1/agent/health/service/id/warned',
          Interval: '1s',
        },
      }),
      get('/v1/agent/checks', { until: '429 Too Many Requests', ignore: ['$.http429.Output'] }), // The fields of what was asked, which are compared elsewhere.
      put('/v1/agent/service/deregister/asking'),
      put('/v1/agent/service/deregister/warned'),
      register({
        Name: 'post',
        HTTP: 'http://<<self>>/v1/txn',
        Method: 'PUT',
        Body: '[]',
        Header: { 'X-A': ['b'] },
        Interval: '1s',
      }),
      get('/v1/agent/checks', { until: '200 OK', ignore: ['$.post.Output'] }), // Index and contact of an answer.
      deregister('post'),
    ),
    scenario(
      'a TCP check connects',
      register({ Name: 'open', TCP: '<<self>>', Interval: '1s', Timeout: '1s' }),
      get('/v1/agent/checks', { until: '"Status":"passing"' }),
      deregister('open'),
      register({ Name: 'closed', TCP: '127.0.0.1:1', Interval: '1s', Timeout: '1s' }),
      get('/v1/agent/checks', { until: 'refused' }),
      deregister('closed'),
    ),
    scenario(
      'a script check is what its exit code says',
      register({ Name: 'ok', Args: ['sh', '-c', 'echo fine; exit 0'], Interval: '1s' }),
      get('/v1/agent/checks', { until: '"Status":"passing"' }),
      deregister('ok'),
      register({ Name: 'warn', ScriptArgs: ['sh', '-c', 'echo hm; exit 1'], Interval: '1s' }),
      get('/v1/agent/checks', { until: '"Status":"warning"' }),
      deregister('warn'),
      register({ Name: 'crit', args: ['sh', '-c', 'echo no >&2; exit 7'], interval: '1s', timeout: '5s' }),
      get('/v1/agent/checks', { until: 'no\\n' }),
      deregister('crit'),
      register({ Name: 'slow', Args: ['sleep', '30'], Interval: '1s', Timeout: '1s' }),
      get('/v1/agent/checks', { until: /Timed out|timed out/ }),
      deregister('slow'),
      register({ Name: 'long', Args: ['sh', '-c', "head -c 6000 /dev/zero | tr '\\0' x"], Interval: '1s' }),
      get('/v1/agent/checks', { until: '"Status":"passing"' }),
      deregister('long'),
    ),
    scenario(
      'a TTL that runs out is critical',
      register({ Name: 'short', TTL: '1s', Status: 'passing' }),
      get('/v1/agent/checks', { until: '"Status":"critical"' }),
      put('/v1/agent/check/pass/short?note=back'),
      get('/v1/agent/checks', { until: '"Status":"critical"' }),
      deregister('short'),
    ),
    scenario(
      'an alias check follows the service, or the node, that it stands for',
      put('/v1/agent/service/register', {
        Name: 'target',
        Check: { CheckID: 'target-ttl', TTL: '60s', Status: 'passing' },
      }),
      // Of a service of its own: as a check of the node it would count among the checks that it follows.
      put('/v1/agent/service/register', {
        Name: 'follower',
        Check: { CheckID: 'alias', AliasService: 'target' },
      }),
      get('/v1/agent/checks', { until: /"CheckID":"alias"[^}]*"Status":"passing"/ }),
      put('/v1/agent/check/fail/target-ttl'),
      get('/v1/agent/checks', { until: /"CheckID":"alias"[^}]*"Status":"critical"/ }),
      put('/v1/agent/check/warn/target-ttl'),
      get('/v1/agent/checks', { until: /"CheckID":"alias"[^}]*"Status":"(warning|passing)"/ }),
      put('/v1/agent/service/deregister/follower'),
      put('/v1/agent/service/deregister/target'),
      get('/v1/agent/checks', { expect: { body: '{}' } }),
    ),
    scenario(
      'a status changes only after as many results as it asks for',
      register({ Name: 'thr', TCP: '<<self>>', Interval: '1s', SuccessBeforePassing: 2 }),
      get('/v1/agent/checks', { until: '"Status":"passing"' }),
      deregister('thr'),
    ),
    scenario(
      'a change of a check wakes the watchers of its service',
      put('/v1/agent/service/register', {
        Name: 'watched',
        Check: { CheckID: 'wc', TTL: '60s', Status: 'passing' },
      }),
      get('/v1/health/service/watched', {
        until: '"CheckID":"wc"',
        capture: { index: 'header X-Consul-Index' },
        mask: ['$[*].Node.Meta.*'],
        ignore: ['$[*].Checks[*].Output'], // The words of serfHealth.
      }),
      woken('/v1/health/service/watched?index=<<index>>', [put('/v1/agent/check/fail/wc?note=down')], {
        mask: ['$[*].Node.Meta.*'],
        ignore: ['$[*].Checks[0].Output'], // As above.
      }),
      put('/v1/agent/service/deregister/watched'),
    ),
    scenario(
      'methods',
      get('/v1/agent/check/register', { expect: { status: 405 } }),
      get('/v1/agent/check/deregister/x', { expect: { status: 405 } }),
      get('/v1/agent/check/pass/x', { expect: { status: 405 } }),
      request('POST', '/v1/agent/check/warn/x', '', { expect: { status: 405 } }),
      get('/v1/agent/check/fail/x', { expect: { status: 405 } }),
      get('/v1/agent/check/update/x', { expect: { status: 405 } }),
      put('/v1/agent/checks', '', { expect: { status: 405 } }),
    ),
  ],
};
