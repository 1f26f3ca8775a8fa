import type { OriginId } from '../../src/crdt/dot.ts';
import { must } from '../../src/kernel/assert.ts';
import type { Instant } from '../../src/kernel/instant.ts';
import { DueQueue } from '../../src/replication/due-queue.ts';
import { replicationMessage, type ReplicationMessage } from '../../src/replication/messages.ts';
import type { ReplicationTiming } from '../../src/replication/options.ts';
import { Replication } from '../../src/replication/replication.ts';
import type { Peer } from '../../src/replication/topology.ts';
import { endpointText, type Endpoint } from '../../src/wire/endpoint.ts';
import { fromBytes, toBytes } from '../../src/wire/schema.ts';
import { FakeLog } from './fake-log.ts';

/** Seeded chance: mulberry32. */
export function chance(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 0x1_0000_0000;
  };
}

export interface WorldOptions {
  readonly seed: number;
  /** Machines per region. */
  readonly regions: readonly number[];
  readonly lanMs?: number;
  /** One way between two regions. */
  readonly wanMs?: (a: number, b: number) => number;
  readonly loss?: number;
  readonly duplication?: number;
  /** Added to the delay of each packet, at random up to so much. */
  readonly jitterMs?: number;
  /** How long until membership notices who died, was cut off, or came back. */
  readonly noticeMs?: number;
  readonly probeEveryMs?: number;
  readonly headsBytes?: number;
  readonly timing?: Partial<ReplicationTiming>;
  /** Everything really goes through its bytes. */
  readonly encode?: boolean;
}

export interface Machine {
  readonly id: string;
  readonly index: number;
  readonly region: number;
  readonly endpoint: Endpoint;
  log: FakeLog;
  replication: Replication;
  up: boolean;
  paused: boolean;
  tickMs: number;
  receivedBytes: number;
  receivedPackets: number;
  byKind: Record<string, number>;
  /** Origins that a `behind` effect named. */
  behind: OriginId[];
  life: number;
}

/** What one datagram costs beside its messages: IP, UDP, and the envelope with its seal. */
const datagramBytes = 28 + 40;
const startWallUs = 1_750_000_000_000_000;

const hex = (n: number, digits: number): string => n.toString(16).padStart(digits, '0');

/** Machines over a virtual network and clock; membership is told what is true after a while. */
export class World {
  readonly machines: Machine[] = [];
  readonly options: WorldOptions;
  readonly random: () => number;
  nowMs = 0;
  loss: number;
  #queue = new DueQueue<() => void>();
  #byEndpoint = new Map<string, Machine>();
  #cut: (a: Machine, b: Machine) => boolean = () => false;
  #streamFreeMs = new Map<string, number>();
  onSent: ((from: Machine, to: Machine, bytes: number, message: ReplicationMessage) => void) | undefined;
  onReceived: ((machine: Machine, message: ReplicationMessage) => void) | undefined;

  constructor(options: WorldOptions) {
    this.options = options;
    this.random = chance(options.seed);
    this.loss = options.loss ?? 0;
    let index = 0;
    options.regions.forEach((count, region) => {
      for (let i = 0; i < count; i++) this.#add(index++, region);
    });
    this.announce();
    for (const machine of this.machines) this.#probeSoon(machine);
  }

  now(machine?: Machine): Instant {
    const skewUs = machine === undefined ? 0 : ((machine.index * 7919) % 21) * 10_000;
    const monoMs = this.nowMs + (machine === undefined ? 0 : machine.index * 1000);
    return { wallUs: startWallUs + Math.floor(this.nowMs * 1000) + skewUs, monoMs };
  }

  at(index: number): Machine {
    return must(this.machines[index]);
  }

  inRegion(region: number): readonly Machine[] {
    return this.machines.filter((machine) => machine.region === region);
  }

  write(machine: Machine, key: string, value: Uint8Array | null): void {
    this.step(machine, (now) => {
      const dot = machine.log.write([{ key, value }], now);
      machine.replication.committed([dot], now);
    });
  }

  /** Anything done to one machine: its effects leave afterwards. */
  step(machine: Machine, work: (now: Instant) => void): void {
    if (!machine.up || machine.paused) return;
    work(this.now(machine));
    this.#release(machine);
  }

  run(forMs: number): void {
    const endMs = this.nowMs + forMs;
    for (;;) {
      const nextMs = this.#queue.nextMs;
      if (nextMs > endMs) break;
      this.nowMs = Math.max(this.nowMs, nextMs);
      this.#queue.popDue(this.nowMs)?.();
    }
    this.nowMs = endMs;
  }

