import { beforeEach, describe, expect, test } from '@jest/globals';
import { catalogRoutes } from '../../../compat/routes/catalog.ts';
import { healthRoutes } from '../../../compat/routes/health.ts';
import type { CheckValue } from '../../../src/state/values.ts';
import { StateFixture, type Outcome, type Waiting } from '../../support/state.ts';

// Bodies and texts are what a real Consul 1.8.7 answered, but for the indexes.

let fixture: StateFixture;
beforeEach(() => {
  fixture = new StateFixture();
});

const get = (path: string): Outcome => fixture.request(healthRoutes, 'GET', `/v1/health/${path}`);
const wait = (path: string): Waiting => fixture.wait(healthRoutes, `/v1/health/${path}`);
const register = (body: unknown): void => {
  expect(fixture.request(catalogRoutes, 'PUT', '/v1/catalog/register', body).body).toBe('true');
};
const deregister = (body: unknown): void => {
  expect(fixture.request(catalogRoutes, 'PUT', '/v1/catalog/deregister', body).body).toBe('true');
};
const memberHealth = (node: string, status: 'passing' | 'critical' | undefined): void => {
  const check: CheckValue | undefined = status && {
    node,
    checkId: 'serfHealth',
    name: 'Serf Health Status',
    status,
    notes: '',
    output: 'Agent alive and reachable',
    serviceId: '',
    serviceName: '',
    serviceTags: [],
    type: '',
    definition: '',
  };
  fixture.step({ kind: 'member-health', node, check });
};

const shown = (text: string): string => text.replaceAll(/("(?:Create|Modify)Index":)\d+/g, '$1#');
const ends = '"CreateIndex":#,"ModifyIndex":#}';
/** Ids of the checks, in order; of instances those of all. */
const checkIds = (path: string): string =>
  [...get(path).body.matchAll(/"CheckID":"([\w-]+)"/g)].map((match) => match[1]).join(' ');
