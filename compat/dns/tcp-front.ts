import { createServer, type Server, type Socket } from 'node:net';
import { must } from '../../src/kernel/assert.ts';
import type { Answerer } from './answerer.ts';
import type { DnsCounters } from './counters.ts';
import { MessageReader, withLength } from './framing.ts';

/** No question is nearly as long, with all that may be beside it. */
const questionBytesMax = 16 * 1024;
/** Answers that a client has not taken yet; above that it is not read from. Guess. */
const unsentBytesMax = 256 * 1024;

export interface TcpLimits {
  /** Connections at once. */
  readonly connectionsMax: number;
  /** How long a client may take for a question, or for taking its answers. */
  readonly idleMsMax: number;
}

/** The questions that come over TCP: answered in order, one at a time for each connection. */
export class TcpFront {
  readonly #answerer: Answerer;
  readonly #limits: TcpLimits;
  readonly #counters: DnsCounters;
  readonly #servers = new Set<Server>();
  readonly #sockets = new Set<Socket>();

  constructor(answerer: Answerer, limits: TcpLimits, counters: DnsCounters) {
    this.#answerer = answerer;
    this.#limits = limits;
    this.#counters = counters;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  async listen(host: string, port: number): Promise<{ readonly port: number; close(): Promise<void> }> {
    const server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port, exclusive: true }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    this.#servers.add(server);
    server.on('error', () => (this.#counters.socketErrors += 1));
    const address = must(server.address());
    return {
      port: typeof address === 'object' ? address.port : port,
      close: async () => {
        this.#servers.delete(server);
        await new Promise<void>((resolve) => server.close(() => resolve()));
      },
    };
  }

  async close(): Promise<void> {
    const servers = [...this.#servers];
    this.#servers.clear();
    const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closed);
  }

  #accept(socket: Socket): void {
    // A client that goes away is no event of ours.
    socket.on('error', () => {});
    if (this.#sockets.size >= this.#limits.connectionsMax) {
      this.#counters.connectionsRefused += 1;
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    this.#serve(socket);
  }

  #serve(socket: Socket): void {
    const reader = new MessageReader(questionBytesMax);
    let working = false;
    let waitingForUs = false;
    // Runs on while bytes trickle in: only what is answered counts as life.
    const idle = setTimeout(() => {
      if (waitingForUs) {
        idle.refresh();
        return;
      }
      this.#counters.connectionsIdled += 1;
      socket.destroy();
    }, this.#limits.idleMsMax);
    socket.on('close', () => clearTimeout(idle));

    const work = async (): Promise<void> => {
      for (let packet = reader.next(); packet !== undefined; packet = reader.next()) {
        waitingForUs = true;
        const answer = await this.#answerer.answer(packet, 'tcp');
        waitingForUs = false;
        if (socket.destroyed) return;
        if (answer !== undefined) {
          idle.refresh();
          socket.write(withLength(answer));
        }
        // A long row of questions in one chunk must not keep others waiting, nor answers pile up.
        if (socket.writableLength > unsentBytesMax) await drained(socket);
        else await nextTurn();
        if (socket.destroyed) return;
      }
      if (reader.tooLong) {
        this.#counters.malformed += 1;
        socket.destroy();
        return;
      }
      working = false;
      socket.resume();
    };

    socket.on('data', (chunk) => {
      reader.push(chunk);
      if (working) return;
      working = true;
      socket.pause();
      work().catch(() => {
        this.#counters.defects += 1;
        socket.destroy();
      });
    });
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.on('drain', done);
    socket.on('close', done);
  });
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
