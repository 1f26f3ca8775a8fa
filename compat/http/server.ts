import { chmodSync, existsSync, lstatSync, unlinkSync } from 'node:fs';
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { Socket } from 'node:net';
import type { Dispatcher } from './dispatcher.ts';

export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string; readonly mode: string | undefined };

export interface HttpServerOptions {
  readonly dispatcher: Dispatcher;
  /** The long tail: an Express application, made on first need. */
  readonly tail: () => Promise<RequestListener>;
  /** limits.http_max_conns_per_client; 0 for no limit. */
  readonly connectionsPerClientMax: number;
  readonly headerBytesMax: number;
}

/** A client must send its headers, and its whole request, within these times. */
const headersMsMax = 10_000;
const requestMsMax = 60_000;
/** A response that makes no progress for this long is given up, and its connection closed. */
const stalledMsMax = 60_000;

/** The gateway's HTTP front door: one or more listeners before one dispatcher. */
export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();
  readonly #perClient = new Map<string, number>();
  readonly #stalled = new WeakMap<Socket, number>();
  readonly #sweep: NodeJS.Timeout;
  #tail: RequestListener | undefined;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#sweep = setInterval(() => this.#closeStalled(), stalledMsMax);
    this.#sweep.unref();
  }

  get connections(): number {
    return this.#sockets.size;
  }

  /** Starts listening; resolves with the port (0 for a unix socket). Rejects with the system's error. */
  async listen(address: ListenAddress): Promise<number> {
    const server = createServer(
      {
        headersTimeout: headersMsMax,
        requestTimeout: requestMsMax,
        // Go's server keeps idle connections without limit; dead peers are found by TCP keep-alive.
        keepAliveTimeout: 0,
        keepAlive: true,
        keepAliveInitialDelay: 15_000,
        noDelay: true,
        maxHeaderSize: this.#options.headerBytesMax,
      },
      (req, res) => this.#onRequest(req, res),
    );
    server.on('connection', (socket) => this.#onConnection(socket));
    this.#servers.push(server);
    if (address.kind === 'unix') removeStaleSocket(address.path);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      if (address.kind === 'unix') server.listen(address.path, resolve);
      else server.listen({ host: address.host, port: address.port, backlog: 4096 }, resolve);
    });
    if (address.kind === 'unix' && address.mode !== undefined)
      chmodSync(address.path, parseInt(address.mode, 8));
    const bound = server.address();
    return typeof bound === 'object' && bound !== null ? bound.port : 0;
  }

  /** Takes no more connections, ends the blocked queries of those there are, and resolves when all are closed. */
  async close(graceMs: number): Promise<void> {
    clearInterval(this.#sweep);
    const closed = this.#servers.map(async (server) => {
      await new Promise<void>((resolve) => server.close(() => resolve()));
    });
    for (const server of this.#servers) server.closeIdleConnections();
    const kill = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, graceMs);
    await Promise.all(closed);
    clearTimeout(kill);
  }

  #onConnection(socket: Socket): void {
    const client = socket.remoteAddress ?? '';
    const limit = this.#options.connectionsPerClientMax;
    const held = this.#perClient.get(client) ?? 0;
    if (limit > 0 && held >= limit && client !== '') {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    this.#perClient.set(client, held + 1);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      const left = (this.#perClient.get(client) ?? 1) - 1;
      if (left === 0) this.#perClient.delete(client);
      else this.#perClient.set(client, left);
    });
  }

  #onRequest(req: IncomingMessage, res: ServerResponse): void {
    if (this.#options.dispatcher.tryHot(req, res)) return;
    if (this.#tail !== undefined) {
      this.#tail(req, res);
      return;
    }
    this.#options.tail().then(
      (tail) => {
        this.#tail = tail;
        tail(req, res);
      },
      () => res.destroy(),
    );
  }

  /** Closes connections whose client has stopped reading: twice seen with the same unsent bytes. */
  #closeStalled(): void {
    for (const socket of this.#sockets) {
      const unsent = socket.writableLength;
      if (unsent > 0 && this.#stalled.get(socket) === unsent) socket.destroy();
      else this.#stalled.set(socket, unsent);
    }
  }
}

/** A socket file left by a process that was killed would make listening fail. */
function removeStaleSocket(path: string): void {
  if (existsSync(path) && lstatSync(path).isSocket()) unlinkSync(path);
}
