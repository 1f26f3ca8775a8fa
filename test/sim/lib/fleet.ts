import type { OriginId } from '../../../src/crdt/dot.ts';
import type { Effect, Input } from '../../../src/node/machine-port.ts';
import { ownOrigin } from '../../../src/node/replica.ts';
import type { Command } from '../../../src/state/command.ts';
import type { Row } from '../../../src/state/store.ts';
import type { ZoneValue } from '../../../src/state/values.ts';
import { readZones, zoneOf } from '../../../src/state/zones.ts';
import { bootMachine, firstOrigin, ownNode } from './boot.ts';
import { cities } from './cities.ts';
import { Clients } from './clients.ts';
import { NodeClock } from './clock.ts';
import { Disk } from './disk.ts';
import { EventQueue } from './event-queue.ts';
import { SimGateway, type BatchFate, type GatewayPorts } from './gateway.ts';
import { Ledger } from './ledger.ts';
import { LentZones } from './lent-zones.ts';
import { noMutation, type Mutation } from './mutation.ts';
import { Network, perfectLinks } from './network.ts';
import { Observer } from './observer.ts';
import type { Plan } from './plan.ts';
import type { Rng } from './rng.ts';
import { Trace } from './trace.ts';
import { deepFreeze, messageBytes } from './wire-size.ts';

export interface FleetOptions {
  readonly plan: Plan;
  readonly rng: Rng;
  readonly mutation?: Mutation;
  /** Keep the lines of the trace. */
  readonly verbose?: boolean;
  /** Freeze every message when it is sent: machines must not change what they share. */
  readonly freeze?: boolean;
}

/** Beginnings of keys for which a takeover or a restored backup excuses what would be wrong otherwise. */
export interface Excuses {
  /** In zones that were taken over from an owner that may have been alive. */
  readonly takenOver: Set<string>;
  /** In zones that a restored gateway owned: what nobody else had seen is gone. */
  readonly restored: Set<string>;
}

/** A fleet of gateways in a world that a plan describes, with clients at work and somebody who does harm. */
export class Fleet {
  readonly plan: Plan;
  readonly queue = new EventQueue();
  readonly network: Network;
  readonly ledger = new Ledger();
  readonly trace: Trace;
  readonly clients: Clients;
  readonly observer: Observer;
  readonly lent: LentZones;
  readonly gateways: SimGateway[] = [];
  readonly mutation: Mutation;
  readonly excuses: Excuses = { takenOver: new Set(), restored: new Set() };
  readonly regionNames: readonly string[];
  readonly #rng: Rng;
  /** How keys begin: of those of the plan's zones, and of all others. */
  readonly #beginnings: readonly string[];
  readonly #freeze: boolean;
  readonly #doomed = new Map<SimGateway, BatchFate>();
  readonly #backups = new Map<SimGateway, { readonly atMs: number; readonly mark: number }[]>();
  /** Said goodbye: its process has ended, or is about to. */
  readonly #left = new Set<SimGateway>();
  readonly #moves = new Map<SimGateway, number>();
  #healing = false;

  constructor(options: FleetOptions) {
    const { plan, rng } = options;
    this.plan = plan;
    this.#rng = rng;
    this.#freeze = options.freeze ?? false;
    this.mutation = options.mutation ?? noMutation;
    this.trace = new Trace(options.verbose ?? false);
    const places = rng.split('places').shuffled(cities).slice(0, plan.regions);
    this.regionNames = places.map(({ name }) => name);
    this.network = new Network(this.queue, rng.split('network'), places);
    const owned = ['', ...Array.from({ length: plan.zones }, (_, i) => `zone-${i}/`)];
    const lent = Array.from({ length: plan.lentZones }, (_, i) => `lent-${i}/`);
    this.#beginnings = [...owned, ...lent];
    this.lent = new LentZones(this, rng.split('lent'), lent);
    this.observer = new Observer(this);
    this.clients = new Clients({
      queue: this.queue,
      rng: rng.split('clients'),
      gateways: this.gateways,
      prefixes: owned,
      keysPerPrefix: plan.keysPerPrefix,
      clientsPerGateway: plan.clientsPerGateway,
      thinkMs: plan.thinkMs,
      patienceMs: 15_000,
      mix: plan.mix,
    });
  }

