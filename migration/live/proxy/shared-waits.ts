import type { PassedReply } from '../../../compat/http/interceptor.ts';
import type { GatewayPort } from '../gateway-port.ts';
import { ownReply, unreachable } from './replies.ts';
import { jitterFraction, type UpstreamRequest } from './upstream-request.ts';
import { isNewer, pollOf, watchOf, type WatchQuestion } from './watch-question.ts';

/** How one request to the source for a watch ended. */
export type PollOutcome =
  | {
      readonly kind: 'answer';
      readonly status: number;
      /** Undefined: it tells none. */
      readonly index: bigint | undefined;
      readonly reply: PassedReply;
    }
  /** Too long to be held for many. */
  | { readonly kind: 'large'; readonly status: number; readonly index: bigint | undefined }
  | { readonly kind: 'failed'; readonly reply: PassedReply };

export interface SharedWaitsOptions {
  readonly gateway: GatewayPort;
  /** Requests that may wait at the source at once. */
  readonly placesMax: number;
  readonly poll: (request: UpstreamRequest, signal: AbortSignal) => Promise<PollOutcome>;
  /** Passes a request on for one client. */
  readonly alone: (request: UpstreamRequest, signal: AbortSignal) => Promise<PassedReply>;
}

interface Waiter {
  readonly index: bigint;
  readonly joinedMs: number;
  /** When its wait is over (monotonic). */
  readonly dueMs: number;
  /** What it asks for, without its wait. */
  readonly unblocked: UpstreamRequest;
  readonly end: (reply: PassedReply | 'alone') => void;
}

interface Poll {
  readonly index: bigint;
  readonly startedMs: number;
  readonly waitMs: number;
  /** Others wait for its place: it ends soon. */
  readonly isTurn: boolean;
  readonly control: AbortController;
}

interface Watch {
  readonly key: string;
  readonly question: WatchQuestion;
  readonly waiters: Set<Waiter>;
  poll: Poll | undefined;
}

/** An answer that comes sooner after a client than this may have been made before it came. Guess. */
const underWayMs = 500;

/** Where there are more watches than places: how long it may take until each of them had its turn. Guess. */
const roundMs = 4000;
/** A turn is not longer than this, and not so short that more than so many begin in a second. Guesses. */
const turnMsMax = 2000;
const turnsPerSecondMax = 200;

/** What the end of a wait may come late by, beside what Consul adds: the way there and back. Guess. */
const lateMs = 250;
const waitMsMin = 10;

/**
 * Clients that wait for the same thing at the source (the same question with the same rights) wait by one request over
 * there. More watches than places take turns: Consul compares indexes, so what changes between two turns of a watch is
 * found by the next one.
 */
