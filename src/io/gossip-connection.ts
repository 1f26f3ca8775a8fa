import { isIP, type Socket } from 'node:net';
import { endpoint, type Endpoint } from '../wire/endpoint.ts';
import { bytesInBody, envelopeOverheadBytes, Flag, messagesPerEnvelopeMax } from '../wire/envelope.ts';
import { FrameReader, frameLengthBytes } from '../wire/frame-reader.ts';
import { flag, fromBytes, struct, toBytes, type Schema } from '../wire/schema.ts';
import type { DropReason, GossipCounters } from './gossip-counters.ts';
import { isOf, Opener, Sealer, type SealContext } from './gossip-seal.ts';

// How a stream begins. Who accepted speaks first: a hello under a fresh session. Who dialled answers with its own
// hello, sealed with a key that depends on both sessions, and so does everything after it, in both directions: neither
// side can be talked to by a recording. Messages follow the hello at once, so a new stream costs its first message
// one round trip more than TCP itself does.

/** What a side of a stream says of itself. */
interface Hello {
  /** Where its own gossip is reached. */
  readonly endpoint: Endpoint;
  /** This stream is for large messages that nobody waits for. */
  readonly bulk: boolean;
}

const hello: Schema<Hello> = struct<Hello>({ endpoint, bulk: flag });

/** Longest first frame: what somebody who has proved nothing yet can make this gateway hold. */
const helloBytesMax = 1024;
/** Small messages share frames up to this size. */
const frameBytesUsual = 64 * 1024;
/** How long what was written has to leave when a connection ends. */
const softEndMs = 1000;
/** After so much, others have their turn. */
const sliceBytes = 1024 * 1024;

export interface ConnectionOptions extends SealContext {
  readonly cluster: () => string;
  readonly counters: GossipCounters;
  /** Of this gateway. */
  readonly advertise: () => Endpoint;
  /** Longest message. */
  readonly frameBytesMax: number;
}

export type CloseReason = DropReason | 'ended' | 'idle' | 'failed' | 'closed';

/** What the owner of a connection is told; each at most as its name says, never after `closed`. */
export interface ConnectionEvents {
  /** Once: the other side has proved that it holds a key of the ring, and may be sent to. */
  opened(connection: Connection): void;
  received(connection: Connection, cluster: string, messages: readonly Uint8Array[]): void;
  /** What was handed to `write` has left this process: there is room again. */
  drained(connection: Connection): void;
  /** Once, at the end. */
  closed(connection: Connection, reason: CloseReason): void;
}

/** One TCP connection to or from a peer: frames, sealed, in order. */
export class Connection {
  readonly role: 'initiator' | 'responder';
  readonly socket: Socket;
  /** Of the initiator: whom it dialled. Of the responder: what the initiator says of itself, once open. */
  peer: Endpoint | undefined;
  bulk: boolean;
  /** Monotonic ms: when anything, and when a message, was last seen. */
  heardAtMs: number;
  usedAtMs: number;
  state: 'greeting' | 'open' | 'closed' = 'greeting';
  readonly #options: ConnectionOptions;
  readonly #events: ConnectionEvents;
  readonly #sealer: Sealer;
  readonly #opener: Opener;
  readonly #reader = new FrameReader(helloBytesMax);
  #lastCounter = 0;
  #pinged = false;
  #reading = false;
  #maySpeak = true;

