import { beforeEach, describe, expect, test } from '@jest/globals';
import { catalogRoutes } from '../../../compat/routes/catalog.ts';
import { coordinateRoutes } from '../../../compat/routes/coordinate.ts';
import { StateFixture, type Outcome } from '../../support/state.ts';

// Bodies and texts are what a real Consul 1.8.7 answered, but for the indexes.

let fixture: StateFixture;
beforeEach(() => {
  fixture = new StateFixture();
  for (const Node of ['m1', 'M2']) {
    fixture.request(catalogRoutes, 'PUT', '/v1/catalog/register', { Node, Address: 'a' });
  }
});

const get = (path: string): Outcome => fixture.request(coordinateRoutes, 'GET', `/v1/coordinate/${path}`);
const update = (body: unknown): string => {
  const { status, body: text } = fixture.request(coordinateRoutes, 'PUT', '/v1/coordinate/update', body);
  return `${status} ${text}`;
};
const Vec = [0.1, 0, 0, 0, 0, 0, 0, 0];

describe('coordinates', () => {
  test('come back as they were written, under the name that was asked for', () => {
    expect(update({ Node: 'm2', Coord: { Vec, Error: 1.5, Adjustment: -0.001, Height: 0.00001 } })).toBe(
      '200 ',
    );
    expect(update({ node: 'm2', segment: 's', coord: { vec: Vec } })).toBe('200 ');
    const coord = (node: string): string =>
      `{"Node":"${node}","Segment":"","Coord":{"Vec":[0.1,0,0,0,0,0,0,0],"Error":1.5,"Adjustment":-0.001,"Height":0.00001}}`;
    const inSegment = (node: string): string =>
      `{"Node":"${node}","Segment":"s","Coord":{"Vec":[0.1,0,0,0,0,0,0,0],"Error":0,"Adjustment":0,"Height":0}}`;
    expect(get('nodes').body).toBe(`[${coord('m2')},${inSegment('m2')}]`);
    expect(get('node/M2').body).toBe(`[${coord('M2')},${inSegment('M2')}]`);
    expect(get('nodes?segment=s').body).toBe(`[${inSegment('m2')}]`);
    expect(get('node/m2?segment=').body).toBe(`[${coord('m2')}]`);
  });

  test('of a node that has none are 404, without an index unless it is waited for', () => {
    expect(get('node/m1')).toEqual({ status: 404, body: '', index: undefined });
    expect(get('node/m1?index=1')).toMatchObject({ status: 404, index: 0 });
    expect(get('nodes').body).toBe('[]');
    const waiting = fixture.wait(coordinateRoutes, '/v1/coordinate/node/m1?index=1');
    update({ Node: 'M2', Coord: { Vec } });
    expect(waiting.outcome).toBeUndefined();
    update({ Node: 'm1', Coord: { Vec } });
    expect(waiting.outcome?.status).toBe(200);
  });

  test('of a datacenter are those of its gateway, at the origin until it is measured', () => {
    expect(get('datacenters').body).toBe(
      '[{"Datacenter":"dc1","AreaID":"wan","Coordinates":[{"Node":"gateway","Segment":"",' +
        '"Coord":{"Vec":[0,0,0,0,0,0,0,0],"Error":1.5,"Adjustment":0,"Height":0.00001}}]}]',
    );
  });

  test('go with their node', () => {
    update({ Node: 'm1', Coord: { Vec } });
    const waiting = fixture.wait(coordinateRoutes, '/v1/coordinate/nodes');
    fixture.request(catalogRoutes, 'PUT', '/v1/catalog/deregister', { Node: 'm1' });
    expect(waiting.outcome).toMatchObject({ body: '[]' });
  });

  test.each<[unknown, string]>([
    [{ Node: 'nobody', Coord: { Vec } }, '200 '],
    [{ Coord: { Vec } }, '200 '],
    [{ Node: 'm1', Coord: { Vec: [0.1, 0] } }, '500 incompatible coordinate'],
    [{ Node: 'm1' }, '500 incompatible coordinate'],
    [{ Node: 'm1', Datacenter: 'zz', Coord: { Vec } }, '500 No path to datacenter'],
    ['', '400 Request decode failed: EOF'],
    ['{', '400 Request decode failed: unexpected EOF'],
  ])('an update of %j writes nothing and answers %s', (body, answer) => {
    expect(update(body)).toBe(answer);
    expect(get('nodes').body).toBe('[]');
  });
});
