import http from 'node:http';
import https from 'node:https';
import { Readable } from 'node:stream';
import { parseAddress } from '../../source/address.ts';
import { ConnectionError } from '../../source/connection.ts';
import type { GatewayPort, SourceSettings } from '../gateway-port.ts';
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

const tooLate = 'no answer in time';

export type Sent =
  | { readonly kind: 'response'; readonly response: Response }
  | { readonly kind: 'failed'; readonly unsent: boolean; readonly code: string };

interface Target {
  /** How it is reached; before the path of each request comes `under`. */
  readonly options: http.RequestOptions;
  readonly request: (options: http.RequestOptions) => http.ClientRequest;
  readonly under: string;
  readonly shown: string;
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
  readonly #agents: readonly http.Agent[];
  readonly #stopping: AbortSignal;
  /** Told of each X-Consul-Index. */
  readonly #saw: (header: string | string[] | undefined) => void;
  readonly #countUnreachable: (by?: number) => void;
  readonly #tookMs: (value: number) => void;
  #current = 0;
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
    const agentOptions = { keepAlive: true, maxSockets: Infinity, maxFreeSockets: settings.connectionsMax };
    const httpAgent = new http.Agent(agentOptions);
    const httpsAgent = new https.Agent({ ...agentOptions, ...settings.tls });
    this.#agents = [httpAgent, httpsAgent];
    this.#targets = settings.addresses.map((address) => {
      const target = parseAddress(address);
      if (!target.ok) throw new ConnectionError('bad-address', target.error);
      const { baseUrl, socketPath, shown } = target.value;
      const { protocol, hostname, port, pathname } = new URL(baseUrl);
      const isTls = protocol === 'https:';
      const options: http.RequestOptions = {
        host: hostname.replace(/^\[(.*)\]$/, '$1'),
        ...(port === '' ? {} : { port }),
        ...(socketPath === undefined ? {} : { socketPath }),
        agent: isTls ? httpsAgent : httpAgent,
      };
      return {
        options,
        request: isTls ? https.request : http.request,
        under: pathname.replace(/\/$/, ''),
        shown,
      };
    });
  }

  get address(): string | undefined {
    return this.#targets[this.#current]?.shown;
  }

  /** Why the source could not be reached the last time; undefined: it could. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  close(): void {
    for (const agent of this.#agents) agent.destroy();
  }

  /** Sticks to the address that answered last; goes on to the next where the request cannot have been heard. */
  async send(request: UpstreamRequest, signal: AbortSignal): Promise<Sent> {
    const streamed = request.body !== undefined && !(request.body instanceof Uint8Array);
    let last: Extract<Sent, { kind: 'failed' }> = { kind: 'failed', unsent: true, code: 'no address' };
    const others = this.#targets.map((_, at) => (this.#current + at) % this.#targets.length);
    // A kept connection that the source closed just now fails once: a read tries the same address again.
    const order = request.method === 'GET' ? [this.#current, ...others] : others;
    for (const at of order) {
      const startedMs = this.#gateway.monoMs();
      const outcome = await this.#once(at, request, signal);
      if (outcome.kind === 'response') {
        if (request.blocksMs === undefined) this.#tookMs(this.#gateway.monoMs() - startedMs);
        this.#current = at;
        this.#answered(at);
        return outcome;
      }
      last = outcome;
      if (signal.aborted || this.#stopping.aborted) return last;
      if (last.code === tooLate || streamed || (request.method !== 'GET' && !outcome.unsent)) break;
    }
    this.#failed(last.code);
    return last;
  }

  async #once(at: number, request: UpstreamRequest, signal: AbortSignal): Promise<Sent> {
    const target = this.#targets[at] as Target;
    const control = new AbortController();
    const abort = (): void => control.abort();
    let late = false;
    const { blocksMs } = request;
    const limitMs = blocksMs === undefined ? this.#settings.timeoutMs : blocksMs + blockSlackMs;
    const timer = setTimeout(() => {
      late = true;
      control.abort();
    }, limitMs);
    signal.addEventListener('abort', abort, { once: true });
    this.#stopping.addEventListener('abort', abort, { once: true });
    if (signal.aborted || this.#stopping.aborted) abort();
    const done = (): void => {
      signal.removeEventListener('abort', abort);
      this.#stopping.removeEventListener('abort', abort);
    };
    try {
      const stream = await answered(target, request, control.signal);
      stream.once('close', done);
      this.#saw(stream.headers['x-consul-index']);
      return { kind: 'response', response: { status: stream.statusCode ?? 0, stream } };
    } catch (error) {
      done();
      const code = late ? tooLate : codeOf(error);
      return { kind: 'failed', unsent: neverConnected.has(code), code };
    } finally {
      clearTimeout(timer);
    }
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

export function codeOf(error: unknown): string {
  const { code, message } = error as { code?: unknown; message?: unknown };
  return typeof code === 'string' ? code : String(message);
}
