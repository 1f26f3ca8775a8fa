import { compareUtf8 } from '../../src/kernel/utf8-order.ts';
import { serviceValue } from '../../src/state/catalog.ts';
import { Kind } from '../../src/state/kinds.ts';
import type { ReadView } from '../../src/state/store.ts';
import { topic } from '../../src/state/topics.ts';
import { consulVersion } from '../agent/own-node.ts';
import { isLive, serfStatus, serverText } from '../fleet/members.ts';
import type { MemberView } from '../fleet/port.ts';
import { goTime } from '../wire/go-time.ts';
import { failure, json, jsonBody, jsonType, type ApiRequest, type RouteResult } from '../wire/http.ts';
import { answered } from './answered.ts';
import type { RouteContext } from './context.ts';
import type { Handler, Route } from './route.ts';

// Tools ask these of every cluster to learn whether it is healthy. There is no Raft and no autopilot here: the
// answers say about the gateway what they would say about a healthy server, and nothing can be changed by them.

/** Raft's term does not exist; tools only look whether there is one. */
const term = 1;

function raftConfiguration({ query }: ApiRequest, context: RouteContext): RouteResult {
  const leader = leaderId(context);
  const servers = gateways(context).map((member) => ({
    ID: member.facts.id,
    Node: member.facts.name,
    Address: serverText(member),
    Leader: member.facts.id === leader,
    ProtocolVersion: '3',
    Voter: true,
  }));
  return answered(json({ Servers: servers, Index: 0 }, query.has('pretty')));
}

/** Everybody who did not leave, by name. */
function gateways({ agent }: RouteContext): readonly MemberView[] {
  return agent.fleet
    .members('lan')
    .filter(({ state }) => state !== 'left')
    .toSorted((a, b) => compareUtf8(a.facts.name, b.facts.name));
}

/** Node id of the gateway that owns the root zone; undefined while it cannot be reached, or nobody does. */
function leaderId({ agent }: RouteContext): string | undefined {
  if (agent.cluster.leader() === '') return undefined;
  return agent.fleet.zones().find(({ prefix }) => prefix === '')?.ownerId;
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
  const leader = leaderId(context);
  const servers = gateways(context).map((member) => ({
    ID: member.facts.id,
    Name: member.facts.name,
    Address: serverText(member),
    SerfStatus: statusText(member),
    Version: consulVersion,
    Leader: member.facts.id === leader,
    LastContact: '0s',
    LastTerm: term,
    LastIndex: highestIndex(context.view),
    Healthy: isHealthy(member, leader),
    Voter: true,
    StableSince: stableSince(context),
  }));
  const healthy = leader !== undefined && servers.every((server) => server.Healthy);
  const health = { Healthy: healthy, FailureTolerance: 0, Servers: servers };
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
  const leader = leaderId(context);
  const members = gateways(context);
  const servers = members.map((member) => ({
    ID: member.facts.id,
    Name: member.facts.name,
    Address: serverText(member),
    NodeStatus: statusText(member),
    Version: consulVersion,
    LastContact: '0s',
    LastTerm: term,
    LastIndex: highestIndex(context.view),
    Healthy: isHealthy(member, leader),
    StableSince: stableSince(context),
    Meta: member.facts.id === context.gateway.nodeId ? context.gateway.nodeMeta : {},
    Status: member.facts.id === leader ? 'leader' : 'voter',
    NodeType: 'voter',
  }));
  const state = {
    Healthy: leader !== undefined && servers.every((server) => server.Healthy),
    FailureTolerance: 0,
    OptimisticFailureTolerance: 0,
    Servers: Object.fromEntries(servers.map((server) => [server.ID, server])),
    Leader: leader ?? '',
    Voters: servers.map((server) => server.ID),
  };
  return answered(json(state, query.has('pretty')));
}

/** A gateway serves when it lives; without anybody who takes writes nobody is well. */
function isHealthy(member: MemberView, leader: string | undefined): boolean {
  return leader !== undefined && isLive(member);
}

function statusText(member: MemberView): string {
  return ['none', 'alive', 'leaving', 'left', 'failed'][serfStatus(member)] ?? 'none';
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

/** When the root zone got its present owner, which is since when writes are taken. */
function stableSince({ view, nowMs }: RouteContext): string {
  const stamp = view.get(Kind.zone, '')?.stamp;
  return goTime(stamp === undefined ? nowMs() : Math.floor(stamp / 1000));
}

function highestIndex(view: ReadView): number {
  return Math.max(1, ...Object.values(Kind).map((kind) => view.tableIndex(kind)));
}

const noRaft: Handler = () =>
  failure(501, 'Grapevine has no Raft: a gateway that is gone is removed with force-leave');
const noAutopilot: Handler = () => failure(501, 'Grapevine has no autopilot: there is nothing to configure');
export const operatorRoutes: readonly Route[] = [
  {
    path: '/v1/operator/raft/configuration',
    methods: { GET: raftConfiguration },
    common: 'dc',
    enterprise: 'ignored',
    state: 'differs',
    note: 'There is no Raft: shows the gateways as voters, and the owner of the root zone as the leader.',
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
    note: 'Healthy (200, else 429) while all gateways live and the owner of the root zone can be reached.',
  },
  {
    path: '/v1/operator/autopilot/state',
    methods: { GET: autopilotState },
    common: 'dc',
    enterprise: 'ignored',
    state: 'differs',
    note: 'Shows the gateways, as autopilot/health does.',
  },
  {
    path: '/v1/operator/usage',
    methods: { GET: usageRoute },
    common: 'read',
    state: 'differs',
    note: 'Counts this datacenter only.',
  },
];
