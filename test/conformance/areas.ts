import type { Area } from './harness.ts';
import { agentChecks } from './scenarios/agent-checks.ts';
import { agentMisc } from './scenarios/agent-misc.ts';
import { agentServices } from './scenarios/agent-services.ts';
import { catalog } from './scenarios/catalog.ts';
import { catalogErrors } from './scenarios/catalog-errors.ts';
import { coordinates } from './scenarios/coordinates.ts';
import { events } from './scenarios/events.ts';
import { filter } from './scenarios/filter.ts';
import { health } from './scenarios/health.ts';
import { keyring } from './scenarios/keyring.ts';
import { kv } from './scenarios/kv.ts';
import { kvBlocking } from './scenarios/kv-blocking.ts';
import { kvErrors } from './scenarios/kv-errors.ts';
import { kvPaths } from './scenarios/kv-paths.ts';
import { locks } from './scenarios/locks.ts';
import { modes } from './scenarios/modes.ts';
import { refusals } from './scenarios/refusals.ts';
import { sessions } from './scenarios/sessions.ts';
import { statusOperator } from './scenarios/status-operator.ts';
import { transport } from './scenarios/transport.ts';
import { transactions } from './scenarios/txn.ts';
import { transactionErrors } from './scenarios/txn-errors.ts';

export const kvAreas: readonly Area[] = [kv, kvErrors, kvPaths, kvBlocking, locks, transactions];
export const catalogAreas: readonly Area[] = [catalog, catalogErrors, health, filter, coordinates, modes];
export const agentAreas: readonly Area[] = [
  agentServices,
  agentChecks,
  agentMisc,
  events,
  statusOperator,
  refusals,
];
/** Those that need agents of their own, for their configuration. */
export const configuredAreas: readonly Area[] = [sessions, transactionErrors, transport, keyring];

/** All of them, for the tests that concern the scenarios themselves. */
export const areas: readonly Area[] = [...kvAreas, ...catalogAreas, ...agentAreas, ...configuredAreas];
