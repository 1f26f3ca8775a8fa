import { serviceValue } from '../../src/state/catalog.ts';
import { Kind } from '../../src/state/kinds.ts';
import type { ReadView } from '../../src/state/store.ts';
import { topic } from '../../src/state/topics.ts';
import { consulVersion } from '../agent/own-node.ts';
import { multiError } from '../wire/catalog-decode.ts';
import { failure, json, jsonBody, jsonType, type ApiRequest, type RouteResult } from '../wire/http.ts';
import { answered } from './answered.ts';
import type { RouteContext } from './context.ts';
import type { Handler, Route } from './route.ts';
import { serverAddress } from './server-address.ts';

// Tools ask these of every cluster to learn whether it is healthy. There is no Raft and no autopilot here: the
// answers say about the gateway what they would say about a healthy server, and nothing can be changed by them.

/** Raft's term does not exist; tools only look whether there is one. */
const term = 1;

function raftConfiguration({ query }: ApiRequest, context: RouteContext): RouteResult {
  const { nodeId, nodeName } = context.gateway;
  const server = {
    ID: nodeId,
    Node: nodeName,
    Address: serverAddress(context.gateway),
    Leader: isFounded(context),
    ProtocolVersion: '3',
    Voter: true,
  };
  return answered(json({ Servers: [server], Index: 0 }, query.has('pretty')));
}

/** Consul's defaults. */
const autopilotDefaults = {
  CleanupDeadServers: true,
  LastContactThreshold: '200ms',
  MaxTrailingLogs: 250,
  MinQuorum: 0,
  ServerStabilizationTime: '10s',
  RedundancyZoneTag: '',
  DisableUpgradeMigration: false,
  UpgradeVersionTag: '',
};

function autopilotConfiguration({ query }: ApiRequest, context: RouteContext): RouteResult {
  const index = context.view.get(Kind.zone, '')?.createIndex ?? 1;
  const configuration = { ...autopilotDefaults, CreateIndex: index, ModifyIndex: index };
  return answered(json(configuration, query.has('pretty')));
}

function autopilotHealth({ query }: ApiRequest, context: RouteContext): RouteResult {
  const { nodeId, nodeName } = context.gateway;
  const healthy = isFounded(context);
  const server = {
    ID: nodeId,
    Name: nodeName,
    Address: serverAddress(context.gateway),
    SerfStatus: 'alive',
    Version: consulVersion,
    Leader: healthy,
    LastContact: '0s',
    LastTerm: term,
    LastIndex: highestIndex(context.view),
    Healthy: healthy,
    Voter: true,
    StableSince: foundedAt(context),
  };
  const health = { Healthy: healthy, FailureTolerance: 0, Servers: [server] };
  const pretty = query.has('pretty');
  // Consul answers 429 when the cluster is not healthy, so that load balancers can ask here.
  return answered({
    kind: 'reply',
    status: healthy ? 200 : 429,
    body: jsonBody(health, pretty),
    contentType: jsonType,
  });
}

/** Since Consul 1.9. */
function autopilotState({ query }: ApiRequest, context: RouteContext): RouteResult {
  const { nodeId, nodeName } = context.gateway;
  const healthy = isFounded(context);
  const server = {
    ID: nodeId,
    Name: nodeName,
    Address: serverAddress(context.gateway),
    NodeStatus: 'alive',
    Version: consulVersion,
    LastContact: '0s',
    LastTerm: term,
    LastIndex: highestIndex(context.view),
    Healthy: healthy,
    StableSince: foundedAt(context),
    Meta: context.gateway.nodeMeta,
    Status: 'leader',
    NodeType: 'voter',
  };
  const state = {
    Healthy: healthy,
    FailureTolerance: 0,
    OptimisticFailureTolerance: 0,
    Servers: { [nodeId]: server },
    Leader: nodeId,
    Voters: [nodeId],
  };
  return answered(json(state, query.has('pretty')));
}

/** GET /v1/operator/usage — since Consul 1.14. */
function usageRoute({ query }: ApiRequest, { gateway }: RouteContext): RouteResult {
  const pretty = query.has('pretty');
  return {
    kind: 'read',
    key: `operator-usage${pretty ? '-p' : ''}`,
    evaluate: (view, dependencies) => {
      dependencies.add(topic.nodes);
      dependencies.add(topic.services);
      const usage = { [gateway.datacenter]: countServices(view) };
      const index = Math.max(view.tableIndex(Kind.node), view.tableIndex(Kind.service));
      const body = jsonBody({ Usage: usage, Index: index, LastContact: 0, KnownLeader: true }, pretty);
      return { status: 200, body, contentType: jsonType, index };
    },
  };
}

