import type { OriginId } from '../crdt/dot.ts';
import type { LogPosition } from './rpc-messages.ts';

interface Waiter {
  readonly position: LogPosition;
  readonly dueMs: number;
  readonly done: (reached: boolean) => void;
}

/** Who waits until this replica has all of an origin's log up to a place. */
export class AppliedWaiters {
  readonly #reached: (position: LogPosition) => boolean;
  readonly #byOrigin = new Map<OriginId, Waiter[]>();

  constructor(reached: (position: LogPosition) => boolean) {
    this.#reached = reached;
  }

  get size(): number {
    let size = 0;
    for (const waiters of this.#byOrigin.values()) size += waiters.length;
    return size;
  }

  /** When the first of them has waited long enough; Infinity when nobody waits. */
  get nextMs(): number {
    let next = Infinity;
    for (const waiters of this.#byOrigin.values()) {
      for (const { dueMs } of waiters) next = Math.min(next, dueMs);
    }
    return next;
  }

  /** Calls `done(true)` at once or once the place is reached, `done(false)` when `dueMs` comes first. */
  add(position: LogPosition, dueMs: number, done: (reached: boolean) => void): void {
    if (this.#reached(position)) return done(true);
    const waiters = this.#byOrigin.get(position.origin);
    const waiter = { position, dueMs, done };
    if (waiters === undefined) this.#byOrigin.set(position.origin, [waiter]);
    else waiters.push(waiter);
  }

  /** To be called after each batch. */
  look(nowMs: number): void {
    for (const [origin, waiters] of this.#byOrigin) {
      const waiting: Waiter[] = [];
      const over: [Waiter, boolean][] = [];
      for (const waiter of waiters) {
        const reached = this.#reached(waiter.position);
        if (reached || nowMs >= waiter.dueMs) over.push([waiter, reached]);
        else waiting.push(waiter);
      }
      if (waiting.length === 0) this.#byOrigin.delete(origin);
      else this.#byOrigin.set(origin, waiting);
      for (const [waiter, reached] of over) waiter.done(reached);
    }
  }
}
