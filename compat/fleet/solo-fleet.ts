import type { OriginId } from '../../src/crdt/dot.ts';
import type { ReadView } from '../../src/state/store.ts';
import { readZones } from '../../src/state/zones.ts';
import type { MemberFacts } from '../../src/swim/member.ts';
import { serverTags } from '../agent/server-tags.ts';
import type { GatewayFacts } from '../routes/context.ts';
import type { FleetCounters, FleetOutcome, FleetPort, MemberView, Pool, ZoneView } from './port.ts';

export interface SoloFleetOptions {
  readonly gateway: GatewayFacts;
  readonly serfLanPort: number;
  readonly serfWanPort: number;
  readonly view: ReadView;
  readonly startedMs: number;
}

const alone = 'this gateway is a cluster of one';
const refusedAlone: FleetOutcome = { kind: 'refused', status: 500, message: alone };

/** The fleet of a gateway without gossip: itself. */
export function soloFleet(options: SoloFleetOptions): FleetPort {
  const { view, startedMs } = options;
  const facts = (pool: Pool): MemberFacts => soloFacts(options, pool);
  const self = (pool: Pool): MemberView => ({
    facts: facts(pool),
    state: 'alive',
    leaving: false,
    incarnation: 0,
    rttMs: 0,
    sinceMs: startedMs,
  });
  const isOwn = (ownerId: string): boolean => ownerId === facts('lan').id;
  const zones = (): readonly ZoneView[] =>
    readZones(view).map(({ prefix, ownerId, term }) => ({
      prefix,
      ownerId,
      owner: isOwn(ownerId) ? facts('lan').name : '',
      region: isOwn(ownerId) ? facts('lan').region : '',
      term,
      sinceMs: startedMs,
      cause: 'founded',
      by: isOwn(ownerId) ? facts('lan').name : '',
      reason: '',
      reachable: isOwn(ownerId),
      ready: isOwn(ownerId),
      problem: isOwn(ownerId) ? '' : 'its gateway is not a member',
    }));
  return {
    clusterId: '',
    self,
    members: (pool) => [self(pool)],
    onMembersChanged: () => () => undefined,
    zones,
    zone: {
      delegate: () => Promise.resolve(refusedAlone),
      takeover: () => Promise.resolve(refusedAlone),
      replay: () => Promise.resolve([]),
      drop: () => Promise.resolve([]),
    },
    ownsCatalog: () => zones().some(({ prefix, ownerId }) => prefix === '' && isOwn(ownerId)),
    origins: () => [],
    writer: () => undefined,
    freshness: () => ({ knownLeader: zones().length > 0, lastContactMs: 0 }),
    confirm: () => Promise.resolve({ kind: 'confirmed' }),
    coordinate: () => undefined,
    join: (endpoints) =>
      Promise.resolve(
        endpoints.map((endpoint) => ({
          endpoint,
          ok: false,
          error: `${alone}, it cannot join others yet`,
        })),
      ),
    leave: () => Promise.resolve(),
    forceLeave: () => Promise.resolve({ kind: 'done' }),
    keyring: undefined,
    conflicts: () => [],
    quarantine: () => [],
    counters: () => noCounters,
  };
}

function soloFacts(options: SoloFleetOptions, pool: Pool): MemberFacts {
  const { gateway, serfLanPort, serfWanPort } = options;
  const inWan = pool === 'wan';
  return {
    name: inWan ? `${gateway.nodeName}.${gateway.datacenter}` : gateway.nodeName,
    id: gateway.nodeId,
    endpoint: { address: gateway.address, port: inWan ? serfWanPort : serfLanPort },
    datacenter: gateway.datacenter,
    region: gateway.datacenter,
    origin: noOrigin,
    tags: serverTags({ gateway, bootstrap: true, ...(inWan ? {} : { serfWanPort }) }),
    protocolMin: 1,
    protocolMax: 1,
  };
}

const noCounters: FleetCounters = {
  totals: {},
  queues: [],
  healthScore: 0,
  divergence: { found: 0, repaired: 0, lastMs: 0 },
  conflicts: 0,
  quarantined: 0,
};

/** Of a gateway without a log of its own in the fleet. */
const noOrigin = '00000000000000000000000000000000' as OriginId;
