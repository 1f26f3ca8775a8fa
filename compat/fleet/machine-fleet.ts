import type { Instant } from '../../src/kernel/instant.ts';
import type { OriginId } from '../../src/crdt/dot.ts';
import { contiguousHead, countSeqs, headOf, missingRanges } from '../../src/crdt/seq-ranges.ts';
import type { GatewayMachine } from '../../src/node/gateway-machine.ts';
import type { Replica } from '../../src/node/replica.ts';
import type { CallService } from '../../src/node/rpc-messages.ts';
import type { DriveLoop } from '../../src/runtime/drive-loop.ts';
import { isLive, type Member } from '../../src/swim/member.ts';
import type { CallResult } from '../../src/node/calls.ts';
import type { Command } from '../../src/state/command.ts';
import type { Coordinate } from '../../src/state/coordinates.ts';
import { Kind } from '../../src/state/kinds.ts';
import { externalNodes, zoneOf } from '../../src/state/zones.ts';
import type { Swim } from '../../src/swim/swim.ts';
import { sameEndpoint, type Endpoint } from '../../src/wire/endpoint.ts';
import { notOwnedText } from '../wire/refusal.ts';
import { dropConflicts, replayConflicts, type ConflictOrders } from './conflict-orders.ts';
import type { UserEvent } from '../events/user-event.ts';
import type { GossipServices } from './gossip-services.ts';
import { packEvent } from './gossip-services.ts';
import { runKeyring, type KeyringOrders } from './keyring-orders.ts';
import type {
  Confirmation,
  ConflictView,
  FleetCounters,
  FleetOutcome,
  FleetPort,
  Freshness,
  JoinResult,
  MemberView,
  OriginView,
  Pool,
  QuarantineView,
  ReadScope,
  ZonePort,
  ZoneView,
} from './port.ts';
import { isOfEveryGateway, zonesInScope } from './scopes.ts';
import { ZoneFreshness } from './zone-freshness.ts';

export interface MachineFleetOptions {
  readonly machine: GatewayMachine;
  readonly loop: DriveLoop;
  readonly services: GossipServices;
  readonly encrypted: boolean;
  readonly coordinates: boolean;
  /** Counters of the network: packets, bytes, drops. */
  readonly transport: () => Readonly<Record<string, number>>;
  readonly now: () => Instant;
}

/** How long other gateways get to answer for their keyrings. */
const keyringMsMax = 5000;
/** How long other gateways get to take a user event. */
const eventMsMax = 5000;
/** First runs of missing seqs that are shown of an origin. */
const gapsShownMax = 10;

const confirmed: Promise<Confirmation> = Promise.resolve({ kind: 'confirmed' });

/** The fleet as the machine of this gateway sees it. */
export class MachineFleet implements FleetPort {
  readonly #options: MachineFleetOptions;
  readonly #freshness: ZoneFreshness;
  readonly #listeners = new Set<() => void>();
  readonly #since = new Map<string, number>();
  readonly #startedMs: number;
  #live: readonly string[] | undefined;
  #leaving = false;
  readonly zone: ZonePort;
  readonly keyring: FleetPort['keyring'];

