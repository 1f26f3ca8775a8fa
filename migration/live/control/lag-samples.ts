/** How far back is looked, and how often a sample is taken at most: so many are kept. */
const windowMs = 600_000;
const samplesMax = 6000;

/** Lags of the last ten minutes. */
export class LagSamples {
  readonly #samples: { readonly atMs: number; readonly lagMs: number }[] = [];

  add(atMs: number, lagMs: number): void {
    this.#samples.push({ atMs, lagMs });
    while (this.#samples.length > samplesMax || (this.#samples[0]?.atMs ?? atMs) < atMs - windowMs) {
      this.#samples.shift();
    }
  }

  /** Null: there are none yet. */
  p99Ms(): number | null {
    if (this.#samples.length === 0) return null;
    const sorted = this.#samples.map(({ lagMs }) => lagMs).toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * 0.99))] ?? null;
  }
}
