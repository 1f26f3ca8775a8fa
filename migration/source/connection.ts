import http from 'node:http';
import https from 'node:https';
import axios, { type AxiosInstance, AxiosError } from 'axios';
import type { Clock } from '../clock.ts';
import { parseAddress, type TlsSettings } from './address.ts';
import { backoffMs, judgeAttempt } from './retry-policy.ts';
import { fullBucket, takeToken, type TokenBucket } from './token-bucket.ts';

/** Trouble at the far side that the caller cannot mend; `message` is one line for people. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  readonly kind: ConnectionTrouble;

  constructor(kind: ConnectionTrouble, message: string) {
    super(message);
    this.kind = kind;
  }
}

export type ConnectionTrouble =
  | 'unreachable'
  | 'denied'
  | 'refused'
  | 'bad-answer'
  | 'bad-address'
  | 'aborted';

export type ConnectionOptions = {
  /** `host:port`, `http://…`, `https://…` or `unix://…`. */
  readonly address: string;
  readonly token?: string;
  readonly tls?: TlsSettings;
  readonly timeoutMs: number;
  readonly concurrencyMax: number;
  readonly requestsPerSecondMax: number;
  readonly attemptsMax: number;
  readonly clock: Clock;
  /** In [0, 1), for jitter. */
  readonly chance: () => number;
  readonly signal?: AbortSignal;
  /** Called before every wait, with the reason as it is to be shown. */
  readonly onRetry?: (retry: {
    readonly reason: string;
    readonly waitMs: number;
    readonly attempt: number;
  }) => void;
  /** Called when the bound on requests per second makes a request wait. */
  readonly onThrottle?: (waitMs: number) => void;
  /** Answers come as they are: packing them costs both sides more than the way saves, where it is short. */
  readonly unpacked?: boolean;
};

export type WireRequest = {
  readonly method: 'GET' | 'PUT' | 'POST';
  /** Path, percent-encoded, with its query: `/v1/kv/a?recurse`. */
  readonly path: string;
  readonly body?: string;
  /** An answer above this is not read to its end. */
  readonly bytesMax: number;
  /** For this request alone, in place of the connection's: a blocking query takes as long as it waits. */
  readonly timeoutMs?: number;
  /** Ends this request alone, beside the connection's. */
  readonly signal?: AbortSignal;
};

export type WireAnswer =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly header: (name: string) => string | undefined;
      readonly body: Buffer;
    }
  | { readonly kind: 'too-large' };

/** As Consul's documentation asks of clients that poll. */
const burst = 2;
const backoff = { firstMs: 100, ceilingMs: 5000 };

/**
 * One HTTP peer, over axios: keep-alive, a bound on requests in flight and per second, and retries whose
 * reasons are shown. Every request sent through it must be safe to repeat.
 */
