import type { Area } from '../harness.ts';
import { get, put, scenario } from '../scenario.ts';

const filtered = (path: string, expression: string, options = {}): ReturnType<typeof get> =>
  get(`${path}${path.includes('?') ? '&' : '?'}filter=${encodeURIComponent(expression)}`, options);
const nodes = (expression: string, options = {}): ReturnType<typeof get> =>
  filtered('/v1/catalog/nodes?node-meta=f:1', expression, options);
const service = (expression: string, options = {}): ReturnType<typeof get> =>
  filtered('/v1/catalog/service/flt', expression, options);
const health = (expression: string, options = {}): ReturnType<typeof get> =>
  filtered('/v1/health/service/flt', expression, options);

const prepare = [
  put('/v1/catalog/register', {
    Node: 'f1',
    Address: '10.0.0.1',
    NodeMeta: { f: '1', env: 'prod', 'a-b': 'x' },
    TaggedAddresses: { lan: '10.0.0.1', wan: '1.1.1.1' },
    Service: {
      ID: 'flt1',
      Service: 'flt',
      Port: 80,
      Tags: ['a', 'b'],
      Meta: { v: '1' },
      Weights: { Passing: 3, Warning: 1 },
    },
    Checks: [{ CheckID: 'f1c', Name: 'f1c', Status: 'passing', ServiceID: 'flt1', Output: 'fine' }],
  }),
  put('/v1/catalog/register', {
    Node: 'f2',
    Address: '10.0.0.2',
    NodeMeta: { f: '1', env: 'dev' },
    Service: { ID: 'flt2', Service: 'flt', Port: 8080, Tags: ['b'], Meta: { v: '2' } },
    Checks: [{ CheckID: 'f2c', Name: 'f2c', Status: 'critical', ServiceID: 'flt2' }],
  }),
] as const;

