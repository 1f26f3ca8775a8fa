import { err, ok, type Result } from '../../src/kernel/result.ts';
import { parseGoDuration } from './go-duration.ts';
import { failure, type ApiRequest, type Reply } from './http.ts';

export type Consistency = 'default' | 'stale' | 'consistent';

/** The common parameters of a read, as Consul's `parse` takes them. */
export interface ReadOptions {
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
  consistency: 'default',
  index: 0,
  waitMs: consulWaits.defaultMs,
  maxStaleMs: undefined,
  cached: false,
};

/** Which of the Enterprise parameters an endpoint refuses: all, those of partitions alone, or none. */
export type EnterpriseParameters = 'refused' | 'partition-refused' | 'ignored';

interface EnterpriseFeature {
  readonly header: string;
  readonly query: string;
  readonly plural: string;
}

const namespaces: EnterpriseFeature = { header: 'X-Consul-Namespace', query: 'ns', plural: 'Namespaces' };
const partitions: EnterpriseFeature = {
  header: 'X-Consul-Partition',
  query: 'partition',
  plural: 'Partitions',
};

/** Refuses the Enterprise parameters, and the headers that stand for them, as the Community Edition does. */
export function enterpriseRefusal(
  request: ApiRequest,
  parameters: EnterpriseParameters = 'refused',
): Reply | undefined {
  if (parameters === 'ignored') return undefined;
  const namespaced = parameters === 'refused' ? featureRefusal(request, namespaces) : undefined;
  return namespaced ?? featureRefusal(request, partitions);
}

function featureRefusal(
  request: ApiRequest,
  { header, query, plural }: EnterpriseFeature,
): Reply | undefined {
  const where = request.header(header.toLowerCase())
    ? `header: "${header}"`
    : request.query.get(query) !== '' && `query parameter: "${query}"`;
  return where ? failure(400, `Invalid ${where} - ${plural} are a Consul Enterprise feature`) : undefined;
}

/** Refuses what is wrong in the order in which Consul looks. */
export function parseReadOptions(
  request: ApiRequest,
  waits: WaitLimits = consulWaits,
): Result<ReadOptions, Reply> {
  const { query } = request;
  const cacheControl = request.header('cache-control');
  if (query.raw === '' && cacheControl === undefined) return ok(plain);
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
  if (cacheControl !== undefined && !validCacheControl(cacheControl)) {
    return err(failure(400, 'Invalid Cache-Control header.'));
  }
  const wait = parseWait(query.get('wait'), waits);
  if (wait === undefined) return err(failure(400, 'Invalid wait time'));
  const index = parseIndex(query.get('index'));
  if (index === undefined) return err(failure(400, 'Invalid index'));
  const consistency = consistent ? 'consistent' : stale ? 'stale' : 'default';
  return ok({ consistency, index, waitMs: wait, maxStaleMs, cached });
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

/** Whether its durations are whole seconds, as Go's `Atoi` reads them. */
function validCacheControl(header: string): boolean {
  return header
    .toLowerCase()
    .split(',')
    .map((directive) => /^(?:max-age|stale-if-error)=(.*)$/.exec(directive.trim())?.[1])
    .every((seconds) => seconds === undefined || /^[+-]?\d+$/.test(seconds));
}
