import http from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { parseAddress } from '../../source/address.ts';
import { ConnectionError } from '../../source/connection.ts';
import { isServing, Liveness, probePath } from '../../source/liveness.ts';
import type { GatewayPort, SourceSettings } from '../gateway-port.ts';
import { wholeBody } from './replies.ts';
import type { UpstreamRequest } from './upstream-request.ts';

/** How long after the end of its wait a blocking query is believed to be answered. Guess. */
const blockSlackMs = 15_000;

/** Nothing can have been sent when one of these came up. */
const neverConnected: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EADDRNOTAVAIL',
  'ENOENT',
  'EACCES',
]);

/** Of an answer to a probe. */
const probeBytesMax = 4096;

const tooLate = 'no answer in time';
const left = 'another address is asked';

export type Sent =
  | { readonly kind: 'response'; readonly response: Response }
  | { readonly kind: 'failed'; readonly unsent: boolean; readonly code: string };

interface Target {
  /** How it is reached; before the path of each request comes `under`. */
  readonly options: http.RequestOptions;
  readonly request: (options: http.RequestOptions) => http.ClientRequest;
  readonly under: string;
  readonly shown: string;
  readonly agent: http.Agent;
}

export interface Response {
  readonly status: number;
  readonly stream: http.IncomingMessage;
}

/** Requests to the addresses of the source, over kept connections. How many there may be is others' to say. */
export class Transport {
  readonly #gateway: GatewayPort;
  readonly #settings: SourceSettings;
  readonly #targets: readonly Target[];
  readonly #liveness: Liveness;
  readonly #stopping: AbortSignal;
  /** Told of each X-Consul-Index. */
  readonly #saw: (header: string | string[] | undefined) => void;
  readonly #countUnreachable: (by?: number) => void;
  readonly #tookMs: (value: number) => void;
  readonly #countMoved: (by?: number) => void;
  #trouble: string | undefined;

