import { connect, isIP, type Server, type Socket } from 'node:net';
import { endpointText, type Endpoint } from '../wire/endpoint.ts';
import {
  Connection,
  type CloseReason,
  type ConnectionEvents,
  type ConnectionOptions,
} from './gossip-connection.ts';
import type { DropReason, LossReason } from './gossip-counters.ts';

// Each peer has up to two streams, one for bulk (sync, whole state) and one for all else. One stream with bulk cut
// into pieces would not do: what the kernel has taken, up to megabytes, is not overtaken any more, and one lost
// segment of bulk would hold up everything behind it for a round trip.

export interface StreamsOptions extends ConnectionOptions {
  readonly connectMsMax: number;
  /** How long who connects may take to say who it is. */
  readonly greetingMsMax: number;
  /** After so long without a sign a stream is asked for one, after three times as long it is given up. */
  readonly silenceMsMax: number;
  /** A stream that carried no message for so long is closed by who dialled it. */
  readonly idleMs: number;
  /** Of each peer's stream; above it, what is newest is dropped and counted. */
  readonly queueBytesMax: number;
  /** Of all queues together. */
  readonly queueBytesTotalMax: number;
  /** Where connections come from; undefined: wherever the system chooses. */
  readonly localAddress?: string | undefined;
  readonly streamsMax: number;
  readonly allowed: (address: string) => boolean;
  readonly onReceived: (from: Endpoint, cluster: string, messages: readonly Uint8Array[]) => void;
  readonly onLost: (to: Endpoint, messages: number, reason: LossReason) => void;
  /** A connection ended for a reason that an operator may have to do with. */
  readonly onTrouble: (address: string, reason: CloseReason) => void;
}

/** Connections that have not proved anything yet; above it, the oldest goes. */
const greetingsMax = 256;
const backoffMsMin = 100;
const backoffMsMax = 3000;
const sweepMsMax = 1000;

interface Peer {
  readonly to: Endpoint;
  readonly bulk: boolean;
  readonly connections: Set<Connection>;
  dialling: Connection | undefined;
  queue: Uint8Array[];
  /** Those before it were written. */
  queueAt: number;
  queueBytes: number;
  failures: number;
  retryAtMs: number;
  retry: NodeJS.Timeout | undefined;
}

/** The streams of all peers: dials on demand, queues within bounds, closes what is idle, slow or dead. */
export class Streams {
  readonly #options: StreamsOptions;
  readonly #peers = new Map<string, Peer>();
  readonly #connections = new Set<Connection>();
  /** Since when; in order. */
  readonly #greetings = new Map<Connection, number>();
  readonly #sweepMs: number;
  readonly #sweeper: NodeJS.Timeout;
  readonly #events: ConnectionEvents;
  #queueBytes = 0;
  #closed = false;

