/** How long recent lags are remembered, milliseconds. */
const memoryMs = 10_000;
const samplesMax = 2000;

/** The lags of late: what was found, how long before it may have changed. */
export class LagMeter {
  readonly #monoMs: () => number;
  readonly #tell: (ms: number) => void;
  #samples: { readonly atMs: number; readonly ms: number }[] = [];

  constructor(monoMs: () => number, tell: (ms: number) => void) {
    this.#monoMs = monoMs;
    this.#tell = tell;
  }

  add(ms: number): void {
    this.#tell(ms);
    this.#samples.push({ atMs: this.#monoMs(), ms });
    if (this.#samples.length > samplesMax) this.#samples = this.#samples.slice(samplesMax / 2);
  }

  /** Undefined: nothing changed of late. */
  quantile(share: number): number | undefined {
    const since = this.#monoMs() - memoryMs;
    this.#samples = this.#samples.filter(({ atMs }) => atMs >= since);
    const sorted = this.#samples.map(({ ms }) => ms).toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  }
}
