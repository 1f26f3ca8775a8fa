/** What one attempt of a read ended in. */
export type Attempt =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly header: (name: string) => string | undefined;
      readonly text: () => string;
    }
  /** No answer: a code as Node names it (`ECONNREFUSED`, `ECONNABORTED`, …). */
  | { readonly kind: 'failure'; readonly code: string };

export type RetryVerdict =
  | { readonly retry: false }
  /** `reason` is for people; `notBeforeMs` comes from a Retry-After header. */
  | { readonly retry: true; readonly reason: string; readonly notBeforeMs: number };

const fatalCodes: ReadonlySet<string> = new Set([
  'ERR_CANCELED',
  'ERR_INVALID_URL',
  'ENOENT',
  'EACCES',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'ERR_TLS_CERT_ALTNAME_INVALID',
]);

/**
 * Whether a read (or an idempotent write) is worth another attempt: busy (429), leaderless or failing
 * servers (5xx), no answer at all, and an answer given without a known leader.
 */
export function judgeAttempt(attempt: Attempt): RetryVerdict {
  if (attempt.kind === 'failure') {
    if (fatalCodes.has(attempt.code)) return { retry: false };
    return { retry: true, reason: `no answer (${attempt.code})`, notBeforeMs: 0 };
  }
  const { status, header } = attempt;
  if (status === 429) return { retry: true, reason: 'rate limited (429)', notBeforeMs: retryAfterMs(header) };
  if (status >= 500) {
    const line = attempt.text().slice(0, 200).split('\n')[0] ?? '';
    // Consul answers some wrong requests with 500 as well; these do not get better.
    if (/must be enabled|invalid key name|strconv\.Parse|^Missing /.test(line)) return { retry: false };
    const reason = /no cluster leader|leader/i.test(line) ? 'no cluster leader' : `${status} ${line}`.trim();
    return { retry: true, reason, notBeforeMs: retryAfterMs(header) };
  }
  if ((status === 200 || status === 404) && header('x-consul-knownleader') === 'false') {
    return { retry: true, reason: 'answered without a known leader', notBeforeMs: 0 };
  }
  return { retry: false };
}

function retryAfterMs(header: (name: string) => string | undefined): number {
  const seconds = Number(header('retry-after') ?? '0');
  return Number.isFinite(seconds) && seconds > 0 ? Math.min(seconds, 60) * 1000 : 0;
}

export type BackoffLimits = { readonly firstMs: number; readonly ceilingMs: number };

/** Exponential backoff with full jitter on its upper half. `chance` is in [0, 1). */
export function backoffMs(attempt: number, limits: BackoffLimits, chance: number): number {
  const span = Math.min(limits.ceilingMs, limits.firstMs * 2 ** Math.min(attempt, 30));
  return Math.round(span / 2 + (span / 2) * chance);
}
