import { describe, expect, test } from '@jest/globals';
import { agentCheckRoutes } from '../../../compat/routes/agent-checks.ts';
import { agentHealthRoutes } from '../../../compat/routes/agent-health.ts';
import { agentServiceRoutes } from '../../../compat/routes/agent-services.ts';
import type { Method } from '../../../compat/wire/http.ts';
import { AgentFixture } from '../agent/agent-fixture.ts';

const routes = [...agentServiceRoutes, ...agentCheckRoutes, ...agentHealthRoutes];

class Client {
  readonly fixture: AgentFixture;

  constructor(fixture: AgentFixture) {
    this.fixture = fixture;
  }

  static async start(): Promise<Client> {
    return new Client(await AgentFixture.start());
  }

  /** `STATUS BODY` of an answer. */
  async ask(method: Method, path: string, body?: unknown): Promise<string> {
    const reply = await this.fixture.request(routes, method, `/v1/agent/${path}`, body);
    return `${reply.status} ${String(reply.body)}`;
  }

  put(path: string, body?: unknown): Promise<string> {
    return this.ask('PUT', path, body);
  }

  get(path: string): Promise<string> {
    return this.ask('GET', path);
  }
}

describe('service/register', () => {
  test('answers an empty 200, and the service is shown as Consul shows it', async () => {
    const client = await Client.start();
    const web = { Name: 'web', Port: 8080, Address: '10.0.0.1', Tags: ['x'], Meta: { a: 'b' } };
    const reply = await client.fixture.request(routes, 'PUT', '/v1/agent/service/register', web);
    expect(reply).toMatchObject({ status: 200, body: '', contentType: undefined });
    const address = '{"Address":"10.0.0.1","Port":8080}';
    expect(await client.get('services')).toBe(
      '200 {"web":{"ID":"web","Service":"web","Tags":["x"],"Meta":{"a":"b"},"Port":8080,"Address":"10.0.0.1",' +
        `"TaggedAddresses":{"lan_ipv4":${address},"wan_ipv4":${address}},` +
        '"Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false}}',
    );
  });

  test('matches names as Go does, and knows underscores, and passes over newer fields', async () => {
    const client = await Client.start();
    const body = {
      name: 'lower',
      tags: ['q'],
      tagged_addresses: { lan: { address: '1.1.1.1', port: 3 } },
      enable_tag_override: true,
      Meta: null,
      FromTheFuture: { a: 1 },
    };
    expect(await client.put('service/register', body)).toBe('200 ');
    expect(await client.get('services')).toContain(
      '"Tags":["q"],"Meta":{},"Port":0,"Address":"","TaggedAddresses":{"lan":{"Address":"1.1.1.1","Port":3}},' +
        '"Weights":{"Passing":1,"Warning":1},"EnableTagOverride":true',
    );
  });

  // Bodies and answers as observed on Consul 1.8.7.
  test.each([
    ['{}', '400 Missing service name'],
    ['', '400 Request decode failed: EOF'],
    ['null', '400 Missing service name'],
    ['{bad', "400 Request decode failed: invalid character 'b' looking for beginning of object key string"],
    ['{"Name":"w","Address":"0.0.0.0"}', '400 Invalid service address'],
    [
      '{"Name":"w","Port":"x"}',
      '400 Request decode failed: json: cannot unmarshal string into Go struct field .Port of type int',
    ],
    [
      '{"Name":"w","Weights":{"Passing":0,"Warning":1}}',
      '400 Invalid Weights: Passing must be greater than 0',
    ],
    [
      '{"Name":"w","Weights":{"Passing":1,"Warning":-1}}',
      '400 Invalid Weights: Warning must be greater or equal than 0',
    ],
    [
      '{"Name":"w","Weights":{"Passing":70000,"Warning":1}}',
      '400 Invalid Weights: DNS Weight must be between 0 and 65535',
    ],
    [
      '{"Name":"w","Meta":{"consul-x":"1"}}',
      "400 Invalid Service Meta: Couldn't load metadata pair ('consul-x', '1'): Key prefix 'consul-' is reserved for internal use",
    ],
    [
      '{"Name":"w","Meta":{"":"1"}}',
      "400 Invalid Service Meta: Couldn't load metadata pair ('', '1'): Key cannot be blank",
    ],
    [
      '{"Name":"w","Meta":{"a b":"1"}}',
      "400 Invalid Service Meta: Couldn't load metadata pair ('a b', '1'): Key contains invalid characters",
    ],
    [
      '{"Name":"w","Check":{"TTL":"5s","Interval":"5s"}}',
      '400 Invalid check: Interval and TTL cannot both be specified',
    ],
    [
      '{"Name":"w","Check":{"Status":"bogus","TTL":"5s"}}',
      "400 Status for checks must 'passing', 'warning', 'critical'",
    ],
    [
      '{"Name":"p","Kind":"connect-proxy"}',
      '400 2 errors occurred:\n\t* Proxy.DestinationServiceName must be non-empty for Connect proxy services\n' +
        '\t* Port must be set for a Connect proxy\n\n',
    ],
    [
      '{"Name":"s","Connect":{"SidecarService":{}}}',
      '400 Invalid SidecarService: this gateway has no service mesh; register the proxy as a service',
    ],
  ])('answers %s as Consul does', async (body, answer) => {
    const client = await Client.start();
    expect(await client.put('service/register', body)).toBe(answer);
    expect(await client.get('services')).toBe('200 {}');
  });

  test('numbers the checks of a service that has several', async () => {
    const client = await Client.start();
    const checks = [{ TTL: '15s' }, { TTL: '15s', Name: 'n2' }, { CheckID: 'cx', TTL: '10s' }];
    await client.put('service/register', { ID: 'm', Name: 'multi', Checks: checks });
    const shown = JSON.parse((await client.get('checks')).slice(4)) as Record<string, { Name: string }>;
    expect(Object.entries(shown).map(([id, { Name }]) => [id, Name])).toEqual([
      ['cx', "Service 'multi' check"],
      ['service:m:1', "Service 'multi' check"],
      ['service:m:2', 'n2'],
    ]);
    await client.put('service/register?replace-existing-checks=false', { ID: 'm', Name: 'multi' });
    expect(client.fixture.heldIds()).toHaveLength(4);
    await client.put('service/register?replace-existing-checks', { ID: 'm', Name: 'multi' });
    expect(client.fixture.heldIds()).toEqual(['m']);
  });

  test('refuses namespaces', async () => {
    const client = await Client.start();
    expect(await client.put('service/register?ns=x', { Name: 'w' })).toContain('Namespaces are a Consul');
    expect(await client.put('service/register', { Name: 'w', Namespace: 'x' })).toContain('Enterprise');
    expect(await client.put('service/register', { Name: 'w', Namespace: 'default' })).toBe('200 ');
  });
});

