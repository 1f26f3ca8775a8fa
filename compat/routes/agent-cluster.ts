import type { MemberInfo } from '../agent/port.ts';
import { memberShape } from '../filter/shapes.ts';
import { empty, failure, json, type ApiRequest, type RouteResult } from '../wire/http.ts';
import { filterOf, isReply, laterOutcome } from './agent-support.ts';
import type { RouteContext } from './context.ts';
import type { Route } from './route.ts';

/** Serf's protocol numbers, which Consul's servers have shown since 0.8. */
export function memberRow({ name, address, port, tags, status }: MemberInfo) {
  return {
    Name: name,
    Addr: address,
    Port: port,
    Tags: tags,
    Status: status,
    ProtocolMin: 1,
    ProtocolMax: 5,
    ProtocolCur: 2,
    DelegateMin: 2,
    DelegateMax: 5,
    DelegateCur: 4,
  };
}

const allSegments = '_all';

/** GET /v1/agent/members?wan=1&segment=…&filter=… */
function listMembers(request: ApiRequest, { agent: { cluster } }: RouteContext): RouteResult {
  const { query } = request;
  const wan = query.get('wan') !== '';
  const segment = query.get('segment');
  if (segment !== '' && segment !== allSegments) {
    if (wan) return failure(400, 'Cannot provide a segment with wan=true');
    return failure(500, 'Network segments are not supported in this version of Consul');
  }
  const keep = filterOf(request, memberShape);
  if (isReply(keep)) return keep;
  return json(cluster.members(wan).map(memberRow).filter(keep), query.has('pretty'));
}

/** PUT /v1/agent/join/:address?wan=1 */
function join({ rest: address, query }: ApiRequest, { agent }: RouteContext): RouteResult {
  return laterOutcome(agent.cluster.join(address, query.get('wan') !== ''));
}

/** PUT /v1/agent/leave: answers, then stops. */
function leave(_request: ApiRequest, { agent }: RouteContext): RouteResult {
  agent.control.leave();
  return empty;
}

/** PUT /v1/agent/force-leave/:node?prune */
function forceLeave({ rest: node, query }: ApiRequest, { agent }: RouteContext): RouteResult {
  return laterOutcome(agent.cluster.forceLeave(node, query.has('prune')));
}

/** PUT /v1/agent/reload: as SIGHUP. */
function reload(_request: ApiRequest, { agent }: RouteContext): RouteResult {
  return laterOutcome(agent.control.reload());
}

export const agentClusterRoutes: readonly Route[] = [
  {
    path: '/v1/agent/members',
    methods: { GET: listMembers },
    common: 'none',
    state: 'differs',
    note: 'A gateway shows as a member of role `consul`, with the build tag `1.21.4:grapevine`.',
  },
  {
    path: '/v1/agent/join/',
    methods: { PUT: join },
    common: 'none',
    state: 'same',
  },
  {
    path: '/v1/agent/leave',
    methods: { PUT: leave },
    common: 'none',
    state: 'differs',
    note: 'Answers before the gateway stops; Consul answers while it stops.',
  },
  { path: '/v1/agent/force-leave/', methods: { PUT: forceLeave }, common: 'none', state: 'same' },
  { path: '/v1/agent/reload', methods: { PUT: reload }, common: 'none', state: 'same' },
];
