/** Rate and time left of a running job; time is an argument. Smoothed, so that a slow leaf does not make it jump. */
export class RateMeter {
  #lastDone = 0;
  #lastMs: number;
  #perSecond: number | null = null;

  constructor(startMs: number) {
    this.#lastMs = startMs;
  }

  /** Entries per second, and milliseconds left; null while nothing is known. */
  update(done: number, total: number, nowMs: number): { perSecond: number | null; etaMs: number | null } {
    if (done < this.#lastDone) {
      this.#lastDone = done;
      this.#lastMs = nowMs;
    }
    const elapsedMs = nowMs - this.#lastMs;
    if (elapsedMs >= 200) {
      const current = ((done - this.#lastDone) * 1000) / elapsedMs;
      // The weight of a sample grows with the time it covers: about five seconds of memory.
      const weight = 1 - Math.exp(-elapsedMs / 5000);
      this.#perSecond =
        this.#perSecond === null ? current : this.#perSecond + weight * (current - this.#perSecond);
      this.#lastDone = done;
      this.#lastMs = nowMs;
    }
    const rate = this.#perSecond;
    const etaMs = rate === null || rate <= 0 ? null : ((total - done) / rate) * 1000;
    return { perSecond: rate, etaMs };
  }
}
