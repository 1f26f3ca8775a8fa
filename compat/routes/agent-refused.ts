import { failure, type RouteResult } from '../wire/http.ts';
import type { Handler, Route } from './route.ts';

const aclDisabled: Handler = (): RouteResult => failure(401, 'ACL support disabled');
const connectDisabled: Handler = (): RouteResult =>
  failure(500, 'Connect must be enabled in order to use this endpoint');

/** What a Consul without ACLs and without its service mesh answers. */
export const agentRefusedRoutes: readonly Route[] = [
  {
    path: '/v1/agent/token/',
    methods: { PUT: aclDisabled },
    common: 'none',
    state: 'later',
    note: 'Not built yet: 401 `ACL support disabled`, as a Consul without ACLs.',
  },
  connectRoute('/v1/agent/connect/authorize', 'POST'),
  connectRoute('/v1/agent/connect/ca/roots', 'GET'),
  connectRoute('/v1/agent/connect/ca/leaf/', 'GET'),
];

function connectRoute(path: string, method: 'GET' | 'POST'): Route {
  return {
    path,
    methods: { [method]: connectDisabled },
    common: 'none',
    state: 'refused',
    note: 'No service mesh: 500 `Connect must be enabled in order to use this endpoint`.',
  };
}
