import { json, type ApiRequest, type RouteResult } from '../wire/http.ts';
import { answered } from './answered.ts';
import type { RouteContext } from './context.ts';
import type { Route } from './route.ts';

/**
 * GET /v1/status/leader — clients take it for "is there somebody who takes writes". Empty (as in a Consul without a
 * leader) until the datacenter is founded, and while the owner of the root zone cannot be reached.
 */
function leaderRoute({ query }: ApiRequest, { agent }: RouteContext): RouteResult {
  return answered(json(agent.cluster.leader(), query.has('pretty')));
}

function peersRoute({ query }: ApiRequest, { agent }: RouteContext): RouteResult {
  return answered(json(agent.cluster.peers(), query.has('pretty')));
}

export const statusRoutes: readonly Route[] = [
  {
    path: '/v1/status/leader',
    methods: { GET: leaderRoute },
    common: 'dc',
    enterprise: 'ignored',
    state: 'differs',
    note:
      'There is no election: the address is that of the gateway that owns the root zone, or empty while it cannot be ' +
      'reached.',
  },
  {
    path: '/v1/status/peers',
    methods: { GET: peersRoute },
    common: 'dc',
    enterprise: 'ignored',
    state: 'differs',
    note: 'Lists the gateways that live: there is no consensus to have peers in.',
  },
];
