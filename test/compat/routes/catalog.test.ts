import { beforeEach, describe, expect, test } from '@jest/globals';
import { catalogRoutes } from '../../../compat/routes/catalog.ts';
import { coordinateRoutes } from '../../../compat/routes/coordinate.ts';
import { StateFixture, type Outcome } from '../../support/state.ts';

// Bodies and texts are what a real Consul 1.8.7 answered, but for the indexes.

let fixture: StateFixture;
beforeEach(() => {
  fixture = new StateFixture();
});

const get = (url: string): Outcome => fixture.request(catalogRoutes, 'GET', url);
const put = (what: 'register' | 'deregister', body: unknown): string => {
  const { status, body: text } = fixture.request(catalogRoutes, 'PUT', `/v1/catalog/${what}`, body);
  return `${status} ${text}`;
};
const register = (body: unknown): string => put('register', body);

/** Indexes as #. */
const shown = (text: string): string => text.replaceAll(/("(?:Create|Modify)Index": ?)\d+/g, '$1#');
const ends = '"CreateIndex":#,"ModifyIndex":#}';
const plainProxy = '{"MeshGateway":{},"Expose":{}}';

const full = {
  Node: 'm1',
  Address: '10.0.1.1',
  NodeMeta: { 10: 'a', 7: 'b', env: 'x' },
  Service: {
    ID: 'web-1',
    Service: 'web',
    Tags: ['v1', 'Primary'],
    Address: '10.0.0.11',
    TaggedAddresses: {
      wan: { Address: '198.18.0.11', Port: 8080 },
      lan: { Address: '10.0.0.11', Port: 80 },
    },
    Meta: { env: '<prod>' },
    Port: 80,
    Weights: { Passing: 10, Warning: 2 },
    EnableTagOverride: true,
  },
};

describe('what is registered comes back as Consul shows it', () => {
  test('with everything given', () => {
    expect(register(full)).toBe('200 true');
    expect(shown(get('/v1/catalog/service/WEB').body)).toBe(
      '[{"ID":"","Node":"m1","Address":"10.0.1.1","Datacenter":"dc1","TaggedAddresses":null,' +
        '"NodeMeta":{"10":"a","7":"b","env":"x"},"ServiceKind":"","ServiceID":"web-1","ServiceName":"web",' +
        '"ServiceTags":["v1","Primary"],"ServiceAddress":"10.0.0.11",' +
        '"ServiceTaggedAddresses":{"lan":{"Address":"10.0.0.11","Port":80},"wan":{"Address":"198.18.0.11","Port":8080}},' +
        '"ServiceWeights":{"Passing":10,"Warning":2},"ServiceMeta":{"env":"\\u003cprod\\u003e"},"ServicePort":80,' +
        `"ServiceEnableTagOverride":true,"ServiceProxy":${plainProxy},"ServiceConnect":{},${ends}]`,
    );
    const node =
      '"Node":{"ID":"","Node":"m1","Address":"10.0.1.1","Datacenter":"dc1","TaggedAddresses":null,' +
      `"Meta":{"10":"a","7":"b","env":"x"},${ends}`;
    const service =
      '{"ID":"web-1","Service":"web","Tags":["v1","Primary"],"Address":"10.0.0.11",' +
      '"TaggedAddresses":{"lan":{"Address":"10.0.0.11","Port":80},"wan":{"Address":"198.18.0.11","Port":8080}},' +
      '"Meta":{"env":"\\u003cprod\\u003e"},"Port":80,"Weights":{"Passing":10,"Warning":2},' +
      `"EnableTagOverride":true,"Proxy":${plainProxy},"Connect":{},${ends}`;
    expect(shown(get('/v1/catalog/node/M1').body)).toBe(`{${node},"Services":{"web-1":${service}}}`);
    expect(shown(get('/v1/catalog/node-services/m1').body)).toBe(`{${node},"Services":[${service}]}`);
    expect(get('/v1/catalog/services').body).toBe('{"web":["v1","Primary"]}');
  });

  test('with nothing given beside names', () => {
    register({ node: 'n', ADDRESS: '10.0.0.2', service: { service: 'db' } });
    expect(shown(get('/v1/catalog/service/db').body)).toBe(
      '[{"ID":"","Node":"n","Address":"10.0.0.2","Datacenter":"dc1","TaggedAddresses":null,"NodeMeta":null,' +
        '"ServiceKind":"","ServiceID":"db","ServiceName":"db","ServiceTags":[],"ServiceAddress":"",' +
        '"ServiceWeights":{"Passing":1,"Warning":1},"ServiceMeta":{},"ServicePort":0,' +
        `"ServiceEnableTagOverride":false,"ServiceProxy":${plainProxy},"ServiceConnect":{},${ends}]`,
    );
    expect(shown(get('/v1/catalog/node/n').body)).toContain(
      '"Services":{"db":{"ID":"db","Service":"db","Tags":[],"Address":"","Meta":null,"Port":0,',
    );
  });

  test.each([
    [{ Passing: 0, Warning: 0 }, '"Passing":1,"Warning":1'],
    [{ Passing: 3 }, '"Passing":3,"Warning":0'],
    [{ Passing: -3, Warning: 5 }, '"Passing":1,"Warning":1'],
    [{ Passing: 5, Warning: -1 }, '"Passing":1,"Warning":1'],
  ])('weights %j are stored as Consul stores them', (Weights, stored) => {
    register({ Node: 'n', Address: 'a', Service: { Service: 's', Weights } });
    expect(get('/v1/catalog/service/s').body).toContain(`"ServiceWeights":{${stored}}`);
  });

  test('a proxy comes back in its order, and nothing is made of it', () => {
    const Proxy = {
      Upstreams: [{ DestinationName: 'db', LocalBindPort: 80, Config: { z: 1, a: 12345678901234567890n } }],
      MeshGateway: { Mode: 'local' },
      Config: { b: 1, a: 'x' },
      destination_service_name: 'web',
    };
    const body = JSON.stringify(
      {
        Node: 'n',
        Address: 'a',
        Service: { Kind: 'connect-proxy', Service: 'px', Port: 1, Proxy },
      },
      (_, value: unknown) => (typeof value === 'bigint' ? `#${value}` : value),
    ).replace(/"#(\d+)"/, '$1');
    expect(register(body)).toBe('200 true');
    const proxy =
      '{"DestinationServiceName":"web","Config":{"a":"x","b":1},"Upstreams":[{"DestinationType":"",' +
      '"DestinationName":"db","Datacenter":"","LocalBindPort":80,"Config":{"a":12345678901234567890,"z":1},"MeshGateway":{}}],' +
      '"MeshGateway":{"Mode":"local"},"Expose":{}}';
    expect(get('/v1/catalog/service/px').body).toContain(`"ServiceProxy":${proxy},"ServiceConnect":{}`);
    expect(get('/v1/catalog/node/n').body).toContain('{"Kind":"connect-proxy","ID":"px","Service":"px"');
    expect(get('/v1/catalog/connect/web').body).toBe('[]');
  });
});

