import type { Area } from '../harness.ts';
import { get, put, request, scenario } from '../scenario.ts';

const register = (body: object | string, options = {}): ReturnType<typeof put> =>
  put('/v1/catalog/register', body, options);
const deregister = (body: object | string, options = {}): ReturnType<typeof put> =>
  put('/v1/catalog/deregister', body, options);

const decodeError = {
  id: 'decode-error-words',
  at: ['body'],
  gateway: { status: 400, body: /^Request decode failed: / },
} as const;

export const catalogErrors: Area = {
  name: 'Catalog errors',
  scenarios: [
    scenario(
      'a registration that lacks what it needs is refused',
      register({}, { expect: { status: 500, body: 'Must provide node' } }),
      register({ Address: '10.0.0.1' }, { expect: { status: 500, body: 'Must provide node' } }),
      register(
        { Node: 'e1' },
        { expect: { status: 500, body: 'Must provide address if SkipNodeUpdate is not set' } },
      ),
      register({ Node: 'e1', SkipNodeUpdate: true }),
      register(
        { Node: 'e1', Address: '10.0.0.1', Service: { ID: 'x' } },
        { expect: { status: 500, body: 'Must provide service name with ID' } },
      ),
      register({ Node: 'e1', Address: '10.0.0.1', Service: {} }),
      register({ Node: 'e1', Address: '10.0.0.1', Check: {} }),
      register(
        { Node: 'e1', Address: '10.0.0.1', ID: 'short' },
        { expect: { status: 500, body: 'Bad node ID: uuid string is wrong length' } },
      ),
      register(
        { Node: 'e1', Address: '10.0.0.1', ID: 'x'.repeat(36) },
        { expect: { status: 500, body: 'Bad node ID: ' } },
      ),
      register(
        { Node: 'e1', Address: '10.0.0.1', Service: { Service: 's', Address: '0.0.0.0' } },
        { expect: { status: 500, body: 'Invalid service address' } },
      ),
      register(
        { Node: 'e1', Address: '10.0.0.1', Service: { Service: 's', Address: '::' } },
        { expect: { status: 500, body: 'Invalid service address' } },
      ),
      register({ Node: 'e1', Address: '10.0.0.1', Service: { Service: 's', Address: '[::]' } }),
      register(
        {
          Node: 'ext',
          Address: '10.0.0.1',
          Check: { Node: 'ext', CheckID: 'c', Name: 'c', ServiceID: 'none' },
        },
        {
          expect: { status: 500, body: 'Missing service registration' },
        },
      ),
      register(
        { Node: 'e1', Address: '10.0.0.1', Datacenter: 'nowhere' },
        { expect: { status: 500, body: 'No path to datacenter' } },
      ),
      register(
        { Node: 'e1', Address: '10.0.0.1', Datacenter: 'DC1' },
        { expect: { status: 500, body: 'No path to datacenter' } },
      ),
      register({ Node: 'e1', Address: '10.0.0.1', Datacenter: 'dc1' }),
      register({ Node: 'e1', Address: '10.0.0.1', Check: { Node: 'other', CheckID: 'c', Name: 'c' } }),
      register({ Node: 'e1', Address: '10.0.0.1', Service: { Service: 's', Weights: { Passing: -1 } } }),
      register({ Node: 'e1', Address: '10.0.0.1', Service: { Service: 's', Kind: 'nope' } }),
      deregister({ Node: 'e1' }),
      deregister({ Node: 'ext' }),
    ),
    scenario(
      'a deregistration needs a node',
      deregister({}, { expect: { status: 500, body: 'Must provide node' } }),
      deregister({ ServiceID: 'x' }, { expect: { status: 500, body: 'Must provide node' } }),
      deregister(
        { Node: 'x', Datacenter: 'nowhere' },
        { expect: { status: 500, body: 'No path to datacenter' } },
      ),
    ),
    scenario(
      'bodies that cannot be read are refused',
      register('{', { expect: { status: 400, body: 'Request decode failed: unexpected EOF' } }),
      register('', { expect: { status: 400, body: 'Request decode failed: EOF' } }),
      register('[]', { expect: { status: 400, body: 'Request decode failed: ' } }),
      register('{"Node":1}', {
        expect: { status: 400, body: 'Request decode failed: ' },
        differs: decodeError,
      }),
      register('{"Node":"a",}', { expect: { status: 400, body: 'Request decode failed: ' } }),
      register('{"Node":"a" "b"}', { expect: { status: 400, body: 'Request decode failed: ' } }),
      register('nope', { expect: { status: 400, body: 'Request decode failed: ' } }),
      register('null', { expect: { status: 500 } }),
      register(
        { Node: 'e2', Address: '10.0.0.2', Service: { Service: 's', Port: 'x' } },
        { expect: { status: 400 }, differs: decodeError },
      ),
      register(
        { Node: 'e2', Address: '10.0.0.2', Service: { Service: 's', Tags: 't' } },
        { expect: { status: 400 }, differs: decodeError },
      ),
      deregister('{', { expect: { status: 400, body: 'Request decode failed: unexpected EOF' } }),
      deregister('', { expect: { status: 400, body: 'Request decode failed: EOF' } }),
    ),
    scenario(
      'fields that are unknown',
      register(
        { Node: 'e3', Address: '10.0.0.3', Foo: 1 },
        {
          expect: { status: 400, body: 'Request decode failed: json: unknown field "Foo"' },
          differs: {
            id: 'unknown-fields',
            at: ['status', 'body', 'header'],
            gateway: { status: 200, body: 'true' },
          },
        },
      ),
      deregister(
        { Node: 'e3', Foo: 1 },
        {
          expect: { status: 400, body: 'Request decode failed: json: unknown field "Foo"' },
          differs: {
            id: 'unknown-fields',
            at: ['status', 'body', 'header'],
            gateway: { status: 200, body: 'true' },
          },
        },
      ),
      register(
        { Node: 'e3', Address: '10.0.0.3', WriteRequest: { Token: '' } },
        {
          expect: { status: 400, body: 'Request decode failed: json: unknown field "WriteRequest"' },
          differs: {
            id: 'unknown-fields',
            at: ['status', 'body', 'header'],
            gateway: { status: 200, body: 'true' },
          },
        },
      ),
      deregister({ Node: 'e3' }),
    ),
    scenario(
      'the id of a node is its own',
      register({ Node: 'id1', Address: '10.0.1.1', ID: '40e4a748-2192-161a-0510-9bf59fe950b5' }),
      get('/v1/catalog/node/id1'),
      register({ Node: 'id2', Address: '10.0.1.2', ID: '40e4a748-2192-161a-0510-9bf59fe950b5' }),
      get('/v1/catalog/node/id1'),
      get('/v1/catalog/node/id2'),
      register({ Node: 'id3', Address: '10.0.1.3', ID: '50e4a748-2192-161a-0510-9bf59fe950b5' }),
      register({ Node: 'id3', Address: '10.0.1.3', ID: '60e4a748-2192-161a-0510-9bf59fe950b5' }),
      get('/v1/catalog/node/id3'),
      register({ Node: 'ID3', Address: '10.0.1.3' }),
      register(
        { Node: 'agent-one', Address: '10.0.1.9', ID: '70e4a748-2192-161a-0510-9bf59fe950b5' },
        {
          expect: { status: 500, body: /failed inserting node: .*Node name agent-one is reserved by node / },
        },
      ),
      deregister({ Node: 'id1' }),
      deregister({ Node: 'id2' }),
      deregister({ Node: 'id3' }),
      deregister({ Node: 'ID3' }),
    ),
    scenario(
      'reads without a name are refused',
      get('/v1/catalog/service/', { expect: { status: 400, body: 'Missing service name' } }),
      get('/v1/catalog/node/', { expect: { status: 400, body: 'Missing node name' } }),
      get('/v1/catalog/node-services/', { expect: { status: 400, body: 'Missing node name' } }),
      get('/v1/catalog/connect/', { expect: { status: 400, body: 'Missing service name' } }),
      get('/v1/catalog/gateway-services/', { expect: { status: 400 } }),
    ),
    scenario(
      'reads of a datacenter that is not there fail, with headers that say so',
      get('/v1/catalog/nodes?dc=nowhere', { expect: { status: 500, body: 'No path to datacenter' } }),
      get('/v1/catalog/services?dc=nowhere', { expect: { status: 500, body: 'No path to datacenter' } }),
      get('/v1/catalog/service/x?dc=nowhere', { expect: { status: 500, body: 'No path to datacenter' } }),
      get('/v1/catalog/node/x?dc=nowhere', { expect: { status: 500, body: 'No path to datacenter' } }),
      get('/v1/catalog/node-services/x?dc=nowhere', {
        expect: { status: 500, body: 'No path to datacenter' },
      }),
      get('/v1/catalog/datacenters?dc=nowhere'),
    ),
    scenario(
      'methods',
      get('/v1/catalog/register', { expect: { status: 405, headers: { Allow: 'OPTIONS,PUT' } } }),
      request('POST', '/v1/catalog/register', '{}', { expect: { status: 405 } }),
      get('/v1/catalog/deregister', { expect: { status: 405 } }),
      put('/v1/catalog/nodes', '', { expect: { status: 405, headers: { Allow: 'OPTIONS,GET' } } }),
      put('/v1/catalog/datacenters', '', { expect: { status: 405 } }),
      put('/v1/catalog/services', '', { expect: { status: 405 } }),
      put('/v1/catalog/service/x', '', { expect: { status: 405 } }),
      put('/v1/catalog/node/x', '', { expect: { status: 405 } }),
      put('/v1/catalog/node-services/x', '', { expect: { status: 405 } }),
      put('/v1/catalog/connect/x', '', { expect: { status: 405 } }),
      put('/v1/catalog/gateway-services/x', '', { expect: { status: 405 } }),
    ),
  ],
};
