import { catalogRoutes } from './catalog.ts';
import { coordinateRoutes } from './coordinate.ts';
import { healthRoutes } from './health.ts';
import { kvRoutes } from './kv.ts';
import type { Route } from './route.ts';

/** Every endpoint, once: the router serves it, and docs/compatibility.md is generated from it. */
export const routeTable: readonly Route[] = [...kvRoutes, ...catalogRoutes, ...healthRoutes, ...coordinateRoutes];
