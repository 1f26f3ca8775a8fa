import type { Endpoint } from '../../../src/wire/endpoint.ts';
import { oneWayMs, type City } from './cities.ts';
import type { EventQueue } from './event-queue.ts';
import type { Rng } from './rng.ts';

export type Lane = 'packet' | 'stream';

/** Something that can be reached: one machine at one place. */
export interface Host {
  readonly index: number;
  readonly region: number;
  /** Changes when the process starts again: what was under way to the old one is lost. */
  readonly run: number;
  receive(from: Endpoint, payload: unknown): void;
}

/** What a network does to what is sent; may be changed while it runs. Probabilities are per datagram. */
export interface LinkFaults {
  loss: number;
  duplication: number;
  /** That a datagram is held back for up to `reorderMs`. */
  reordering: number;
  reorderMs: number;
  /** Mean of the extra delay of every datagram (exponential). */
  jitterMs: number;
  /** Factor on the delay between regions. */
  slowness: number;
}

export const perfectLinks: LinkFaults = {
  loss: 0,
  duplication: 0,
  reordering: 0,
  reorderMs: 0,
  jitterMs: 0,
  slowness: 1,
};

/** Bytes of the headers around one datagram: IPv4 20, UDP 8. */
const packetHeaderBytes = 28;
/** Bytes around what one write to a connection carries: IPv4 20, TCP 20 with timestamps 12; and what acknowledges it. */
const streamHeaderBytes = 52 + 52;
/** Three empty segments for the handshake. */
const connectBytes = 3 * 52;

/** TCP's least timeout before it sends again what was lost (RFC 6298 says 1 s, Linux takes 200 ms). */
const tcpTimeoutMs = 200;
/** A connection that nobody uses is closed after this time. */
const idleMs = 60_000;
const refusedMs = 50;

interface Connection {
  /** When the last bytes of it arrive: nothing overtakes them. */
  arrivesMs: number;
  usedMs: number;
  broken: boolean;
  readonly targetRun: number;
}

export interface Traffic {
  sentBytes: number;
  receivedBytes: number;
  sentMessages: number;
  datagrams: number;
}

/** Who cannot reach whom: tells whether what goes from one host to another is lost. */
export type Cut = (from: Host, to: Host) => boolean;

/**
 * A network with delays of real places, and with faults. Payloads are passed as they are: not copied.
 * - packet lane: each datagram is lost, doubled, delayed on its own;
 * - stream lane: in order, and without loss as long as the connection lives. It takes a round trip to connect;
 *   loss on the link costs time (TCP sends again); a cut or a restart loses what is under way.
 */
export class Network {
  readonly faults: LinkFaults = { ...perfectLinks };
  readonly #queue: EventQueue;
  readonly #rng: Rng;
  readonly #delays: readonly Float64Array[];
  readonly #places = new Map<string, Map<number, Host>>();
  readonly #connections = new Map<Host, Map<Host, Connection>>();
  readonly #traffic: Traffic[] = [];
  readonly #cuts = new Set<Cut>();

  constructor(queue: EventQueue, rng: Rng, regions: readonly City[]) {
    this.#queue = queue;
    this.#rng = rng;
    this.#delays = regions.map((from) => Float64Array.from(regions, (to) => oneWayMs(from, to)));
  }

  /** The delay of a perfect network. */
  delayMs(fromRegion: number, toRegion: number): number {
    return this.#delays[fromRegion]?.[toRegion] ?? 0;
  }

