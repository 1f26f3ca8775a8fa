import { request as httpRequest, type IncomingHttpHeaders, Agent } from 'node:http';
import { connect, type Socket } from 'node:net';
import { Dispatcher, type DispatcherOptions } from '../../../compat/http/dispatcher.ts';
import { createExpressApp } from '../../../compat/http/express-app.ts';
import { HttpServer, type HttpServerOptions } from '../../../compat/http/server.ts';
import { kvRoutes } from '../../../compat/routes/kv.ts';
import type { Route } from '../../../compat/routes/route.ts';
import { LiveQueries } from '../../../compat/watch/live-queries.ts';
import { DriveLoop } from '../../../src/runtime/drive-loop.ts';
import { Machine } from '../../node/machine.ts';
import { StateFixture } from '../../support/state.ts';
import { replicaMachine } from '../../support/replica-machine.ts';

export interface Response {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
  /** X-Consul-Index. */
  readonly index: number;
}

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Sends the body in chunks, without a Content-Length. */
  readonly chunked?: boolean;
  readonly signal?: AbortSignal;
}

/** A gateway's front door on a free port of 127.0.0.1, over a state machine in memory. */
export class FrontDoor {
  readonly machine = new Machine();
  readonly live: LiveQueries;
  readonly loop: DriveLoop;
  readonly server: HttpServer;
  readonly defects: unknown[] = [];
  readonly #agent = new Agent({ keepAlive: true });
  readonly #sockets = new Set<Socket>();
  port = 0;

  constructor(
    options: {
      readonly routes?: readonly Route[];
      readonly dispatcher?: Partial<DispatcherOptions>;
      readonly server?: Partial<HttpServerOptions>;
    } = {},
  ) {
    const { store, replica } = this.machine;
    const onDefect = (error: unknown): void => void this.defects.push(error);
    this.live = new LiveQueries({ view: store, memoBytesMax: 1024 * 1024 });
    this.loop = new DriveLoop({
      machine: replicaMachine(replica),
      store,
      now: () => ({ wallUs: (this.machine.nowUs += 1), monoMs: 0 }),
      onFatal: onDefect,
      onDefect,
    });
    this.loop.onCommit((touched) => this.live.touch(touched));
    const dispatcher = new Dispatcher({
      routes: options.routes ?? kvRoutes,
      context: { ...new StateFixture().context, view: store },
      live: this.live,
      propose: (command, done) => this.loop.propose(command, done),
      highestIndex: () => replica.highestIndex,
      freshness: () => ({ knownLeader: true, lastContactMs: 0 }),
      random: () => 0,
      responseHeaders: {},
      blockEndpoints: [],
      mayWrite: () => true,
      onDefect,
      ...options.dispatcher,
    });
    this.server = new HttpServer({
      dispatcher,
      tail: async () => createExpressApp(dispatcher),
      connectionsPerClientMax: 0,
      headerBytesMax: 64 * 1024,
      ...options.server,
    });
  }

  async open(): Promise<this> {
    this.port = await this.server.listen({ kind: 'tcp', host: '127.0.0.1', port: 0 });
    return this;
  }

  async close(): Promise<void> {
    this.#agent.destroy();
    for (const socket of this.#sockets) socket.destroy();
    await this.server.close(0);
    this.loop.stop();
  }

  /** A request on a kept connection; the path goes out exactly as given. */
  request(path: string, options: RequestOptions = {}): Promise<Response> {
    const { method = 'GET', headers = {}, body, chunked = false, signal } = options;
    return new Promise((resolve, reject) => {
      const length: Record<string, string> =
        body === undefined || chunked ? {} : { 'Content-Length': String(Buffer.byteLength(body)) };
      const req = httpRequest({
        host: '127.0.0.1',
        port: this.port,
        agent: this.#agent,
        path,
        method,
        headers: { ...length, ...headers },
        ...(signal === undefined ? {} : { signal }),
      });
      req.on('error', reject);
      req.on('response', (res) => {
        const chunks: Buffer[] = [];
        res.on('data', (chunk: Buffer) => chunks.push(chunk));
        res.on('error', reject);
        res.on('end', () => {
          const bytes = Buffer.concat(chunks);
          resolve({
            status: res.statusCode ?? 0,
            headers: res.headers,
            bytes,
            text: bytes.toString(),
            index: Number(res.headers['x-consul-index']),
          });
        });
      });
      req.end(body);
    });
  }

  put(path: string, body: string | Uint8Array = ''): Promise<Response> {
    return this.request(path, { method: 'PUT', body });
  }

  /** A bare connection, for clients that do not behave. */
  async raw(): Promise<RawClient> {
    const socket = connect({ host: '127.0.0.1', port: this.port });
    this.#sockets.add(socket);
    const client = new RawClient(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return client;
  }

  /** Resolves when exactly so many queries wait. */
  async untilWaiting(count: number): Promise<void> {
    while (this.live.stats.waiting !== count) await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A connection on which a test writes bytes as it likes. */
export class RawClient {
  readonly socket: Socket;
  received = Buffer.alloc(0);
  readonly closed: Promise<void>;
  #changed: () => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.received = Buffer.concat([this.received, chunk]);
      this.#changed();
    });
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    void this.closed.then(() => this.#changed());
    socket.on('error', () => undefined);
  }

  get text(): string {
    return this.received.toString('latin1');
  }

  write(text: string | Uint8Array): void {
    this.socket.write(text);
  }

  /** Resolves when what has come satisfies the condition; rejects when the connection closes before. */
  async until(condition: (text: string) => boolean): Promise<void> {
    while (!condition(this.text)) {
      if (this.socket.destroyed) throw new Error(`closed after: ${this.text.slice(0, 500)}`);
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }
}

export function get(path: string): string {
  return `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`;
}

export function putText(path: string, body: string): string {
  return `PUT ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
}
