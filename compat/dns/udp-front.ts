import { createSocket, type Socket } from 'node:dgram';
import { isIP } from 'node:net';
import type { Answerer } from './answerer.ts';
import type { DnsCounters } from './counters.ts';

/** A burst of questions waits in the system's buffer while a commit is under way. Guess. */
const receiveBytes = 1024 * 1024;

/** The questions that come over UDP. */
export class UdpFront {
  readonly #answerer: Answerer;
  readonly #counters: DnsCounters;
  readonly #sockets = new Set<Socket>();

  constructor(answerer: Answerer, counters: DnsCounters) {
    this.#answerer = answerer;
    this.#counters = counters;
  }

  async listen(host: string, port: number): Promise<void> {
    const socket = createSocket(isIP(host) === 6 ? 'udp6' : 'udp4');
    await new Promise<void>((resolve, reject) => {
      const failed = (error: Error): void => {
        socket.close();
        reject(error);
      };
      socket.once('error', failed);
      socket.bind({ address: host, port, exclusive: true }, () => {
        socket.off('error', failed);
        resolve();
      });
    });
    this.#sockets.add(socket);
    socket.on('error', () => (this.#counters.socketErrors += 1));
    socket.on('message', (packet, from) => this.#receive(socket, packet, from.port, from.address));
    try {
      socket.setRecvBufferSize(receiveBytes);
    } catch {
      // The system's own size then: bursts are lost sooner.
    }
  }

  #receive(socket: Socket, packet: Buffer, port: number, address: string): void {
    const answered = this.#answerer.answer(packet, 'udp');
    if (answered instanceof Promise) {
      void answered.then((answer) => this.#send(socket, answer, port, address));
    } else {
      this.#send(socket, answered, port, address);
    }
  }

  #send(socket: Socket, answer: Buffer | undefined, port: number, address: string): void {
    // The source port of a packet may be anything, 0 too, to which nothing can be sent.
    if (answer === undefined || port === 0 || !this.#sockets.has(socket)) return;
    socket.send(answer, port, address, (error) => {
      if (error) this.#counters.sendErrors += 1;
    });
  }

  async close(): Promise<void> {
    const sockets = [...this.#sockets];
    this.#sockets.clear();
    await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))));
  }
}