  constructor(options: StreamsOptions) {
    this.#options = options;
    const { connectMsMax, greetingMsMax, silenceMsMax, idleMs } = options;
    this.#sweepMs = Math.min(sweepMsMax, Math.min(connectMsMax, greetingMsMax, silenceMsMax, idleMs) / 4);
    this.#sweeper = setInterval(() => this.#sweep(performance.now()), this.#sweepMs);
    this.#events = {
      opened: (connection) => this.#opened(connection),
      received: (connection, cluster, messages) => {
        if (connection.peer !== undefined) options.onReceived(connection.peer, cluster, messages);
      },
      drained: (connection) => {
        const peer = this.#peerOf(connection);
        if (peer !== undefined) this.#pump(peer);
      },
      closed: (connection, reason) => this.#ended(connection, reason),
    };
  }

  get open(): number {
    let open = 0;
    for (const connection of this.#connections) if (connection.state === 'open') open++;
    return open;
  }

  get queueBytes(): number {
    return this.#queueBytes;
  }

  get queueMessages(): number {
    let messages = 0;
    for (const peer of this.#peers.values()) messages += peer.queue.length - peer.queueAt;
    return messages;
  }

  send(to: Endpoint, message: Uint8Array, bulk: boolean): void {
    const { queueBytesMax, queueBytesTotalMax, frameBytesMax } = this.#options;
    const bytes = message.length;
    if (this.#closed) return this.#lose(to, 1, 'closed');
    if (isIP(to.address) === 0 || to.port === 0) return this.#lose(to, 1, 'bad-endpoint');
    if (bytes > frameBytesMax) return this.#lose(to, 1, 'too-large');
    const peer = this.#peer(to, bulk);
    // However large it is, one message may wait.
    const full = peer.queueBytes > 0 && peer.queueBytes + bytes > queueBytesMax;
    const allFull = this.#queueBytes > 0 && this.#queueBytes + bytes > queueBytesTotalMax;
    if (full || allFull) return this.#lose(to, 1, 'queue-full');
    peer.queue.push(message);
    peer.queueBytes += bytes;
    this.#queueBytes += bytes;
    this.#pump(peer);
  }

  accept(server: Server): void {
    server.on('connection', (socket: Socket) => {
      this.#options.counters.counts.accepts++;
      const refusal = this.#refusal(socket.remoteAddress);
      if (refusal !== undefined) {
        this.#options.counters.dropped(refusal);
        socket.on('error', () => undefined);
        socket.destroy();
        return;
      }
      if (this.#greetings.size >= greetingsMax) this.#dropOldestGreeting();
      this.#begin(socket, undefined);
    });
  }

  /** Lets what is queued go out for so long, then ends all. */
  async close(flushMsMax: number): Promise<void> {
    this.#closed = true;
    const until = performance.now() + flushMsMax;
    while (this.#isBusy() && performance.now() < until) {
      // eslint-disable-next-line no-await-in-loop
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    clearInterval(this.#sweeper);
    const ends = [...this.#connections].map(
      (connection) => new Promise((resolve) => connection.socket.once('close', resolve)),
    );
    for (const connection of this.#connections) connection.close('closed');
    for (const peer of this.#peers.values()) {
      clearTimeout(peer.retry);
      this.#dropQueue(peer, 'closed');
    }
    await Promise.all(ends);
  }

  #isBusy(): boolean {
    if (this.#queueBytes > 0) return true;
    for (const { socket } of this.#connections) if (socket.writableLength > 0) return true;
    return false;
  }

  /** @param address undefined: it is gone already */
  #refusal(address: string | undefined): DropReason | undefined {
    if (this.#closed || this.#connections.size >= this.#options.streamsMax) return 'streams-limit';
    if (address === undefined) return 'protocol';
    return this.#options.allowed(plainAddress(address)) ? undefined : 'not-allowed';
  }

  #begin(
    socket: Socket,
    to: { readonly endpoint: Endpoint; readonly bulk: boolean } | undefined,
  ): Connection {
    const connection = new Connection(socket, this.#options, this.#events, to);
    this.#connections.add(connection);
    this.#greetings.set(connection, performance.now());
    return connection;
  }

  #peer(to: Endpoint, bulk: boolean): Peer {
    const key = peerKey(to, bulk);
    const held = this.#peers.get(key);
    if (held !== undefined) return held;
    const peer: Peer = {
      to,
      bulk,
      connections: new Set(),
      dialling: undefined,
      queue: [],
      queueAt: 0,
      queueBytes: 0,
      failures: 0,
      retryAtMs: 0,
      retry: undefined,
    };
    this.#peers.set(key, peer);
    return peer;
  }

  #peerOf({ peer, bulk }: Connection): Peer | undefined {
    return peer === undefined ? undefined : this.#peers.get(peerKey(peer, bulk));
  }

  #opened(connection: Connection): void {
    this.#greetings.delete(connection);
    if (connection.peer === undefined) return;
    const peer = this.#peer(connection.peer, connection.bulk);
    peer.connections.add(connection);
    if (connection.role === 'initiator') this.#options.counters.counts.connects++;
    if (peer.dialling === connection) peer.dialling = undefined;
    peer.failures = 0;
    peer.retryAtMs = 0;
    this.#pump(peer);
  }

  /** Writes what the best connection has room for; without one, dials. */
  #pump(peer: Peer): void {
    if (peer.queueAt === peer.queue.length) return;
    const connection = freshest(peer.connections);
    if (connection === undefined) return this.#dial(peer);
    while (peer.queueAt < peer.queue.length && connection.hasRoom) {
      const taken = connection.write(peer.queue, peer.queueAt);
      for (let i = peer.queueAt; i < peer.queueAt + taken; i++) {
        const bytes = (peer.queue[i] as Uint8Array).length;
        peer.queueBytes -= bytes;
        this.#queueBytes -= bytes;
      }
      peer.queueAt += taken;
    }
    if (peer.queueAt === peer.queue.length || peer.queueAt > 1024) {
      peer.queue.splice(0, peer.queueAt);
      peer.queueAt = 0;
    }
  }

  #dial(peer: Peer): void {
    if (peer.dialling !== undefined || peer.retry !== undefined) return;
    const waitMs = peer.retryAtMs - performance.now();
    if (waitMs > 0) {
      peer.retry = setTimeout(() => {
        peer.retry = undefined;
        this.#pump(peer);
      }, waitMs);
      return;
    }
    if (this.#connections.size >= this.#options.streamsMax) {
      this.#options.counters.dropped('streams-limit');
      return this.#dropQueue(peer, 'streams-limit');
    }
    const { localAddress } = this.#options;
    // As packets do: who has several addresses comes from the one that it is known by.
    const from =
      localAddress !== undefined && isIP(localAddress) === isIP(peer.to.address) ? { localAddress } : {};
    const socket = connect({ host: peer.to.address, port: peer.to.port, ...from });
    peer.dialling = this.#begin(socket, { endpoint: peer.to, bulk: peer.bulk });
  }

  #ended(connection: Connection, reason: CloseReason): void {
    this.#connections.delete(connection);
    this.#greetings.delete(connection);
    if (reason !== 'ended' && reason !== 'idle' && reason !== 'closed' && reason !== 'failed') {
      this.#options.onTrouble(plainAddress(connection.socket.remoteAddress ?? ''), reason);
    }
    const peer = this.#peerOf(connection);
    if (peer === undefined) return;
    peer.connections.delete(connection);
    if (peer.dialling === connection) {
      peer.dialling = undefined;
      this.#options.counters.counts.connectsFailed++;
      const backoffMs = Math.min(backoffMsMin * 2 ** Math.min(peer.failures, 10), backoffMsMax);
      peer.retryAtMs = performance.now() + backoffMs * (0.5 + Math.random() / 2);
      peer.failures++;
      this.#dropQueue(peer, 'unreachable');
    } else if (this.#closed) {
      this.#dropQueue(peer, 'closed');
    } else {
      // What was not written yet may go over another stream; what was, is lost or not: nobody can know.
      this.#pump(peer);
    }
  }

  #dropQueue(peer: Peer, reason: LossReason): void {
    const messages = peer.queue.length - peer.queueAt;
    this.#queueBytes -= peer.queueBytes;
    peer.queue = [];
    peer.queueAt = 0;
    peer.queueBytes = 0;
    if (messages > 0) this.#lose(peer.to, messages, reason);
  }

  #lose(to: Endpoint, messages: number, reason: LossReason): void {
    this.#options.counters.lost(reason, messages);
    this.#options.onLost(to, messages, reason);
  }

  #dropOldestGreeting(): void {
    for (const [oldest] of this.#greetings) {
      if (oldest.role === 'initiator') continue;
      this.#options.counters.dropped('streams-limit');
      oldest.close('streams-limit');
      return;
    }
  }

  #sweep(nowMs: number): void {
    for (const [connection, sinceMs] of this.#greetings) {
      const msMax =
        connection.role === 'initiator' ? this.#options.connectMsMax : this.#options.greetingMsMax;
      if (nowMs - sinceMs < msMax) continue;
      if (connection.role === 'responder') this.#options.counters.dropped('handshake-timeout');
      connection.close('handshake-timeout');
    }
    for (const connection of this.#connections) {
      if (connection.state === 'open') this.#sweepOpen(connection, nowMs);
    }
    for (const [key, peer] of this.#peers) {
      const used =
        peer.connections.size > 0 || peer.dialling !== undefined || peer.queueAt < peer.queue.length;
      if (!used && peer.retryAtMs <= nowMs) this.#peers.delete(key);
    }
  }

  #sweepOpen(connection: Connection, nowMs: number): void {
    const { idleMs, silenceMsMax, counters } = this.#options;
    const silentMs = nowMs - connection.heardAtMs;
    // Who dialled closes first, so that both sides do not do it at once.
    const idleMsMax = connection.role === 'initiator' ? idleMs : idleMs * 1.5 + this.#sweepMs;
    if (silentMs > 3 * silenceMsMax) {
      counters.dropped('half-open');
      connection.close('half-open');
    } else if (nowMs - connection.usedAtMs > idleMsMax && connection.socket.writableLength === 0) {
      connection.close('idle');
    } else if (silentMs > silenceMsMax) {
      connection.ping();
    }
  }
}

function peerKey(to: Endpoint, bulk: boolean): string {
  return bulk ? `${endpointText(to)} bulk` : endpointText(to);
}

/** The connection that something came over last: replies take the way of the request, and a dead one falls behind. */
function freshest(connections: ReadonlySet<Connection>): Connection | undefined {
  let best: Connection | undefined;
  for (const connection of connections) {
    if (connection.state === 'open' && (best === undefined || connection.heardAtMs > best.heardAtMs))
      best = connection;
  }
  return best;
}

/** Without the prefix that a socket of both families gives to addresses of IPv4. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address;
}
