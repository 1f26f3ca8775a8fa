import type { Area } from '../harness.ts';
import { get, put, request, scenario, timesOut, woken } from '../scenario.ts';

const register = (body: object): ReturnType<typeof put> => put('/v1/catalog/register', body);
const deregister = (body: object): ReturnType<typeof put> => put('/v1/catalog/deregister', body);
const fromHeader = { index: 'header X-Consul-Index' };
const instance = (
  Node: string,
  Address: string,
  statuses: readonly string[],
  more: object = {},
): ReturnType<typeof put> =>
  register({
    Node,
    Address,
    Service: { Service: 'app', Port: 80, ...more },
    Checks: [
      { CheckID: 'alive', Name: 'alive', Status: statuses[0] },
      { CheckID: 'app-ok', Name: 'app ok', Status: statuses[1], ServiceID: 'app', Output: 'said' },
    ],
  });

export const health: Area = {
  name: 'Health',
  scenarios: [
    scenario(
      'the instances of a service come with their node and all checks that concern them',
      instance('h1', '10.1.0.1', ['passing', 'passing'], { Tags: ['a', 'b'], Meta: { v: '1' } }),
      instance('h2', '10.1.0.2', ['passing', 'warning'], { Tags: ['b'] }),
      instance('h3', '10.1.0.3', ['critical', 'passing']),
      get('/v1/health/service/app'),
      get('/v1/health/service/app?passing'),
      get('/v1/health/service/app?passing=true'),
      get('/v1/health/service/app?passing=false'),
      get('/v1/health/service/app?passing=1'),
      get('/v1/health/service/app?passing=nope', { expect: { status: 400 } }),
      get('/v1/health/service/app?tag=b'),
      get('/v1/health/service/app?tag=a&tag=b'),
      get('/v1/health/service/app?tag=B'),
      get('/v1/health/service/app?near=h3'),
      get('/v1/health/service/app?passing&tag=b&near=_agent'),
      get('/v1/health/service/none', { expect: { status: 200, body: '[]' } }),
      get('/v1/health/checks/app'),
      get('/v1/health/checks/app?near=h2'),
      get('/v1/health/checks/none', { expect: { body: '[]' } }),
      get('/v1/health/node/h2'),
      get('/v1/health/node/none', { expect: { body: '[]' } }),
      deregister({ Node: 'h1' }),
      deregister({ Node: 'h2' }),
      deregister({ Node: 'h3' }),
    ),
    scenario(
      'checks are listed by state',
      register({
        Node: 's1',
        Address: '10.1.1.1',
        NodeMeta: { zone: 'z' },
        Checks: [
          { CheckID: 'p', Name: 'p', Status: 'passing' },
          { CheckID: 'w', Name: 'w', Status: 'warning' },
          { CheckID: 'c', Name: 'c', Status: 'critical' },
          { CheckID: 'odd', Name: 'odd', Status: 'odd' },
        ],
      }),
      get('/v1/health/state/any'),
      get('/v1/health/state/passing'),
      get('/v1/health/state/warning'),
      get('/v1/health/state/critical'),
      get('/v1/health/state/odd'),
      get('/v1/health/state/nope', { expect: { body: '[]' } }),
      get('/v1/health/state/ANY'),
      get('/v1/health/state/any?node-meta=zone:z'),
      get('/v1/health/state/any?node-meta=zone:y'),
      get('/v1/health/state/critical?near=s1'),
      deregister({ Node: 's1' }),
    ),
    scenario(
      'requests without a name are refused',
      get('/v1/health/service/', { expect: { status: 400, body: 'Missing service name' } }),
      get('/v1/health/node/', { expect: { status: 400, body: 'Missing node name' } }),
      get('/v1/health/checks/', { expect: { status: 400, body: 'Missing service name' } }),
      get('/v1/health/state/', { expect: { status: 400, body: 'Missing check state' } }),
      get('/v1/health/connect/', { expect: { status: 400, body: 'Missing service name' } }),
      get('/v1/health/ingress/', { expect: { status: 400, body: 'Missing service name' } }),
    ),
    scenario(
      'a datacenter that is not there',
      get('/v1/health/service/app?dc=nowhere', { expect: { status: 500, body: 'No path to datacenter' } }),
      get('/v1/health/node/x?dc=nowhere', { expect: { status: 500, body: 'No path to datacenter' } }),
      get('/v1/health/checks/x?dc=nowhere', { expect: { status: 500, body: 'No path to datacenter' } }),
      get('/v1/health/state/any?dc=nowhere', { expect: { status: 500, body: 'No path to datacenter' } }),
    ),
    scenario(
      'the health of services of the mesh is empty',
      get('/v1/health/connect/app', { expect: { status: 200, body: '[]' } }),
      get('/v1/health/ingress/app'),
      get('/v1/catalog/connect/app', { expect: { status: 200, body: '[]' } }),
      get('/v1/catalog/gateway-services/app', { expect: { status: 200, body: 'null' } }),
    ),
    scenario(
      'a waiting read of the health of a service is answered by checks of its nodes and of itself',
      instance('b1', '10.2.0.1', ['passing', 'passing']),
      get('/v1/health/service/app', { capture: fromHeader }),
      woken('/v1/health/service/app?index=<<index>>', [instance('b1', '10.2.0.1', ['passing', 'critical'])], {
        capture: fromHeader,
      }),
      woken('/v1/health/service/app?index=<<index>>', [instance('b1', '10.2.0.1', ['warning', 'critical'])], {
        capture: fromHeader,
      }),
      woken(
        '/v1/health/service/app?passing&index=<<index>>',
        [instance('b1', '10.2.0.1', ['passing', 'passing'])],
        { capture: fromHeader },
      ),
      woken('/v1/health/service/app?index=<<index>>', [instance('b2', '10.2.0.2', ['passing', 'passing'])], {
        capture: fromHeader,
      }),
      woken('/v1/health/service/app?index=<<index>>', [register({ Node: 'b2', Address: '10.2.0.22' })], {
        capture: fromHeader,
      }),
      timesOut('/v1/health/service/app?index=<<index>>', [
        register({
          Node: 'b3',
          Address: '10.2.0.3',
          Service: { Service: 'else' },
          Check: { CheckID: 'x', Name: 'x' },
        }),
        put('/v1/kv/unrelated', '1'),
        instance('b1', '10.2.0.1', ['passing', 'passing']),
      ]),
      woken('/v1/health/service/app?index=<<index>>', [deregister({ Node: 'b2' })], { capture: fromHeader }),
      woken('/v1/health/service/app?index=<<index>>', [deregister({ Node: 'b1' })], {
        expect: { body: '[]' },
      }),
      deregister({ Node: 'b3' }),
    ),
    scenario(
      'waiting reads of the checks of a node, of a service and of a state',
      instance('d1', '10.3.0.1', ['passing', 'passing']),
      get('/v1/health/node/d1', { capture: fromHeader }),
      woken('/v1/health/node/d1?index=<<index>>', [instance('d1', '10.3.0.1', ['warning', 'passing'])]),
      get('/v1/health/checks/app', { capture: fromHeader }),
      woken('/v1/health/checks/app?index=<<index>>', [instance('d1', '10.3.0.1', ['warning', 'critical'])]),
      get('/v1/health/state/critical', { capture: fromHeader }),
      woken('/v1/health/state/critical?index=<<index>>', [
        instance('d1', '10.3.0.1', ['warning', 'passing']),
      ]),
      get('/v1/health/state/any', { capture: fromHeader }),
      woken('/v1/health/state/any?index=<<index>>', [deregister({ Node: 'd1', CheckID: 'alive' })]),
      deregister({ Node: 'd1' }),
    ),
    scenario(
      'waiting for a service that is not there',
      get('/v1/health/service/later', { capture: fromHeader }),
      woken('/v1/health/service/later?index=<<index>>', [
        register({ Node: 'l1', Address: '10.4.0.1', Service: { Service: 'later' } }),
      ]),
      deregister({ Node: 'l1' }),
    ),
    scenario(
      'methods',
      put('/v1/health/service/x', '', { expect: { status: 405, headers: { Allow: 'OPTIONS,GET' } } }),
      put('/v1/health/node/x', '', { expect: { status: 405 } }),
      put('/v1/health/checks/x', '', { expect: { status: 405 } }),
      put('/v1/health/state/any', '', { expect: { status: 405 } }),
      request('POST', '/v1/health/connect/x', '', { expect: { status: 405 } }),
      request('DELETE', '/v1/health/ingress/x', undefined, { expect: { status: 405 } }),
    ),
  ],
};
