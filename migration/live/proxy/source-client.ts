import { setMaxListeners } from 'node:events';
import type { PassedReply } from '../../../compat/http/interceptor.ts';
import { failure, type Method } from '../../../compat/wire/http.ts';
import type { GatewayPort, SourceSettings } from '../gateway-port.ts';
import { beginning, ownReply, passedHeaders, unreachable, wholeBody } from './replies.ts';
import { SharedWaits, type PollOutcome } from './shared-waits.ts';
import { Slots, type Slot } from './slots.ts';
import { codeOf, Transport, type Response } from './transport.ts';
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

/** An answer up to this is given to all who wait for it; of a longer one each gets its own. Guess. */
const sharedBytesMax = 8 * 1024 * 1024;

/** Of the sockets so many are never taken by queries that wait. */
const briefShare = 1 / 4;

/** Of the other ones: for what waits on this gateway's own behalf. */
const ownShare = 1 / 8;

type Got =
  | { readonly kind: 'response'; readonly response: Response; readonly release: () => void }
  | { readonly kind: 'failed'; readonly unsent: boolean; readonly code: string }
  | { readonly kind: 'crowded' };

const tooMany = 'Too many requests to the source Consul are waiting: try again in a while';

/**
 * The source as this gateway's clients reach it: their requests, with their tokens, over a bounded number of kept
 * connections. Requests that wait over there cannot take the last of them.
 */
export class SourceClient {
  readonly #transport: Transport;
  readonly #brief: Slots;
  readonly #blocking: Slots;
  readonly #waits: SharedWaits;
  readonly #stopping = new AbortController();
  readonly #count: Readonly<Record<'requests' | 'crowded', (by?: number) => void>>;
  #highWater = 0;

  constructor(gateway: GatewayPort, settings: SourceSettings) {
    // Each request listens for the end.
    setMaxListeners(0, this.#stopping.signal);
    this.#transport = new Transport(gateway, settings, this.#stopping.signal, (header) => {
      if (typeof header === 'string' && /^\d{1,16}$/.test(header)) this.sawIndex(Number(header));
    });
    const waitingMax = Math.max(1, Math.floor(settings.connectionsMax * (1 - briefShare)));
    const ownMax = Math.max(1, Math.floor(waitingMax * ownShare));
    const waits = { waitingMax: 4096, waitMsMax: 5000 };
    this.#blocking = new Slots({ slotsMax: ownMax, ...waits });
    this.#brief = new Slots({ slotsMax: Math.max(1, settings.connectionsMax - waitingMax), ...waits });
    this.#waits = new SharedWaits({
      gateway,
      placesMax: Math.max(1, waitingMax - ownMax),
      poll: (request, signal) => this.#poll(request, signal),
      alone: (request, signal) => this.#passAlone(request, signal),
    });
    const { metrics } = gateway;
    this.#count = {
      requests: metrics.counter('proxy.requests'),
      crowded: metrics.counter('proxy.crowded'),
    };
    metrics.gauge('proxy.under_way', () => this.#underWay);
    metrics.gauge('proxy.waiting', () => this.#brief.waiting + this.#blocking.waiting);
  }

  get #underWay(): number {
    return this.#brief.taken + this.#blocking.taken + this.#waits.polling;
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
      address: this.#transport.address,
      trouble: this.#transport.trouble ?? null,
      inTrouble: this.#transport.inTrouble,
      underWay: this.#underWay,
      waiting: this.#brief.waiting + this.#blocking.waiting,
      watchers: this.#waits.watchers,
      watches: this.#waits.watches,
      highWater: this.#highWater,
    };
  }

  /**
   * Passes a client's request on; those that wait for the same thing wait together. Never rejects: trouble is an answer
   * in Consul's words.
   */
  pass(request: UpstreamRequest, signal: AbortSignal): Promise<PassedReply> {
    return this.#waits.join(request, signal) ?? this.#passAlone(request, signal);
  }

  async #passAlone(request: UpstreamRequest, signal: AbortSignal): Promise<PassedReply> {
    const sent = await this.#send(request, signal);
    if (sent.kind === 'crowded') return ownReply(failure(429, tooMany));
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

  /** One turn of a query that clients wait for. Its place is counted by those who wait together. */
  async #poll(request: UpstreamRequest, signal: AbortSignal): Promise<PollOutcome> {
    this.#count.requests();
    const sent = await this.#transport.send(request, signal);
    if (sent.kind === 'failed') return { kind: 'failed', reply: ownReply(unreachable(sent.code)) };
    const { status, stream } = sent.response;
    const text = stream.headers['x-consul-index'];
    const index = typeof text === 'string' && /^\d{1,20}$/.test(text) ? BigInt(text) : undefined;
    try {
      const body = await beginning(stream, sharedBytesMax);
      if (!(body instanceof Uint8Array)) {
        stream.destroy();
        return { kind: 'large', status, index };
      }
      const reply = { status, headers: passedHeaders(stream.rawHeaders), body };
      return { kind: 'answer', status, index, reply };
    } catch (error) {
      return { kind: 'failed', reply: ownReply(unreachable(codeOf(error))) };
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
    this.#waits.close();
    this.#transport.close();
  }

  async #send(request: UpstreamRequest, signal: AbortSignal): Promise<Got> {
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
      const sent = await this.#transport.send(request, signal);
      if (sent.kind !== 'response') return sent;
      keep = true;
      return { ...sent, release };
    } finally {
      if (!keep) release();
    }
  }
}
