import { setMaxListeners } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import { Readable } from 'node:stream';
import axios, { AxiosError, type AxiosInstance } from 'axios';
import type { PassedReply } from '../../../compat/http/interceptor.ts';
import { failure, type Method, type Reply } from '../../../compat/wire/http.ts';
import { ConnectionError } from '../../source/connection.ts';
import { parseAddress } from '../../source/address.ts';
import type { GatewayPort, SourceSettings } from '../gateway-port.ts';
import { Slots, type Slot } from './slots.ts';
import type { UpstreamRequest } from './upstream-request.ts';

/** The source's answer to a question of this gateway's own, whole. */
export interface SourceAnswer {
  readonly kind: 'answer';
  readonly status: number;
  readonly header: (name: string) => string | undefined;
  readonly body: Buffer;
}

/**
 * - `unsent`: the source has not seen the request, for sure;
 * - `unknown`: it may have.
 */
export interface NoAnswer {
  readonly kind: 'unsent' | 'unknown';
  /** One line. */
  readonly why: string;
}

export interface SourceQuestion {
  readonly method: Method;
  /** Percent-encoded, with its query. */
  readonly path: string;
  /** '': none. */
  readonly token: string;
  readonly body?: Uint8Array | string;
  /** How long it may block over there. Left out: it does not. */
  readonly blocksMs?: number;
  /** Nobody wants the answer any more. */
  readonly signal?: AbortSignal;
}

/** As much of the client as those need who ask on the gateway's own behalf. */
export interface SourceAsker {
  ask(question: SourceQuestion): Promise<SourceAnswer | NoAnswer>;
}

/** Bodies up to this are passed on in one piece; longer ones as they come. Guess. */
const wholeBytesMax = 256 * 1024;

/** What no question of this gateway is answered with: lists go by other ways. Guess. */
const answerBytesMax = 32 * 1024 * 1024;

/** How long after the end of its wait a blocking query is believed to be answered. Guess. */
const blockSlackMs = 15_000;

/** Of the sockets so many are never taken by queries that wait. */
const briefShare = 1 / 4;

/** Those of a connection, which is not the client's. */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

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

type Sent =
  | { readonly kind: 'response'; readonly response: Response; readonly release: () => void }
  | { readonly kind: 'failed'; readonly unsent: boolean; readonly code: string }
  | { readonly kind: 'crowded' };

interface Target {
  readonly http: AxiosInstance;
  readonly shown: string;
}

interface Response {
  readonly status: number;
  readonly stream: http.IncomingMessage;
}

/**
 * The source as this gateway's clients reach it: their requests, with their tokens, over a bounded number of kept
 * connections. Requests that wait over there cannot take the last of them.
 */
export class SourceClient {
  readonly #gateway: GatewayPort;
  readonly #settings: SourceSettings;
  readonly #targets: readonly Target[];
  readonly #agents: readonly http.Agent[];
  readonly #brief: Slots;
  readonly #blocking: Slots;
  readonly #stopping = new AbortController();
  readonly #count: Readonly<Record<'requests' | 'crowded' | 'unreachable', (by?: number) => void>>;
  readonly #tookMs: (value: number) => void;
  #current = 0;
  #highWater = 0;
  #trouble: string | undefined;

