import type { Instant } from '../../../src/kernel/instant.ts';
import type { GatewayMachine } from '../../../src/node/gateway-machine.ts';
import type { Effect, Input, Lane } from '../../../src/node/machine-port.ts';
import type { Message } from '../../../src/node/message.ts';
import type { Store } from '../../../src/state/store.ts';
import type { Endpoint } from '../../../src/wire/endpoint.ts';
import { envelopeOverheadBytes } from '../../../src/wire/envelope.ts';
import type { NodeClock } from './clock.ts';
import type { EventQueue } from './event-queue.ts';
import type { Host, Network } from './network.ts';
import { bodyBytesMax, messageBytes } from './wire-size.ts';

/** What is written on a datagram or a frame. */
interface Parcel {
  readonly cluster: string;
  readonly messages: readonly Message[];
}

/** How a batch ends: well, or with the end of the process. */
export type BatchFate = 'live' | 'dies-before-commit' | 'dies-after-commit';

export interface GatewayPorts {
  readonly queue: EventQueue;
  readonly network: Network;
  /** How long it takes from an input until its transaction is on disk, in ms. */
  readonly commitMs: () => number;
  /** Asked before each batch. */
  readonly fate: (gateway: SimGateway, batch: readonly Input[]) => BatchFate;
  /** Called after each batch that was committed, before anything of it is released. */
  readonly committed: (gateway: SimGateway) => void;
  /** Every effect but sending. */
  readonly effect: (gateway: SimGateway, effect: Exclude<Effect, { kind: 'send' }>) => void;
  readonly sent?: (gateway: SimGateway, to: Endpoint, lane: Lane, messages: readonly Message[]) => void;
  readonly died: (gateway: SimGateway, why: string) => void;
  /** Broken on purpose: lets everything out before it is on disk. */
  readonly releasesFirst?: boolean;
}

/** Datagrams that a stopped process's socket keeps. Guess: some 200 KiB of buffer. */
const inboxMax = 500;

/** A process with one gateway's machine in it, on a virtual clock and network. What it is when it is not running: a disk. */
export class SimGateway implements Host {
  readonly index: number;
  readonly name: string;
  readonly nodeId: string;
  readonly region: number;
  readonly clock: NodeClock;
  endpoint: Endpoint;
  store: Store;
  run = 0;
  /** The process stands still (SIGSTOP) until this time. */
  pausedUntilMs = 0;
  /** Ticks of this process and those before it. */
  ticks = 0;
  #machine: GatewayMachine | undefined;
  readonly #ports: GatewayPorts;
  #inbox: Input[] = [];
  #drainAtMs = Infinity;
  #tickAtMs = Infinity;

  constructor(
    identity: {
      readonly index: number;
      readonly name: string;
      readonly nodeId: string;
      readonly region: number;
      readonly clock: NodeClock;
      readonly endpoint: Endpoint;
      readonly store: Store;
    },
    ports: GatewayPorts,
  ) {
    this.index = identity.index;
    this.name = identity.name;
    this.nodeId = identity.nodeId;
    this.region = identity.region;
    this.clock = identity.clock;
    this.endpoint = identity.endpoint;
    this.store = identity.store;
    this.#ports = ports;
  }

  /** Undefined while the process is not running. */
  get machine(): GatewayMachine | undefined {
    return this.#machine;
  }

  get isUp(): boolean {
    return this.#machine !== undefined;
  }

