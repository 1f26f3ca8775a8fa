import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { isIP, isIPv4 } from 'node:net';
import { endpointText, type Endpoint } from '../wire/endpoint.ts';
import { bytesInBody, envelopeOverheadBytes, messagesPerEnvelopeMax } from '../wire/envelope.ts';
import type { DropReason, GossipCounters, LossReason } from './gossip-counters.ts';
import { Opener, Sealer, type SealContext } from './gossip-seal.ts';
import { plainAddress } from './gossip-streams.ts';

export interface PacketsOptions extends SealContext {
  readonly cluster: () => string;
  readonly counters: GossipCounters;
  readonly packetBytesMax: number;
  readonly allowed: (address: string) => boolean;
  readonly onReceived: (from: Endpoint, cluster: string, messages: readonly Uint8Array[]) => void;
  readonly onLost: (to: Endpoint, messages: number, reason: LossReason) => void;
  readonly onTrouble: (address: string, reason: DropReason) => void;
}

/** Larger ones are dropped unread: no gateway sends them, whatever its own limit is. */
const datagramBytesMax = 9216;
/** Senders whose counters are remembered: more than a pool has members. */
const sessionsMax = 8192;
/** What the system has not taken yet; above it, packets are dropped, as the network itself does. */
const sendQueueBytesMax = 4 * 1024 * 1024;
/** Bursts of a large pool arrive while this process is busy with a commit. The system may grant less. */
const socketBufferBytes = 4 * 1024 * 1024;

interface Pending {
  readonly to: Endpoint;
  messages: Uint8Array[];
  bytes: number;
}

/** The UDP side: messages of one turn to one endpoint share packets. */
export class Packets {
  readonly #options: PacketsOptions;
  readonly #socket: Socket;
  readonly #sealer: Sealer;
  readonly #opener: Opener;
  readonly #isIPv6: boolean;
  readonly #pending = new Map<string, Pending>();
  readonly bodyBytesMax: number;
  #flushing = false;
  #closed = false;

  private constructor(socket: Socket, isIPv6: boolean, options: PacketsOptions) {
    this.#options = options;
    this.#socket = socket;
    this.#isIPv6 = isIPv6;
    this.bodyBytesMax = options.packetBytesMax - envelopeOverheadBytes;
    this.#sealer = new Sealer(options, options.cluster);
    this.#opener = new Opener(options, { sessionsMax });
    socket.on('message', (raw, from) => this.#take(raw, from));
    socket.on('error', (error) => options.counters.socketError(error));
  }

  /** Rejects with the system's error when the port cannot be had. */
  static async open({ address, port }: Endpoint, options: PacketsOptions): Promise<Packets> {
    const isIPv6 = !isIPv4(address);
    const socket = createSocket({
      type: isIPv6 ? 'udp6' : 'udp4',
      // Addresses are literal: nothing is to be looked up, nor to be waited for.
      lookup: (host, _, done) => done(null, host, isIPv6 ? 6 : 4),
    });
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind(port, address, () => {
        socket.off('error', reject);
        resolve();
      });
    });
    for (const raise of [socket.setRecvBufferSize.bind(socket), socket.setSendBufferSize.bind(socket)]) {
      try {
        raise(socketBufferBytes);
      } catch (error) {
        options.counters.socketError(error as Error);
      }
    }
    return new Packets(socket, isIPv6, options);
  }

  get port(): number {
    return this.#socket.address().port;
  }

  /** Whether a message of this size goes into a packet. */
  fits(messageBytes: number): boolean {
    return bytesInBody(messageBytes) <= this.bodyBytesMax;
  }

  send(to: Endpoint, message: Uint8Array): void {
    const key = endpointText(to);
    let pending = this.#pending.get(key);
    if (pending === undefined) {
      pending = { to, messages: [], bytes: 0 };
      this.#pending.set(key, pending);
    }
    const bytes = bytesInBody(message.length);
    if (pending.bytes + bytes > this.bodyBytesMax || pending.messages.length === messagesPerEnvelopeMax) {
      this.#sendNow(pending);
    }
    pending.messages.push(message);
    pending.bytes += bytes;
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => this.flush());
  }

  flush(): void {
    this.#flushing = false;
    if (this.#pending.size === 0) return;
    const all = [...this.#pending.values()];
    this.#pending.clear();
    for (const pending of all) this.#sendNow(pending);
  }

  close(): Promise<void> {
    this.flush();
    this.#closed = true;
    return new Promise((resolve) => this.#socket.close(() => resolve()));
  }

  #sendNow(pending: Pending): void {
    const { to, messages } = pending;
    pending.messages = [];
    pending.bytes = 0;
    const address = this.#reachable(to.address);
    if (this.#closed) return this.#lose(to, messages.length, 'closed');
    if (address === undefined || to.port === 0) return this.#lose(to, messages.length, 'bad-endpoint');
    if (this.#socket.getSendQueueSize() > sendQueueBytesMax)
      return this.#lose(to, messages.length, 'queue-full');
    const { counters } = this.#options;
    this.#socket.send(this.#sealer.seal(messages), to.port, address, (error, bytes) => {
      if (error === null) {
        counters.counts.packetsOut++;
        counters.counts.packetBytesOut += bytes;
        counters.counts.messagesOut += messages.length;
        return;
      }
      counters.socketError(error);
      this.#lose(to, messages.length, 'send-failed');
    });
  }

  /** As this socket's family writes it. */
  #reachable(address: string): string | undefined {
    const family = isIP(address);
    if (family === 0 || (family === 6 && !this.#isIPv6)) return undefined;
    return family === 4 && this.#isIPv6 ? `::ffff:${address}` : address;
  }

  #take(raw: Buffer, { address: seen, port }: RemoteInfo): void {
    const { counters, allowed, onReceived } = this.#options;
    counters.counts.packetsIn++;
    counters.counts.packetBytesIn += raw.length;
    const address = plainAddress(seen);
    if (!allowed(address)) return counters.dropped('not-allowed');
    if (raw.length > datagramBytesMax) return counters.dropped('oversized');
    const opened = this.#opener.open(raw);
    if (opened.kind === 'dropped') {
      counters.dropped(opened.reason);
      this.#options.onTrouble(address, opened.reason);
      return;
    }
    if (opened.messages.length === 0) return;
    counters.counts.messagesIn += opened.messages.length;
    onReceived({ address, port }, opened.header.cluster, opened.messages);
  }

  #lose(to: Endpoint, messages: number, reason: LossReason): void {
    this.#options.counters.lost(reason, messages);
    this.#options.onLost(to, messages, reason);
  }
}