  get nowMs(): number {
    return this.queue.nowMs;
  }

  get up(): readonly SimGateway[] {
    return this.gateways.filter((gateway) => gateway.isUp);
  }

  log(text: string): void {
    this.trace.add(this.nowMs, text);
  }

  /** Makes a gateway and starts it: the first one founds the cluster, others join it. */
  addGateway(): SimGateway {
    const index = this.gateways.length;
    const rng = this.#rng.split(`gateway ${index}`);
    const disk = new Disk(this.plan.faults.includes('restore-backup'));
    const gateway: SimGateway = new SimGateway(
      {
        index,
        name: `g${index}`,
        nodeId: `${rng.hex(8)}-${rng.hex(4)}-4${rng.hex(3)}-8${rng.hex(3)}-${rng.hex(12)}`,
        region: index % this.plan.regions,
        clock: new NodeClock({
          offsetUs: Math.round(rng.range(-1, 1) * this.plan.skewMs * 1000),
          driftPpm: rng.range(-1, 1) * this.plan.driftPpm,
          monoZeroMs: rng.range(0, 1e6),
        }),
        endpoint: { address: `10.0.${index >> 8}.${index & 255}`, port: 8301 },
        store: disk,
      },
      this.#ports(rng.split('commits')),
    );
    this.gateways.push(gateway);
    this.observer.follow(gateway, disk);
    this.#boot(gateway, index === 0);
    this.clients.begin(gateway);
    return gateway;
  }

  /** The gateway's next batch that may write something ends its process. */
  doom(gateway: SimGateway, fate: BatchFate): void {
    this.#doomed.set(gateway, fate);
  }

