import type { Endpoint } from '../wire/endpoint.ts';
import { endpointText } from '../wire/endpoint.ts';

/** What came of one attempt to join. */
export type JoinAttempt =
  /** How many of the addresses answered. */
  | { readonly kind: 'joined'; readonly count: number }
  /** Nobody is named but this gateway itself: as one of several that have the same configuration, it is there. */
  | { readonly kind: 'self' }
  | { readonly kind: 'failed'; readonly ownNamed: boolean; readonly problems: readonly string[] };

export interface JoinSteps {
  /** Names are looked up for each attempt: gateways may have moved since the last one. */
  readonly resolve: (addresses: readonly string[]) => Promise<{
    readonly endpoints: readonly Endpoint[];
    readonly problems: readonly { readonly problem: string }[];
  }>;
  readonly join: (
    endpoints: readonly Endpoint[],
  ) => Promise<
    readonly (
      | { readonly endpoint: Endpoint; readonly ok: true }
      | { readonly endpoint: Endpoint; readonly ok: false; readonly error: string }
    )[]
  >;
  /** Whether this gateway itself is reached there. */
  readonly isOwn: (endpoint: Endpoint) => boolean;
}

/** One attempt: of `start_join`, or one of many of `retry_join`. Never rejects. */
export async function attemptJoin(
  addresses: readonly string[],
  { resolve, join, isOwn }: JoinSteps,
): Promise<JoinAttempt> {
  try {
    const resolved = await resolve(addresses);
    const problems = resolved.problems.map(({ problem }) => problem);
    const others = resolved.endpoints.filter((endpoint) => !isOwn(endpoint));
    const ownNamed = others.length < resolved.endpoints.length;
    const results = others.length === 0 ? [] : await join(others);
    const count = results.filter((result) => result.ok).length;
    if (count > 0) return { kind: 'joined', count };
    for (const result of results) {
      if (!result.ok) problems.push(`Failed to join ${endpointText(result.endpoint)}: ${result.error}`);
    }
    if (problems.length > 0) return { kind: 'failed', ownNamed, problems };
    return ownNamed ? { kind: 'self' } : { kind: 'failed', ownNamed, problems: ['no servers to join'] };
  } catch (error) {
    return { kind: 'failed', ownNamed: false, problems: [String(error)] };
  }
}

export interface RetryPolicy {
  readonly intervalMs: number;
  /** Failures before giving up the first join; 0: never. */
  readonly attemptsMax: number;
}

/** What is known of the attempts so far. */
export interface RetryState {
  /** Another gateway was there once: from then on nobody gives up, since this gateway is serving. */
  readonly joined: boolean;
  /** One of the addresses is this gateway's own: Consul would have joined itself, and be content. */
  readonly ownNamed: boolean;
  readonly failures: number;
  /** When the last one ended, on the monotonic clock; undefined: none yet. */
  readonly lastMs: number | undefined;
}

export const noAttempts: RetryState = { joined: false, ownNamed: false, failures: 0, lastMs: undefined };

export type RetryDecision =
  /** Others are there: look again when membership changes. */
  | { readonly kind: 'rest' }
  | { readonly kind: 'attempt'; readonly afterMs: number }
  | { readonly kind: 'exhausted' };

/** `connected`: another member lives, and this gateway belongs to a cluster. */
export function decideRetry(
  state: RetryState,
  policy: RetryPolicy,
  connected: boolean,
  nowMs: number,
): RetryDecision {
  const { joined, ownNamed, failures, lastMs } = state;
  if (lastMs === undefined) return { kind: 'attempt', afterMs: 0 };
  if (connected) return { kind: 'rest' };
  const first = !joined && !ownNamed;
  // As Consul counts: so many more after the first.
  if (first && policy.attemptsMax > 0 && failures > policy.attemptsMax) return { kind: 'exhausted' };
  return { kind: 'attempt', afterMs: Math.max(0, lastMs + policy.intervalMs - nowMs) };
}