describe('services', () => {
  test('are ordered by the bytes of their ids, numbers too', async () => {
    const client = await Client.start();
    for (const name of ['b', '9', '80', 'ü', 'B', 'a']) await client.put('service/register', { Name: name });
    expect([...(await client.get('services')).matchAll(/"ID":"([^"]+)"/g)].map(([, id]) => id)).toEqual([
      // `B` took the place of `b`.
      '80',
      '9',
      'B',
      'a',
      'ü',
    ]);
  });

  test('take a filter, whose errors name the selector', async () => {
    const client = await Client.start();
    await client.put('service/register', { Name: 'web', Check: { TTL: '9s' } });
    await client.put('service/register', { Name: 'db' });
    expect(await client.get('services?filter=Service==db')).toMatch(/^200 {"db":{[^}]*}.*}$/);
    expect(await client.get('services?filter=Foo==web')).toBe(
      '500 Failed to create boolean expression evaluator: Selector "Foo" is not valid',
    );
    expect(await client.get('checks?filter=Foo==web')).toBe('500 Selector "Foo" is not valid');
    expect(await client.get('checks?filter=ServiceName==db')).toBe('200 {}');
  });
});

describe('service/:id', () => {
  test('has a hash, and 404 when it is unknown', async () => {
    const client = await Client.start();
    await client.put('service/register', { Name: 'web' });
    const reply = await client.fixture.request(routes, 'GET', '/v1/agent/service/web');
    const hash = reply.headers?.['X-Consul-Contenthash'] ?? '';
    expect(hash).toMatch(/^[0-9a-f]{16}$/);
    expect(reply.body).toContain(`"EnableTagOverride":false,"ContentHash":"${hash}"`);
    expect(await client.get('service/nope')).toBe('404 unknown service ID: nope');
    expect(await client.get('service/web?index=x')).toBe('400 Invalid index');
  });

  test('stops waiting when its client goes away', async () => {
    const client = await Client.start();
    await client.put('service/register', { Name: 'web', Port: 8 });
    const first = await client.fixture.request(routes, 'GET', '/v1/agent/service/web');
    const hash = first.headers?.['X-Consul-Contenthash'] ?? '';
    const timers = client.fixture.ports.pending;
    const result = client.fixture.result(routes, 'GET', `/v1/agent/service/web?hash=${hash}&wait=1m`);
    if (result.kind !== 'later') throw new Error('it does not wait');
    expect(client.fixture.ports.pending).toBe(timers + 1);
    result.cancel?.();
    await result.reply;
    expect(client.fixture.ports.pending).toBe(timers);
  });

  test('blocks until the service differs from the hash, or the wait is over', async () => {
    const client = await Client.start();
    const { fixture } = client;
    await client.put('service/register', { Name: 'web' });
    const first = await fixture.request(routes, 'GET', '/v1/agent/service/web');
    const hash = first.headers?.['X-Consul-Contenthash'] ?? '';
    let answer = '';
    const waiting = client.get(`service/web?hash=${hash}&wait=1m`).then((text) => (answer = text));
    await client.put('service/register', { Name: 'other' });
    await fixture.advance(1000);
    expect(answer).toBe('');
    await client.put('service/register', { Name: 'web', Port: 9 });
    await waiting;
    expect(answer).toContain('"Port":9');
    expect(await client.get('service/web?hash=other')).toContain('"Port":9');

    const present = await fixture.request(routes, 'GET', '/v1/agent/service/web');
    const again = client.get(`service/web?hash=${present.headers?.['X-Consul-Contenthash']}&wait=10s`);
    await fixture.advance(10_000);
    expect(await again).toContain('"Port":9');
    expect(fixture.ports.pending).toBe(1); // the comparison with the catalog
  });
});