export class SharedWaits {
  readonly #options: SharedWaitsOptions;
  readonly #watches = new Map<string, Watch>();
  /** Those that wait for a place, and those that have one: the oldest first. */
  readonly #queue = new Set<Watch>();
  readonly #polling = new Set<Watch>();
  readonly #count: Readonly<Record<'polls' | 'turns' | 'shared' | 'alone', (by?: number) => void>>;
  #watchers = 0;
  #turn: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: SharedWaitsOptions) {
    this.#options = options;
    const { metrics } = options.gateway;
    this.#count = {
      polls: metrics.counter('proxy.watch_polls'),
      turns: metrics.counter('proxy.watch_turns'),
      shared: metrics.counter('proxy.watch_answers', { how: 'shared' }),
      alone: metrics.counter('proxy.watch_answers', { how: 'alone' }),
    };
    metrics.gauge('proxy.watchers', () => this.#watchers);
    metrics.gauge('proxy.watches', () => this.#watches.size);
    metrics.gauge('proxy.watches_queued', () => this.#queue.size);
  }

  get watchers(): number {
    return this.#watchers;
  }

  get watches(): number {
    return this.#watches.size;
  }

  get polling(): number {
    return this.#polling.size;
  }

  /** Undefined: it does not wait, or by no index that could be compared. */
  join(request: UpstreamRequest, signal: AbortSignal): Promise<PassedReply> | undefined {
    const asked = watchOf(request);
    if (asked === undefined || this.#closed) return undefined;
    const { key, question, index, waitMs, unblocked } = asked;
    const { gateway, alone } = this.#options;
    let watch = this.#watches.get(key);
    if (watch === undefined) {
      watch = { key, question, waiters: new Set(), poll: undefined };
      this.#watches.set(key, watch);
    }
    const joined = watch;
    const joinedMs = gateway.monoMs();
    const dueMs = joinedMs + waitMs;
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const end = (reply: PassedReply | 'alone' | 'gone'): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', gone);
        joined.waiters.delete(waiter);
        this.#watchers -= 1;
        if (joined.waiters.size === 0) this.#drop(joined);
        if (reply === 'gone') return resolve(ownReply(unreachable('nobody waits for it')));
        this.#count[reply === 'alone' ? 'alone' : 'shared']();
        resolve(reply === 'alone' ? alone(unblocked, signal) : reply);
      };
      const gone = (): void => end('gone');
      const waiter: Waiter = { index, joinedMs, dueMs, unblocked, end };
      const over = (): void => {
        // The request over there ends at about the same time: its answer will do.
        const endsMs = joined.poll === undefined ? Infinity : latestEndMs(joined.poll);
        const latestMs = dueMs + waitMs / jitterFraction + lateMs;
        const nowMs = gateway.monoMs();
        if (endsMs < latestMs && nowMs < latestMs) timer = setTimeout(() => end('alone'), latestMs - nowMs);
        else end('alone');
      };
      timer = setTimeout(over, waitMs);
      joined.waiters.add(waiter);
      this.#watchers += 1;
      if (signal.aborted) return gone();
      signal.addEventListener('abort', gone, { once: true });
      if (joined.poll === undefined) this.#queue.add(joined);
      // It asks for what is there, unless that is no newer than what it has.
      else if (isNewer(question, joined.poll.index, index)) this.#again(joined);
      this.#pump();
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#turn);
    const reply = ownReply(unreachable('this gateway stops'));
    for (const watch of [...this.#watches.values()])
      for (const waiter of [...watch.waiters]) waiter.end(reply);
  }

  #drop(watch: Watch): void {
    this.#watches.delete(watch.key);
    this.#queue.delete(watch);
    this.#stop(watch);
    this.#pump();
  }

  #stop(watch: Watch): void {
    const { poll } = watch;
    watch.poll = undefined;
    this.#polling.delete(watch);
    poll?.control.abort();
  }

  #again(watch: Watch): void {
    this.#stop(watch);
    this.#queue.add(watch);
  }

  /** Gives places to those who wait for one. */
  #pump(): void {
    clearTimeout(this.#turn);
    if (this.#closed) return;
    for (const watch of this.#queue) {
      if (this.#polling.size >= this.#options.placesMax) break;
      this.#queue.delete(watch);
      this.#begin(watch);
    }
    if (this.#queue.size > 0) this.#takeTurns();
  }

  /** Those that have had a place for a turn or longer make room; of those that are left the oldest is waited for. */
  #takeTurns(): void {
    const nowMs = this.#options.gateway.monoMs();
    const turnMs = this.#turnMs();
    for (const watch of this.#polling) {
      const { poll } = watch;
      if (poll === undefined || poll.isTurn) continue;
      const leftMs = poll.startedMs + turnMs - nowMs;
      if (leftMs > 0) {
        this.#turn = setTimeout(() => this.#pump(), leftMs);
        return;
      }
      this.#again(watch);
      // Begins what waits longest; what has just made room is the last of the queue.
      this.#pump();
      return;
    }
  }

  #turnMs(): number {
    const places = this.#options.placesMax;
    const rounds = Math.max(1, this.#watches.size / places);
    return Math.max((places * 1000) / turnsPerSecondMax, Math.min(turnMsMax, roundMs / rounds));
  }

  #begin(watch: Watch): void {
    const startedMs = this.#options.gateway.monoMs();
    let index: bigint | undefined;
    let dueMs = 0;
    for (const waiter of watch.waiters) {
      if (index === undefined || isNewer(watch.question, index, waiter.index)) index = waiter.index;
      if (waiter.dueMs > dueMs) dueMs = waiter.dueMs;
    }
    if (index === undefined) return;
    const crowded = this.#queue.size > 0;
    const wantedMs = Math.max(waitMsMin, Math.ceil(dueMs - startedMs));
    const waitMs = crowded ? Math.min(wantedMs, Math.round(this.#turnMs())) : wantedMs;
    const control = new AbortController();
    const poll: Poll = { index, startedMs, waitMs, isTurn: crowded, control };
    watch.poll = poll;
    this.#polling.add(watch);
    this.#count.polls();
    if (crowded) this.#count.turns();
    const request = pollOf(watch.question, index, waitMs);
    void this.#options
      .poll(request, control.signal)
      .catch((error: unknown): PollOutcome => ({
        kind: 'failed',
        reply: ownReply(unreachable(error instanceof Error ? error.message : String(error))),
      }))
      .then((outcome) => this.#ended(watch, poll, outcome));
  }

  #ended(watch: Watch, poll: Poll, outcome: PollOutcome): void {
    if (watch.poll !== poll) return;
    watch.poll = undefined;
    this.#polling.delete(watch);
    // In the queue before it can be empty of clients, so that it is dropped from there.
    this.#queue.add(watch);
    const nowMs = this.#options.gateway.monoMs();
    for (const waiter of [...watch.waiters]) {
      if (outcome.kind === 'failed') waiter.end(outcome.reply);
      else if (isAnswer(watch.question, poll, outcome, waiter, nowMs)) {
        waiter.end(outcome.kind === 'large' ? 'alone' : outcome.reply);
      }
    }
    this.#pump();
  }
}

/** When a request that waits is answered at the latest, if the source and the way to it are well. */
function latestEndMs({ startedMs, waitMs }: Poll): number {
  return startedMs + waitMs * (1 + 1 / jitterFraction);
}

/** Whether what the source said is an answer to a client that waits. */
function isAnswer(
  question: WatchQuestion,
  poll: Poll,
  { status, index }: Exclude<PollOutcome, { readonly kind: 'failed' }>,
  waiter: Waiter,
  nowMs: number,
): boolean {
  if (index === undefined || (status !== 200 && status !== 404)) return true;
  // It may have been on its way when the client came, who may have written since: then it is asked for again.
  const isFresh =
    waiter.joinedMs <= poll.startedMs ||
    question.reads === 'stale' ||
    (question.reads === 'default' && nowMs - waiter.joinedMs >= underWayMs);
  if (!isFresh) return false;
  if (isNewer(question, index, waiter.index) || waiter.dueMs <= nowMs) return true;
  // The source ended the wait before its time, and nothing is newer: a restore, or a server that stops. It says so to all.
  return nowMs - poll.startedMs < poll.waitMs && !isNewer(question, index, poll.index);
}
