import type { Area } from './harness.ts';
import { catalogErrors } from './scenarios/catalog-errors.ts';
import { catalog } from './scenarios/catalog.ts';
import { health } from './scenarios/health.ts';
import { kvBlocking } from './scenarios/kv-blocking.ts';
import { kvErrors } from './scenarios/kv-errors.ts';
import { kvPaths } from './scenarios/kv-paths.ts';
import { kv } from './scenarios/kv.ts';
import { locks } from './scenarios/locks.ts';
import { sessions } from './scenarios/sessions.ts';
import { transactionErrors } from './scenarios/txn-errors.ts';
import { transactions } from './scenarios/txn.ts';

/** All of them, for the tests that concern the scenarios themselves. */
export const areas: readonly Area[] = [
  kv,
  kvErrors,
  kvPaths,
  kvBlocking,
  locks,
  transactions,
  transactionErrors,
  sessions,
  catalog,
  catalogErrors,
  health,
];
