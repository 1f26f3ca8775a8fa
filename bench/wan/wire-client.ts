import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import type { Server } from './orders.ts';

/** What a request was answered. */
export interface Answered {
  readonly status: number;
  readonly body: string;
}

/**
 * One kept connection of HTTP/1.1, one request at a time, and nothing else. Between requests that are 10 ms apart all
 * caches grow cold, and then Node's own client takes a third of a millisecond, which is no server's.
 */
export class WireClient {
  readonly #host: string;
  readonly #socket: Socket;
  #received = '';
  #waiting: { resolve: (answer: Answered) => void; reject: (error: Error) => void } | undefined;

  private constructor(host: string, socket: Socket) {
    this.#host = host;
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => this.#take(text));
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the server closed the connection')));
  }

  static async open({ host, port }: Server): Promise<WireClient> {
    const socket = connect(port, host);
    await once(socket, 'connect');
    return new WireClient(`${host}:${port}`, socket);
  }

  /** @param value ASCII */
  put(path: string, value: string): Promise<Answered> {
    return this.#ask(
      `PUT ${path} HTTP/1.1\r\nHost: ${this.#host}\r\nContent-Length: ${value.length}\r\n\r\n${value}`,
    );
  }

  get(path: string): Promise<Answered> {
    return this.#ask(`GET ${path} HTTP/1.1\r\nHost: ${this.#host}\r\n\r\n`);
  }

  close(): void {
    this.#socket.destroy();
  }

  #ask(message: string): Promise<Answered> {
    if (this.#socket.destroyed) return Promise.reject(new Error('the connection is closed'));
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(message);
    });
  }

  #take(text: string): void {
    this.#received += text;
    const headEnd = this.#received.indexOf('\r\n\r\n');
    if (headEnd < 0) return;
    const head = this.#received.slice(0, headEnd);
    const length = /\r\nContent-Length: *(\d+)/i.exec(head)?.[1];
    if (length === undefined) {
      this.#fail(new Error('an answer without Content-Length'));
      return;
    }
    const bodyStart = headEnd + 4;
    if (this.#received.length < bodyStart + Number(length)) return;
    const body = this.#received.slice(bodyStart, bodyStart + Number(length));
    const waiting = this.#waiting;
    this.#received = '';
    this.#waiting = undefined;
    waiting?.resolve({ status: Number(head.slice(9, 12)), body });
  }

  #fail(error: Error): void {
    this.#waiting?.reject(error);
    this.#waiting = undefined;
  }
}