  constructor(gateway: GatewayPort, settings: SourceSettings) {
    // Each request listens for the end.
    setMaxListeners(0, this.#stopping.signal);
    this.#gateway = gateway;
    this.#settings = settings;
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
    const blockingMax = Math.max(1, Math.floor(settings.connectionsMax * (1 - briefShare)));
    const waits = { waitingMax: 4096, waitMsMax: 5000 };
    this.#blocking = new Slots({ slotsMax: blockingMax, ...waits });
    this.#brief = new Slots({ slotsMax: Math.max(1, settings.connectionsMax - blockingMax), ...waits });
    const { metrics } = gateway;
    this.#count = {
      requests: metrics.counter('proxy.requests'),
      crowded: metrics.counter('proxy.crowded'),
      unreachable: metrics.counter('proxy.unreachable'),
    };
    this.#tookMs = metrics.histogram('proxy.time');
    metrics.gauge('proxy.under_way', () => this.#brief.taken + this.#blocking.taken);
    metrics.gauge('proxy.waiting', () => this.#brief.waiting + this.#blocking.waiting);
  }

  /** The highest X-Consul-Index or ModifyIndex that was seen of the source. */
  get highWater(): number {
    return this.#highWater;
  }

  /** An index of the source, learnt elsewhere (from its tail, or an answer in a transaction's body). */
  sawIndex(index: number): void {
    if (index > this.#highWater && Number.isSafeInteger(index)) this.#highWater = index;
  }

  get status(): object {
    return {
      address: this.#targets[this.#current]?.shown,
      trouble: this.#trouble ?? null,
      underWay: this.#brief.taken + this.#blocking.taken,
      waiting: this.#brief.waiting + this.#blocking.waiting,
      highWater: this.#highWater,
    };
  }

  /** Passes a client's request on. Never rejects: trouble is an answer in Consul's words. */
  async pass(request: UpstreamRequest, signal: AbortSignal): Promise<PassedReply> {
    const sent = await this.#send(request, signal);
    if (sent.kind === 'crowded') {
      return ownReply(
        failure(429, 'Too many requests to the source Consul are waiting: try again in a while'),
      );
    }
    if (sent.kind === 'failed') return ownReply(unreachable(sent.code));
    const { status, stream } = sent.response;
    const headers = passedHeaders(stream.rawHeaders);
    const length = Number(stream.headers['content-length'] ?? Number.NaN);
    stream.once('close', sent.release);
    if (length > wholeBytesMax) return { status, headers, body: stream };
    try {
      // Consul does not say the length of what is longer than a few kilobytes.
      return { status, headers, body: await beginning(stream, wholeBytesMax) };
    } catch (error) {
      return ownReply(unreachable(codeOf(error)));
    }
  }

  /** Asks the source something on this gateway's own behalf, or with a client's token. Never rejects. */
  async ask(question: SourceQuestion): Promise<SourceAnswer | NoAnswer> {
    const { method, path, token, body, blocksMs, signal = this.#stopping.signal } = question;
    const headers: Record<string, string> = { Accept: 'application/json', 'User-Agent': 'grapevine' };
    if (token !== '') headers['X-Consul-Token'] = token;
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    const data = typeof body === 'string' ? Buffer.from(body) : body;
    return this.passWhole({ method, path, headers, blocksMs, body: data }, signal);
  }

  /** Sends a request whose answer is for this gateway to read. Never rejects. */
  async passWhole(
    request: UpstreamRequest,
    signal = this.#stopping.signal,
  ): Promise<SourceAnswer | NoAnswer> {
    // Read here, so nothing is to be unpacked.
    const headers = { ...request.headers, 'accept-encoding': 'identity' };
    const sent = await this.#send({ ...request, headers }, signal);
    if (sent.kind === 'crowded')
      return { kind: 'unsent', why: 'too many requests to the source are waiting' };
    if (sent.kind === 'failed') return { kind: sent.unsent ? 'unsent' : 'unknown', why: sent.code };
    const { status, stream } = sent.response;
    try {
      const whole = await wholeBody(stream, answerBytesMax);
      const header = (name: string): string | undefined => {
        const value = stream.headers[name];
        return Array.isArray(value) ? value[0] : value;
      };
      return { kind: 'answer', status, header, body: whole };
    } catch (error) {
      return { kind: 'unknown', why: codeOf(error) };
    } finally {
      sent.release();
    }
  }

  /** Ends what is under way. */
  close(): void {
    this.#stopping.abort();
    for (const agent of this.#agents) agent.destroy();
  }

  async #send(request: UpstreamRequest, signal: AbortSignal): Promise<Sent> {
    this.#count.requests();
    const slots = request.blocksMs === undefined ? this.#brief : this.#blocking;
    const taken = slots.take(signal);
    const release: Slot = taken instanceof Promise ? await taken : taken;
    if (release === undefined) {
      this.#count.crowded();
      return { kind: 'crowded' };
    }
    let keep = false;
    try {
      const sent = await this.#tryEach(request, signal);
      if (sent.kind !== 'response') return sent;
      keep = true;
      return { ...sent, release };
    } finally {
      if (!keep) release();
    }
  }

  /** Sticks to the address that answered last; goes on to the next where the request cannot have been heard. */
  async #tryEach(
    request: UpstreamRequest,
    signal: AbortSignal,
  ): Promise<{ kind: 'response'; response: Response } | Extract<Sent, { kind: 'failed' }>> {
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
      if (signal.aborted || this.#stopping.signal.aborted) return last;
      if (last.code === tooLate || streamed || (request.method !== 'GET' && !outcome.unsent)) break;
    }
    this.#failed(last.code);
    return last;
  }

  async #once(
    at: number,
    request: UpstreamRequest,
    signal: AbortSignal,
  ): Promise<{ kind: 'response'; response: Response } | Extract<Sent, { kind: 'failed' }>> {
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
    this.#stopping.signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted || this.#stopping.signal.aborted) abort();
    const done = (): void => {
      signal.removeEventListener('abort', abort);
      this.#stopping.signal.removeEventListener('abort', abort);
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
      this.#sawHeader(stream.headers['x-consul-index']);
      return { kind: 'response', response: { status: response.status, stream } };
    } catch (error) {
      done();
      const code = late ? tooLate : codeOf(error);
      return { kind: 'failed', unsent: neverConnected.has(code), code };
    } finally {
      clearTimeout(timer);
    }
  }

  #sawHeader(value: string | string[] | undefined): void {
    if (typeof value === 'string' && /^\d{1,16}$/.test(value)) this.sawIndex(Number(value));
  }

  #answered(at: number): void {
    if (this.#trouble === undefined) return;
    this.#gateway.log.info({ address: this.#targets[at]?.shown }, 'the source answers again');
    this.#trouble = undefined;
  }

  #failed(code: string): void {
    this.#count.unreachable();
    if (this.#trouble === undefined) {
      const addresses = this.#targets.map(({ shown }) => shown).join(', ');
      this.#gateway.log.warn({ addresses, why: code }, 'the source does not answer');
    }
    this.#trouble = code;
  }
}

