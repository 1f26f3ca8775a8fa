import { isLive, serfStatus, serverText } from '../fleet/members.ts';
import type { FleetPort, MemberView } from '../fleet/port.ts';
import type { GatewayFacts } from '../routes/context.ts';
import { multiError } from '../wire/catalog-decode.ts';
import { sameEndpoint } from '../../src/wire/endpoint.ts';
import { joinEndpoints, type ResolveHost } from './join-address.ts';
import type { AgentOutcome, ClusterPort, MemberInfo } from './port.ts';

export interface FleetClusterOptions {
  readonly fleet: FleetPort;
  readonly gateway: Pick<GatewayFacts, 'datacenter'>;
  /** Where an address without a port is joined. */
  readonly serfLanPort: number;
  readonly serfWanPort: number;
  readonly resolve: ResolveHost;
}

const done: AgentOutcome = { kind: 'done' };

/** Membership as the agent's endpoints of a Consul server show it and change it. */
export function fleetCluster(options: FleetClusterOptions): ClusterPort {
  const { fleet, gateway } = options;
  return {
    self: () => memberInfo(fleet.self('lan'), gateway.datacenter),
    members: (wan) => (wan ? wanMembers(fleet, options) : lanMembers(fleet, gateway.datacenter)),
    join: (address, wan) => join(options, address, wan),
    forceLeave: (node, prune) => forceLeave(options, node, prune),
    leader: () => leader(fleet),
    peers: () => fleet.members('lan').filter(isLive).map(serverText).toSorted(),
  };
}

/** A region is a tag like those of Consul where it says more than the datacenter does. */
function memberInfo(view: MemberView, datacenter: string): MemberInfo {
  const { name, endpoint, region, tags } = view.facts;
  return {
    name,
    address: endpoint.address,
    port: endpoint.port,
    tags: region === '' || region === datacenter ? tags : { ...tags, region },
    status: serfStatus(view),
  };
}

function lanMembers(fleet: FleetPort, datacenter: string): readonly MemberInfo[] {
  return fleet
    .members('lan')
    .map((view) => memberInfo(view, datacenter))
    .toSorted(byName);
}

/** Every gateway is in the WAN pool too, as `node.datacenter`; those of other datacenters are there only. */
function wanMembers(fleet: FleetPort, { gateway, serfWanPort }: FleetClusterOptions): readonly MemberInfo[] {
  const members = new Map<string, MemberInfo>();
  for (const member of lanMembers(fleet, gateway.datacenter)) {
    const { wan_join_port: wanPort, ...tags } = member.tags;
    const name = `${member.name}.${gateway.datacenter}`;
    const port = Number(wanPort ?? serfWanPort);
    members.set(name, { ...member, name, tags, port });
  }
  for (const view of fleet.members('wan')) {
    if (view.facts.datacenter === gateway.datacenter) continue;
    members.set(view.facts.name, memberInfo(view, view.facts.datacenter));
  }
  return [...members.values()].toSorted(byName);
}

function byName(a: MemberInfo, b: MemberInfo): number {
  return a.name < b.name ? -1 : Number(a.name > b.name);
}

/** One host may have several addresses: one that can be joined is enough. */
async function join(options: FleetClusterOptions, address: string, wan: boolean): Promise<AgentOutcome> {
  const { fleet, serfLanPort, serfWanPort, resolve } = options;
  const endpoints = await joinEndpoints(address, wan ? serfWanPort : serfLanPort, resolve);
  if (!endpoints.ok) return refused([endpoints.error]);
  const pool = wan ? 'wan' : 'lan';
  const own = fleet.self(pool).facts.endpoint;
  if (endpoints.value.some((endpoint) => sameEndpoint(endpoint, own))) return done;
  const results = await fleet.join(endpoints.value, pool);
  const problems = results.flatMap((result) =>
    result.ok ? [] : [`Failed to join ${result.endpoint.address}: ${result.error}`],
  );
  return results.some((result) => result.ok) ? done : refused(problems);
}

function refused(problems: readonly string[]): AgentOutcome {
  return { kind: 'refused', status: 500, message: multiError(problems) };
}

async function forceLeave(
  { fleet, gateway }: FleetClusterOptions,
  node: string,
  prune: boolean,
): Promise<AgentOutcome> {
  const suffix = `.${gateway.datacenter}`;
  const names = new Set(fleet.members('lan').map(({ facts }) => facts.name));
  const name = names.has(node) || !node.endsWith(suffix) ? node : node.slice(0, -suffix.length);
  const inWan = fleet.members('wan').some(({ facts }) => facts.name === node);
  if (!names.has(name) && !inWan) {
    return { kind: 'refused', status: 500, message: `agent: No node found with name '${node}'` };
  }
  return fleet.forceLeave(name, prune);
}

function leader(fleet: FleetPort): string {
  const root = fleet.zones().find(({ prefix }) => prefix === '');
  if (root === undefined || !root.reachable || !root.ready) return '';
  const owner = fleet.members('lan').find(({ facts }) => facts.id === root.ownerId);
  return owner === undefined ? '' : serverText(owner);
}