export class Connection {
  readonly address: string;
  readonly #options: ConnectionOptions;
  readonly #http: AxiosInstance;
  readonly #waiting: (() => void)[] = [];
  readonly #agents: readonly http.Agent[];
  #inFlight = 0;
  #bucket: TokenBucket;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const target = parseAddress(options.address);
    if (!target.ok) throw new ConnectionError('bad-address', target.error);
    this.address = target.value.shown;
    const agentOptions = { keepAlive: true, maxSockets: options.concurrencyMax };
    const httpAgent = new http.Agent(agentOptions);
    const httpsAgent = new https.Agent({ ...agentOptions, ...options.tls });
    this.#agents = [httpAgent, httpsAgent];
    this.#bucket = fullBucket(this.#limits, options.clock.now());
    this.#http = axios.create({
      baseURL: target.value.baseUrl,
      ...(target.value.socketPath === undefined ? {} : { socketPath: target.value.socketPath }),
      httpAgent,
      httpsAgent,
      // A source Consul is named by its address; a proxy from the environment would be a surprise.
      proxy: false,
      timeout: options.timeoutMs,
      maxRedirects: 0,
      responseType: 'arraybuffer',
      transformResponse: [],
      transformRequest: [],
      validateStatus: () => true,
      headers: {
        Accept: 'application/json',
        ...(options.unpacked === true ? { 'Accept-Encoding': 'identity' } : {}),
        'User-Agent': 'grapevine-migrate',
        ...(options.token === undefined || options.token === '' ? {} : { 'X-Consul-Token': options.token }),
      },
    });
  }

  /** Resolves with any final answer, whatever its status; rejects with a ConnectionError only. */
  async request(request: WireRequest): Promise<WireAnswer> {
    for (let attempt = 0; ; attempt += 1) {
      const answer = await this.#attempt(request);
      if ('tooLarge' in answer) return { kind: 'too-large' };
      const verdict = judgeAttempt(answer);
      const last = attempt + 1 >= this.#options.attemptsMax;
      if (!verdict.retry || last) {
        if (answer.kind === 'answer') return { ...answer, kind: 'answer' };
        throw this.#failure(request, answer.code, attempt + 1);
      }
      const waitMs = Math.max(verdict.notBeforeMs, backoffMs(attempt, backoff, this.#options.chance()));
      this.#options.onRetry?.({ reason: verdict.reason, waitMs, attempt: attempt + 1 });
      await this.#options.clock.sleep(waitMs, this.#signalOf(request));
    }
  }

  close(): void {
    for (const agent of this.#agents) agent.destroy();
  }

  #signalOf(request: WireRequest): AbortSignal | undefined {
    const { signal } = this.#options;
    if (request.signal === undefined || signal === undefined) return request.signal ?? signal;
    return AbortSignal.any([request.signal, signal]);
  }

  get #limits(): { perSecond: number; burst: number } {
    return { perSecond: this.#options.requestsPerSecondMax, burst };
  }

  async #attempt(request: WireRequest): Promise<
    | {
        kind: 'answer';
        status: number;
        header: (name: string) => string | undefined;
        text: () => string;
        body: Buffer;
      }
    | { kind: 'failure'; code: string }
    | { tooLarge: true }
  > {
    const signal = this.#signalOf(request);
    await this.#enter(signal);
    try {
      const response = await this.#http.request<Buffer>({
        method: request.method,
        url: request.path,
        maxContentLength: request.bytesMax,
        ...(request.body === undefined
          ? {}
          : { data: request.body, headers: { 'Content-Type': 'application/json' } }),
        ...(request.timeoutMs === undefined ? {} : { timeout: request.timeoutMs }),
        ...(signal === undefined ? {} : { signal }),
      });
      const header = (name: string): string | undefined => {
        const value: unknown = response.headers[name];
        return typeof value === 'string' ? value : undefined;
      };
      const body = response.data;
      return { kind: 'answer', status: response.status, header, body, text: () => body.toString('utf8') };
    } catch (error) {
      if (!(error instanceof AxiosError)) throw error;
      if (error.message.includes('maxContentLength')) return { tooLarge: true };
      return { kind: 'failure', code: error.code ?? 'unknown' };
    } finally {
      this.#leave();
    }
  }

  async #enter(signal: AbortSignal | undefined): Promise<void> {
    if (this.#inFlight >= this.#options.concurrencyMax) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#inFlight += 1;
    const taken = takeToken(this.#bucket, this.#limits, this.#options.clock.now());
    this.#bucket = taken.bucket;
    if (taken.waitMs === 0) return;
    this.#options.onThrottle?.(taken.waitMs);
    await this.#options.clock.sleep(taken.waitMs, signal);
  }

  #leave(): void {
    this.#inFlight -= 1;
    this.#waiting.shift()?.();
  }

  #failure(request: WireRequest, code: string, attempts: number): ConnectionError {
    if (code === 'ERR_CANCELED') return new ConnectionError('aborted', 'interrupted');
    const tries = attempts === 1 ? '' : ` after ${attempts} attempts`;
    const path = request.path.split('?')[0] ?? '';
    return new ConnectionError(
      'unreachable',
      `${this.address}: ${request.method} ${path}: no answer${tries} (${code})`,
    );
  }
}
