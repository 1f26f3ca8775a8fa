import type { Route } from '../routes/route.ts';
import type { Counter } from './metric-series.ts';
import type { Metrics } from './metrics.ts';

/**
 * Counts requests by route and method, as `api.http` with Consul's labels. All counters are there from the start:
 * this runs for every request, so it looks one up and adds one.
 */
export function countedRequests(
  metrics: Metrics,
  routes: readonly Route[],
): (route: Route | undefined, method: string) => void {
  const byRoute = new Map<Route, ReadonlyMap<string, Counter>>();
  for (const route of routes) {
    // Consul's label: the path without its first slash, the others as underscores.
    const path = route.path.slice(1).replaceAll('/', '_');
    byRoute.set(
      route,
      new Map(
        Object.keys(route.methods).map((method) => [method, metrics.counter('api.http', { method, path })]),
      ),
    );
  }
  const unknown = metrics.counter('grapevine.http.unknown_endpoint');
  return (route, method) => {
    const counter = route === undefined ? undefined : byRoute.get(route)?.get(method);
    if (counter === undefined) unknown.add();
    else counter.total += 1;
  };
}
