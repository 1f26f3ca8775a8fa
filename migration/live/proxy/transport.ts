import http from 'node:http';
import https from 'node:https';
import { Readable } from 'node:stream';
import axios, { AxiosError, type AxiosInstance } from 'axios';
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
  readonly http: AxiosInstance;
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
      const instance = axios.create({
        baseURL: baseUrl,
        ...(socketPath === undefined ? {} : { socketPath }),
        httpAgent,
        httpsAgent,
        // A source Consul is named by its address; a proxy from the environment would be a surprise.
        proxy: false,
        maxRedirects: 0,
        decompress: false,
        responseType: 'stream',
        transformResponse: [],
        transformRequest: [],
        validateStatus: () => true,
        maxBodyLength: Infinity,
        // Any other bound, be it Infinity, makes axios wrap the stream: its headers would be gone.
        maxContentLength: -1,
      });
      return { http: instance, shown };
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
    const { blocksMs, body } = request;
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
      const data = body === undefined || body instanceof Uint8Array ? body : Readable.from(body);
      const response = await target.http.request<http.IncomingMessage>({
        method: request.method,
        url: request.path,
        headers: plainHeaders(request.headers),
        ...(data === undefined ? {} : { data: data instanceof Uint8Array ? Buffer.from(data) : data }),
        signal: control.signal,
      });
      const stream = response.data;
      stream.once('close', done);
      this.#saw(stream.headers['x-consul-index']);
      return { kind: 'response', response: { status: response.status, stream } };
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

/** Axios has headers of its own, which the client did not send. */
function plainHeaders(headers: Readonly<Record<string, string>>): Record<string, string | false> {
  const named = new Set(Object.keys(headers).map((name) => name.toLowerCase()));
  const unwanted = ['accept', 'accept-encoding', 'content-type', 'user-agent'];
  return {
    ...headers,
    ...Object.fromEntries(unwanted.filter((name) => !named.has(name)).map((name) => [name, false])),
  };
}

export function codeOf(error: unknown): string {
  if (error instanceof AxiosError) return error.code ?? error.message;
  const { code, message } = error as { code?: unknown; message?: unknown };
  return typeof code === 'string' ? code : String(message);
}