describe('what is not there', () => {
  test.each([
    ['service/nope', '[]'],
    ['node/nope', 'null'],
    ['node-services/nope', '{"Node":null,"Services":null}'],
    ['nodes', '[]'],
    ['services', '{}'],
    ['connect/nope', '[]'],
    ['gateway-services/nope', 'null'],
    ['datacenters', '["dc1"]'],
  ])('catalog/%s is %s', (path, body) => {
    expect(get(`/v1/catalog/${path}`)).toMatchObject({ status: 200, body });
  });

  test('services of a node without any are null, or [] where a filter left none', () => {
    register({ Node: 'n', Address: 'a' });
    expect(get('/v1/catalog/node/n').body).toMatch(/"Services":\{\}\}$/);
    expect(get('/v1/catalog/node-services/n').body).toMatch(/"Services":null\}$/);
    expect(get('/v1/catalog/node-services/n?filter=Service==x').body).toMatch(/"Services":\[\]\}$/);
  });

  test('a node is found by a prefix of its id, too, if no other shares it', () => {
    register({ Node: 'n1', Address: 'a', ID: 'AAAAAAAA-2192-161a-0510-9bf59fe950b5' });
    expect(get('/v1/catalog/node/aaaa').body).toContain('"Node":"n1"');
    register({ Node: 'n2', Address: 'a', ID: 'aaaaaaaa-2192-161a-0510-9bf59fe950b6' });
    expect(get('/v1/catalog/node/aaaa').body).toBe('null');
    expect(get('/v1/catalog/node/a').body).toBe('null');
  });

  test.each([
    ['service/', 'Missing service name'],
    ['node/', 'Missing node name'],
    ['node-services/', 'Missing node name'],
    ['connect/', 'Missing service name'],
    ['gateway-services/', 'Missing gateway name'],
  ])('catalog/%s without a name is refused', (path, body) => {
    expect(get(`/v1/catalog/${path}`)).toMatchObject({ status: 400, body });
  });
});

