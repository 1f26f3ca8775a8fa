import { lookup } from 'node:dns/promises';
import { hostname } from 'node:os';
import type { CommitListener } from '../../src/runtime/drive-loop.ts';
import type { ReadView } from '../../src/state/store.ts';
import { systemPorts } from '../checks/ports.ts';
import type { AgentConfig } from '../config/agent-config.ts';
import type { FleetPort } from '../fleet/port.ts';
import { soloFleet } from '../fleet/solo-fleet.ts';
import type { GatewayFacts } from '../routes/context.ts';
import { fleetCluster } from './fleet-cluster.ts';
import { addFleetMetrics } from './fleet-metrics.ts';
import { hostFacts } from './host-facts.ts';
import { LocalAgent, type AgentLog } from './local-agent.ts';
import { MembershipCatalog } from './membership-catalog.ts';
import { Metrics } from './metrics.ts';
import { namedOwners } from './named-owners.ts';
import { OwnCoordinate } from './own-coordinate.ts';
import { processMetrics } from './process-metrics.ts';
import type { AgentPort, ControlPort, LogPort } from './port.ts';
import { selfFacts, type SelfOptions } from './self.ts';
import { timedWrites, type Propose } from './write-metrics.ts';

export interface BuildAgentOptions {
  /** As it is now: a reload may have changed it. */
  readonly config: () => AgentConfig;
  readonly gateway: GatewayFacts;
  readonly view: ReadView;
  readonly propose: Propose;
  readonly onCommit: (listener: CommitListener) => () => void;
  readonly log: AgentLog;
  readonly logs: LogPort;
  readonly control: ControlPort;
  readonly nowMs: () => number;
  /** The fleet that this gateway is one of; unset: it is one of its own. */
  readonly fleet?: FleetPort;
  /** Lines of `consul info` about the machinery below. */
  readonly grapevine: SelfOptions['grapevine'];
}

export interface BuiltAgent {
  readonly local: LocalAgent;
  /**
   * Publishes what the agent holds, lets its checks run, and keeps the catalog at what membership says; once the state
   * machine takes commands. Rejects as `local.start` does.
   */
  start(): Promise<void>;
  /** Before the state machine ends. What is registered stays. */
  stop(): Promise<void>;
  /** For the other parts to count in. */
  readonly metrics: Metrics;
  /** The `propose` that was given, with the time that each write takes counted. */
  readonly propose: Propose;
  /** What `RouteContext.agent` is. */
  readonly port: AgentPort;
}

/** Makes the agent part of a gateway. Nothing runs before `start()`. */
export function buildAgent(options: BuildAgentOptions): BuiltAgent {
  const { config, gateway, view, propose, onCommit, log, logs, control, nowMs, grapevine } = options;
  const { telemetry, ports, dataDir, gossip } = config();
  const { serfLan: serfLanPort, serfWan: serfWanPort } = ports;
  const fleet = options.fleet ?? soloFleet({ gateway, serfLanPort, serfWanPort, view, startedMs: nowMs() });
  const cluster = fleetCluster({
    ...{ fleet, gateway, serfLanPort, serfWanPort },
    resolve: async (host) => (await lookup(host, { all: true })).map(({ address }) => address),
  });
  const metrics = new Metrics({
    prefix: telemetry.metricsPrefix,
    // Consul leaves the host's name out as well where metrics go nowhere but to its own endpoint.
    hostname: telemetry.disableHostname || telemetry.prometheusRetentionMs <= 0 ? undefined : hostname(),
    prometheusRetentionMs: telemetry.prometheusRetentionMs,
    nowMs,
    filter: () => config().telemetry,
    processMetrics: processMetrics(),
  });
  addRuntimeGauges(metrics);
  const timed = timedWrites(metrics, () => performance.now(), namedOwners(fleet, propose));
  const local = new LocalAgent({
    gateway,
    view,
    propose: timed,
    onCommit,
    config: config(),
    coordinates: !gossip.disableCoordinates,
    leaving: () => fleet.self('lan').leaving,
    log,
  });
  addFleetMetrics(metrics, fleet);
  const membership = new MembershipCatalog({
    ...{ fleet, view, propose, onCommit, log },
    ports: systemPorts,
  });
  const ownCoordinate = new OwnCoordinate({
    node: gateway.nodeName,
    ...{ fleet, view, propose },
    ports: systemPorts,
  });
  return {
    local,
    start: async () => {
      await local.start();
      membership.start();
      if (!gossip.disableCoordinates) ownCoordinate.start();
    },
    stop: async () => {
      membership.stop();
      ownCoordinate.stop();
      await local.stop();
    },
    metrics,
    propose: timed,
    port: {
      local,
      cluster,
      fleet,
      control,
      logs,
      metrics,
      host: hostFacts(dataDir ?? '/'),
      self: selfFacts({ config, gateway, cluster, fleet, counts: () => local.counts(), grapevine }),
    },
  };
}

/** Consul's names for what a process takes. */
function addRuntimeGauges(metrics: Metrics): void {
  metrics.gauge('runtime.alloc_bytes', () => process.memoryUsage().heapUsed);
  metrics.gauge('runtime.sys_bytes', () => process.memoryUsage.rss());
}
