/** One reading of both clocks: what happens now, as machines without a clock are told. */
export interface Instant {
  /** Wall clock, microseconds since the epoch; may step. For stamps and for what people read. */
  readonly wallUs: number;
  /** Monotonic clock, milliseconds since any start, with a fraction; never falls. For timers and round trips. */
  readonly monoMs: number;
}
