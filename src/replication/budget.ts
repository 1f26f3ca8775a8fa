/** What traffic is for. Each has a budget of its own, so that no repair keeps a new write from leaving. */
export type Cause = 'write' | 'repair' | 'resync';

/** Bytes per second that may be sent, saved up to a burst: a token bucket. */
export class Budget {
  readonly #bytesPerSecond: number;
  readonly #burstBytes: number;
  #savedBytes: number;
  #atMs: number;

  constructor(bytesPerSecond: number, burstBytes: number, nowMs: number) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#burstBytes = burstBytes;
    this.#savedBytes = burstBytes;
    this.#atMs = nowMs;
  }

  /**
   * Spends, or answers false. What is larger than the burst passes when the bucket is full and leaves a debt: else
   * it would never pass.
   */
  take(bytes: number, nowMs: number): boolean {
    this.#save(nowMs);
    if (this.#savedBytes < Math.min(bytes, this.#burstBytes)) return false;
    this.#savedBytes -= bytes;
    return true;
  }

  /** When so many bytes may be taken. */
  readyMs(bytes: number): number {
    const lacking = Math.min(bytes, this.#burstBytes) - this.#savedBytes;
    return this.#atMs + Math.max(0, Math.ceil((lacking / this.#bytesPerSecond) * 1000));
  }

  #save(nowMs: number): void {
    const earned = ((nowMs - this.#atMs) / 1000) * this.#bytesPerSecond;
    this.#savedBytes = Math.min(this.#burstBytes, this.#savedBytes + earned);
    this.#atMs = nowMs;
  }
}