describe('a registration is refused in the words of Consul', () => {
  const n = { Node: 'n', Address: 'a' };
  test.each<[unknown, string]>([
    ['', '400 Request decode failed: EOF'],
    [
      '[]',
      '400 Request decode failed: json: cannot unmarshal array into Go value of type structs.RegisterRequest',
    ],
    ['null', '500 Must provide node'],
    [{ Address: 'a' }, '500 Must provide node'],
    [{ Node: 'n' }, '500 Must provide address if SkipNodeUpdate is not set'],
    [{ ...n, ID: 'abc' }, '500 Bad node ID: uuid string is wrong length'],
    [
      { ...n, ID: 'zze4a748-2192-161a-0510-9bf59fe950b5' },
      "500 Bad node ID: encoding/hex: invalid byte: U+007A 'z'",
    ],
    [{ ...n, Service: { ID: 'x' } }, '500 Must provide service name with ID'],
    [
      { ...n, Service: {} },
      '500 failed inserting service: failed inserting service: object missing primary index',
    ],
    [{ ...n, Service: { Service: 'a', Address: '0.0.0.0' } }, '500 Invalid service address'],
    [{ ...n, Service: { Service: 'a', Address: '[::]' } }, '500 Invalid service address'],
    [
      { ...n, Check: { Name: 'c', ServiceID: 'nope' } },
      '500 failed inserting check: Missing service registration on node "n"',
    ],
    [
      { ...n, Check: {} },
      '500 failed inserting check: failed inserting check: object missing primary index on node "n"',
    ],
    [{ ...n, Check: { Name: 'c', Node: 'N' } }, '500 check node "N" does not match node "n"'],
    [{ ...n, Datacenter: 'DC1' }, '500 No path to datacenter'],
    [
      { ...n, Service: { Service: 'p', Kind: 'connect-proxy', Connect: { Native: true } } },
      '500 3 errors occurred:\n' +
        '\t* Proxy.DestinationServiceName must be non-empty for Connect proxy services\n' +
        '\t* Port must be set for a Connect proxy\n' +
        '\t* A Proxy cannot also be Connect Native, only typical services\n\n',
    ],
    [
      { ...n, Check: { Name: 'c', Definition: { HTTP: 'x', Interval: 'xx' } } },
      '400 Request decode failed: time: invalid duration "xx"',
    ],
  ])('%j', (body, answer) => {
    expect(register(body)).toBe(answer);
    expect(get('/v1/catalog/nodes').body).toBe('[]');
  });

  test('unknown fields do no harm: newer clients send newer ones', () => {
    expect(register({ ...n, Service: { Service: 's', Foo: 1 }, WriteRequest: {} })).toBe('200 true');
  });
});

describe('deregistering', () => {
  test('what is not there is true; ServiceID counts before CheckID, and both before the node', () => {
    register(full);
    register({ ...full, Service: undefined, Check: { Name: 'own' } });
    expect(put('deregister', { Node: 'nobody' })).toBe('200 true');
    expect(put('deregister', { Node: 'm1', ServiceID: 'nope' })).toBe('200 true');
    expect(put('deregister', { Node: 'M1', ServiceID: 'WEB-1', CheckID: 'own' })).toBe('200 true');
    expect(get('/v1/catalog/services').body).toBe('{}');
    expect(get('/v1/catalog/nodes').body).toContain('m1');
    expect(put('deregister', { node: 'm1' })).toBe('200 true');
    expect(get('/v1/catalog/nodes').body).toBe('[]');
  });

  test('needs a node of this datacenter', () => {
    expect(put('deregister', {})).toBe('500 Must provide node');
    expect(put('deregister', '')).toBe('400 Request decode failed: EOF');
    expect(put('deregister', { Node: 'n', Datacenter: 'zz' })).toBe('500 No path to datacenter');
  });
});