function countServices(view: ReadView): object {
  const names = new Set<string>();
  const mesh: Record<string, number> = {
    'api-gateway': 0,
    'connect-native': 0,
    'connect-proxy': 0,
    'ingress-gateway': 0,
    'mesh-gateway': 0,
    'terminating-gateway': 0,
  };
  let instances = 0;
  let billable = 0;
  for (const row of view.range(Kind.service, '', undefined)) {
    if (row.value === null) continue;
    const { service, extra } = serviceValue(row);
    const { Kind: kind, Connect: connect } = (extra === '' ? {} : JSON.parse(extra)) as MeshExtra;
    names.add(service.toLowerCase());
    instances += 1;
    if (kind !== undefined && Object.hasOwn(mesh, kind)) mesh[kind] = (mesh[kind] ?? 0) + 1;
    else if (service !== 'consul') billable += 1;
    if (connect?.Native === true) mesh['connect-native'] = (mesh['connect-native'] ?? 0) + 1;
  }
  let nodes = 0;
  for (const row of view.rangeKeys(Kind.node, '', undefined)) if (row.live) nodes += 1;
  return {
    Nodes: nodes,
    Services: names.size,
    ServiceInstances: instances,
    ConnectServiceInstances: mesh,
    BillableServiceInstances: billable,
  };
}

interface MeshExtra {
  readonly Kind?: string;
  readonly Connect?: { readonly Native?: boolean };
}

function isFounded({ view }: RouteContext): boolean {
  return view.get(Kind.zone, '') !== undefined;
}

/** When the root zone got its present owner, which is since when writes are taken. */
function foundedAt({ view, nowMs }: RouteContext): string {
  const stamp = view.get(Kind.zone, '')?.stamp;
  const ms = stamp === undefined ? nowMs() : Math.floor(stamp / 1000);
  // oxlint-disable-next-line eslint/no-restricted-globals -- writes a time that was given; reads no clock
  return new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
}

function highestIndex(view: ReadView): number {
  return Math.max(1, ...Object.values(Kind).map((kind) => view.tableIndex(kind)));
}

const noRaft: Handler = () =>
  failure(501, 'Grapevine has no Raft: a gateway that is gone is removed with force-leave');
const noAutopilot: Handler = () => failure(501, 'Grapevine has no autopilot: there is nothing to configure');
const keyringEmpty: Handler = (_, context) => keyringFailure(context, 'Keyring is empty');
const noKeyring: Handler = (_, context) => keyringFailure(context, 'No keyring to modify');

/** Until gossip runs between gateways there is no encryption to have a keyring for; in the words of Serf. */
function keyringFailure({ gateway }: RouteContext, what: string): RouteResult {
  const { nodeName, datacenter } = gateway;
  const why = `${what} (encryption not enabled)`;
  const problems = [
    'WAN error: 1/1 nodes reported failure',
    `${nodeName}.${datacenter}: ${why}`,
    `${datacenter} (LAN) error: 1/1 nodes reported failure`,
    `${nodeName}: ${why}`,
  ];
  return answered(failure(500, multiError(problems)));
}

export const operatorRoutes: readonly Route[] = [
  {
    path: '/v1/operator/raft/configuration',
    methods: { GET: raftConfiguration },
    common: 'dc',
    enterprise: 'ignored',
    state: 'differs',
    note: 'There is no Raft: shows this gateway as the only voter.',
  },
  {
    path: '/v1/operator/raft/peer',
    methods: { DELETE: noRaft },
    common: 'none',
    state: 'refused',
    note: 'There is no Raft: 501. A gateway that is gone is removed by force-leave.',
  },
  {
    path: '/v1/operator/raft/transfer-leader',
    methods: { POST: noRaft },
    common: 'none',
    state: 'refused',
    note: 'There is no Raft, and no leader to change: 501.',
  },
  {
    path: '/v1/operator/autopilot/configuration',
    methods: { GET: autopilotConfiguration, PUT: noAutopilot },
    common: 'dc',
    enterprise: 'ignored',
    state: 'differs',
    note: "There is no autopilot: GET shows Consul's defaults, PUT is refused.",
  },
  {
    path: '/v1/operator/autopilot/health',
    methods: { GET: autopilotHealth },
    common: 'dc',
    enterprise: 'ignored',
    state: 'differs',
    note: 'Shows this gateway; healthy (200, else 429) once its datacenter is founded.',
  },
  {
    path: '/v1/operator/autopilot/state',
    methods: { GET: autopilotState },
    common: 'dc',
    enterprise: 'ignored',
    state: 'differs',
    note: 'Shows this gateway, as autopilot/health does.',
  },
  {
    path: '/v1/operator/usage',
    methods: { GET: usageRoute },
    common: 'read',
    state: 'differs',
    note: 'Counts this datacenter only.',
  },
  {
    path: '/v1/operator/keyring',
    methods: { GET: keyringEmpty, POST: noKeyring, PUT: noKeyring, DELETE: noKeyring },
    common: 'none',
    state: 'later',
    note: 'Not built yet: 500, as a Consul whose gossip is not encrypted.',
  },
];
