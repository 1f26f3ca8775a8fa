import type { AgentConfig } from '../compat/config/agent-config.ts';
import { nextPlacement } from '../compat/fleet/placement.ts';
import type { JoinResult } from '../compat/fleet/port.ts';
import type { GatewayFacts } from '../compat/routes/context.ts';
import type { Log } from '../src/io/logging.ts';
import { resolveEndpoints, resolveHost } from '../src/io/resolve-endpoints.ts';
import type { Pool } from '../src/node/machine-port.ts';
import { attemptJoin, RetryJoin, type JoinSteps } from '../src/runtime/retry-join.ts';
import { isLive } from '../src/swim/member.ts';
import { sameEndpoint, type Endpoint } from '../src/wire/endpoint.ts';
import type { Fleet } from './open-fleet.ts';

export interface JoinParts {
  readonly config: AgentConfig;
  readonly gateway: GatewayFacts;
  readonly fleet: Fleet;
  readonly log: Log;
  /** The first join failed for good, as the configuration has it. */
  readonly onExhausted: (reason: string) => void;
}

/** How long one name may take to be looked up. */
const resolveMsMax = 5000;
/** Zones that a rule names are looked at again this often, beside when members change. */
const placementIntervalMs = 5000;

/** Looks for the other gateways, and places zones by rule from then on. Answers how to stop it. */
export function joinFleet(parts: JoinParts): () => void {
  const { config, fleet, log } = parts;
  const { join } = config;
  const stops: (() => void)[] = [];
  const pools = [
    {
      pool: 'lan',
      start: join.startJoin,
      retry: join.retryJoin,
      intervalMs: join.retryIntervalMs,
      attemptsMax: join.retryAttemptsMax,
    },
    {
      pool: 'wan',
      start: join.startJoinWan,
      retry: join.retryJoinWan,
      intervalMs: join.retryIntervalWanMs,
      attemptsMax: join.retryAttemptsWanMax,
    },
  ] as const;
  for (const { pool, start, retry, ...policy } of pools) {
    if (start.length > 0) void startJoin(parts, pool, start);
    if (retry.length === 0) continue;
    const retryJoin = new RetryJoin({
      ...joinSteps(parts, pool),
      pool: pool === 'lan' ? 'LAN' : 'WAN',
      addresses: retry,
      policy,
      connected: () => isConnected(fleet, pool),
      nowMs: () => performance.now(),
      setTimer: (run, afterMs) => {
        const timer = setTimeout(run, afterMs);
        timer.unref();
        return () => clearTimeout(timer);
      },
      log: {
        info: (message, facts) => log.info(facts, message),
        warn: (message, facts) => log.warn(facts, message),
      },
      onExhausted: parts.onExhausted,
    });
    retryJoin.start();
    stops.push(
      fleet.port.onMembersChanged(() => retryJoin.membersChanged()),
      () => retryJoin.stop(),
    );
  }
  stops.push(placeZones(parts));
  return () => {
    for (const stop of stops) stop();
  };
}

/** As Consul's `start_join`: once, and who is not there is said. */
async function startJoin(parts: JoinParts, pool: Pool, addresses: readonly string[]): Promise<void> {
  const attempt = await attemptJoin(addresses, joinSteps(parts, pool));
  if (attempt.kind === 'joined') parts.log.info({ pool, num_agents: attempt.count }, 'Join completed');
  if (attempt.kind === 'failed') parts.log.error({ pool, error: attempt.problems.join('; ') }, 'Join failed');
}

function joinSteps({ config, fleet }: JoinParts, pool: Pool): JoinSteps {
  const portDefault = pool === 'lan' ? config.ports.serfLan : config.ports.serfWan;
  return {
    resolve: (addresses) =>
      resolveEndpoints(addresses, { portDefault, resolve: resolveHost, waitMsMax: resolveMsMax }),
    join: (endpoints: readonly Endpoint[]): Promise<readonly JoinResult[]> =>
      fleet.port.join(endpoints, pool),
    isOwn: (endpoint) => sameEndpoint(endpoint, fleet.port.self(pool).facts.endpoint),
  };
}

/** Another member lives, and this gateway belongs to a cluster. */
function isConnected({ machine }: Fleet, pool: Pool): boolean {
  const swim = pool === 'lan' ? machine.swim : machine.wan?.swim;
  if (swim === undefined || (pool === 'lan' && machine.cluster === '')) return false;
  return swim.members().some((member) => member.facts.id !== machine.nodeId && isLive(member));
}

/** The owner of what covers a zone that a rule names gives it to whom the rule says, once (`nextPlacement`). */
function placeZones({ config, fleet, log }: JoinParts): () => void {
  const { machine, loop } = fleet;
  if (config.zones.length === 0) return () => undefined;
  let busy = false;
  const look = (): void => {
    if (busy) return;
    const placement = nextPlacement({
      rules: config.zones,
      zones: machine.replica.zones,
      members: machine.swim.members().map((member) => ({
        id: member.facts.id,
        name: member.facts.name,
        region: member.facts.region,
        live: isLive(member),
      })),
      selfId: machine.nodeId,
    });
    if (placement === undefined) return;
    busy = true;
    loop.propose(placement, (outcome) => {
      busy = false;
      if (outcome.kind === 'refused' || outcome.kind === 'not-owned') return;
      log.info({ prefix: placement.prefix, to: placement.toNodeId }, 'zone placed by rule');
      look();
    });
  };
  const timer = setInterval(look, placementIntervalMs);
  timer.unref();
  const stop = fleet.port.onMembersChanged(look);
  look();
  return () => {
    clearInterval(timer);
    stop();
  };
}