  /** Runs until it holds; answers how long that took, or undefined when it did not in time. */
  runUntil(holds: () => boolean, withinMs: number, stepMs = 20): number | undefined {
    const startMs = this.nowMs;
    while (this.nowMs - startMs <= withinMs) {
      if (holds()) return this.nowMs - startMs;
      this.run(stepMs);
    }
    return undefined;
  }

  later(afterMs: number, work: () => void): void {
    this.#queue.push(this.nowMs + afterMs, work);
  }

  /** From now on nothing passes between some; membership notices later. */
  partition(cut: (a: Machine, b: Machine) => boolean): void {
    this.#cut = cut;
    this.later(this.options.noticeMs ?? 3000, () => this.announce());
  }

  heal(): void {
    this.partition(() => false);
  }

  crash(machine: Machine): void {
    machine.up = false;
    this.later(this.options.noticeMs ?? 3000, () => this.announce());
  }

  restart(machine: Machine, log = machine.log, safeStamp = 0): void {
    machine.up = true;
    machine.paused = false;
    machine.life += 1;
    machine.log = log;
    machine.replication = this.#replication(machine, safeStamp);
    machine.tickMs = Number.POSITIVE_INFINITY;
    this.#tell(machine);
    this.later(this.options.noticeMs ?? 3000, () => this.announce());
    this.#probeSoon(machine);
  }

  join(region: number): Machine {
    const machine = this.#add(this.machines.length, region);
    this.announce();
    this.#probeSoon(machine);
    return machine;
  }

  /** Never comes back, and nobody waits for it. */
  forget(machine: Machine): void {
    machine.up = false;
    this.machines.splice(this.machines.indexOf(machine), 1);
    this.announce();
  }

  reachable(a: Machine, b: Machine): boolean {
    return a.up && b.up && !this.#cut(a, b);
  }

  announce(): void {
    for (const machine of this.machines) if (machine.up) this.#tell(machine);
  }

  alike(machines: readonly Machine[] = this.machines.filter(({ up }) => up)): boolean {
    const [first, ...rest] = machines;
    const digest = first?.replication.digest;
    if (rest.some(({ replication }) => replication.digest !== digest)) return false;
    const state = first?.log.state() ?? new Map<string, string>();
    return rest.every(({ log }) => {
      const other = log.state();
      return other.size === state.size && [...other].every(([name, row]) => state.get(name) === row);
    });
  }

