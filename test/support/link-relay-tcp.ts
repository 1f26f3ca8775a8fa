import { connect, type Socket } from 'node:net';
import type { Endpoint } from '../../src/wire/endpoint.ts';

/** A TCP connection as a link carries it: everything arrives in order, later. */
export interface CarriedConnection {
  /** The link may have been healed: what stood still goes on. */
  resume(): void;
  destroy(): void;
}

export interface CarryOptions {
  /** The caller's connection, just accepted, with `allowHalfOpen`. */
  readonly socket: Socket;
  readonly to: Endpoint;
  /** The address from which the called one sees the connection come. */
  readonly localAddress?: string;
  readonly delayForthMs: () => number;
  readonly delayBackMs: () => number;
  /** How long the link needs until so many bytes have left, with all that is before them. */
  readonly queueForthMs: (bytes: number) => number;
  readonly queueBackMs: (bytes: number) => number;
  readonly isCut: () => boolean;
  /** Called once, when nothing is left of it. */
  readonly ended: () => void;
}

/** What a sender may have on its way before it has to wait: TCP's window. */
const windowBytes = 4 * 1024 * 1024;

/** Something on its way in one direction: bytes, the end of the stream, or a reset. */
type Parcel =
  | { readonly dueMs: number; readonly bytes: Buffer }
  | { readonly dueMs: number; readonly end: 'end' | 'reset' };

/**
 * Carries a connection that was accepted on behalf of another. The caller believes itself connected at once, while
 * a real one would wait a round trip; so the first bytes are kept back for that long.
 */
export function carryConnection(options: CarryOptions): CarriedConnection {
  const { socket, isCut } = options;
  socket.pause();
  let called: Socket | undefined;
  let back: Direction | undefined;
  const openedMs = performance.now() + options.delayForthMs() + options.delayBackMs();
  const forth = new Direction(socket, isCut, options.delayForthMs, options.queueForthMs, openedMs);
  let left = 2;
  const ended = (): void => {
    if (--left === 0) options.ended();
  };
  socket.on('error', () => {});
  socket.once('close', ended);
  const dial = (): void => {
    called = connect({
      host: options.to.address,
      port: options.to.port,
      allowHalfOpen: true,
      noDelay: true,
      ...(options.localAddress === undefined ? {} : { localAddress: options.localAddress }),
    });
    called.on('error', () => {});
    called.once('close', ended);
    back = new Direction(called, isCut, options.delayBackMs, options.queueBackMs, 0);
    back.towards(socket);
    forth.towards(called);
  };
  // The first parcel of the direction is the call itself: it too takes its time, and a cut holds it up.
  let callTimer: NodeJS.Timeout | undefined;
  const call = (): void => {
    callTimer = undefined;
    if (called === undefined && !isCut() && !socket.destroyed) dial();
  };
  callTimer = setTimeout(call, options.delayForthMs());
  socket.once('close', () => {
    if (called === undefined) {
      clearTimeout(callTimer);
      ended();
    }
  });
  return {
    resume: () => {
      if (called === undefined && callTimer === undefined) call();
      forth.resume();
      back?.resume();
    },
    destroy: () => {
      clearTimeout(callTimer);
      forth.stop();
      back?.stop();
      socket.destroy();
      called?.destroy();
    },
  };
}

/** One direction of a connection. */
class Direction {
  readonly #source: Socket;
  readonly #isCut: () => boolean;
  readonly #delayMs: () => number;
  readonly #queueMs: (bytes: number) => number;
  readonly #notBeforeMs: number;
  readonly #parcels: Parcel[] = [];
  #sink: Socket | undefined;
  #waitingBytes = 0;
  #lastDueMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #full = false;
  #ended = false;
  #stopped = false;

  constructor(
    source: Socket,
    isCut: () => boolean,
    delayMs: () => number,
    queueMs: (bytes: number) => number,
    notBeforeMs: number,
  ) {
    this.#source = source;
    this.#isCut = isCut;
    this.#delayMs = delayMs;
    this.#queueMs = queueMs;
    this.#notBeforeMs = notBeforeMs;
    source.on('data', (bytes) => {
      this.#waitingBytes += bytes.length;
      if (this.#waitingBytes > windowBytes) source.pause();
      this.#send({ dueMs: this.#dueMs(bytes.length), bytes: Buffer.from(bytes) });
    });
    source.once('end', () => {
      this.#ended = true;
      this.#send({ dueMs: this.#dueMs(0), end: 'end' });
    });
    source.once('close', (failed) => {
      // A reset may also follow the end: the other direction has lost its receiver.
      if (failed || !this.#ended) this.#send({ dueMs: this.#dueMs(0), end: 'reset' });
    });
  }

  towards(sink: Socket): void {
    this.#sink = sink;
    sink.on('drain', () => {
      this.#full = false;
      this.resume();
    });
    this.#source.resume();
    this.resume();
  }

  resume(): void {
    if (this.#timer === undefined) this.#deliver();
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#parcels.length = 0;
    this.#stopped = true;
  }

  /** Delays may vary, the order of a stream may not. */
  #dueMs(bytes: number): number {
    const now = performance.now();
    const sentMs = Math.max(now + this.#queueMs(bytes), this.#notBeforeMs);
    this.#lastDueMs = Math.max(this.#lastDueMs, sentMs + this.#delayMs());
    return this.#lastDueMs;
  }

  #send(parcel: Parcel): void {
    if (this.#stopped) return;
    this.#parcels.push(parcel);
    if (this.#timer === undefined) this.#deliver();
  }

  #deliver(): void {
    this.#timer = undefined;
    const sink = this.#sink;
    if (sink === undefined) return;
    for (;;) {
      const parcel = this.#parcels[0];
      // A cut or a full receiver stops it; `resume` comes when that has passed.
      if (parcel === undefined || this.#full || this.#isCut()) return;
      const waitMs = parcel.dueMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#deliver(), waitMs);
        return;
      }
      this.#parcels.shift();
      if ('end' in parcel) {
        if (parcel.end === 'end') sink.end();
        else sink.resetAndDestroy();
        continue;
      }
      this.#waitingBytes -= parcel.bytes.length;
      if (this.#source.isPaused() && this.#waitingBytes < windowBytes / 2) this.#source.resume();
      if (!sink.destroyed && !sink.write(parcel.bytes)) this.#full = true;
    }
  }
}
