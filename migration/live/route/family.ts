import type { Route } from '../../../compat/routes/route.ts';

/**
 * What an endpoint is about, as far as a migration is concerned:
 *
 * - `own`: this gateway itself (its agent, its fleet): never the source's;
 * - `rest`: of the datacenter as a whole (events, queries, snapshots, access control …), whether built here or not.
 */
export type Family = 'kv' | 'txn' | 'session' | 'catalog' | 'own' | 'rest';

const own = ['/v1/agent/', '/v1/grapevine/', '/v1/operator/keyring'];
const catalog = ['/v1/catalog/', '/v1/health/', '/v1/coordinate/', '/v1/internal/ui/'];

export function familyOf({ path }: Route): Family {
  if (path === '/v1/kv/') return 'kv';
  if (path === '/v1/txn') return 'txn';
  if (path.startsWith('/v1/session/')) return 'session';
  if (own.some((start) => path.startsWith(start))) return 'own';
  if (catalog.some((start) => path.startsWith(start))) return 'catalog';
  return 'rest';
}