  #add(index: number, region: number): Machine {
    const id = `${hex(index + 1, 8)}-0000-4000-8000-${hex(Math.floor(this.random() * 0xffff_ffff), 12)}`;
    const origin = (hex(index + 1, 8) + hex(Math.floor(this.random() * 0xffff_ffff), 24)) as OriginId;
    const endpoint = { address: `10.${region}.${index >> 8}.${index & 255}`, port: 8301 };
    const log = new FakeLog(origin, id);
    const machine = {
      ...{ id, index, region, endpoint, log, up: true, paused: false, tickMs: Number.POSITIVE_INFINITY },
      ...{ receivedBytes: 0, receivedPackets: 0, byKind: {}, behind: [], life: 0 },
    } as unknown as Machine;
    machine.replication = this.#replication(machine, 0);
    this.machines.push(machine);
    this.#byEndpoint.set(endpointText(endpoint), machine);
    return machine;
  }

  #replication(machine: Machine, safeStamp: number): Replication {
    return new Replication({
      log: machine.log,
      self: { id: machine.id, region: `r${machine.region}` },
      random: this.random,
      nowMs: this.now(machine).monoMs,
      timing: this.options.timing ?? {},
      safeStamp,
    });
  }

  #tell(machine: Machine): void {
    const peers = this.machines
      .filter((other) => other !== machine)
      .map((other): Peer => ({
        id: other.id,
        name: `gateway-${other.index}`,
        endpoint: other.endpoint,
        region: `r${other.region}`,
        origin: other.log.origin,
        live: this.reachable(machine, other),
        rttMs: 2 * this.#delayMs(machine, other),
      }));
    this.step(machine, (now) => machine.replication.setPeers(peers, now));
  }

  #delayMs(a: Machine, b: Machine): number {
    if (a.region === b.region) return this.options.lanMs ?? 0.3;
    return this.options.wanMs?.(a.region, b.region) ?? 50;
  }

  #release(machine: Machine): void {
    const shared = new Map<Machine, number>();
    for (const effect of machine.replication.takeEffects()) {
      if (effect.kind === 'behind') machine.behind.push(effect.ownOrigin);
      else {
        const to = must(this.#byEndpoint.get(endpointText(effect.to)));
        this.#send(machine, to, effect.lane, effect.message, shared);
      }
    }
    this.#schedule(machine);
  }

  #send(
    from: Machine,
    to: Machine,
    lane: 'packet' | 'stream',
    message: ReplicationMessage,
    shared: Map<Machine, number>,
  ): void {
    const encoded = toBytes(replicationMessage, message);
    const bytes = encoded.length;
    const passed = this.options.encode === true ? fromBytes(replicationMessage, encoded, 'message') : message;
    let cost = bytes;
    if (lane === 'packet' && bytes <= 1200) {
      const room = shared.get(to) ?? 0;
      // Several messages of one step share a datagram.
      if (room >= bytes) shared.set(to, room - bytes);
      else {
        shared.set(to, 1200 - bytes);
        cost += datagramBytes;
      }
      this.onSent?.(from, to, cost, message);
      if (this.random() < this.loss) return;
      const copies = this.random() < (this.options.duplication ?? 0) ? 2 : 1;
      for (let i = 0; i < copies; i++) this.#arrive(from, to, passed, cost, this.#packetMs(from, to));
      return;
    }
    cost += 40 * Math.ceil(bytes / 1400) + 50;
    this.onSent?.(from, to, cost, message);
    const name = `${from.index}>${to.index}`;
    const freeMs = Math.max(this.nowMs, this.#streamFreeMs.get(name) ?? 0) + bytes / 20_000;
    this.#streamFreeMs.set(name, freeMs);
    this.#arrive(from, to, passed, cost, freeMs - this.nowMs + this.#delayMs(from, to));
  }

  #packetMs(from: Machine, to: Machine): number {
    return this.#delayMs(from, to) + (this.options.jitterMs ?? 0) * this.random();
  }

  #arrive(from: Machine, to: Machine, message: ReplicationMessage, cost: number, afterMs: number): void {
    if (!this.reachable(from, to)) return;
    const { life } = to;
    this.later(afterMs, () => {
      if (to.life !== life || !this.reachable(from, to)) return;
      if (to.paused) {
        // It lies in the socket's buffer until the process goes on.
        this.later(50, () => this.#arrive(from, to, message, cost, 0));
        return;
      }
      to.receivedBytes += cost;
      to.receivedPackets += 1;
      to.byKind[message.kind] = (to.byKind[message.kind] ?? 0) + cost;
      this.step(to, (now) => to.replication.receive(from.endpoint, message, now));
      this.onReceived?.(to, message);
    });
  }

  #schedule(machine: Machine): void {
    const offsetMs = machine.index * 1000;
    const nextMs = Math.max(this.nowMs, machine.replication.nextTickMs - offsetMs);
    if (nextMs === Number.POSITIVE_INFINITY || machine.tickMs <= nextMs) return;
    machine.tickMs = nextMs;
    const { life } = machine;
    this.#queue.push(nextMs, () => {
      if (machine.life !== life || machine.tickMs !== nextMs) return;
      machine.tickMs = Number.POSITIVE_INFINITY;
      if (machine.paused) {
        this.later(50, () => this.#schedule(machine));
        return;
      }
      this.step(machine, (now) => machine.replication.tick(now));
    });
  }

  #probeSoon(machine: Machine): void {
    const everyMs = this.options.probeEveryMs ?? 1000;
    const { life } = machine;
    const probe = (): void => {
      if (machine.life !== life || !this.machines.includes(machine)) return;
      this.later(everyMs, probe);
      if (!machine.up || machine.paused) return;
      const others = this.machines.filter((other) => other !== machine && this.reachable(machine, other));
      const other = others[Math.floor(this.random() * others.length)];
      if (other !== undefined) this.#probe(machine, other);
    };
    this.later(everyMs * this.random(), probe);
  }

  /** A probe and its answer, with heads riding on both. */
  #probe(a: Machine, b: Machine): void {
    this.#heads(a, b, () => this.#heads(b, a, () => undefined));
  }

  #heads(from: Machine, to: Machine, then: () => void): void {
    this.step(from, (now) => {
      const message = from.replication.headsFor(to, this.options.headsBytes ?? 500, now);
      if (message === undefined || this.random() < this.loss) return;
      const bytes = toBytes(replicationMessage, message).length + datagramBytes;
      this.#arrive(from, to, message, bytes, this.#packetMs(from, to));
      this.later(this.#packetMs(from, to) + 0.05, then);
    });
  }
}