  restart(gateway: SimGateway): void {
    this.#doomed.delete(gateway);
    if (gateway.isUp && !this.#left.has(gateway)) return;
    gateway.crash('to be started again');
    this.#left.delete(gateway);
    gateway.clock.restart(this.#rng.split(`restart ${gateway.name} ${gateway.run}`).range(0, 1e6));
    this.log(`${gateway.name} starts at ${gateway.endpoint.address}`);
    this.#boot(gateway, false);
  }

  /** It will start at another address. */
  move(gateway: SimGateway): void {
    const moves = (this.#moves.get(gateway) ?? 0) + 1;
    this.#moves.set(gateway, moves);
    gateway.endpoint = { address: `10.${moves}.${gateway.index >> 8}.${gateway.index & 255}`, port: 8301 };
  }

  /** Remembers the disk of every gateway as it is now. */
  backUp(): void {
    for (const gateway of this.gateways) {
      const backups = this.#backups.get(gateway) ?? [];
      backups.push({ atMs: this.nowMs, mark: (gateway.store as Disk).mark });
      this.#backups.set(gateway, backups);
    }
  }

  /** Puts a gateway's disk back; answers what was done. */
  restoreBackup(gateway: SimGateway, rng: Rng): string {
    const backups = this.#backups.get(gateway) ?? [];
    if (backups.length === 0) return 'but there is no backup yet';
    const backup = rng.pick(backups.slice(-4));
    const disk = gateway.store as Disk;
    this.#backups.set(
      gateway,
      backups.filter(({ mark }) => mark <= backup.mark),
    );
    this.observer.restoring(gateway);
    const restored = disk.restoredTo(backup.mark);
    gateway.store = restored;
    this.excuseOwned(gateway, readZones(restored));
    this.ledger.restored(gateway.nodeId, (origin) => headOnDisk(restored, origin, gateway.nodeId));
    this.observer.follow(gateway, restored);
    return `as it was ${(this.nowMs - backup.atMs).toFixed(0)} ms ago`;
  }

  leave(gateway: SimGateway): boolean {
    if (this.#left.has(gateway)) return false;
    this.#left.add(gateway);
    this.clients.ask(
      gateway,
      (token) => ({ kind: 'leave', token }),
      () => gateway.crash('it has left'),
    );
    return true;
  }

  /** The owner of some zone hands it to somebody; answers what was asked for. */
  handoff(rng: Rng): string | undefined {
    return this.#delegate(rng);
  }

  /** What the process around a machine does now and then: drops old tombstones that everybody has. */
  housekeeping(): void {
    const { tombstoneMs } = this.plan;
    if (tombstoneMs === undefined) return;
    for (const gateway of this.up) {
      const { now, machine } = gateway;
      const stableStamp = machine?.stableStamp(now);
      this.clients.command(
        gateway,
        {
          kind: 'collect-tombstones',
          belowIndex: now.wallUs - tombstoneMs * 1000,
          ...(stableStamp !== undefined && { stableStamp }),
          limit: 1000,
        },
        () => {},
      );
    }
  }

  /** Gives each zone of the plan to somebody; asks until it is done. */
  placeZones(): void {
    const rng = this.#rng.split('zones');
    for (let i = 0; i < this.plan.zones; i++) this.#place(`zone-${i}/`, rng.pick(this.gateways));
  }

  #place(prefix: string, to: SimGateway): void {
    const founder = this.gateways[0] as SimGateway;
    const command: Command = { kind: 'zone-delegate', prefix, toNodeId: to.nodeId };
    this.clients.command(founder, command, ({ kind }) => {
      this.log(`${prefix} for ${to.name}: ${kind}`);
      if (kind !== 'zone' && !this.#healing) this.queue.after(1000, () => this.#place(prefix, to));
    });
  }

  takeover(by: SimGateway, rng: Rng): string | undefined {
    const zones = by.machine?.replica.zones ?? [];
    const others = zones.filter(({ ownerId }) => ownerId !== by.nodeId);
    if (others.length === 0) return undefined;
    const { prefix } = rng.pick(others);
    this.#excuse(this.excuses.takenOver, zones, prefix);
    this.clients.command(by, { kind: 'zone-takeover', prefix, reason: 'simulated' } as never, (outcome) =>
      this.log(`takeover of ${JSON.stringify(prefix)} by ${by.name}: ${outcome.kind}`),
    );
    return `${JSON.stringify(prefix)} by ${by.name}`;
  }

  #delegate(rng: Rng): string | undefined {
    if (this.up.length === 0) return undefined;
    const asked = rng.pick(this.up);
    const zones = asked.machine?.replica.zones ?? [];
    if (zones.length === 0) return undefined;
    const prefix = rng.pick(this.#beginnings);
    const to = rng.pick(this.gateways);
    const command: Command = { kind: 'zone-delegate', prefix, toNodeId: to.nodeId };
    this.clients.command(asked, command, ({ kind }) =>
      this.log(`handoff of ${JSON.stringify(prefix)} to ${to.name}: ${kind}`),
    );
    return `${JSON.stringify(prefix)} to ${to.name}, asked of ${asked.name}`;
  }

  /** Who wrote a register, as this gateway knows it. */
  writerOf(gateway: SimGateway, row: Row): { readonly nodeId: string; readonly origin: string } | undefined {
    const known = gateway.machine?.replica.writer(row.origin);
    if (known !== undefined) return known;
    // While it boots: the first origin is its own, and may not be in the table yet.
    const stored = gateway.store.origins().find(({ ref }) => ref === row.origin);
    if (stored !== undefined) return { nodeId: stored.nodeId, origin: stored.id };
    return row.origin === ownOrigin
      ? { nodeId: gateway.nodeId, origin: firstOrigin(gateway.nodeId) }
      : undefined;
  }

  /** How much of an origin's log a gateway has without a gap. */
  seenUpTo(gateway: SimGateway, origin: string): number {
    const { machine } = gateway;
    if (machine === undefined) return 0;
    if (machine.replica.origin === origin) return machine.replica.headSeq;
    const first = machine.replica.originLog(origin as OriginId)?.seen[0];
    return first?.from === 1 ? first.to : 0;
  }

  /** A gateway is about to be restored that owns zones, in the eyes of these. */
  excuseOwned(gateway: SimGateway, zones: readonly ZoneValue[]): void {
    for (const { prefix, ownerId } of zones) {
      if (ownerId === gateway.nodeId) this.#excuse(this.excuses.restored, zones, prefix);
    }
  }

  /** Adds the beginnings of the keys that are in this zone. */
  #excuse(to: Set<string>, zones: readonly ZoneValue[], prefix: string): void {
    for (const beginning of this.#beginnings) {
      if (zoneOf(zones, `${beginning}x`)?.prefix === prefix) to.add(beginning);
    }
  }

  /** No more faults; everybody who is down starts. */
  heal(): void {
    this.#healing = true;
    this.#doomed.clear();
    this.network.heal();
    Object.assign(this.network.faults, perfectLinks);
    for (const gateway of this.gateways) {
      gateway.pausedUntilMs = 0;
      this.restart(gateway);
    }
  }

  get isHealing(): boolean {
    return this.#healing;
  }

  #boot(gateway: SimGateway, founds: boolean): void {
    const rng = this.#rng.split(`life ${gateway.name} ${gateway.run}`);
    const machine = bootMachine(gateway, {
      region: this.regionNames[gateway.region] ?? '',
      rng,
      founds,
      mutation: this.mutation,
    });
    gateway.start(machine);
    this.observer.started(gateway);
    for (const command of ownNode(gateway)) this.clients.command(gateway, command, () => {});
    if (!founds) this.#join(gateway, rng);
  }

  /** As `-retry-join`: asks again until it is in a cluster. */
  #join(gateway: SimGateway, rng: Rng): void {
    const { run } = gateway;
    const others = this.gateways.filter((other) => other !== gateway);
    if (gateway.run !== run || !gateway.isUp || others.length === 0) return;
    const endpoints = [this.gateways[0], rng.pick(others)].flatMap((each) =>
      each === undefined || each === gateway ? [] : [each.endpoint],
    );
    let answered = false;
    const again = (): void => {
      if (answered || gateway.run !== run) return;
      answered = true;
      this.queue.after(1000, () => {
        if (gateway.run === run && gateway.isUp) this.#join(gateway, rng);
      });
    };
    this.clients.ask(
      gateway,
      (token) => ({ kind: 'join', pool: 'lan', token, endpoints }),
      (effect) => {
        if (effect.kind === 'joined' && effect.count === 0) again();
        else answered = true;
      },
    );
    this.queue.after(15_000, again);
  }

