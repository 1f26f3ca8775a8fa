import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import { DirectRequest } from './body.ts';
import type { Dispatcher } from './dispatcher.ts';
import { logRequest, type RequestLog } from './request-log.ts';
import type { TlsOptions } from './tls.ts';
import { grantAccess, removeStaleSocket, type UnixSocketAccess } from './unix-socket.ts';

export type ListenAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | ({ readonly kind: 'unix'; readonly path: string } & UnixSocketAccess);

export interface HttpServerOptions {
  readonly dispatcher: Dispatcher;
  /** The long tail: an Express application, made on first need. */
  readonly tail: () => Promise<RequestListener>;
  /** limits.http_max_conns_per_client; 0 for no limit. */
  readonly connectionsPerClientMax: number;
  readonly headerBytesMax: number;
  readonly requestLog?: RequestLog;
  readonly timeouts?: HttpTimeouts;
}

/** How long a client may take. Guesses, generous for slow links. */
export interface HttpTimeouts {
  /** To send the headers of a request. */
  readonly headersMs: number;
  /** To send a whole request. */
  readonly requestMs: number;
  /** Without taking any of a response; then its connection is closed. */
  readonly stalledMs: number;
}

const timeoutsDefault: HttpTimeouts = { headersMs: 10_000, requestMs: 300_000, stalledMs: 60_000 };

/** From so many pipelined requests on, a connection is not read until some are served. Guess. */
const pipelinedMax = 64;

/** The requests of one connection: each is served when the one before it is answered. */
interface Pipeline {
  latest: ServerResponse;
  waiting: number;
  bounded: boolean;
}

/** The gateway's HTTP front door: one or more listeners before one dispatcher. */
export class HttpServer {
  readonly #options: HttpServerOptions;
  readonly #servers: Server[] = [];
  readonly #tlsServers: TlsServer[] = [];
  #connectionsPerClientMax: number;
  readonly #sockets = new Set<Socket>();
  readonly #perClient = new Map<string, number>();
  readonly #stalled = new WeakMap<Socket, number>();
  readonly #pipelines = new WeakMap<Socket, Pipeline>();
  readonly #timeouts: HttpTimeouts;
  readonly #sweep: NodeJS.Timeout;
  #tail: RequestListener | undefined;

  constructor(options: HttpServerOptions) {
    this.#options = options;
    this.#connectionsPerClientMax = options.connectionsPerClientMax;
    this.#timeouts = options.timeouts ?? timeoutsDefault;
    this.#sweep = setInterval(() => this.#closeStalled(), this.#timeouts.stalledMs);
    this.#sweep.unref();
  }

  /**
   * Serves one request of no connection: those of other datacenters. Past Express, which gives its own nature to the
   * response object, and with that writes to a connection that is not there.
   */
  readonly serve: RequestListener = (req, res) => {
    const { dispatcher, requestLog } = this.#options;
    if (requestLog?.wanted() === true) logRequest(requestLog, req, res);
    dispatcher.handle(req, res, () => dispatcher.notFound(req, res));
  };

  get connections(): number {
    return this.#sockets.size;
  }

  /** limits.http_max_conns_per_client, for connections from now on. */
  set connectionsPerClientMax(limit: number) {
    this.#connectionsPerClientMax = limit;
  }

  /**
   * Starts listening, with HTTPS when `tls` is given; resolves with the port (0 for a unix socket). Rejects with the
   * system's error.
   */
  async listen(address: ListenAddress, tls?: TlsOptions): Promise<number> {
    const server = this.#createServer(tls);
    server.on('connection', (socket: Socket) => this.#onConnection(socket));
    if (address.kind === 'unix') removeStaleSocket(address.path);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      if (address.kind === 'unix') server.listen(address.path, resolve);
      else server.listen({ host: address.host, port: address.port, backlog: 4096 }, resolve);
    });
    if (address.kind === 'unix') grantAccess(address.path, address);
    const bound = server.address();
    return typeof bound === 'object' && bound !== null ? bound.port : 0;
  }

  /** New certificates for the HTTPS listeners; connections that are open keep theirs. */
  renewTls(tls: TlsOptions): void {
    for (const server of this.#tlsServers) server.setSecureContext(tls);
  }

  #createServer(tls: TlsOptions | undefined): Server {
    const settings = {
      headersTimeout: this.#timeouts.headersMs,
      requestTimeout: this.#timeouts.requestMs,
      connectionsCheckingInterval: Math.ceil(this.#timeouts.headersMs / 2),
      // Go's server keeps idle connections without limit; dead peers are found by TCP keep-alive.
      keepAliveTimeout: 0,
      keepAlive: true,
      keepAliveInitialDelay: 15_000,
      noDelay: true,
      maxHeaderSize: this.#options.headerBytesMax,
      IncomingMessage: DirectRequest,
    };
    const onRequest: RequestListener = (req, res) => this.#onRequest(req, res);
    if (tls === undefined) {
      const server = createServer(settings, onRequest);
      this.#servers.push(server);
      return server;
    }
    const server = createTlsServer({ ...settings, ...tls }, onRequest);
    this.#servers.push(server);
    this.#tlsServers.push(server);
    return server;
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
    const limit = this.#connectionsPerClientMax;
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

  /**
   * Requests of one connection are served one after the other, as Go's server does: one that follows a write on the
   * same connection sees it, and nobody makes thousands of queries wait on a single connection.
   */
  #onRequest(req: IncomingMessage, res: ServerResponse): void {
    const { socket } = req;
    const pipeline = this.#pipelines.get(socket);
    if (pipeline === undefined) {
      this.#pipelines.set(socket, { latest: res, waiting: 0, bounded: false });
      this.#serve(req, res);
      return;
    }
    const before = pipeline.latest;
    pipeline.latest = res;
    if (before.writableFinished) this.#serve(req, res);
    else this.#serveAfter(before, pipeline, req, res);
  }

  #serveAfter(before: ServerResponse, pipeline: Pipeline, req: IncomingMessage, res: ServerResponse): void {
    const { socket } = req;
    pipeline.waiting += 1;
    if (pipeline.waiting >= pipelinedMax) {
      if (!pipeline.bounded) {
        pipeline.bounded = true;
        // Node reads on whenever a request is done with; not before most of those that came are served.
        socket.on('resume', () => {
          if (pipeline.waiting >= pipelinedMax) socket.pause();
        });
      }
      socket.pause();
    }
    before.once('close', () => {
      pipeline.waiting -= 1;
      if (socket.destroyed) return;
      if (pipeline.waiting === pipelinedMax - 1) socket.resume();
      this.#serve(req, res);
    });
  }

  #serve(req: IncomingMessage, res: ServerResponse): void {
    const { requestLog } = this.#options;
    if (requestLog?.wanted() === true) logRequest(requestLog, req, res);
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
      const unsent = unsentBytes(socket);
      if (unsent > 0 && this.#stalled.get(socket) === unsent) socket.destroy();
      else this.#stalled.set(socket, unsent);
    }
  }
}

/**
 * A large answer is one write, which Node counts in full until all of it is gone: what the system has taken of it is
 * known by the handle alone, where Node itself looks for it (`Socket.setTimeout`).
 */
function unsentBytes(socket: Socket): number {
  // oxlint-disable-next-line eslint/no-underscore-dangle -- its name in Node
  const handle = (socket as { readonly _handle?: { readonly writeQueueSize?: number } | null })._handle;
  return socket.writableLength + (handle?.writeQueueSize ?? 0);
}
