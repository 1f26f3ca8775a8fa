import { err, ok, type Result } from '../../src/kernel/result.ts';
import { parseGoDuration } from './go-duration.ts';
import { failure, type ApiRequest, type Reply } from './http.ts';

export type Consistency = 'default' | 'stale' | 'consistent';

/** The common parameters of a read, as Consul's `parse` takes them. */
export interface ReadOptions {
  /** Empty: this gateway's own. */
  readonly dc: string;
  readonly consistency: Consistency;
  /** Above 0: block until the result's index is greater. May exceed 2^53 (events), then bigint. */
  readonly index: number | bigint;
  /** How long to block at most; already defaulted and capped, without jitter. */
  readonly waitMs: number;
  readonly maxStaleMs: number | undefined;
  readonly cached: boolean;
}

/** How long a blocking query waits (`default_query_time`, `max_query_time`). */
export interface WaitLimits {
  /** For a `wait` that is empty or not positive. */
  readonly defaultMs: number;
  readonly maxMs: number;
}

/** Consul's: 5 minutes, 10 at most; a random sixteenth is added. */
export const consulWaits: WaitLimits = { defaultMs: 300_000, maxMs: 600_000 };
export const waitJitterFraction = 16;

const plain: ReadOptions = {
  dc: '',
  consistency: 'default',
  index: 0,
  waitMs: consulWaits.defaultMs,
  maxStaleMs: undefined,
  cached: false,
};

const enterpriseOnly: readonly (readonly [string, string])[] = [
  ['ns', 'Namespaces'],
  ['partition', 'Partitions'],
];

/** Refuses the Enterprise parameters as the Community Edition does. */
export function enterpriseRefusal(request: ApiRequest): Reply | undefined {
  for (const [name, feature] of enterpriseOnly) {
    if (request.query.get(name) === '') continue;
    return failure(400, `Invalid query parameter: "${name}" - ${feature} are a Consul Enterprise feature`);
  }
  if (request.header('x-consul-namespace')) {
    return failure(400, 'Invalid header: "X-Consul-Namespace" - Namespaces are a Consul Enterprise feature');
  }
  return undefined;
}

export function parseReadOptions(
  request: ApiRequest,
  waits: WaitLimits = consulWaits,
): Result<ReadOptions, Reply> {
  const { query } = request;
  const cacheControl = request.header('cache-control');
  if (query.raw === '' && cacheControl === undefined) return ok(plain);
  const refusal = enterpriseRefusal(request);
  if (refusal !== undefined) return err(refusal);

  const wait = parseWait(query.get('wait'), waits);
  if (wait === undefined) return err(failure(400, 'Invalid wait time'));
  const index = parseIndex(query.get('index'));
  if (index === undefined) return err(failure(400, 'Invalid index'));
  const maxStale = query.get('max_stale');
  let maxStaleMs: number | undefined;
  if (maxStale !== '') {
    const parsed = parseGoDuration(maxStale);
    if (!parsed.ok) return err(failure(400, `Invalid max_stale value ${JSON.stringify(maxStale)}`));
    maxStaleMs = parsed.value / 1e6;
  }
  const stale = query.has('stale') || (maxStaleMs ?? 0) > 0;
  const consistent = query.has('consistent');
  const cached = query.has('cached');
  if (stale && consistent) {
    return err(failure(400, 'Cannot specify ?stale with ?consistent, conflicting semantics.'));
  }
  if (cached && consistent) {
    return err(failure(400, 'Cannot specify ?cached with ?consistent, conflicting semantics.'));
  }
  if (cached && cacheControl !== undefined && !validCacheControl(cacheControl)) {
    return err(failure(400, 'Invalid Cache-Control header.'));
  }
  const consistency = consistent ? 'consistent' : stale ? 'stale' : 'default';
  return ok({ dc: query.get('dc').toLowerCase(), consistency, index, waitMs: wait, maxStaleMs, cached });
}

function parseWait(text: string, { defaultMs, maxMs }: WaitLimits): number | undefined {
  if (text === '') return Math.min(defaultMs, maxMs);
  const parsed = parseGoDuration(text);
  if (!parsed.ok) return undefined;
  const ms = parsed.value / 1e6;
  return Math.min(ms <= 0 ? defaultMs : ms, maxMs);
}

function parseIndex(text: string): number | bigint | undefined {
  if (text === '') return 0;
  if (!/^\d{1,20}$/.test(text)) return undefined;
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  const exact = BigInt(text);
  return exact > 0xffff_ffff_ffff_ffffn ? undefined : exact;
}

function validCacheControl(header: string): boolean {
  for (const part of header.toLowerCase().split(',')) {
    const [name, value = ''] = part.trim().split('=', 2);
    if ((name === 'max-age' || name === 'stale-if-error') && !/^\d+$/.test(value)) return false;
  }
  return true;
}