  /** @param to whom it is that we dial; undefined: somebody dialled us */
  constructor(
    socket: Socket,
    options: ConnectionOptions,
    events: ConnectionEvents,
    to: { readonly endpoint: Endpoint; readonly bulk: boolean } | undefined,
  ) {
    this.socket = socket;
    this.#options = options;
    this.#events = events;
    this.role = to === undefined ? 'responder' : 'initiator';
    this.peer = to?.endpoint;
    this.bulk = to?.bulk ?? false;
    this.heardAtMs = this.usedAtMs = performance.now();
    this.#sealer = new Sealer(options, options.cluster);
    const known = to === undefined ? { peer: this.#sealer.session } : {};
    this.#opener = new Opener(options, { sessionsMax: 1, ...known });
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('drain', () => this.#isOpen() && events.drained(this));
    socket.on('end', () => this.close('ended'));
    socket.on('error', (error) => {
      options.counters.socketError(error);
      this.close('failed');
    });
    socket.on('close', () => this.close('ended'));
    if (to === undefined) this.#greet();
  }

  /** Whether more may be written now without piling it up. */
  get hasRoom(): boolean {
    return this.state === 'open' && !this.socket.writableNeedDrain;
  }

  /**
   * Seals as many messages from the head of the queue as one frame takes and hands it to the socket. Answers how many.
   * Each must be within `frameBytesMax`.
   */
  write(queue: readonly Uint8Array[], from: number): number {
    const frame: Uint8Array[] = [];
    let bytes = 0;
    for (let i = from; i < queue.length && frame.length < messagesPerEnvelopeMax; i++) {
      const message = queue[i] as Uint8Array;
      if (frame.length > 0 && bytes + bytesInBody(message.length) > frameBytesUsual) break;
      bytes += bytesInBody(message.length);
      frame.push(message);
    }
    this.#send(frame);
    this.#options.counters.counts.messagesOut += frame.length;
    this.usedAtMs = performance.now();
    return frame.length;
  }

  /** Asks whether the other side is there, unless that was asked since it was last heard. */
  ping(): void {
    if (this.#pinged) return;
    this.#pinged = true;
    this.#send([], Flag.ping);
  }

  close(reason: CloseReason): void {
    if (this.state === 'closed') return;
    this.state = 'closed';
    if (reason === 'idle' || reason === 'closed' || reason === 'ended') this.#endSoftly();
    else this.socket.destroy();
    // What the other side sent before it saw our end is still taken.
    this.#maySpeak = reason === 'idle';
    this.#events.closed(this, reason);
  }

  /** What was written goes out first, if the other side takes it soon. */
  #endSoftly(): void {
    const late = setTimeout(() => this.socket.destroy(), softEndMs);
    late.unref();
    this.socket.once('close', () => clearTimeout(late));
    this.socket.end();
  }

  #isOpen(): boolean {
    return this.state === 'open';
  }

  #greet(): void {
    this.#send([toBytes(hello, { endpoint: this.#options.advertise(), bulk: this.bulk })], Flag.hello);
  }

  #send(messages: readonly Uint8Array[], flags = 0): void {
    const parts = this.#sealer.seal(messages, flags);
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    const length = Buffer.allocUnsafe(frameLengthBytes);
    length.writeUInt32BE(bytes);
    this.socket.cork();
    this.socket.write(length);
    for (const part of parts) this.socket.write(part);
    this.socket.uncork();
    const { counts } = this.#options.counters;
    counts.framesOut++;
    counts.streamBytesOut += bytes + frameLengthBytes;
  }

  #take(chunk: Buffer): void {
    if (!this.#maySpeak) return;
    this.heardAtMs = performance.now();
    this.#pinged = false;
    this.#options.counters.counts.streamBytesIn += chunk.length;
    this.#reader.push(chunk);
    if (!this.#reading) this.#readFrames();
  }

  /** In slices: a peer that sends at full speed must not keep the loop from others. */
  #readFrames(): void {
    this.#reading = false;
    let bytes = 0;
    while (this.#maySpeak) {
      const frame = this.#reader.next();
      if (frame === undefined) return;
      if (frame === 'oversized') return this.#refuse('oversized');
      bytes += frame.length;
      this.#frame(frame);
      if (bytes < sliceBytes || !this.#maySpeak) continue;
      this.#reading = true;
      this.socket.pause();
      setImmediate(() => {
        this.#readFrames();
        if (!this.#reading) this.socket.resume();
      });
      return;
    }
  }

  #frame(raw: Uint8Array): void {
    this.#options.counters.counts.framesIn++;
    const opened = this.#opener.open(raw);
    if (opened.kind === 'dropped') return this.#refuse(opened.reason);
    const { header, session, messages } = opened;
    const first = this.#lastCounter === 0;
    if (header.counter !== this.#lastCounter + 1) return this.#refuse('replayed');
    this.#lastCounter = header.counter;
    if (first !== ((header.flags & Flag.hello) !== 0)) return this.#refuse('protocol');
    if (first) return this.#meet(session, messages);
    if (!isOf(header, this.#sealer.peer)) return this.#refuse('protocol');
    if ((header.flags & Flag.ping) !== 0 && this.#isOpen()) this.#send([], Flag.pong);
    if (messages.length === 0) return;
    this.usedAtMs = this.heardAtMs;
    this.#options.counters.counts.messagesIn += messages.length;
    this.#events.received(this, header.cluster, messages);
  }

  #meet(session: Uint8Array, messages: readonly Uint8Array[]): void {
    let said: Hello;
    try {
      said = fromBytes(hello, messages[0] ?? new Uint8Array(0), 'hello');
    } catch {
      return this.#refuse('protocol');
    }
    if (isIP(said.endpoint.address) === 0) return this.#refuse('protocol');
    this.#sealer.peer = session;
    this.#opener.meet(this.#sealer.session);
    this.#reader.bytesMax = bytesInBody(this.#options.frameBytesMax) + envelopeOverheadBytes;
    if (this.role === 'initiator') {
      this.#greet();
    } else {
      this.peer = said.endpoint;
      this.bulk = said.bulk;
    }
    this.state = 'open';
    this.#events.opened(this);
  }

  #refuse(reason: DropReason): void {
    this.#options.counters.dropped(reason);
    this.close(reason);
  }
}
