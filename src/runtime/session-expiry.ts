import type { SessionTimers } from '../state/session-timers.ts';
import type { ReadView } from '../state/store.ts';
import type { DriveLoop } from './drive-loop.ts';

export interface SessionExpiryOptions {
  readonly timers: SessionTimers;
  readonly loop: DriveLoop;
  readonly view: ReadView;
  readonly nowMs: () => number;
}

/** Longest delay of one timer: a due time further away is looked at again then. */
const delayMsMax = 60 * 60 * 1000;

/** Drives `SessionTimers` with one real timer, and destroys what has expired. */
export class SessionExpiry {
  readonly #options: SessionExpiryOptions;
  #timer: NodeJS.Timeout | undefined;
  #armedForMs = Infinity;

  constructor(options: SessionExpiryOptions) {
    this.#options = options;
  }

  start(): void {
    const { timers, loop, view, nowMs } = this.#options;
    timers.restore(view, nowMs());
    loop.onCommit((touched) => {
      timers.onCommit(touched, view, nowMs());
      this.#arm();
    });
    this.#arm();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #arm(): void {
    const dueMs = this.#options.timers.nextDueMs;
    if (dueMs === undefined || dueMs >= this.#armedForMs) return;
    clearTimeout(this.#timer);
    this.#armedForMs = dueMs;
    const delayMs = Math.min(Math.max(dueMs - this.#options.nowMs(), 0), delayMsMax);
    this.#timer = setTimeout(() => this.#fire(), delayMs);
    this.#timer.unref();
  }

  #fire(): void {
    const { timers, loop, nowMs } = this.#options;
    this.#armedForMs = Infinity;
    for (const id of timers.due(nowMs())) loop.propose({ kind: 'session-destroy', id }, () => undefined);
    this.#arm();
  }
}
