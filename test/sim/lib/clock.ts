import type { Instant } from '../../../src/kernel/instant.ts';

/** 2026-01-01T00:00:00Z: when every simulation begins. */
export const epochUs = 1_767_225_600_000_000;

/**
 * The two clocks of one machine. Both run fast or slow by the same drift; the wall clock is off besides, and may be
 * set. The monotonic one starts anywhere, again with every start of the process.
 */
export class NodeClock {
  readonly driftPpm: number;
  #offsetUs: number;
  #monoZeroMs: number;

  /** `offsetUs`: how far the wall clock is ahead of the truth. */
  constructor(options: {
    readonly offsetUs: number;
    readonly driftPpm: number;
    readonly monoZeroMs: number;
  }) {
    this.driftPpm = options.driftPpm;
    this.#offsetUs = options.offsetUs;
    this.#monoZeroMs = options.monoZeroMs;
  }

  read(trueMs: number): Instant {
    return { wallUs: this.wallUs(trueMs), monoMs: this.monoMs(trueMs) };
  }

  wallUs(trueMs: number): number {
    return epochUs + Math.round(trueMs * 1000 * this.#rate) + this.#offsetUs;
  }

  monoMs(trueMs: number): number {
    return this.#monoZeroMs + trueMs * this.#rate;
  }

  /** The true time at which the monotonic clock will show this. */
  trueMs(monoMs: number): number {
    return (monoMs - this.#monoZeroMs) / this.#rate;
  }

  /** Somebody sets the wall clock. */
  step(byUs: number): void {
    this.#offsetUs += byUs;
  }

  restart(monoZeroMs: number): void {
    this.#monoZeroMs = monoZeroMs;
  }

  get #rate(): number {
    return 1 + this.driftPpm / 1e6;
  }
}
