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
    note: 'As a Consul without ACLs.',
  },
  {
    path: '/v1/agent/connect/authorize',
    methods: { POST: connectDisabled },
    common: 'none',
    state: 'refused',
  },
  { path: '/v1/agent/connect/ca/roots', methods: { GET: connectDisabled }, common: 'none', state: 'refused' },
  { path: '/v1/agent/connect/ca/leaf/', methods: { GET: connectDisabled }, common: 'none', state: 'refused' },
];