  get now(): Instant {
    return this.clock.read(this.#ports.queue.nowMs);
  }

  start(machine: GatewayMachine): void {
    this.#machine = machine;
    this.run += 1;
    this.#inbox = [];
    this.#drainAtMs = this.#tickAtMs = Infinity;
    this.#ports.network.attach(this.endpoint, this);
    this.propose({ kind: 'tick' });
  }

  /** The process ends, now: what it had in memory is gone. */
  crash(why: string): void {
    if (this.#machine === undefined) return;
    this.#machine = undefined;
    this.run += 1;
    this.#inbox = [];
    this.#drainAtMs = this.#tickAtMs = Infinity;
    this.pausedUntilMs = 0;
    this.#ports.network.detach(this.endpoint);
    this.#ports.network.hangUp(this);
    this.#ports.died(this, why);
  }

  receive(from: Endpoint, payload: unknown): void {
    if (this.#machine === undefined) return;
    if (this.#ports.queue.nowMs < this.pausedUntilMs && this.#inbox.length >= inboxMax) return;
    const { cluster, messages } = payload as Parcel;
    this.propose({ kind: 'received', pool: 'lan', from, cluster, messages });
  }

  propose(input: Input): void {
    if (this.#machine === undefined) return;
    this.#inbox.push(input);
    if (this.#drainAtMs !== Infinity) return;
    const { queue, commitMs } = this.#ports;
    this.#drainAt(Math.max(queue.nowMs, this.pausedUntilMs) + commitMs());
  }

  #drainAt(atMs: number): void {
    this.#drainAtMs = atMs;
    const { run } = this;
    this.#ports.queue.at(atMs, () => {
      if (this.run === run && this.#drainAtMs === atMs) this.#drain();
    });
  }

  #drain(): void {
    const { queue } = this.#ports;
    if (queue.nowMs < this.pausedUntilMs) return this.#drainAt(this.pausedUntilMs);
    this.#drainAtMs = Infinity;
    const machine = this.#machine as GatewayMachine;
    const batch = this.#inbox;
    this.#inbox = [];
    const fate = this.#ports.fate(this, batch);
    const now = this.now;
    try {
      this.store.transact(() => {
        for (const input of batch) machine.step(input, now);
        machine.endBatch(now);
        if (this.#ports.releasesFirst === true) this.#release(machine);
        if (fate === 'dies-before-commit') throw new DiedInBatch();
      });
    } catch (error) {
      if (!(error instanceof DiedInBatch)) throw error;
      return this.crash('before its transaction was on disk');
    }
    this.#ports.committed(this);
    if (fate === 'dies-after-commit') return this.crash('after its transaction was on disk');
    this.#release(machine);
    if (this.#machine !== machine) return undefined;
    machine.takeTouched();
    return this.#planTick(machine);
  }

  #planTick(machine: GatewayMachine): void {
    const { queue } = this.#ports;
    const dueMs = this.clock.trueMs(machine.nextTickMs);
    if (dueMs === Infinity) return;
    // As a timer of the operating system: not twice in a millisecond.
    const atMs = Math.max(dueMs, queue.nowMs + 1);
    if (this.#tickAtMs <= atMs && this.#tickAtMs > queue.nowMs) return;
    this.#tickAtMs = atMs;
    const { run } = this;
    queue.at(atMs, () => {
      if (this.run !== run || this.#tickAtMs !== atMs) return;
      this.#tickAtMs = Infinity;
      this.#inbox.push({ kind: 'tick' });
      this.ticks += 1;
      this.#drain();
    });
  }

  #release(machine: GatewayMachine): void {
    const { cluster } = machine;
    const packets = new Map<string, { readonly to: Endpoint; bytes: number; messages: Message[] }>();
    for (const effect of machine.takeEffects()) {
      if (effect.kind !== 'send') {
        this.#ports.effect(this, effect);
        if (this.#machine !== machine) return;
        continue;
      }
      const { to, message } = effect;
      const bytes = messageBytes(message);
      if (effect.lane === 'stream' || bytes > bodyBytesMax) {
        this.#post(to, 'stream', cluster, [message], bytes);
        continue;
      }
      const place = `${to.address}:${to.port}`;
      const open = packets.get(place);
      if (open !== undefined && open.bytes + bytes <= bodyBytesMax) {
        open.bytes += bytes;
        open.messages.push(message);
        continue;
      }
      if (open !== undefined) this.#post(open.to, 'packet', cluster, open.messages, open.bytes);
      packets.set(place, { to, bytes, messages: [message] });
    }
    for (const { to, bytes, messages } of packets.values())
      this.#post(to, 'packet', cluster, messages, bytes);
  }

  #post(to: Endpoint, lane: Lane, cluster: string, messages: readonly Message[], bytes: number): void {
    const { network, sent } = this.#ports;
    sent?.(this, to, lane, messages);
    const parcel: Parcel = { cluster, messages };
    const { run } = this;
    network.send(this, this.endpoint, to, lane, bytes + envelopeOverheadBytes, parcel, () => {
      if (this.run === run) this.propose({ kind: 'lost', pool: 'lan', to, reason: 'connection refused' });
    });
  }
}

class DiedInBatch extends Error {
  override readonly name = 'DiedInBatch';
}
