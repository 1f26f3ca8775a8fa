import { randomBytes } from 'node:crypto';
import type { AgentConfig } from '../compat/config/agent-config.ts';
import { nextPlacement } from '../compat/fleet/placement.ts';
import type { JoinResult } from '../compat/fleet/port.ts';
import type { GatewayFacts } from '../compat/routes/context.ts';
import { instant } from '../src/io/clock.ts';
import type { Log } from '../src/io/logging.ts';
import { resolveEndpoints, resolveHost } from '../src/io/resolve-endpoints.ts';
import type { Pool } from '../src/node/machine-port.ts';
import { foundTogether } from '../src/runtime/found-together.ts';
import { attemptJoin, RetryJoin, type JoinSteps } from '../src/runtime/retry-join.ts';
import type { Store } from '../src/state/store.ts';
import { isLive } from '../src/swim/member.ts';
import { sameEndpoint, type Endpoint } from '../src/wire/endpoint.ts';
import type { Fleet } from './open-fleet.ts';

export interface JoinParts {
  readonly config: AgentConfig;
  readonly gateway: GatewayFacts;
  readonly fleet: Fleet;
  readonly store: Store;
  readonly log: Log;
  /** The first join failed for good, as the configuration has it. */
  readonly onExhausted: (reason: string) => void;
}

/** How long one name may take to be looked up. */
const resolveMsMax = 5000;
/** Zones that a rule names are looked at again this often, beside when members change. */
const placementIntervalMs = 5000;
/** The WAN pool is looked at again this often, beside when members change. */
const floodIntervalMs = 10_000;

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
  stops.push(placeZones(parts), floodWan(parts), foundWithOthers(parts));
  return () => {
    for (const stop of stops) stop();
  };
}

/** As Consul's `start_join`: once, and who is not there is said. */
async function startJoin(parts: JoinParts, pool: Pool, addresses: readonly string[]): Promise<void> {
  const attempt = await attemptJoin(addresses, joinSteps(parts, pool));
  if (attempt.kind === 'joined') parts.log.info({ pool, num_agents: attempt.count }, 'Join completed');
  // As Consul, whose agent does not start without those that it was told to start with.
  if (attempt.kind === 'failed')
    parts.onExhausted(`Error joining the cluster: ${attempt.problems.join('; ')}`);
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

/** Whom a gateway meets in its datacenter it meets in the WAN pool too, as Consul's servers do: nobody joins twice. */
function floodWan({ gateway, fleet }: JoinParts): () => void {
  const { machine, port } = fleet;
  if (machine.wan === undefined) return () => undefined;
  const { swim } = machine.wan;
  const look = (): void => {
    const endpoints = machine.swim.members().flatMap((member): readonly Endpoint[] => {
      const { name, endpoint, tags } = member.facts;
      const wanPort = Number(tags['wan_join_port'] ?? 0);
      if (!isLive(member) || member.facts.id === machine.nodeId || !(wanPort > 0)) return [];
      const known = swim.member(`${name}.${gateway.datacenter}`);
      return known !== undefined && isLive(known) ? [] : [{ address: endpoint.address, port: wanPort }];
    });
    // One that lives tells of the others.
    const [first] = endpoints;
    if (first !== undefined) void port.join([first], 'wan');
  };
  const timer = setInterval(look, floodIntervalMs);
  timer.unref();
  const stop = port.onMembersChanged(look);
  look();
  return () => {
    clearInterval(timer);
    stop();
  };
}

/** With `bootstrap_expect` of two and more the gateways found their datacenter together, once they have met. */
function foundWithOthers({ config, gateway, fleet, store, log }: JoinParts): () => void {
  const { machine, loop, port } = fleet;
  if (config.bootstrapExpect < 2 || machine.cluster !== '') return () => undefined;
  const ownTags = machine.swim.self.facts.tags;
  const founding = foundTogether({
    expect: config.bootstrapExpect,
    selfId: gateway.nodeId,
    members: () =>
      machine.swim
        .members()
        .map(({ facts, state }) => ({ id: facts.id, name: facts.name, state, tags: facts.tags })),
    belongs: () => machine.cluster !== '',
    say: (tags) => loop.input({ kind: 'update-self', tags: { ...ownTags, ...tags } }),
    ask: (ids) => {
      const endpoints = ids.flatMap((id) => machine.swim.memberById(id)?.facts.endpoint ?? []);
      if (endpoints.length > 0) void port.join(endpoints, 'lan');
    },
    found: () =>
      store.transact(() => {
        machine.found(randomBytes(8).toString('hex'), instant());
        machine.endBatch(instant());
      }),
    setTimer: (run, afterMs) => {
      const timer = setTimeout(run, afterMs);
      timer.unref();
      return () => clearTimeout(timer);
    },
    onReason: (reason) => log.info({ reason }, 'no datacenter yet'),
  });
  const stop = port.onMembersChanged(founding.look);
  founding.look();
  return () => {
    stop();
    founding.stop();
  };
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
