import { performance } from 'node:perf_hooks';

/** Bounds of a pace. All of them guesses. */
export interface PaceLimits {
  /** Above this share of its time the event loop counts as busy, below the other one as free. */
  readonly busyLoad: number;
  readonly freeLoad: number;
  /** However busy it is: little enough that nobody can tell. */
  readonly slowestPerSecond: number;
  readonly fastestPerSecond: number;
  /** By how much it may go faster each time that reads found the loop free. */
  readonly growthPerSecond: number;
}

export const paceLimits: PaceLimits = {
  busyLoad: 0.8,
  freeLoad: 0.6,
  slowestPerSecond: 25,
  fastestPerSecond: 50_000,
  growthPerSecond: 50,
};

const windowMs = 100;

/**
 * How many reads a second may be looked at: as many as there are while the event loop has time to spare. While clients
 * need all of it a quarter as many each tenth of a second, down to a few; afterwards slowly more again.
 */
export class Pace {
  readonly #monoMs: () => number;
  readonly #load: () => number;
  readonly #limits: PaceLimits;
  #perSecond: number;
  #tokens: number;
  #taken = 0;
  #filledMs: number;
  #lookedMs: number;

  /** @param load the share of its time that the event loop was at work since it was asked last: 0 to 1 */
  constructor(monoMs: () => number, load: () => number, limits: PaceLimits = paceLimits) {
    this.#monoMs = monoMs;
    this.#load = load;
    this.#limits = limits;
    this.#perSecond = limits.fastestPerSecond;
    this.#tokens = this.#burst;
    this.#filledMs = this.#lookedMs = monoMs();
  }

  get perSecond(): number {
    return this.#perSecond;
  }

  /** False: the event loop is needed for other things. */
  take(): boolean {
    const nowMs = this.#monoMs();
    this.#look(nowMs);
    const filled = ((nowMs - this.#filledMs) * this.#perSecond) / 1000;
    this.#tokens = Math.min(this.#burst, this.#tokens + filled);
    this.#filledMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    this.#taken += 1;
    return true;
  }

  #look(nowMs: number): void {
    if (nowMs - this.#lookedMs < windowMs) return;
    const { busyLoad, freeLoad, slowestPerSecond, fastestPerSecond, growthPerSecond } = this.#limits;
    const seconds = (nowMs - this.#lookedMs) / 1000;
    const load = this.#load();
    if (load > busyLoad) {
      // Of what it did, not of what it might have done.
      const did = Math.min(this.#perSecond, this.#taken / seconds);
      this.#perSecond = Math.max(slowestPerSecond, did / 4);
    } else if (load < freeLoad) {
      this.#perSecond = Math.min(fastestPerSecond, this.#perSecond + growthPerSecond);
    }
    this.#taken = 0;
    this.#lookedMs = nowMs;
  }

  /** What may be taken at once: of a second that begins with a crowd of clients nothing is lost. */
  get #burst(): number {
    return Math.max(this.#limits.slowestPerSecond, this.#perSecond / 10);
  }
}

/** The share of its time that the event loop of this thread was at work, each time since it was asked last. */
export function loopLoad(): () => number {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}
