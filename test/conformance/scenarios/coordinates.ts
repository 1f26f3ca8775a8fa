import type { Area } from '../harness.ts';
import { get, put, scenario } from '../scenario.ts';

const at = (x: number): object => ({
  Vec: [x, 0, 0, 0, 0, 0, 0, 0],
  Error: 0.1,
  Adjustment: 0,
  Height: 0.001,
});
const update = (Node: string, x: number): ReturnType<typeof put> =>
  put('/v1/coordinate/update', { Node, Coord: at(x) }, { expect: { status: 200, body: '' } });

export const coordinates: Area = {
  name: 'Coordinates',
  scenarios: [
    scenario(
      'datacenters come with their servers',
      get('/v1/coordinate/datacenters', {
        mask: ['$[*].Coordinates[*].Coord.*'],
        ignore: ['$[*].Coordinates[*].Coord.Vec'],
      }), // Measured.
    ),
    scenario(
      'coordinates of external nodes are written, read, and used to sort',
      put('/v1/catalog/register', { Node: 'far', Address: '10.0.0.2', Service: { Service: 'near' } }),
      put('/v1/catalog/register', { Node: 'mid', Address: '10.0.0.3', Service: { Service: 'near' } }),
      put('/v1/catalog/register', { Node: 'origin', Address: '10.0.0.1', Service: { Service: 'near' } }),
      put('/v1/catalog/register', { Node: 'unknown', Address: '10.0.0.4', Service: { Service: 'near' } }),
      update('far', 0.5),
      update('mid', 0.2),
      update('origin', 0),
      get('/v1/coordinate/node/far', { until: '"far"' }),
      get('/v1/coordinate/node/origin', { until: '"origin"' }),
      get('/v1/catalog/service/near?near=origin'),
      get('/v1/health/service/near?near=far'),
      get('/v1/health/service/near?near=unknown'),
      put('/v1/catalog/deregister', { Node: 'far' }),
      put('/v1/catalog/deregister', { Node: 'mid' }),
      put('/v1/catalog/deregister', { Node: 'origin' }),
      put('/v1/catalog/deregister', { Node: 'unknown' }),
      get('/v1/coordinate/node/far'),
    ),
    scenario(
      'what cannot be updated',
      put('/v1/coordinate/update', '{', { expect: { status: 400 } }),
      put('/v1/coordinate/update', '', { expect: { status: 400 } }),
      put('/v1/coordinate/update', { Node: 'nobody', Coord: at(1) }),
      put('/v1/coordinate/update', {
        Node: 'nobody',
        Coord: { Vec: [1], Error: 0.1, Adjustment: 0, Height: 0.001 },
      }),
      get('/v1/coordinate/node/nobody', { expect: { status: 404 } }),
      get('/v1/coordinate/node/', { expect: { status: 404, body: '' } }),
      get('/v1/coordinate/nodes?dc=nowhere', { expect: { status: 500 } }),
    ),
    scenario(
      'methods',
      put('/v1/coordinate/nodes', '', { expect: { status: 405 } }),
      put('/v1/coordinate/node/x', '', { expect: { status: 405 } }),
      put('/v1/coordinate/datacenters', '', { expect: { status: 405 } }),
      get('/v1/coordinate/update', { expect: { status: 405 } }),
    ),
  ],
};