  constructor(options: MachineFleetOptions) {
    this.#options = options;
    const { machine } = options;
    this.#startedMs = wallMs(options);
    this.#freshness = new ZoneFreshness({
      nodeId: machine.nodeId,
      nowMs: () => options.now().monoMs,
      zones: () => machine.replica.zones,
      live: () => this.#liveIds(),
      provedAtMs: (nodeId) => {
        const now = options.now();
        const ageMs = machine.ageMs(nodeId, now);
        return ageMs === undefined ? undefined : now.monoMs - ageMs;
      },
      reachable: (nodeId) => machine.isReachable(nodeId),
    });
    this.zone = {
      delegate: (prefix, gateway) => this.#delegate(prefix, gateway),
      takeover: (prefix, reason) => this.#order({ kind: 'zone-takeover', prefix, reason }),
      replay: (ids) => replayConflicts(this.#conflictOrders, ids),
      drop: (ids) => dropConflicts(this.#conflictOrders, ids),
    };
    this.keyring = options.encrypted ? { run: (order) => runKeyring(this.#keyringOrders, order) } : undefined;
  }

  get clusterId(): string {
    return this.#options.machine.cluster;
  }

  /** To be called when the machine tells a change of a member. */
  membersChanged(nodeId: string): void {
    this.#since.set(nodeId, wallMs(this.#options));
    this.#live = undefined;
    for (const listener of this.#listeners) listener();
  }

  self(pool: Pool): MemberView {
    return this.#view(pool, this.#swim(pool).self);
  }

  members(pool: Pool): readonly MemberView[] {
    return this.#swim(pool)
      .members()
      .map((member) => this.#view(pool, member));
  }

  onMembersChanged(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  zones(): readonly ZoneView[] {
    const { machine } = this.#options;
    return machine.replica.zones.map((zone) => {
      const owner = machine.swim.memberById(zone.ownerId);
      const isOwn = zone.ownerId === machine.nodeId;
      const reachable = isOwn || (owner !== undefined && isLive(owner));
      const ready = !isOwn || machine.replica.zoneReady(zone);
      return {
        prefix: zone.prefix,
        ownerId: zone.ownerId,
        owner: owner?.facts.name ?? '',
        region: owner?.facts.region ?? '',
        term: zone.term,
        sinceMs: zone.atMs ?? foundedMs(machine.replica, zone.prefix),
        cause: zone.cause ?? 'founded',
        by: this.#nameOf(zone.byNode ?? ''),
        reason: zone.reason ?? '',
        reachable,
        ready,
        problem: zoneProblem(owner, reachable, ready),
      };
    });
  }

  ownsCatalog(): boolean {
    const { replica, nodeId } = this.#options.machine;
    const external = replica.zones.find(({ prefix }) => prefix === externalNodes);
    return (external ?? zoneOf(replica.zones, ''))?.ownerId === nodeId;
  }

  origins(): readonly OriginView[] {
    const { machine } = this.#options;
    return [...machine.replica.origins()].map(({ origin, nodeId, seen }) => {
      const member = machine.swim.memberById(nodeId);
      const headKnown = Math.max(machine.replication.headKnown(origin), headOf(seen));
      const gaps = headKnown === 0 ? [] : missingRanges([{ from: 1, to: headKnown }], seen);
      const isOwn = origin === machine.replica.origin;
      return {
        origin,
        nodeId,
        node: member?.facts.name ?? '',
        region: member?.facts.region ?? '',
        headKnown,
        headSeen: headOf(seen),
        contiguous: contiguousHead(seen),
        missing: countSeqs(gaps),
        gaps: gaps.slice(0, gapsShownMax),
        ageMs: isOwn ? 0 : machine.replication.freshness(origin, this.#options.now())?.ageMs,
        active: isOwn || member?.facts.origin === origin,
      };
    });
  }

  writer(originRef: number): Pick<OriginView, 'origin' | 'node' | 'nodeId' | 'region'> | undefined {
    const { machine } = this.#options;
    const row = machine.replica.writer(originRef);
    if (row === undefined) return undefined;
    const facts = machine.swim.memberById(row.nodeId)?.facts;
    return { origin: row.origin, nodeId: row.nodeId, node: facts?.name ?? '', region: facts?.region ?? '' };
  }

  freshness(scope: ReadScope): Freshness {
    return this.#freshness.of(scope);
  }

  confirm(scope: ReadScope): Promise<Confirmation> {
    if (this.#decides(scope)) return confirmed;
    return new Promise((resolve) => {
      this.#options.loop.ask({ kind: 'confirm', scope }, (answer) => {
        if (answer.kind === 'confirmed') resolve(answer.confirmation);
      });
    });
  }

  /** Whether all of it is this gateway's own to decide, now: nobody has to be asked. */
  #decides(scope: ReadScope): boolean {
    const { replica, nodeId } = this.#options.machine;
    if (isOfEveryGateway(scope) && this.#liveIds().length > 1) return false;
    const zones = zonesInScope(replica.zones, scope);
    return zones.length > 0 && zones.every((zone) => zone.ownerId === nodeId && replica.zoneReady(zone));
  }

  coordinate(): Coordinate | undefined {
    return this.#options.coordinates ? this.#options.machine.swim.coordinate() : undefined;
  }

  join(endpoints: readonly Endpoint[], pool: Pool): Promise<readonly JoinResult[]> {
    return new Promise((resolve) => {
      this.#options.loop.ask({ kind: 'join', pool, endpoints }, (answer) => {
        if (answer.kind !== 'joined') return;
        resolve(
          endpoints.map((endpoint) => {
            const failure = answer.failures.find((each) => sameEndpoint(each.endpoint, endpoint));
            return failure === undefined
              ? { endpoint, ok: true }
              : { endpoint, ok: false, error: failure.reason };
          }),
        );
      });
    });
  }

  leave(): Promise<void> {
    this.#leaving = true;
    return new Promise((resolve) => {
      this.#options.loop.ask({ kind: 'leave' }, () => resolve());
    });
  }

  forceLeave(name: string, prune: boolean): Promise<FleetOutcome> {
    return new Promise((resolve) => {
      // Whether there is such a member was looked for before: one that went meanwhile is as was asked.
      this.#options.loop.ask({ kind: 'force-leave', name, prune }, () => resolve({ kind: 'done' }));
    });
  }

  conflicts(after: string, limit: number): readonly ConflictView[] {
    const { view } = this.#options.machine.replica;
    return view.setAside('conflicts', idOf(after), limit).map((kept) => ({
      id: String(kept.id),
      zone: kept.zone,
      kind: kept.kind,
      key: kept.key,
      value: kept.value,
      term: kept.term,
      zoneTerm: kept.zoneTerm,
      stamp: kept.stamp,
      origin: kept.origin,
      seq: kept.seq,
      node: this.#writerName(kept.origin),
      keptMs: Math.floor(kept.atUs / 1000),
      replayed: kept.replayed,
    }));
  }

  quarantine(after: string, limit: number): readonly QuarantineView[] {
    const { view } = this.#options.machine.replica;
    return view.setAside('quarantine', idOf(after), limit).map((kept) => ({
      id: String(kept.id),
      reason: kept.why,
      kind: kept.kind,
      key: kept.key,
      origin: kept.origin,
      seq: kept.seq,
      node: this.#writerName(kept.origin),
      keptMs: Math.floor(kept.atUs / 1000),
    }));
  }

  counters(): FleetCounters {
    const { machine, transport } = this.#options;
    const { view } = machine.replica;
    const swim = machine.swim.stats();
    const { stats: replication, queues } = machine.replication.needs(this.#options.now());
    return {
      totals: {
        ...transport(),
        ...snake('swim', swim),
        ...snake('replication', replication),
        ...snake('forward', machine.questions.forwarding.counts),
        ...snake('confirm', machine.questions.confirming.counts),
        foreign: machine.foreign,
      },
      queues: Object.entries(queues).map(([name, { messages, dropped }]) => ({
        name,
        length: messages,
        lengthMax: 0,
        dropped,
      })),
      healthScore: swim.health,
      divergence: { found: replication.divergences, repaired: replication.divergencesRepaired, lastMs: 0 },
      conflicts: view.setAsideCount('conflicts').now,
      quarantined: view.setAsideCount('quarantine').ever,
    };
  }

  async #delegate(prefix: string, gateway: string): Promise<FleetOutcome> {
    const member = this.#options.machine.swim.member(gateway);
    if (member === undefined || !isLive(member)) {
      const message = `no live gateway has the name ${JSON.stringify(gateway)}: see "grapevine members"`;
      return { kind: 'refused', status: 404, message };
    }
    return this.#order({ kind: 'zone-delegate', prefix, toNodeId: member.facts.id });
  }

  get #conflictOrders(): ConflictOrders {
    const { machine, loop } = this.#options;
    return { view: machine.replica.view, propose: (command, done) => loop.propose(command, done) };
  }

  #order(command: Command): Promise<FleetOutcome> {
    return new Promise((resolve) => {
      this.#options.loop.propose(command, (outcome) => {
        switch (outcome.kind) {
          case 'refused':
            return resolve(outcome);
          case 'not-owned': {
            const owner = this.#nameOf(outcome.owner);
            return resolve({ kind: 'refused', status: 500, message: notOwnedText({ ...outcome, owner }) });
          }
          default:
            return resolve({ kind: 'done' });
        }
      });
    });
  }

  get #keyringOrders(): KeyringOrders {
    const { machine, services } = this.#options;
    return {
      datacenter: machine.swim.self.facts.datacenter,
      own: (order) => services.orderKeyring(order),
      others: (pool) =>
        (pool === 'lan' ? machine.swim : machine.wan?.swim)
          ?.members()
          .filter((member) => isLive(member) && member.facts.id !== machine.nodeId)
          .map(({ facts }) => facts),
      call: (nodeId, body, pool) => this.call(nodeId, 'keyring', body, keyringMsMax, pool),
    };
  }

  /** Tells a user event to all gateways that live now. Who misses it misses it, as in Serf. */
  tellEvent(event: UserEvent): void {
    const { machine } = this.#options;
    const body = packEvent(event);
    for (const id of this.#liveIds())
      if (id !== machine.nodeId) void this.call(id, 'event', body, eventMsMax);
  }

  /** Asks another gateway's process for something. */
  call(
    nodeId: string,
    service: CallService,
    body: Uint8Array,
    waitMs: number,
    pool: Pool = 'lan',
  ): Promise<CallResult> {
    return new Promise((resolve) => {
      this.#options.loop.ask({ kind: 'call', pool, to: nodeId, service, body, waitMs }, (answer) => {
        if (answer.kind === 'call-result') resolve(answer.result);
      });
    });
  }

  #swim(pool: Pool): Swim {
    const { swim, wan } = this.#options.machine;
    return pool === 'wan' && wan !== undefined ? wan.swim : swim;
  }

  #view(pool: Pool, member: Member): MemberView {
    const swim = this.#swim(pool);
    const isSelf = member.facts.id === this.#options.machine.nodeId;
    return {
      facts: member.facts,
      state: member.state,
      leaving: isSelf && this.#leaving,
      incarnation: member.incarnation,
      rttMs: isSelf ? 0 : swim.rttMs(member.facts.id),
      sinceMs: this.#since.get(member.facts.id) ?? this.#startedMs,
    };
  }

  #liveIds(): readonly string[] {
    this.#live ??= this.#options.machine.swim
      .members()
      .filter(isLive)
      .map(({ facts }) => facts.id);
    return this.#live;
  }

  #nameOf(nodeId: string): string {
    return this.#options.machine.swim.memberById(nodeId)?.facts.name ?? nodeId;
  }

  #writerName(origin: OriginId): string {
    const log = this.#options.machine.replica.originLog(origin);
    return log === undefined ? origin : this.#nameOf(log.nodeId);
  }
}

function zoneProblem(owner: Member | undefined, reachable: boolean, ready: boolean): string {
  if (owner === undefined) return 'its gateway is not a member';
  if (!reachable) return `${owner.facts.name} is not reachable`;
  return ready ? '' : 'its handoff to this gateway is in progress';
}

function wallMs({ now }: MachineFleetOptions): number {
  return Math.floor(now().wallUs / 1000);
}

/** The grant that founds a zone says nothing of when: its stamp does. */
function foundedMs({ view }: Replica, prefix: string): number {
  return Math.floor((view.get(Kind.zone, prefix)?.stamp ?? 0) / 1000);
}

/** Ids are numbers shown as text. */
function idOf(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : 0;
}

/** Counters by name, as metrics have them. */
function snake(part: string, counts: object): Readonly<Record<string, number>> {
  const named: Record<string, number> = {};
  for (const [name, value] of Object.entries(counts)) {
    if (typeof value !== 'number') continue;
    named[`${part}_${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`] = value;
  }
  return named;
}