describe('checks', () => {
  test('are registered, beaten and deregistered', async () => {
    const client = await Client.start();
    expect(await client.put('check/register', { Name: 'c1', TTL: '15s', Notes: 'nn' })).toBe('200 ');
    expect(await client.put('check/pass/c1?note=hi')).toBe('200 ');
    expect(await client.get('checks')).toBe(
      '200 {"c1":{"Node":"n1","CheckID":"c1","Name":"c1","Status":"passing","Notes":"nn","Output":"hi",' +
        '"ServiceID":"","ServiceName":"","ServiceTags":[],"Type":"ttl","Definition":{},"CreateIndex":0,"ModifyIndex":0}}',
    );
    expect(await client.put('check/warn/c1')).toBe('200 ');
    expect(await client.put('check/fail/c1')).toBe('200 ');
    expect(await client.put('check/update/c1', { Status: 'warning', Output: 'o' })).toBe('200 ');
    expect(await client.get('checks')).toContain('"Status":"warning","Notes":"nn","Output":"o"');
    expect(await client.put('check/deregister/c1')).toBe('200 ');
    expect(await client.get('checks')).toBe('200 {}');
  });

  test.each([
    ['check/register', '{}', '400 Missing check name'],
    ['check/register', '{"Name":"c"}', '400 Invalid check: TTL must be > 0 for TTL checks'],
    ['check/register', '{"Name":"c","TTL":"9s","Status":"x"}', '400 Bad check status'],
    ['check/register', '{"Name":"c","TTL":"9s","ServiceID":"x"}', '500 ServiceID "x" does not exist'],
    [
      'check/register',
      '{"Name":"c","Args":["x"],"Interval":"9s"}',
      "500 Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true",
    ],
    ['check/pass/x', '', '404 Unknown check ID "x". Ensure that the check ID is passed, not the check name.'],
    ['check/update/x', '{"Status":"bogus"}', "400 Invalid check status: 'bogus'"],
    ['check/update/x', '', '400 Request decode failed: EOF'],
    [
      'check/update/x',
      '[]',
      '400 Request decode failed: json: cannot unmarshal array into Go value of type agent.checkUpdate',
    ],
    [
      'check/update/x',
      '{"Status":"passing"}',
      '404 Unknown check ID "x". Ensure that the check ID is passed, not the check name.',
    ],
    [
      'check/deregister/x',
      '',
      '404 Unknown check ID "x". Ensure that the check ID is passed, not the check name.',
    ],
  ])('%s %s answers as Consul does', async (path, body, answer) => {
    const client = await Client.start();
    expect(await client.put(path, body)).toBe(answer);
  });
});