const instanceNodes = (path: string): string =>
  [...get(path).body.matchAll(/"Node":\{"ID":"","Node":"(\w+)"/g)].map((match) => match[1]).join(' ');

/** An instance of `app` on a node, with a check of each. */
const app = (Node: string, ofNode: string, ofService: string, more: object = {}): void => {
  register({
    Node,
    Address: '10.0.0.1',
    Service: { Service: 'app', Tags: ['a'], ...more },
    Checks: [
      { Name: 'zz-node', Status: ofNode },
      { Name: 'aa-app', Status: ofService, ServiceID: 'app' },
    ],
  });
};

describe('health/service', () => {
  test('shows the node, the service, and the checks of the node before those of the service', () => {
    app('n1', 'passing', 'warning');
    const check = (id: string, status: string, service: string): string =>
      `{"Node":"n1","CheckID":"${id}","Name":"${id}","Status":"${status}","Notes":"","Output":"",` +
      `"ServiceID":"${service}","ServiceName":"${service}","ServiceTags":${service ? '["a"]' : '[]'},` +
      `"Type":"","Definition":{},${ends}`;
    expect(shown(get('service/APP').body)).toBe(
      '[{"Node":{"ID":"","Node":"n1","Address":"10.0.0.1","Datacenter":"dc1","TaggedAddresses":null,"Meta":null,' +
        `${ends},"Service":{"ID":"app","Service":"app","Tags":["a"],"Address":"","Meta":null,"Port":0,` +
        '"Weights":{"Passing":1,"Warning":1},"EnableTagOverride":false,"Proxy":{"MeshGateway":{},"Expose":{}},' +
        `"Connect":{},${ends},"Checks":[${check('zz-node', 'passing', '')},${check('aa-app', 'warning', 'app')}]}]`,
    );
  });

  test('shows a definition as Consul does, and the type that it makes', () => {
    const Definition = {
      TCP: 'localhost:80',
      Interval: '5s',
      Timeout: 1e9,
      DeregisterCriticalServiceAfter: '30s',
    };
    register({ Node: 'n', Address: 'a', Service: { Service: 's' }, Check: { Name: 'c', Definition } });
    expect(get('service/s').body).toContain(
      '"Status":"critical","Notes":"","Output":"","ServiceID":"","ServiceName":"","ServiceTags":[],"Type":"tcp",' +
        '"Definition":{"Interval":"5s","Timeout":"1s","DeregisterCriticalServiceAfter":"30s","TCP":"localhost:80"}',
    );
  });

  test('passing drops an instance for any check of it or of its node that is not', () => {
    app('n1', 'passing', 'passing');
    app('n2', 'critical', 'passing');
    app('n3', 'passing', 'warning');
    app('n4', 'passing', 'passing');
    memberHealth('n4', 'critical');
    expect(instanceNodes('service/app')).toBe('n1 n2 n3 n4');
    for (const flag of ['passing', 'passing=', 'passing=1', 'passing=true']) {
      expect(instanceNodes(`service/app?${flag}`)).toBe('n1');
    }
    for (const flag of ['passing=0', 'passing=false']) {
      expect(instanceNodes(`service/app?${flag}`)).toBe('n1 n2 n3 n4');
    }
    expect(get('service/app?passing=bad')).toMatchObject({ status: 400, body: 'Invalid value for ?passing' });
  });

  test("passing leaves Consul's order: the last one takes the place of one that went", () => {
    for (const [node, status] of ['critical', 'passing', 'passing', 'critical', 'passing'].entries()) {
      app(`n${node}`, status, 'passing');
    }
    expect(instanceNodes('service/app?passing')).toBe('n4 n1 n2');
  });

  test('is narrowed by tags, metadata and a filter over all that it shows', () => {
    app('n1', 'passing', 'passing', { Tags: ['V1', 'x'] });
    app('n2', 'critical', 'passing', { Tags: ['v1'], Port: 80 });
    register({ Node: 'n2', Address: '10.0.0.1', NodeMeta: { k: 'v' } });
    expect(instanceNodes('service/app?tag=v1')).toBe('n1 n2');
    expect(instanceNodes('service/app?tag=v1&tag=X')).toBe('n1');
    expect(instanceNodes('service/app?tag=')).toBe('');
    expect(instanceNodes('service/app?node-meta=k:v')).toBe('n2');
    expect(instanceNodes('service/app?filter=Service.Port==80')).toBe('n2');
    expect(instanceNodes('service/app?filter=Checks.Status==critical')).toBe('n2');
    expect(instanceNodes('service/app?filter=Node.Meta.k==v+or+Node.Node==n1')).toBe('n1 n2');
    expect(get('service/none?filter=Foo==1')).toMatchObject({
      status: 500,
      body: 'Failed to create boolean expression evaluator: Selector "Foo" is not valid',
    });
  });

  test('instances on one node each have their own checks, and share those of the node', () => {
    for (const id of ['s1', 's2']) {
      register({
        Node: 'n',
        Address: 'a',
        Service: { ID: id, Service: 'many' },
        Checks: [{ Name: `of-${id}`, ServiceID: id }, { Name: 'shared' }],
      });
    }
    expect(checkIds('service/many')).toBe('shared of-s1 shared of-s2');
  });
});

describe('lists of checks', () => {
  beforeEach(() => {
    app('n2', 'passing', 'warning');
    app('n1', 'critical', 'passing');
    memberHealth('n1', 'passing');
    register({
      Node: 'n3',
      Address: 'a',
      NodeMeta: { k: 'v' },
      Check: { CheckID: 'b', Name: '', Status: 'bogus' },
    });
  });

  test.each([
    ['node/N1', 'aa-app serfHealth zz-node'],
    ['node/n1?node-meta=k:v', 'aa-app serfHealth zz-node'],
    ['node/n1?filter=Status==critical', 'zz-node'],
    ['node/nope', ''],
    ['checks/App', 'aa-app aa-app'],
    ['checks/app?node-meta=k:v', ''],
    ['checks/app?filter=Node==n2', 'aa-app'],
    ['checks/nope', ''],
    ['state/any', 'aa-app serfHealth zz-node aa-app zz-node b'],
    ['state/any?node-meta=k:v', 'b'],
    ['state/any?filter=ServiceName==app', 'aa-app aa-app'],
    ['state/passing', 'aa-app serfHealth zz-node'],
    ['state/warning', 'aa-app'],
    ['state/critical', 'zz-node'],
    ['state/bogus', 'b'],
    ['state/nope', ''],
  ])('health/%s has [%s], by node and id', (path, ids) => {
    expect(checkIds(path)).toBe(ids);
    expect(get(path).status).toBe(200);
  });

  test('a registered serfHealth shows where no member stands before it', () => {
    register({ Node: 'n3', Address: 'a', Check: { CheckID: 'serfHealth', Name: 'x', Status: 'critical' } });
    expect(get('node/n3').body).toContain('"Name":"x"');
    memberHealth('n3', 'passing');
    expect(get('node/n3').body).not.toContain('"Name":"x"');
    expect(checkIds('state/critical')).toBe('zz-node');
    memberHealth('n3', undefined);
    expect(checkIds('state/critical')).toBe('zz-node serfHealth');
  });
});

describe('what is not there', () => {
  test.each([
    ['service/none', '[]'],
    ['checks/none', '[]'],
    ['node/none', '[]'],
    ['state/any', '[]'],
    ['connect/none', '[]'],
    ['ingress/none', '[]'],
  ])('health/%s is %s', (path, body) => {
    expect(get(path)).toMatchObject({ status: 200, body });
  });

  test.each([
    ['service/', 'Missing service name'],
    ['checks/', 'Missing service name'],
    ['node/', 'Missing node name'],
    ['state/', 'Missing check state'],
    ['connect/', 'Missing service name'],
    ['ingress/', 'Missing service name'],
  ])('health/%s without a name is refused', (path, body) => {
    expect(get(path)).toMatchObject({ status: 400, body });
  });
});

describe('waiting', () => {
  test('a change of membership wakes who sees it, and nobody else', () => {
    app('n1', 'passing', 'passing');
    app('n2', 'passing', 'passing');
    register({ Node: 'n2', Address: '10.0.0.1', Service: { Service: 'other' } });
    memberHealth('n1', 'passing');
    memberHealth('n2', 'passing');
    const seeing = [
      'service/app',
      'service/app?passing',
      'node/n1',
      'state/any',
      'state/passing',
      'state/critical',
    ];
    const blind = ['service/other', 'service/none', 'node/n2', 'checks/app', 'state/warning'];
    const waiting = [...seeing, ...blind].map(wait);
    memberHealth('n1', 'critical');
    expect(waiting.map((each) => each.outcome !== undefined)).toEqual([
      ...seeing.map(() => true),
      ...blind.map(() => false),
    ]);
    const rises = waiting.map((each) => (each.outcome?.index ?? Number.POSITIVE_INFINITY) > each.index);
    expect(rises).toEqual(waiting.map(() => true));
  });

  test('checks of a service wake who waits for it, those of other services on the node do not', () => {
    app('n1', 'passing', 'passing');
    register({ Node: 'n1', Address: '10.0.0.1', Service: { Service: 'other' } });
    const waiting = ['service/app', 'checks/app', 'service/other', 'checks/other'].map(wait);
    const update = (ServiceID: string, Output: string): void =>
      register({ Node: 'n1', Address: '10.0.0.1', Check: { Name: `${ServiceID}-c`, ServiceID, Output } });
    update('other', 'said');
    expect(waiting.map((each) => each.outcome !== undefined)).toEqual([false, false, true, true]);
    update('app', 'said');
    expect(waiting.map((each) => each.outcome !== undefined)).toEqual([true, true, true, true]);
  });

  test('a check that goes from one service to another, or from the node to a service, wakes both', () => {
    app('n1', 'passing', 'passing');
    register({ Node: 'n1', Address: '10.0.0.1', Service: { Service: 'other' } });
    const moved = ['service/app', 'checks/app', 'service/other', 'checks/other'].map(wait);
    register({ Node: 'n1', Address: '10.0.0.1', Check: { Name: 'aa-app', ServiceID: 'other' } });
    expect(moved.map((each) => each.outcome !== undefined)).toEqual([true, true, true, true]);
    const left = wait('service/app');
    register({ Node: 'n1', Address: '10.0.0.1', Check: { Name: 'zz-node', ServiceID: 'other' } });
    expect(left.outcome?.body).toContain('"Checks":[]');
  });

  test('who waits for a service that is not there is answered when it comes', () => {
    const waiting = wait('service/app?passing');
    app('n1', 'passing', 'passing');
    expect(waiting.outcome?.body).toContain('"Node":"n1"');
    const gone = wait('service/app');
    deregister({ Node: 'n1', ServiceID: 'app' });
    expect(gone.outcome).toMatchObject({ body: '[]' });
  });
});
