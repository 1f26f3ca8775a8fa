import { Kind } from '../../src/state/kinds.ts';
import type { ReadView } from '../../src/state/store.ts';
import { catalogKey } from '../../src/state/topics.ts';
import { decodeValue, type CoordinateValue } from '../../src/state/values.ts';
import { consulVersion, nodeMeta } from '../agent/own-node.ts';
import { json, type ApiRequest, type RouteResult } from '../wire/http.ts';
import { memberRow } from './agent-cluster.ts';
import type { RouteContext } from './context.ts';
import type { Route } from './route.ts';

/** GET /v1/agent/self: `xDS` is not there, because there is no mesh. */
function self({ query }: ApiRequest, { agent, gateway, view }: RouteContext): RouteResult {
  return json(
    {
      Config: {
        Datacenter: gateway.datacenter,
        NodeName: gateway.nodeName,
        NodeID: gateway.nodeId,
        Revision: `grapevine-${gateway.version}`,
        Server: true,
        Version: consulVersion,
      },
      DebugConfig: agent.self.debugConfig(),
      Coord: coordinate(view, gateway.nodeName),
      Member: memberRow(agent.cluster.self()),
      Stats: agent.self.stats(),
      Meta: nodeMeta(gateway),
    },
    query.has('pretty'),
  );
}

/** This node's coordinate, or where Serf starts: Vivaldi's origin with the greatest error. */
function coordinate(view: ReadView, node: string) {
  const row = view.get(Kind.coordinate, catalogKey(node));
  if (!row?.value) return { Vec: [0, 0, 0, 0, 0, 0, 0, 0], Error: 1.5, Adjustment: 0, Height: 0.00001 };
  const { vec, error, adjustment, height } = decodeValue<CoordinateValue>(row.value);
  return { Vec: vec, Error: error, Adjustment: adjustment, Height: height };
}

/** GET /v1/agent/version (Consul since 1.13) */
function version({ query }: ApiRequest, { gateway }: RouteContext): RouteResult {
  return json(
    { SHA: `grapevine-${gateway.version}`, BuildDate: '', HumanVersion: consulVersion, FIPS: '' },
    query.has('pretty'),
  );
}

/** GET /v1/agent/host */
function host({ query }: ApiRequest, { agent }: RouteContext): RouteResult {
  const pretty = query.has('pretty');
  return { kind: 'later', reply: agent.host.describe().then((facts) => json(facts, pretty)) };
}

export const agentSelfRoutes: readonly Route[] = [
  {
    path: '/v1/agent/self',
    methods: { GET: self },
    common: 'none',
    state: 'differs',
    note:
      'Version is that of the Consul that is followed, Revision names Grapevine; DebugConfig has the keys that mean ' +
      'something here, and Stats `grapevine` in place of `raft`.',
  },
  { path: '/v1/agent/version', methods: { GET: version }, common: 'none', state: 'same' },
  {
    path: '/v1/agent/host',
    methods: { GET: host },
    common: 'none',
    state: 'differs',
    note: 'What Node does not tell of the machine (CPU flags, page tables, host id) is left out.',
  },
];