describe('maintenance', () => {
  test.each([
    ['service/maintenance/web', '400 Missing value for enable'],
    ['service/maintenance/web?enable=foo', '400 Invalid value for enable: "foo"'],
    ['service/maintenance/?enable=true', '400 Missing service ID'],
    [
      'service/maintenance/nope?enable=true',
      '404 Unknown service ID "nope". Ensure that the service ID is passed, not the service name.',
    ],
    ['maintenance', '400 Missing value for enable'],
    ['maintenance?enable=x', '400 Invalid value for enable: "x"'],
  ])('%s answers %s', async (path, answer) => {
    const client = await Client.start();
    await client.put('service/register', { Name: 'web' });
    expect(await client.put(path)).toBe(answer);
  });

  test('shows in the health of the service, with its reason in the check', async () => {
    const client = await Client.start();
    await client.put('service/register', { Name: 'web' });
    expect(await client.put('service/maintenance/web?enable=true&reason=why+not')).toBe('200 ');
    expect(await client.get('checks')).toContain(
      '"CheckID":"_service_maintenance:web","Name":"Service Maintenance Mode","Status":"critical","Notes":"why not"',
    );
    expect(await client.get('health/service/id/web?format=text')).toBe('503 maintenance');
    expect(await client.put('service/maintenance/web?enable=false')).toBe('200 ');
    expect(await client.get('health/service/id/web?format=text')).toBe('200 passing');
    expect(await client.put('maintenance?enable=true')).toBe('200 ');
    expect(await client.get('health/service/name/web?format=text')).toBe('503 maintenance');
  });
});

describe('health/service', () => {
  test('answers by the worst check of the service and its node', async () => {
    const client = await Client.start();
    await client.put('service/register', { ID: 'w1', Name: 'web', Check: { TTL: '9m', Status: 'passing' } });
    await client.put('service/register', { ID: 'w2', Name: 'web', Check: { TTL: '9m', Status: 'warning' } });
    expect(await client.get('health/service/id/w1?format=text')).toBe('200 passing');
    expect(await client.get('health/service/id/w2?format=text')).toBe('429 warning');
    expect(await client.get('health/service/name/web?format=text')).toBe('429 warning');
    await client.put('check/register', { Name: 'disk', TTL: '9m', Status: 'critical' });
    expect(await client.get('health/service/id/w1?format=text')).toBe('503 critical');
    const reply = await client.fixture.request(routes, 'GET', '/v1/agent/health/service/id/w1');
    expect(reply.headers).toEqual({ 'X-Consul-Reason': 'critical' });
    expect(reply.body).toMatch(/^{"AggregatedStatus":"critical","Service":{"ID":"w1".*"Checks":\[{.*}\]}$/);
    // As Consul's client library renders a check: the definition is there, empty; no tags are null.
    expect(reply.body).toContain(
      '"ServiceTags":null,"Type":"","Definition":{"Interval":"0s","Timeout":"0s",' +
        '"DeregisterCriticalServiceAfter":"0s","HTTP":"","Header":null,"Method":"","Body":"",' +
        '"TLSSkipVerify":false,"TCP":""},"CreateIndex":0,"ModifyIndex":0}',
    );
  });

  test('answers 404 for what this agent does not have', async () => {
    const client = await Client.start();
    expect(await client.get('health/service/id/x')).toBe(
      '404 {"AggregatedStatus":"critical","Service":null,"Checks":null}',
    );
    expect(await client.get('health/service/id/x?format=text')).toBe('404 "ServiceId x not found"');
    expect(await client.get('health/service/name/x')).toBe('404 []');
    expect(await client.get('health/service/name/x?format=text')).toBe('404 ServiceName x Not Found');
    expect(await client.get('health/service/id/')).toBe('500 Missing serviceID');
    expect(await client.get('health/service/name/')).toBe('500 Missing service Name');
  });
});
