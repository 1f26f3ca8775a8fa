import type { Area } from '../harness.ts';
import { get, put, request, scenario, woken } from '../scenario.ts';

const register = (body: object | string, options = {}): ReturnType<typeof put> =>
  put('/v1/agent/service/register', body, options);
const deregister = (id: string, options = {}): ReturnType<typeof put> =>
  put(`/v1/agent/service/deregister/${id}`, undefined, options);
const unknownService = {
  expect: { status: 404 },
  differs: {
    id: 'agent-unknown-id',
    at: ['body'],
    gateway: { status: 404, body: /^Unknown service ID "nope"/ },
  },
} as const;

export const agentServices: Area = {
  name: 'Agent services',
  scenarios: [
    scenario(
      'a registered service is shown by the agent, and comes to the catalog',
      register(
        { Name: 'web', Port: 80, Tags: ['a', 'b'], Meta: { v: '1' } },
        { expect: { status: 200, body: '' } },
      ),
      get('/v1/agent/services'),
      get('/v1/agent/service/web', { expect: { headers: { 'X-Consul-ContentHash': /^[0-9a-f]+$/ } } }),
      get('/v1/catalog/service/web', { until: '"ServiceName":"web"', mask: ['$[*].NodeMeta.*'] }),
      get('/v1/health/service/web', { mask: ['$[*].Node.Meta.*'], ignore: ['$[*].Checks[*].Output'] }), // The words of serfHealth.
      deregister('web', { expect: { status: 200, body: '' } }),
      get('/v1/agent/services', { expect: { body: '{}' } }),
      get('/v1/catalog/service/web', { until: /^\[\]$/ }),
    ),
    scenario(
      'a service has what it was given',
      register({
        ID: 'full-1',
        Name: 'full',
        Tags: ['x'],
        Address: '10.0.0.9',
        Port: 8080,
        Meta: { a: 'b' },
        EnableTagOverride: true,
        Weights: { Passing: 5, Warning: 2 },
        TaggedAddresses: { lan: { address: '10.0.0.9', port: 8080 }, wan: { Address: '1.2.3.4', Port: 80 } },
      }),
      get('/v1/agent/services'),
      get('/v1/agent/service/full-1'),
      get('/v1/catalog/service/full', { until: '"ServiceID":"full-1"', mask: ['$[*].NodeMeta.*'] }),
      deregister('full-1'),
    ),
    scenario(
      'an address that is an IP is tagged as such',
      register({ Name: 'four', Address: '10.0.0.8', Port: 1 }),
      register({ Name: 'six', Address: 'fe80::1', Port: 1 }),
      register({ Name: 'named', Address: 'some.host', Port: 1 }),
      get('/v1/agent/services'),
      deregister('four'),
      deregister('six'),
      deregister('named'),
    ),
    scenario(
      'field names are matched without case, in several spellings, and with durations of both kinds',
      register({
        name: 'spelled',
        enable_tag_override: true,
        tagged_addresses: { lan: { address: '1.1.1.1', port: 1 } },
        check: { ttl: '60s', deregister_critical_service_after: '90m', service_id: 'ignored' },
      }),
      register({
        NAME: 'numbers',
        Check: { TTL: 60000000000, DeregisterCriticalServiceAfter: 5400000000000 },
      }),
      get('/v1/agent/services'),
      get('/v1/agent/checks'),
      deregister('spelled'),
      deregister('numbers'),
    ),
    scenario(
      'checks of a service are named after it',
      register({ ID: 'c1', Name: 'checked', Check: { TTL: '60s' } }),
      register({
        ID: 'c2',
        Name: 'checked',
        Checks: [
          { TTL: '60s' },
          { TTL: '60s', Name: 'own name', CheckID: 'own-id', Notes: 'n', Status: 'passing' },
        ],
      }),
      get('/v1/agent/checks'),
      get('/v1/health/checks/checked', { until: /c1.*own-id|own-id.*c1/ }),
      deregister('c1'),
      deregister('c2'),
      get('/v1/agent/checks', { expect: { body: '{}' } }),
    ),
    scenario(
      'registering again keeps checks, unless they are to be replaced',
      register({
        Name: 'again',
        Checks: [
          { CheckID: 'a', TTL: '60s', Status: 'passing' },
          { CheckID: 'b', TTL: '60s' },
        ],
      }),
      register({ Name: 'again', Port: 5, Checks: [{ CheckID: 'c', TTL: '60s' }] }),
      get('/v1/agent/checks'),
      put('/v1/agent/service/register?replace-existing-checks=true', {
        Name: 'again',
        Checks: [{ CheckID: 'd', TTL: '60s' }],
      }),
      get('/v1/agent/checks'),
      put('/v1/agent/service/register?replace-existing-checks', {
        Name: 'again',
        Checks: [{ CheckID: 'e', TTL: '60s' }],
      }),
      get('/v1/agent/checks'),
      put('/v1/agent/service/register?replace-existing-checks=false', {
        Name: 'again',
        Checks: [{ CheckID: 'f', TTL: '60s' }],
      }),
      get('/v1/agent/checks'),
      get('/v1/agent/services'),
      deregister('again'),
    ),
    scenario(
      'a registration that cannot be is refused with a reason',
      register({}, { expect: { status: 400, body: 'Missing service name' } }),
      register({ ID: 'x' }, { expect: { status: 400, body: 'Missing service name' } }),
      register(
        { Name: 'x', Address: '0.0.0.0' },
        { expect: { status: 400, body: 'Invalid service address' } },
      ),
      register({ Name: 'x', Address: '::' }, { expect: { status: 400, body: 'Invalid service address' } }),
      register(
        { Name: 'x', Weights: { Passing: 0 } },
        { expect: { status: 400, body: 'Invalid Weights: Passing must be greater than 0' } },
      ),
      register(
        { Name: 'x', Weights: { Passing: 1, Warning: -1 } },
        { expect: { status: 400, body: 'Invalid Weights' } },
      ),
      register({ Name: 'x', Weights: { Passing: 70000, Warning: 1 } }),
      register(
        { Name: 'x', Check: { HTTP: 'http://127.0.0.1:1' } },
        {
          expect: {
            status: 400,
            body: 'Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks',
          },
        },
      ),
      register(
        { Name: 'x', Check: { TCP: '127.0.0.1:1' } },
        { expect: { status: 400, body: 'Invalid check: ' } },
      ),
      register(
        { Name: 'x', Check: { TTL: '10s', Interval: '10s', HTTP: 'x' } },
        { expect: { status: 400, body: 'Interval and TTL cannot both be specified' } },
      ),
      register(
        { Name: 'x', Check: { Name: 'nothing' } },
        { expect: { status: 400, body: 'Invalid check: TTL must be > 0 for TTL checks' } },
      ),
      register({ Name: 'x', Check: {} }),
      register(
        { Name: 'x', Checks: [{ TTL: '10s' }, { HTTP: 'http://x' }] },
        { expect: { status: 400, body: 'Invalid check: ' } },
      ),
      register(
        { Name: 'x', Check: { TTL: '10s', Status: 'bogus' } },
        { expect: { status: 400, body: "Status for checks must 'passing', 'warning', 'critical'" } },
      ),
      register({ Name: 'x', Kind: 'nope' }),
      deregister('x'),
      register({ Name: 'x', Meta: { 'bad key!': 'v' } }, { expect: { status: 400 } }),
      register({ Name: 'x', Meta: { 'consul-x': 'v' } }, { expect: { status: 400 } }),
      register({ Name: 'x', Meta: { ['k'.repeat(129)]: 'v' } }, { expect: { status: 400 } }),
      register({ Name: 'x', Meta: { k: 'v'.repeat(513) } }, { expect: { status: 400 } }),
      register(
        { Name: 'x', Meta: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, 'v'])) },
        { expect: { status: 400 } },
      ),
      register({ Name: 'x', Meta: { '': 'v' } }, { expect: { status: 400 } }),
      get('/v1/agent/services'),
    ),
    scenario(
      'bodies that cannot be read are refused',
      register('{', { expect: { status: 400, body: 'Request decode failed: unexpected EOF' } }),
      register('', { expect: { status: 400, body: 'Request decode failed: EOF' } }),
      register('[]', {
        expect: { status: 400 },
        differs: {
          id: 'decode-error-words',
          at: ['body'],
          gateway: { status: 400, body: /^Request decode failed: / },
        },
      }),
      register({ Name: 1 }, { expect: { status: 400 } }),
      register({ Name: 'x', Port: '80' }, { expect: { status: 400 } }),
      register(
        { Name: 'x', Check: { TTL: 'abc' } },
        { expect: { status: 400, body: 'Request decode failed: ' } },
      ),
      register(
        { Name: 'x', Check: { TTL: '10' } },
        { expect: { status: 400, body: 'Request decode failed: ' } },
      ),
      register(
        { Name: 'x', Foo: 1 },
        {
          expect: { status: 400, body: 'Request decode failed: json: unknown field "Foo"' },
          differs: {
            id: 'unknown-fields',
            at: ['status', 'body', 'header'],
            gateway: { status: 200, body: '' },
          },
        },
      ),
      deregister('x', {
        differs: { id: 'unknown-fields', at: ['status', 'body', 'header'], gateway: { status: 200 } },
      }),
    ),
    scenario(
      'a service that is not there',
      get('/v1/agent/service/nope', { expect: { status: 404, body: 'unknown service ID: nope' } }),
      get('/v1/agent/service/', {}),
      put('/v1/agent/service/deregister/', undefined, {
        expect: { status: 500, body: 'ServiceID missing' },
        differs: {
          id: 'agent-unknown-id',
          at: ['status', 'body'],
          gateway: { status: 404, body: 'Unknown service ID ""' },
        },
      }),
      deregister('nope', {
        expect: { status: 200, body: '' },
        differs: {
          id: 'agent-unknown-id',
          at: ['status', 'body', 'header'],
          gateway: { status: 404, body: /^Unknown service ID "nope"/ },
        },
      }),
      put('/v1/agent/service/maintenance/nope?enable=true', undefined, unknownService),
      put('/v1/agent/service/maintenance/?enable=true', undefined, {
        expect: { status: 400, body: 'Missing service ID' },
      }),
      put('/v1/agent/service/maintenance/nope', undefined, {
        expect: { status: 400, body: 'Missing value for enable' },
      }),
      put('/v1/agent/service/maintenance/nope?enable=maybe', undefined, { expect: { status: 400 } }),
    ),
    scenario(
      'an id with a slash works, plain and escaped',
      register({ ID: 'scope/name', Name: 'scoped', Check: { TTL: '60s' } }),
      get('/v1/agent/service/scope/name', { expect: { status: 200 } }),
      get('/v1/agent/service/scope%2Fname', { expect: { status: 200 } }),
      put('/v1/agent/check/pass/service:scope/name', undefined, { expect: { status: 200 } }),
      put('/v1/agent/check/pass/service%3Ascope%2Fname', undefined, { expect: { status: 200 } }),
      deregister('scope%2Fname', { expect: { status: 200 } }),
      get('/v1/agent/service/scope/name', { expect: { status: 404 } }),
    ),
    scenario(
      'a waiting read of a service by its hash is answered when the service changes',
      register({ Name: 'hashed', Port: 1 }),
      get('/v1/agent/service/hashed', { capture: { hash: 'header X-Consul-ContentHash' } }),
      woken('/v1/agent/service/hashed?hash=<<hash>>', [register({ Name: 'hashed', Port: 2 })], {
        capture: { hash: 'header X-Consul-ContentHash' },
      }),
      get('/v1/agent/service/hashed?hash=wrong'),
      woken('/v1/agent/service/hashed?hash=<<hash>>', [deregister('hashed')], { expect: { status: 404 } }),
    ),
    scenario(
      'a service in maintenance is critical until it is not',
      register({ Name: 'maint', Check: { TTL: '60s', Status: 'passing' } }),
      put('/v1/agent/service/maintenance/maint?enable=true&reason=because', undefined, {
        expect: { status: 200, body: '' },
      }),
      get('/v1/agent/checks', { expect: { body: '_service_maintenance:maint' } }),
      get('/v1/agent/health/service/id/maint', { expect: { status: 503 }, sorted: ['$.Checks'] }),
      get('/v1/health/checks/maint', { until: '_service_maintenance:maint' }),
      put('/v1/agent/service/maintenance/maint?enable=true&reason=other'),
      get('/v1/agent/checks', { expect: { body: 'because' } }),
      put('/v1/agent/service/maintenance/maint?enable=false'),
      get('/v1/agent/checks'),
      put('/v1/agent/service/maintenance/maint?enable=false'),
      put('/v1/agent/service/maintenance/maint?enable=1'),
      get('/v1/agent/checks'),
      deregister('maint'),
      get('/v1/agent/checks'),
    ),
    scenario(
      'the health of services of the agent, in two formats',
      register({ ID: 'hs1', Name: 'hs', Check: { CheckID: 'hs1c', TTL: '60s', Status: 'passing' } }),
      register({ ID: 'hs2', Name: 'hs', Check: { CheckID: 'hs2c', TTL: '60s', Status: 'warning' } }),
      get('/v1/agent/health/service/id/hs1', { expect: { status: 200 } }),
      get('/v1/agent/health/service/id/hs2', { expect: { status: 429 } }),
      get('/v1/agent/health/service/name/hs', { expect: { status: 429 }, sorted: ['$'] }),
      put('/v1/agent/check/fail/hs2c'),
      get('/v1/agent/health/service/id/hs2', { expect: { status: 503 } }),
      get('/v1/agent/health/service/name/hs', { expect: { status: 503 }, sorted: ['$'] }),
      get('/v1/agent/health/service/id/hs1?format=text', { expect: { status: 200, body: 'passing' } }),
      get('/v1/agent/health/service/id/hs2?format=text', { expect: { status: 503, body: 'critical' } }),
      get('/v1/agent/health/service/name/hs?format=text', { expect: { status: 503 } }),
      get('/v1/agent/health/service/id/nope', { expect: { status: 404 } }),
      get('/v1/agent/health/service/name/nope', { expect: { status: 404 } }),
      get('/v1/agent/health/service/id/nope?format=text', { expect: { status: 404 } }),
      get('/v1/agent/health/service/name/nope?format=text', { expect: { status: 404 } }),
      get('/v1/agent/health/service/id/', {
        expect: { status: 500, body: 'Bad request: Missing serviceID' },
        differs: {
          id: 'bad-request-prefix',
          at: ['body'],
          gateway: { body: /^Missing serviceID$/ },
        },
      }),
      get('/v1/agent/health/service/name/', {
        expect: { status: 500, body: 'Bad request: Missing service Name' },
        differs: {
          id: 'bad-request-prefix',
          at: ['body'],
          gateway: { body: /^Missing service Name$/ },
        },
      }),
      get('/v1/agent/health/service/name/hs?format=xml', { sorted: ['$'] }),
      deregister('hs1'),
      deregister('hs2'),
    ),
    scenario(
      'methods',
      get('/v1/agent/service/register', { expect: { status: 405 } }),
      request('POST', '/v1/agent/service/register', '{}', { expect: { status: 405 } }),
      get('/v1/agent/service/deregister/x', { expect: { status: 405 } }),
      get('/v1/agent/service/maintenance/x', { expect: { status: 405 } }),
      put('/v1/agent/services', '', { expect: { status: 405 } }),
      put('/v1/agent/service/x', '', { expect: { status: 405 } }),
      put('/v1/agent/health/service/id/x', '', { expect: { status: 405 } }),
      put('/v1/agent/health/service/name/x', '', { expect: { status: 405 } }),
    ),
  ],
};