  get slowestMs(): number {
    return Math.max(...this.#delays.flatMap((row) => [...row]));
  }

  trafficOf(host: Host): Traffic {
    return (this.#traffic[host.index] ??= { sentBytes: 0, receivedBytes: 0, sentMessages: 0, datagrams: 0 });
  }

  attach(at: Endpoint, host: Host): void {
    let ports = this.#places.get(at.address);
    if (ports === undefined) this.#places.set(at.address, (ports = new Map<number, Host>()));
    ports.set(at.port, host);
  }

  detach(at: Endpoint): void {
    this.#places.get(at.address)?.delete(at.port);
  }

  /** Adds a reason for which hosts cannot reach each other; answers how to take it back. */
  cut(rule: Cut): () => void {
    this.#cuts.add(rule);
    return () => this.#cuts.delete(rule);
  }

  heal(): void {
    this.#cuts.clear();
    Object.assign(this.faults, perfectLinks);
  }

  isCutBetween(a: Host, b: Host): boolean {
    return this.#isCut(a, b) || this.#isCut(b, a);
  }

  get isCut(): boolean {
    return this.#cuts.size > 0;
  }

  /** `lost` is called when what was sent over the stream certainly did not arrive. */
  send(
    source: Host,
    from: Endpoint,
    to: Endpoint,
    lane: Lane,
    bytes: number,
    payload: unknown,
    lost: () => void = () => {},
  ): void {
    const target = this.#places.get(to.address)?.get(to.port);
    const traffic = this.trafficOf(source);
    traffic.sentMessages += 1;
    traffic.sentBytes += bytes + (lane === 'packet' ? packetHeaderBytes : streamHeaderBytes);
    if (lane === 'packet') {
      if (target !== undefined) this.#sendPacket(source, from, target, bytes, payload);
    } else if (target !== undefined) {
      this.#sendStream(source, from, target, bytes, payload, lost);
    } else {
      // Nobody listens there: refused after a round trip of some length.
      this.#queue.after(refusedMs, lost);
    }
  }

  #sendPacket(source: Host, from: Endpoint, target: Host, bytes: number, payload: unknown): void {
    const { faults } = this;
    if (this.#lost(source, target)) return;
    const copies = faults.duplication > 0 && this.#rng.chance(faults.duplication) ? 2 : 1;
    const { run } = target;
    for (let copy = 0; copy < copies; copy++) {
      this.#queue.after(this.#delay(source, target), () => {
        if (target.run !== run || this.#isCut(source, target)) return;
        this.#arrived(target, bytes + packetHeaderBytes);
        target.receive(from, payload);
      });
    }
  }

  #sendStream(
    source: Host,
    from: Endpoint,
    target: Host,
    bytes: number,
    payload: unknown,
    lost: () => void,
  ): void {
    const nowMs = this.#queue.nowMs;
    let peers = this.#connections.get(source);
    if (peers === undefined) this.#connections.set(source, (peers = new Map<Host, Connection>()));
    let connection = peers.get(target);
    let sendMs = nowMs;
    if (
      connection === undefined ||
      connection.broken ||
      connection.targetRun !== target.run ||
      nowMs - connection.usedMs > idleMs
    ) {
      connection = { arrivesMs: 0, usedMs: nowMs, broken: false, targetRun: target.run };
      peers.set(target, connection);
      sendMs += this.#delay(source, target) + this.#delay(target, source);
      this.trafficOf(source).sentBytes += connectBytes;
    }
    connection.usedMs = nowMs;
    // What the link loses TCP sends again after its timeout, and everything behind it waits.
    for (let tries = 0; tries < 6 && this.#lost(source, target); tries++) sendMs += tcpTimeoutMs * 2 ** tries;
    const live = connection;
    live.arrivesMs = Math.max(live.arrivesMs, sendMs + this.#delay(source, target));
    this.#queue.at(live.arrivesMs, () => {
      if (live.broken || target.run !== live.targetRun || this.#isCut(source, target)) {
        live.broken = true;
        lost();
        return;
      }
      this.#arrived(target, bytes + streamHeaderBytes);
      target.receive(from, payload);
    });
  }

  /** The process is gone, and its connections with it. */
  hangUp(host: Host): void {
    for (const connection of this.#connections.get(host)?.values() ?? []) connection.broken = true;
    this.#connections.delete(host);
  }

  #arrived(target: Host, bytes: number): void {
    const traffic = this.trafficOf(target);
    traffic.receivedBytes += bytes;
    traffic.datagrams += 1;
  }

  #lost(source: Host, target: Host): boolean {
    const { loss } = this.faults;
    return (loss > 0 && source !== target && this.#rng.chance(loss)) || this.#isCut(source, target);
  }

  #isCut(source: Host, target: Host): boolean {
    for (const rule of this.#cuts) if (rule(source, target)) return true;
    return false;
  }

  #delay(source: Host, target: Host): number {
    const { faults } = this;
    const base = this.delayMs(source.region, target.region);
    let delay = source.region === target.region ? base : base * faults.slowness;
    if (faults.jitterMs > 0) delay += this.#rng.exponential(faults.jitterMs);
    if (faults.reordering > 0 && this.#rng.chance(faults.reordering))
      delay += this.#rng.range(0, faults.reorderMs);
    return delay;
  }
}
