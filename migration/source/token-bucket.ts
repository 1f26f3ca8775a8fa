/** A token bucket as a value: `perSecond` tokens a second, `burst` at most saved up. */
export type TokenBucket = { readonly tokens: number; readonly filledAtMs: number };

export type BucketLimits = { readonly perSecond: number; readonly burst: number };

export function fullBucket(limits: BucketLimits, nowMs: number): TokenBucket {
  return { tokens: limits.burst, filledAtMs: nowMs };
}

/** Takes one token, going into debt if need be: the caller waits `waitMs` before it uses it. */
export function takeToken(
  bucket: TokenBucket,
  limits: BucketLimits,
  nowMs: number,
): { readonly bucket: TokenBucket; readonly waitMs: number } {
  const elapsedMs = Math.max(0, nowMs - bucket.filledAtMs);
  const filled = Math.min(limits.burst, bucket.tokens + (elapsedMs * limits.perSecond) / 1000);
  const tokens = filled - 1;
  const waitMs = tokens >= 0 ? 0 : Math.ceil((-tokens * 1000) / limits.perSecond);
  return { bucket: { tokens, filledAtMs: nowMs }, waitMs };
}