  #ports(rng: Rng): GatewayPorts {
    const { commitMs } = this.plan;
    return {
      queue: this.queue,
      network: this.network,
      releasesFirst: this.mutation.releasesFirst ?? false,
      commitMs: () => 0.05 + rng.exponential(commitMs),
      fate: (gateway, batch) => {
        const fate = this.#doomed.get(gateway);
        if (fate === undefined || !batch.some(mayWrite)) return 'live';
        this.#doomed.delete(gateway);
        return fate;
      },
      committed: (gateway) => this.observer.committed(gateway),
      effect: (gateway, effect) => this.#effect(gateway, effect),
      died: (gateway, why) => {
        this.log(`${gateway.name} ends: ${why}`);
        this.clients.died(gateway);
      },
      sent: (gateway, to, lane, messages) => {
        if (this.#freeze) for (const message of messages) deepFreeze(message);
        const what = messages.map((message) => `${message.body.kind} ${messageBytes(message)}`).join(', ');
        this.log(`${gateway.name} -> ${to.address} ${lane}: ${what}`);
      },
    };
  }

  #effect(gateway: SimGateway, effect: Exclude<Effect, { kind: 'send' }>): void {
    if (effect.kind === 'member') {
      const { event, member } = effect.change;
      this.log(`${gateway.name} sees ${member.facts.name} ${event}`);
      if (event !== 'updated') this.clients.suspected(member.facts.id);
    } else if (effect.kind === 'notice') {
      this.log(`${gateway.name} says: ${effect.text} ${JSON.stringify(effect.facts)}`);
    }
    this.clients.effect(gateway, effect);
  }
}

function mayWrite(input: Input): boolean {
  if (input.kind !== 'received') return input.kind === 'command';
  return input.messages.some(({ body }) => body.kind === 'forward' || body.kind === 'dots');
}

/** How far an own log goes on a disk. */
function headOnDisk(disk: Disk, origin: string, nodeId: string): number {
  const row = disk.origins().find(({ id }) => id === origin);
  const ref = row?.ref ?? (origin === firstOrigin(nodeId) ? ownOrigin : undefined);
  return Math.max(row?.seen.at(-1)?.to ?? 0, ref === undefined ? 0 : disk.headSeq(ref));
}
