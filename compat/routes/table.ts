import { agentCheckRoutes } from './agent-checks.ts';
import { agentClusterRoutes } from './agent-cluster.ts';
import { agentHealthRoutes } from './agent-health.ts';
import { agentObserveRoutes } from './agent-observe.ts';
import { agentRefusedRoutes } from './agent-refused.ts';
import { agentSelfRoutes } from './agent-self.ts';
import { agentServiceRoutes } from './agent-services.ts';
import { catalogRoutes } from './catalog.ts';
import { coordinateRoutes } from './coordinate.ts';
import { eventRoutes } from './event.ts';
import { fleetStatusRoutes } from './fleet-status.ts';
import { healthRoutes } from './health.ts';
import { keyringRoutes } from './keyring.ts';
import { kvRoutes } from './kv.ts';
import { migrationRoutes } from './migration.ts';
import { mirrorRoutes } from './mirror.ts';
import { operatorRoutes } from './operator.ts';
import { refusedRoutes } from './refused.ts';
import { sessionRoutes } from './session.ts';
import { snapshotRoutes } from './snapshot.ts';
import { statusRoutes } from './status.ts';
import { txnRoutes } from './txn.ts';
import { zoneRoutes } from './zones.ts';
import type { Route } from './route.ts';

/** Every endpoint, once: the router serves it, and docs/compatibility.md is generated from it. */
export const routeTable: readonly Route[] = [
  ...kvRoutes,
  ...agentCheckRoutes,
  ...agentClusterRoutes,
  ...agentHealthRoutes,
  ...agentObserveRoutes,
  ...agentRefusedRoutes,
  ...agentSelfRoutes,
  ...agentServiceRoutes,
  ...catalogRoutes,
  ...coordinateRoutes,
  ...eventRoutes,
  ...fleetStatusRoutes,
  ...healthRoutes,
  ...keyringRoutes,
  ...migrationRoutes,
  ...mirrorRoutes,
  ...operatorRoutes,
  ...refusedRoutes,
  ...sessionRoutes,
  ...snapshotRoutes,
  ...statusRoutes,
  ...txnRoutes,
  ...zoneRoutes,
];
