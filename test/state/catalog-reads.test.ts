import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { catalogRoutes } from '../../compat/routes/catalog.ts';
import { healthRoutes } from '../../compat/routes/health.ts';
import type { CatalogCommand } from '../../src/state/catalog.ts';
import type { CheckValue, ServiceValue } from '../../src/state/values.ts';
import { StateFixture } from '../support/state.ts';

// What watchers rely on, whatever happens to the catalog: a change of an answer raises its index and wakes them.

const routes = [...catalogRoutes, ...healthRoutes];

const nodes = ['n1', 'n2'] as const;
const names = ['web', 'db'] as const;

const reads = [
  '/v1/catalog/nodes',
  '/v1/catalog/nodes?node-meta=k:a',
  '/v1/catalog/services',
  '/v1/catalog/services?node-meta=k:a',
  ...nodes.flatMap((node) => [
    `/v1/catalog/node/${node}`,
    `/v1/catalog/node-services/${node}`,
    `/v1/health/node/${node}`,
  ]),
  ...names.flatMap((name) => [
    `/v1/catalog/service/${name}`,
    `/v1/catalog/service/${name}?filter=NodeMeta.k==a`,
    `/v1/health/service/${name}`,
    `/v1/health/service/${name}?passing`,
    `/v1/health/checks/${name}`,
    `/v1/health/checks/${name}?node-meta=k:a`,
  ]),
  '/v1/health/state/any',
  '/v1/health/state/passing',
  '/v1/health/state/critical?node-meta=k:a',
];

const node = fc.constantFrom(...nodes);
const status = fc.constantFrom('passing', 'critical');

const serviceOf = (on: string, id: string, service: string, port: number): ServiceValue => ({
  node: on,
  id,
  service,
  tags: [],
  address: '',
  taggedAddresses: null,
  port,
  meta: null,
  weights: { passing: 1, warning: 1 },
  enableTagOverride: false,
  extra: '',
});

const checkOf = (on: string, checkId: string, serviceId: string, state: string): CheckValue => ({
  node: on,
  checkId,
  name: checkId,
  status: state,
  notes: '',
  output: '',
  serviceId,
  serviceName: '',
  serviceTags: [],
  type: '',
  definition: '',
});

const command: fc.Arbitrary<CatalogCommand> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .record({
        on: node,
        meta: fc.constantFrom('a', 'b'),
        id: fc.constantFrom('s1', 's2', ''),
        service: fc.constantFrom(...names),
        port: fc.constantFrom(1, 2),
        checkId: fc.constantFrom('c1', 'c2', 'serfHealth', ''),
        checkOn: fc.constantFrom('s1', 's2', ''),
        state: status,
        skip: fc.boolean(),
      })
      .map(({ on, meta, id, service, port, checkId, checkOn, state, skip }): CatalogCommand => ({
        kind: 'catalog-register',
        node: { id: '', node: on, address: '10.0.0.1', taggedAddresses: null, meta: { k: meta } },
        skipNodeUpdate: skip,
        ...(id === '' ? {} : { service: serviceOf(on, id, service, port) }),
        checks: checkId === '' ? [] : [checkOf(on, checkId, checkOn, state)],
      })),
  },
  {
    weight: 2,
    arbitrary: fc
      .record({
        on: node,
        serviceId: fc.constantFrom('s1', 's2', ''),
        checkId: fc.constantFrom('c1', 'c2', ''),
      })
      .map(({ on, serviceId, checkId }): CatalogCommand => ({
        kind: 'catalog-deregister',
        node: on,
        serviceId,
        checkId,
      })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ on: node, state: fc.option(status, { nil: undefined }) })
      .map(({ on, state }): CatalogCommand => ({
        kind: 'member-health',
        node: on,
        check: state === undefined ? undefined : checkOf(on, 'serfHealth', '', state),
      })),
  },
);

const covered = checkOf('n1', 'serfHealth', 's2', 'passing');
const registered: CatalogCommand = {
  kind: 'catalog-register',
  node: { id: '', node: 'n1', address: '10.0.0.1', taggedAddresses: null, meta: null },
  skipNodeUpdate: false,
  service: serviceOf('n1', 's2', 'web', 1),
  checks: [covered],
};

describe('reads of the catalog', () => {
  test("a registered serfHealth that comes back under a member's own does not take its index away", () => {
    const fixture = new StateFixture();
    fixture.step({ kind: 'member-health', node: 'n1', check: checkOf('n1', 'serfHealth', '', 'passing') });
    fixture.step(registered);
    fixture.step({ kind: 'catalog-deregister', node: 'n1', serviceId: 's2', checkId: '' });
    const before = fixture.evaluate(routes, '/v1/health/node/n1').index ?? 0;
    fixture.step(registered);
    expect(fixture.evaluate(routes, '/v1/health/node/n1').index).toBeGreaterThanOrEqual(before);
  });

  test('a changed answer has a higher index and wakes who waits for it; an index never falls', () => {
    fc.assert(
      fc.property(fc.array(command, { minLength: 1, maxLength: 25 }), (commands) => {
        const fixture = new StateFixture();
        for (const each of commands) {
          const waiting = reads.map((url) => fixture.wait(routes, url));
          const before = reads.map((url) => fixture.evaluate(routes, url));
          fixture.step(each);
          const problems = reads.flatMap((url, i) => {
            const after = fixture.evaluate(routes, url);
            const [was, woken] = [before[i], waiting[i]?.outcome];
            const [old, now] = [was?.index ?? 0, after.index ?? 0];
            if (now < old) return [`${url}: the index fell`];
            if (after.body === was?.body) return [];
            if (now === old) return [`${url}: changed with the same index`];
            return woken?.body === after.body ? [] : [`${url}: changed without waking who waits`];
          });
          expect(problems).toEqual([]);
        }
      }),
      { numRuns: 100 },
    );
  });
});