  constructor(
    gateway: GatewayPort,
    settings: SourceSettings,
    stopping: AbortSignal,
    saw: (header: string | string[] | undefined) => void,
  ) {
    this.#gateway = gateway;
    this.#settings = settings;
    this.#stopping = stopping;
    this.#saw = saw;
    this.#countUnreachable = gateway.metrics.counter('proxy.unreachable');
    this.#tookMs = gateway.metrics.histogram('proxy.time');
    this.#countMoved = gateway.metrics.counter('proxy.moved_on');
    this.#targets = settings.addresses.map((address) => targetOf(address, settings));
    this.#liveness = new Liveness({
      ...{ count: this.#targets.length, monoMs: gateway.monoMs, noticeMs: settings.noticeMs },
      probe: (at, signal) => this.#probe(at, signal),
      onChange: (at, isInTrouble) => this.#changed(at, isInTrouble),
    });
  }

  get address(): string | undefined {
    return this.#targets[this.#liveness.current]?.shown;
  }

  /** Addresses that do not answer, while others do. */
  get inTrouble(): readonly string[] {
    return this.#targets.flatMap(({ shown }, at) => (this.#liveness.isInTrouble(at) ? [shown] : []));
  }

  /** Why the source could not be reached the last time; undefined: it could. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  close(): void {
    this.#liveness.close();
    for (const { agent } of this.#targets) agent.destroy();
  }

  /**
   * Sticks to the address that answers; goes on to the next where the request cannot have been heard, and with a read
   * where nobody seems to be there any more.
   */
  async send(request: UpstreamRequest, signal: AbortSignal): Promise<Sent> {
    const isRead = request.method === 'GET';
    const streamed = request.body !== undefined && !(request.body instanceof Uint8Array);
    let last: Extract<Sent, { kind: 'failed' }> = { kind: 'failed', unsent: true, code: 'no address' };
    const { order } = this.#liveness;
    // A kept connection that the source closed just now fails once: a read tries the same address again.
    let open = isRead ? [...order.slice(0, 1), ...order] : order;
    while (open.length > 0) {
      const at = open.find((each) => !this.#liveness.isInTrouble(each)) ?? open[0] ?? 0;
      const turn = open.indexOf(at);
      open = open.filter((_, i) => i !== turn);
      const startedMs = this.#gateway.monoMs();
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      const outcome = await this.#once(at, request, signal);
      if (outcome.kind === 'response') {
        if (request.blocksMs === undefined) this.#tookMs(this.#gateway.monoMs() - startedMs);
        this.#answered(at);
        return outcome;
      }
      last = outcome;
      if (signal.aborted || this.#stopping.aborted) return last;
      if (outcome.code === tooLate || streamed || (!isRead && !outcome.unsent)) break;
      if (neverConnected.has(outcome.code)) this.#liveness.failed(at);
      if (this.#liveness.isInTrouble(at)) open = open.filter((each) => each !== at);
      if (open.length > 0) this.#countMoved();
    }
    this.#failed(last.code);
    return last;
  }

  async #once(at: number, request: UpstreamRequest, signal: AbortSignal): Promise<Sent> {
    const target = this.#targets[at] as Target;
    const control = new AbortController();
    const abort = (): void => control.abort();
    let why: string | undefined;
    let isHeard = false;
    const { blocksMs } = request;
    const limitMs = blocksMs === undefined ? this.#settings.timeoutMs : blocksMs + blockSlackMs;
    const endWith = (code: string): void => {
      why = code;
      control.abort();
    };
    const timer = setTimeout(() => endWith(tooLate), limitMs);
    const watched = this.#liveness.watch(at, blocksMs !== undefined);
    // A write is given up only while nobody can have heard it.
    const giveUp = (): void => {
      if (request.method === 'GET' || !isHeard) endWith(left);
    };
    watched.signal?.addEventListener('abort', giveUp, { once: true });
    signal.addEventListener('abort', abort, { once: true });
    this.#stopping.addEventListener('abort', abort, { once: true });
    if (signal.aborted || this.#stopping.aborted) abort();
    const done = (): void => {
      signal.removeEventListener('abort', abort);
      this.#stopping.removeEventListener('abort', abort);
    };
    try {
      const stream = await answered(target, request, control.signal, () => (isHeard = true));
      stream.once('close', done);
      this.#liveness.heard(at);
      this.#saw(stream.headers['x-consul-index']);
      return { kind: 'response', response: { status: stream.statusCode ?? 0, stream } };
    } catch (error) {
      done();
      const code = why ?? codeOf(error);
      return { kind: 'failed', unsent: !isHeard || neverConnected.has(code), code };
    } finally {
      clearTimeout(timer);
      watched.end();
      watched.signal?.removeEventListener('abort', giveUp);
    }
  }

  async #probe(at: number, signal: AbortSignal): Promise<boolean> {
    const headers = { Accept: 'application/json', 'User-Agent': 'grapevine' };
    const request = {
      method: 'GET',
      path: probePath,
      headers,
      body: undefined,
      blocksMs: undefined,
    } as const;
    // On a connection of its own: those that are kept may be what is wrong.
    const target = { ...(this.#targets[at] as Target) };
    const stream = await answered(
      { ...target, options: { ...target.options, agent: false } },
      request,
      signal,
    );
    return isServing(stream.statusCode ?? 0, (await wholeBody(stream, probeBytesMax)).toString());
  }

  #changed(at: number, isInTrouble: boolean): void {
    const { shown, agent } = this.#targets[at] as Target;
    const fields = { address: shown };
    if (!isInTrouble) {
      this.#gateway.log.info(fields, 'an address of the source answers again');
      return;
    }
    this.#gateway.log.warn(fields, 'an address of the source does not answer: others are asked');
    // What is sent over one of them is heard by nobody.
    for (const sockets of Object.values(agent.freeSockets))
      for (const socket of sockets ?? []) socket.destroy();
  }

  #answered(at: number): void {
    if (this.#trouble === undefined) return;
    this.#gateway.log.info({ address: this.#targets[at]?.shown }, 'the source answers again');
    this.#trouble = undefined;
  }

  #failed(code: string): void {
    this.#countUnreachable();
    if (this.#trouble === undefined) {
      const addresses = this.#targets.map(({ shown }) => shown).join(', ');
      this.#gateway.log.warn({ addresses, why: code }, 'the source does not answer');
    }
    this.#trouble = code;
  }
}

/**
 * One request, over `node:http` alone: a library between would take a third of the time that a passed request costs
 * here, and has headers of its own, which the client did not send.
 */
function answered(
  { options, request, under }: Target,
  { method, path, headers, body }: UpstreamRequest,
  signal: AbortSignal,
  /** From here on it may be heard. */
  heard: () => void = () => {},
): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sized =
      body instanceof Uint8Array && !('content-length' in headers) && !('Content-Length' in headers);
    const length = sized ? { 'Content-Length': body.length } : {};
    const sent = request({
      ...options,
      method,
      path: `${under}${path}`,
      headers: { ...headers, ...length },
      signal,
    });
    sent.once('socket', (socket) => {
      if (!socket.connecting && !isHandshaking(socket)) heard();
      else socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', heard);
    });
    sent.once('response', resolve);
    // Also for what happens to it later: then nobody listens any more.
    sent.on('error', reject);
    if (body === undefined || body instanceof Uint8Array) sent.end(body);
    else
      Readable.from(body)
        .on('error', (error) => sent.destroy(error))
        .pipe(sent);
  });
}

function isHandshaking(socket: Socket): boolean {
  return socket instanceof TLSSocket && [null, 'unknown'].includes(socket.getProtocol());
}

function targetOf(address: string, settings: SourceSettings): Target {
  const target = parseAddress(address);
  if (!target.ok) throw new ConnectionError('bad-address', target.error);
  const { baseUrl, socketPath, shown } = target.value;
  const { protocol, hostname, port, pathname } = new URL(baseUrl);
  const isTls = protocol === 'https:';
  const kept = { keepAlive: true, maxSockets: Infinity, maxFreeSockets: settings.connectionsMax };
  const agent = isTls ? new https.Agent({ ...kept, ...settings.tls }) : new http.Agent(kept);
  const options: http.RequestOptions = {
    host: hostname.replace(/^\[(.*)\]$/, '$1'),
    ...(port === '' ? {} : { port }),
    ...(socketPath === undefined ? {} : { socketPath }),
    ...(isTls ? settings.tls : {}),
    agent,
  };
  const under = pathname.replace(/\/$/, '');
  return { options, request: isTls ? https.request : http.request, under, shown, agent };
}

export function codeOf(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return typeof code === 'string' ? code : String(message);
}