export const filter: Area = {
  name: 'Filters',
  scenarios: [
    scenario(
      'nodes',
      ...prepare,
      nodes('Node == f1'),
      nodes('Node == "f1"'),
      nodes('Node == `f1`'),
      nodes('Node != f1'),
      nodes('Meta.env == prod'),
      nodes('Meta["env"] == "dev"'),
      nodes('Meta["a-b"] == x'),
      nodes('"env" in Meta'),
      nodes('Meta contains "a-b"'),
      nodes('"nope" not in Meta'),
      nodes('Meta is empty'),
      nodes('Meta is not empty'),
      nodes('TaggedAddresses.wan == "1.1.1.1"'),
      nodes('Address matches "10\\\\.0\\\\..*"'),
      nodes('Address matches `^10\\.0\\.0\\.2$`'),
      nodes('Address not matches ".*2"'),
      nodes('Node == f1 and Meta.env == prod'),
      nodes('Node == f1 or Node == f2'),
      nodes('not Node == f1'),
      nodes('not (Node == f1 or Node == f2)'),
      nodes('(Node == f1)'),
      nodes('Node == f1 or Node == f2 and Meta.env == prod'),
      nodes('Datacenter == dc1'),
      nodes('"10.0" in Address'),
      nodes('Address contains "0.2"'),
      nodes(''),
      nodes('  Node  ==  f1  '),
      nodes('Meta.none == x'),
      nodes('Meta.none != x'),
    ),
    scenario(
      'services',
      ...prepare,
      service('ServicePort == 80'),
      service('ServicePort != 80'),
      service('"a" in ServiceTags'),
      service('ServiceTags contains "b"'),
      service('ServiceTags is empty'),
      service('ServiceMeta.v == "2"'),
      service('ServiceWeights.Passing == 3'),
      service('ServiceEnableTagOverride == false'),
      service('ServiceEnableTagOverride == true'),
      service('NodeMeta.env == prod'),
      service('ServiceID == flt1'),
      filtered('/v1/catalog/node/f1', 'Service == flt'),
      filtered('/v1/catalog/node/f1', 'Port == 1'),
      filtered('/v1/catalog/node-services/f1', 'Service == flt'),
    ),
    scenario(
      'health',
      ...prepare,
      health('Service.Port == 80'),
      health('Service.Meta.v == "1"'),
      health('Node.Meta.env == dev'),
      health('Checks.Status == passing'),
      health('Checks.Status != passing'),
      health('Checks is empty'),
      health('Service.Tags contains a and Checks.Output == fine'),
      health('Service.Weights.Passing == 3'),
      filtered('/v1/health/node/f1', 'Status == passing'),
      filtered('/v1/health/node/f1', 'Status == critical'),
      filtered('/v1/health/checks/flt', 'Node == f2'),
      filtered('/v1/health/state/any', 'ServiceName == flt'),
      filtered('/v1/health/state/any', 'ServiceTags contains a'),
    ),
    scenario(
      'the agent',
      put('/v1/agent/service/register', { ID: 'one', Name: 'web', Port: 1, Tags: ['x'], Meta: { k: 'v' } }),
      put('/v1/agent/service/register', {
        ID: 'two',
        Name: 'db',
        Port: 2,
        Check: { CheckID: 'two-c', TTL: '60s' },
      }),
      filtered('/v1/agent/services', 'Service == web'),
      filtered('/v1/agent/services', 'Port == 2'),
      filtered('/v1/agent/services', 'Meta.k == v'),
      filtered('/v1/agent/services', 'ID == nope'),
      filtered('/v1/agent/checks', 'ServiceID == two'),
      filtered('/v1/agent/checks', 'Status == passing'),
      put('/v1/agent/service/deregister/one'),
      put('/v1/agent/service/deregister/two'),
    ),
    scenario(
      'an expression that is wrong is refused, with the selector that is not valid',
      nodes('Foo == bar', {
        expect: {
          status: 500,
          body: 'Failed to create boolean expression evaluator: Selector "Foo" is not valid',
        },
      }),
      nodes('Meta.a.b == x', { expect: { status: 500 } }),
      nodes('Node.x == y', { expect: { status: 500 } }),
      service('ServicePort == abc', { expect: { status: 500 } }),
      service('ServicePort matches 80', { expect: { status: 500 } }),
      service('ServicePort is empty', { expect: { status: 500 } }),
      service('ServiceTags == a', { expect: { status: 500 } }),
      service('ServiceEnableTagOverride == maybe', { expect: { status: 500 } }),
      nodes('Node matches "("', { expect: { status: 500 } }),
      health('Checks.Nope == x', { expect: { status: 500 } }),
      put('/v1/agent/check/register', { Name: 'filtered', TTL: '60s' }),
      filtered('/v1/agent/services', 'Foo == bar'),
      filtered('/v1/agent/checks', 'Foo == bar'),
      put('/v1/agent/check/deregister/filtered'),
      filtered('/v1/health/node/f1', 'Foo == bar'),
      filtered('/v1/health/state/any', 'Foo == bar'),
    ),
    scenario(
      'an expression that cannot be read is refused',
      ...[
        'Node ==',
        '== f1',
        'Node',
        'Node = f1',
        '(Node == f1',
        'Node == f1)',
        'Node == f1 and',
        'Node == "f1',
        'Node is',
        'Node == f1 xor Node == f2',
      ].map((expression) =>
        nodes(expression, {
          expect: { status: 500, body: 'Failed to create boolean expression evaluator' },
        }),
      ),
    ),
    scenario(
      'the list of services is filtered by newer versions only',
      ...prepare,
      filtered('/v1/catalog/services', 'ServiceName == flt', {
        differs: {
          id: 'filter-catalog-services',
          at: ['body'],
          gateway: { body: /^\{"flt":\["[ab]","[ab]"\]\}$/ },
        },
        sorted: ['$.*'],
      }),
    ),
  ],
};
