import { Kind } from '../../src/state/kinds.ts';
import { json, type ApiRequest, type RouteResult } from '../wire/http.ts';
import { answered } from './answered.ts';
import type { RouteContext } from './context.ts';
import type { Route } from './route.ts';
import { serverAddress } from './server-address.ts';

/**
 * GET /v1/status/leader — clients take it for "is there somebody who takes writes". Empty (as in a Consul without a
 * leader) until the datacenter is founded.
 */
function leaderRoute({ query }: ApiRequest, context: RouteContext): RouteResult {
  const founded = context.view.get(Kind.zone, '') !== undefined;
  return answered(json(founded ? serverAddress(context.gateway) : '', query.has('pretty')));
}

function peersRoute({ query }: ApiRequest, context: RouteContext): RouteResult {
  return answered(json([serverAddress(context.gateway)], query.has('pretty')));
}

export const statusRoutes: readonly Route[] = [
  {
    path: '/v1/status/leader',
    methods: { GET: leaderRoute },
    common: 'dc',
    enterprise: 'ignored',
    state: 'differs',
    note: 'There is no election: the address is that of the gateway that owns the root zone.',
  },
  {
    path: '/v1/status/peers',
    methods: { GET: peersRoute },
    common: 'dc',
    enterprise: 'ignored',
    state: 'differs',
    note: 'Lists this gateway: there is no consensus to have peers in.',
  },
];