/** Consul's words for a server that its agent cannot reach: clients retry a 500. */
export function unreachable(why: string): Reply {
  return failure(500, `rpc error making call: the source Consul did not answer: ${why}`);
}

/** An answer of this gateway's own where one of the source was asked for. */
export function ownReply(reply: Reply): PassedReply {
  const body = typeof reply.body === 'string' ? Buffer.from(reply.body) : reply.body;
  const headers = ['Vary', 'Accept-Encoding'];
  if (reply.contentType !== undefined) headers.push('Content-Type', reply.contentType);
  for (const [name, value] of Object.entries(reply.headers ?? {})) headers.push(name, value);
  headers.push('Content-Length', String(body.length));
  return { status: reply.status, headers, body };
}

function passedHeaders(raw: readonly string[]): readonly string[] {
  const kept: string[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] as string;
    if (!hopByHop.has(name.toLowerCase())) kept.push(name, raw[at + 1] as string);
  }
  return kept;
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

/** A body in one piece, unless it is longer than that: then as it comes. */
async function beginning(stream: Readable, bytesMax: number): Promise<Buffer | AsyncIterable<Uint8Array>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const rest = (stream as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  while (bytes <= bytesMax) {
    // oxlint-disable-next-line no-await-in-loop -- one chunk comes after the other
    const next = await rest.next();
    if (next.done === true) return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
    chunks.push(next.value);
    bytes += next.value.length;
  }
  return (async function* () {
    yield* chunks;
    yield* { [Symbol.asyncIterator]: () => rest };
  })();
}

async function wholeBody(stream: Readable, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) throw new Error('the answer is too large');
    chunks.push(chunk);
  }
  return chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
}

function codeOf(error: unknown): string {
  if (error instanceof AxiosError) return error.code ?? error.message;
  const { code, message } = error as { code?: unknown; message?: unknown };
  return typeof code === 'string' ? code : String(message);
}