describe('narrowing', () => {
  beforeEach(() => {
    const service = (ID: string, Tags: string[]): object => ({ ID, Service: 'w', Tags });
    register({
      Node: 'a',
      Address: 'a',
      NodeMeta: { env: 'x', k: 'v' },
      Service: service('1', ['v1', 'Primary']),
    });
    register({ Node: 'b', Address: 'b', NodeMeta: { env: 'x' }, Service: service('2', ['PRIMARY']) });
    register({ Node: 'c', Address: 'c', Service: service('3', []) });
  });

  const nodesOf = (url: string): string =>
    [...get(url).body.matchAll(/"Node":"(\w+)"/g)].map((match) => match[1]).join(' ');

  test.each([
    ['nodes?node-meta=env:x', 'a b'],
    ['nodes?node-meta=env:x&node-meta=k:v', 'a'],
    ['nodes?node-meta=env', ''],
    ['nodes?filter=Node==b', 'b'],
    ['nodes?filter=Meta.env==x+and+Node!=a', 'b'],
    ['service/w?tag=primary', 'a b'],
    ['service/w?tag=primary&tag=V1', 'a'],
    ['service/w?tag=', ''],
    ['service/w?node-meta=k:v', 'a'],
    ['service/w?filter=ServiceID==3', 'c'],
    ['service/w?filter="PRIMARY"+in+ServiceTags', 'b'],
  ])('catalog/%s keeps the nodes [%s]', (path, nodes) => {
    expect(nodesOf(`/v1/catalog/${path}`)).toBe(nodes);
  });

  test('services: by metadata of their nodes, by a filter over instances', () => {
    expect(get('/v1/catalog/services').body).toBe('{"w":["v1","Primary","PRIMARY"]}');
    expect(get('/v1/catalog/services?node-meta=k:v').body).toBe('{"w":["v1","Primary"]}');
    expect(get('/v1/catalog/services?node-meta=k:nope').body).toBe('{}');
    expect(get('/v1/catalog/services?filter=ServiceID==2').body).toBe('{"w":["PRIMARY"]}');
  });

  test('a bad filter is named, also where there is nothing to filter', () => {
    const text = 'Failed to create boolean expression evaluator: Selector "Foo" is not valid';
    for (const path of ['nodes', 'services', 'service/none', 'node/none', 'node-services/none']) {
      expect(get(`/v1/catalog/${path}?filter=Foo==1`)).toMatchObject({ status: 500, body: text });
    }
  });

  test('near sorts by distance, the unknown last; an unknown node sorts nothing', () => {
    const update = (Node: string, x: number): Outcome =>
      fixture.request(coordinateRoutes, 'PUT', '/v1/coordinate/update', {
        Node,
        Coord: { Vec: [x, 0, 0, 0, 0, 0, 0, 0] },
      });
    update('B', 0.1);
    update('c', 0.5);
    expect(nodesOf('/v1/catalog/nodes?near=c')).toBe('c b a');
    expect(nodesOf('/v1/catalog/service/w?near=B')).toBe('b c a');
    expect(nodesOf('/v1/catalog/nodes?near=nope')).toBe('a b c');
    update('a', 0.45);
    expect(nodesOf('/v1/catalog/nodes?near=c')).toBe('c a b');
  });

  test('pretty indents by four, keeps the order of fields, and leaves {} and [] whole', () => {
    register({ Node: 'z', Address: 'z', NodeMeta: { 10: 'a:,{"[', 7: 'b' }, TaggedAddresses: {} });
    expect(shown(get('/v1/catalog/nodes?pretty&filter=Node==z').body).split('\n')).toEqual([
      '[',
      '    {',
      '        "ID": "",',
      '        "Node": "z",',
      '        "Address": "z",',
      '        "Datacenter": "dc1",',
      '        "TaggedAddresses": {},',
      '        "Meta": {',
      '            "10": "a:,{\\"[",',
      '            "7": "b"',
      '        },',
      '        "CreateIndex": #,',
      '        "ModifyIndex": #',
      '    }',
      ']',
      '',
    ]);
    expect(get('/v1/catalog/service/none?pretty').body).toBe('[]\n');
  });
});

describe('waiting', () => {
  test('an unrelated write wakes nobody, also who waits for what is not there', () => {
    register(full);
    const waiting = ['service/web', 'service/none', 'node/m1', 'node/none', 'node-services/m1'].map((path) =>
      fixture.wait(catalogRoutes, `/v1/catalog/${path}`),
    );
    register({ Node: 'other', Address: 'o', Service: { Service: 'other' }, Check: { Name: 'c' } });
    put('deregister', { Node: 'other' });
    expect(waiting.map((each) => each.outcome)).toEqual(waiting.map(() => undefined));
  });

  test('a check wakes nobody who waits for the catalog', () => {
    register(full);
    const waiting = ['service/web', 'nodes', 'services', 'node/m1'].map((path) =>
      fixture.wait(catalogRoutes, `/v1/catalog/${path}`),
    );
    register({ ...full, Checks: [{ Name: 'own' }, { Name: 'of-web', ServiceID: 'web-1' }] });
    expect(waiting.map((each) => each.outcome)).toEqual(waiting.map(() => undefined));
  });

  test('who waits for a service sees its end, and then its return, each with a higher index', () => {
    register(full);
    const gone = fixture.wait(catalogRoutes, '/v1/catalog/service/web');
    put('deregister', { Node: 'm1' });
    expect(gone.outcome).toMatchObject({ body: '[]' });
    expect(gone.outcome?.index).toBeGreaterThan(gone.index);
    const back = fixture.wait(catalogRoutes, '/v1/catalog/service/web');
    register(full);
    expect(back.outcome?.body).toContain('web-1');
    expect(back.outcome?.index).toBeGreaterThan(back.index);
  });

  test('renaming an instance wakes who waits for its old name', () => {
    register(full);
    const waiting = fixture.wait(catalogRoutes, '/v1/catalog/service/web');
    register({ ...full, Service: { ...full.Service, Service: 'api' } });
    expect(waiting.outcome).toMatchObject({ body: '[]' });
  });
});
