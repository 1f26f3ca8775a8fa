import { describe, expect, test } from '@jest/globals';
import { refusedRoutes } from '../../../compat/routes/refused.ts';
import { routeTable } from '../../../compat/routes/table.ts';
import { ask } from '../../support/ask.ts';
import { StateFixture } from '../../support/state.ts';

describe('what is refused', () => {
  test('ACLs are off, as in a Consul without them', async () => {
    const fixture = new StateFixture();
    for (const [method, path] of [
      ['PUT', '/v1/acl/bootstrap'],
      ['GET', '/v1/acl/token/self'],
      ['POST', '/v1/acl/login'],
      ['DELETE', '/v1/acl/policy/x'],
      ['GET', '/v1/acl/policy/name/x'],
      ['POST', '/v1/internal/acl/authorize'],
    ] as const) {
      expect(await ask(fixture, method, path)).toMatchObject({ status: 401, body: 'ACL support disabled' });
    }
  });

  test.each([
    ['GET', '/v1/config/service-defaults', 200, '[]'],
    ['GET', '/v1/config/service-defaults/web', 404, 'Config entry not found for "service-defaults" / "web"'],
    ['GET', '/v1/config/foo', 500, 'invalid config entry kind: foo'],
    ['DELETE', '/v1/config/service-defaults', 404, 'Must provide both a kind and name to delete'],
    ['DELETE', '/v1/config/service-defaults/web', 200, '{}'],
    ['GET', '/v1/connect/ca/roots', 500, 'Connect must be enabled in order to use this endpoint'],
    ['GET', '/v1/discovery-chain/', 400, 'Bad request: Missing chain name'],
    ['GET', '/v1/connect/intentions', 200, '[]'],
    ['GET', '/v1/connect/intentions/check?source=a&destination=b', 200, '{"Allowed":true}'],
    ['GET', '/v1/connect/intentions/check?source=a', 500, "required query parameter 'destination' not set"],
    ['GET', '/v1/connect/intentions/match?by=source&name=x', 200, '{"x":null}'],
    ['GET', '/v1/query', 200, '[]'],
    ['GET', '/v1/query/web/execute', 404, 'Query not found'],
    ['POST', '/v1/query', 501, 'Prepared queries are not supported yet'],
    ['GET', '/v1/internal/federation-states/mesh-gateways', 200, '{}'],
  ] as const)('%s %s answers %d', async (method, url, status, body) => {
    expect(await ask(new StateFixture(), method, url)).toMatchObject({ status, body });
  });

  test('no refused endpoint takes a write: each answers an error of one line', async () => {
    const fixture = new StateFixture();
    for (const route of refusedRoutes) {
      for (const method of ['PUT', 'POST'] as const) {
        if (route.methods[method] === undefined) continue;
        const { status, body } = await ask(
          fixture,
          method,
          `${route.path}${route.path.endsWith('/') ? 'x' : ''}`,
          {},
        );
        expect([route.path, status >= 400]).toEqual([route.path, true]);
        expect(body.trimEnd()).not.toContain('\n');
      }
    }
  });

  test('every endpoint stands in the table once, and says in a line what is different', () => {
    const paths = routeTable.map(({ path }) => path);
    expect(new Set(paths).size).toBe(paths.length);
    for (const { path, state, note } of routeTable) {
      if (state === 'same' && note === undefined) continue;
      expect([path, note]).toEqual([path, expect.stringMatching(/^[A-Z`].{10,198}\.$/)]);
    }
  });
});
