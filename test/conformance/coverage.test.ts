import { expect, test } from '@jest/globals';
import { Router } from '../../compat/http/router.ts';
import { routeTable } from '../../compat/routes/table.ts';
import { areas } from './areas.ts';
import type { Step } from './scenario.ts';

// Compared by other means: the agent's end, in test/clients, since no scenario could go on after it.
const elsewhere = new Set(['PUT /v1/agent/leave']);
// Of this project: Consul has nothing to compare them with.
const ownPrefix = '/v1/grapevine/';

test('every method of every endpoint that is said to answer as Consul does is compared with one', () => {
  const router = new Router(routeTable);
  const compared = new Set(
    areas.flatMap((area) =>
      area.scenarios.flatMap((scenario) => scenario.steps.flatMap((step) => endpointsOf(router, step))),
    ),
  );
  const claimed = routeTable
    .filter(({ path, state }) => !path.startsWith(ownPrefix) && (state === 'same' || state === 'differs'))
    .flatMap(({ path, methods }) => Object.keys(methods).map((method) => `${method} ${path}`));
  expect(claimed.filter((endpoint) => !compared.has(endpoint) && !elsewhere.has(endpoint))).toEqual([]);
});

function endpointsOf(router: Router, step: Step): string[] {
  if (step.kind === 'pause') return [];
  const method = step.kind === 'block' ? 'GET' : step.method;
  const path = step.path.split('?', 1)[0] ?? '';
  const route = router.match(path)?.route;
  const own = route === undefined ? [] : [`${method} ${route.path}`];
  return step.kind === 'block'
    ? [...own, ...step.during.flatMap((inner) => endpointsOf(router, inner))]
    : own;
}