export function afterAttempt(state: RetryState, attempt: JoinAttempt, nowMs: number): RetryState {
  const failed = attempt.kind === 'failed';
  return {
    joined: state.joined || attempt.kind === 'joined',
    ownNamed: state.ownNamed || attempt.kind === 'self' || (failed && attempt.ownNamed),
    failures: failed ? state.failures + 1 : 0,
    lastMs: nowMs,
  };
}

export interface RetryJoinOptions extends JoinSteps {
  readonly pool: 'LAN' | 'WAN';
  /** At least one. */
  readonly addresses: readonly string[];
  readonly policy: RetryPolicy;
  /** Whether another member lives, and this gateway belongs to a cluster. */
  readonly connected: () => boolean;
  /** Monotonic, milliseconds. */
  readonly nowMs: () => number;
  /** Answers how to cancel it. */
  readonly setTimer: (run: () => void, afterMs: number) => () => void;
  readonly log: {
    readonly info: (message: string, facts: Readonly<Record<string, string | number>>) => void;
    readonly warn: (message: string, facts: Readonly<Record<string, string | number>>) => void;
  };
  /** The first join failed for good: the process must end, as Consul's does. */
  readonly onExhausted: (reason: string) => void;
}

/**
 * Joins a pool, however often it takes, and again whenever this gateway finds itself alone: so a gateway that was cut
 * off, or whose peers all moved, comes back by the names that it was configured with.
 */
export class RetryJoin {
  readonly #options: RetryJoinOptions;
  #state = noAttempts;
  #busy = false;
  #stopped = false;
  #cancelTimer: (() => void) | undefined;

  constructor(options: RetryJoinOptions) {
    this.#options = options;
  }

  start(): void {
    this.#look();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancel();
  }

  /** To be called whenever members come or go, or this gateway begins to belong to a cluster. */
  membersChanged(): void {
    if (this.#state.lastMs !== undefined) this.#look();
  }

  #look(): void {
    if (this.#stopped || this.#busy) return;
    const { policy, connected, nowMs, setTimer, onExhausted, pool } = this.#options;
    this.#cancel();
    const isConnected = connected();
    // Others may have joined this gateway before it reached them.
    if (isConnected) this.#state = { ...this.#state, joined: true };
    const next = decideRetry(this.#state, policy, isConnected, nowMs());
    switch (next.kind) {
      case 'rest':
        return;
      case 'attempt':
        this.#cancelTimer = setTimer(() => void this.#attempt(), next.afterMs);
        return;
      case 'exhausted':
        this.stop();
        onExhausted(`max join ${pool} retry exhausted, exiting`);
    }
  }

  async #attempt(): Promise<void> {
    const { addresses, nowMs } = this.#options;
    this.#cancelTimer = undefined;
    this.#busy = true;
    const attempt = await attemptJoin(addresses, this.#options);
    this.#busy = false;
    if (this.#stopped) return;
    this.#state = afterAttempt(this.#state, attempt, nowMs());
    this.#report(attempt);
    this.#look();
  }

  #report(attempt: JoinAttempt): void {
    const { log, pool, policy, connected, nowMs } = this.#options;
    if (attempt.kind === 'joined') {
      log.info('Join cluster completed. Synced with initial agents', {
        cluster: pool,
        num_agents: attempt.count,
      });
    }
    if (attempt.kind === 'failed') {
      const exhausted = decideRetry(this.#state, policy, connected(), nowMs()).kind === 'exhausted';
      log.warn(exhausted ? 'Join cluster failed' : 'Join cluster failed, will retry', {
        cluster: pool,
        retry_interval_ms: policy.intervalMs,
        attempt: this.#state.failures,
        error: attempt.problems.slice(0, problemsShown).join('; '),
      });
    }
  }

  #cancel(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }
}

/** Of one attempt, in the log. */
const problemsShown = 8;
