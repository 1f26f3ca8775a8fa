/** Smoothed round trip and its variation, milliseconds (RFC 6298 §2). */
export interface RoundTrip {
  readonly smoothedMs: number;
  readonly variationMs: number;
}

export function measuredRoundTrip(known: RoundTrip | undefined, rttMs: number): RoundTrip {
  if (known === undefined) return { smoothedMs: rttMs, variationMs: rttMs / 2 };
  const { smoothedMs, variationMs } = known;
  return {
    smoothedMs: smoothedMs + (rttMs - smoothedMs) / 8,
    variationMs: variationMs + (Math.abs(rttMs - smoothedMs) - variationMs) / 4,
  };
}
