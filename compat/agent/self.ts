import { arch, availableParallelism, platform } from 'node:os';
import type { AgentConfig } from '../config/agent-config.ts';
import { knownDatacenters } from '../fleet/datacenters.ts';
import type { FleetCounters, FleetPort } from '../fleet/port.ts';
import type { GatewayFacts } from '../routes/context.ts';
import { debugConfig } from './debug-config.ts';
import { consulVersion } from './own-node.ts';
import type { ClusterPort, SelfPort } from './port.ts';

export interface SelfOptions {
  readonly config: () => AgentConfig;
  readonly gateway: GatewayFacts;
  readonly cluster: ClusterPort;
  readonly fleet: FleetPort;
  readonly counts: () => {
    readonly services: number;
    readonly checks: number;
    readonly ttls: number;
    readonly monitors: number;
  };
  /** Further lines of `consul info` about this gateway's own machinery (index, commits, zones, …). */
  readonly grapevine: () => Readonly<Record<string, string | number>>;
}

/** What `/v1/agent/self` shows of the configuration and, as `Stats`, of the state of this gateway. */
export function selfFacts(options: SelfOptions): SelfPort {
  const { config, gateway, cluster, fleet, counts, grapevine } = options;
  return {
    debugConfig: () => debugConfig(config(), gateway),
    stats: () => {
      const { services, checks, ttls, monitors } = counts();
      const encrypted = String(config().gossip.encryptKey !== undefined);
      return {
        agent: texts({ check_monitors: monitors, check_ttls: ttls, checks, services }),
        build: { prerelease: '', revision: `grapevine-${gateway.version}`, version: consulVersion },
        consul: {
          acl: 'disabled',
          bootstrap: String(config().bootstrap),
          known_datacenters: String(knownDatacenters(gateway.datacenter, fleet).length),
          leader: String(fleet.ownsCatalog()),
          leader_addr: cluster.leader(),
          server: 'true',
        },
        grapevine: texts({ version: gateway.version, ...fleetLines(fleet), ...grapevine() }),
        runtime: texts({
          arch: arch() === 'x64' ? 'amd64' : arch(),
          cpu_count: availableParallelism(),
          max_procs: availableParallelism(),
          os: platform(),
          version: `node ${process.version}`,
        }),
        serf_lan: { ...pool(cluster, false, encrypted), ...queueLines(fleet.counters()) },
        serf_wan: pool(cluster, true, encrypted),
      };
    },
  };
}

function pool(cluster: ClusterPort, wan: boolean, encrypted: string): Readonly<Record<string, string>> {
  const members = cluster.members(wan);
  const ofStatus = (status: number): string =>
    String(members.filter((member) => member.status === status).length);
  return { encrypted, failed: ofStatus(4), left: ofStatus(3), members: String(members.length) };
}

/** One pool carries the gossip of both; Serf's names for its queues are filled with what there is here. */
function queueLines({ healthScore, queues }: FleetCounters): Readonly<Record<string, string>> {
  return texts({
    health_score: healthScore,
    ...Object.fromEntries(queues.map(({ name, length }) => [`${name}_queue`, length])),
  });
}

function fleetLines(fleet: FleetPort): Readonly<Record<string, string | number>> {
  const { region } = fleet.self('lan').facts;
  const { conflicts, quarantined, divergence, totals } = fleet.counters();
  return {
    cluster_id: fleet.clusterId,
    region,
    conflicts,
    quarantined,
    divergence_found: divergence.found,
    divergence_repaired: divergence.repaired,
    ...totals,
  };
}

function texts(values: Readonly<Record<string, string | number>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, String(value)]));
}
