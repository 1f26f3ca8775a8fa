/** Some times, in milliseconds, as they are printed. */
export interface Figures {
  readonly p50: number;
  readonly p99: number;
}

export function figures(tookMs: readonly number[]): Figures {
  const sorted = tookMs.toSorted((a, b) => a - b);
  return { p50: percentile(sorted, 50), p99: percentile(sorted, 99) };
}

/** The smallest value that so many percent of the sorted values do not exceed; NaN of none. */
function percentile(sorted: readonly number[], percent: number): number {
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? Number.NaN;
}
