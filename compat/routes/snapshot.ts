import { Kind } from '../../src/state/kinds.ts';
import { empty, failure, type ApiRequest, type Reply, type RouteResult } from '../wire/http.ts';
import { answered } from './answered.ts';
import type { RouteContext } from './context.ts';
import { isForeign, noPath } from './datacenter.ts';
import type { Route } from './route.ts';

const everything = { kind: 'prefix', prefix: '' } as const;

/** GET /v1/snapshot — a tar.gz of a consistent copy. */
function saveRoute(request: ApiRequest, context: RouteContext): RouteResult {
  // Looked at here too: what is begun for another datacenter could not be undone.
  if (isForeign(request, context)) return answered(noPath);
  const { knownLeader, lastContactMs } = context.freshness?.(everything) ?? {
    knownLeader: true,
    lastContactMs: 0,
  };
  const index = Math.max(1, ...Object.values(Kind).map((kind) => context.view.tableIndex(kind)));
  return {
    kind: 'download',
    contentType: 'application/x-gzip',
    headers: {
      'X-Consul-Index': String(index),
      'X-Consul-Knownleader': String(knownLeader),
      'X-Consul-Lastcontact': String(lastContactMs),
    },
    open: context.snapshots.save(),
  };
}

/** PUT /v1/snapshot — replaces the state of the datacenter by that of an archive which was verified before. */
function restoreRoute(request: ApiRequest, context: RouteContext): RouteResult {
  if (isForeign(request, context)) return answered(noPath);
  return { kind: 'later', reply: restore(request, context) };
}

async function restore(request: ApiRequest, context: RouteContext): Promise<Reply> {
  const outcome = await context.snapshots.restore(request.stream ?? bytesOf(request.body));
  return outcome.kind === 'restored' ? empty : failure(500, outcome.message);
}

async function* bytesOf(body: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield body;
}

export const snapshotRoutes: readonly Route[] = [
  {
    path: '/v1/snapshot',
    methods: { GET: saveRoute, PUT: restoreRoute },
    common: 'read',
    enterprise: 'ignored',
    streamsBody: true,
    state: 'differs',
    note:
      'Archives have the layout that `consul snapshot save` and `inspect` want, but hold a SQLite database: each ' +
      'program restores only its own (`grapevine migrate` copies a Consul).',
  },
];
