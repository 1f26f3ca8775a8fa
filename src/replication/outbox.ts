import type { OriginId } from '../crdt/dot.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import { Budget, type Cause } from './budget.ts';
import type { ReplicationMessage } from './messages.ts';

export type Lane = 'packet' | 'stream';

/**
 * What replication wants done once the step is on disk.
 * - `send`: over that lane; `bulk` may wait behind what is not;
 * - `behind`: a peer has more of our own log than we do. Our database is a restored backup: mint a new origin before
 *   anything else is written.
 */
export type ReplicationEffect =
  | {
      readonly kind: 'send';
      readonly to: Endpoint;
      readonly lane: Lane;
      readonly bulk: boolean;
      readonly message: ReplicationMessage;
    }
  | { readonly kind: 'behind'; readonly ownOrigin: OriginId; readonly head: number };

export type SendEffect = Extract<ReplicationEffect, { kind: 'send' }>;

interface Queued {
  readonly effect: SendEffect;
  readonly bytes: number;
}

interface Line {
  readonly budget: Budget;
  queue: Queued[];
  bytes: number;
  dropped: number;
}

/** Megabytes per second and their burst; generous for what a gateway does, small for a network. Guesses. */
const limits: Readonly<Record<Cause, readonly [perSecond: number, burst: number]>> = {
  write: [32 << 20, 8 << 20],
  repair: [8 << 20, 2 << 20],
  resync: [32 << 20, 4 << 20],
};
const queueBytesMax = 8 << 20;

/** Effects of the present step, and what waits for its budget: bounded, the oldest is dropped (and still needed). */
export class Outbox {
  readonly #lines: Readonly<Record<Cause, Line>>;
  #effects: ReplicationEffect[] = [];

  constructor(nowMs: number) {
    const line = (cause: Cause): Line => {
      const [perSecond, burst] = limits[cause];
      return { budget: new Budget(perSecond, burst, nowMs), queue: [], bytes: 0, dropped: 0 };
    };
    this.#lines = { write: line('write'), repair: line('repair'), resync: line('resync') };
  }

  send(cause: Cause, effect: SendEffect, bytes: number, nowMs: number): void {
    const line = this.#lines[cause];
    if (line.queue.length === 0 && line.budget.take(bytes, nowMs)) {
      this.#effects.push(effect);
      return;
    }
    line.queue.push({ effect, bytes });
    line.bytes += bytes;
    while (line.bytes > queueBytesMax && line.queue.length > 1) {
      line.bytes -= (line.queue.shift() as Queued).bytes;
      line.dropped += 1;
    }
  }

  /** What is small and not worth a budget: acknowledgements, questions. */
  sendNow(to: Endpoint, lane: Lane, message: ReplicationMessage): void {
    this.#effects.push({ kind: 'send', to, lane, bulk: false, message });
  }

  push(effect: ReplicationEffect): void {
    this.#effects.push(effect);
  }

  flush(nowMs: number): void {
    for (const cause of ['write', 'repair', 'resync'] as const) {
      const line = this.#lines[cause];
      let sent = 0;
      for (const { effect, bytes } of line.queue) {
        if (!line.budget.take(bytes, nowMs)) break;
        line.bytes -= bytes;
        this.#effects.push(effect);
        sent += 1;
      }
      if (sent > 0) line.queue = line.queue.slice(sent);
    }
  }

  get nextMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (const cause of ['write', 'repair', 'resync'] as const) {
      const { queue, budget } = this.#lines[cause];
      const first = queue[0];
      if (first !== undefined) next = Math.min(next, budget.readyMs(first.bytes));
    }
    return next;
  }

  /** Milliseconds that something sent now would wait behind what is queued. */
  delayMs(cause: Cause): number {
    return (this.#lines[cause].bytes / limits[cause][0]) * 1000;
  }

  queued(cause: Cause): { readonly messages: number; readonly bytes: number; readonly dropped: number } {
    const { queue, bytes, dropped } = this.#lines[cause];
    return { messages: queue.length, bytes, dropped };
  }

  take(): readonly ReplicationEffect[] {
    if (this.#effects.length === 0) return none;
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}

const none: readonly ReplicationEffect[] = [];
