import { parseGoDuration } from '../../../compat/wire/go-duration.ts';
import type { ApiRequest, Method } from '../../../compat/wire/http.ts';
import { encodeKeyPath } from '../../mirror/key-rules.ts';

/** A request as it goes to the source. */
export interface UpstreamRequest {
  readonly method: Method;
  /** Path and query, percent-encoded. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  /** How long it may block over there; undefined: it does not. */
  readonly blocksMs: number | undefined;
}

/** Those of a client that mean something to Consul. Its connection is its own, and so is ours. */
const passedOn = [
  'accept',
  'accept-encoding',
  'authorization',
  'cache-control',
  'content-encoding',
  'content-type',
  'user-agent',
  'x-consul-namespace',
  'x-consul-partition',
  'x-consul-token',
] as const;

/** Consul's own: what it waits for by default and at most, and the random sixteenth that it adds. */
const waitMsDefault = 300_000;
const waitMsMax = 600_000;
export const jitterFraction = 16;

/** Events have hashes for indexes: one is not above another. */
const unorderedIndexes = '/v1/event/list';

/**
 * A client's request, to be passed on. An index that the source never showed is left out: the client has it from a
 * gateway, and would wait for it over there for as long as it may. Infinity: the index is the source's own.
 */
export function upstreamRequest(request: ApiRequest, highWater: number): UpstreamRequest {
  const { method, query, body } = request;
  const strip =
    method === 'GET' &&
    request.path !== unorderedIndexes &&
    Number.isFinite(highWater) &&
    indexOf(request) > BigInt(highWater);
  const raw = strip ? without(query.raw, 'index') : query.raw;
  const headers: Record<string, string> = {};
  for (const name of passedOn) {
    const value = request.header(name);
    if (value !== undefined) headers[name] = value;
  }
  return {
    method,
    path: `${encodeKeyPath(request.path)}${raw === '' ? '' : `?${raw}`}`,
    headers,
    body: body.length > 0 ? body : method === 'GET' ? undefined : streamOf(request),
    blocksMs: method === 'GET' && !strip && blocks(request) ? blocksMs(query.get('wait')) : undefined,
  };
}

function streamOf(request: ApiRequest): AsyncIterable<Uint8Array> | undefined {
  return request.header('content-length') === '0' ? undefined : request.stream;
}

function blocks(request: ApiRequest): boolean {
  return indexOf(request) > 0n || (request.query.has('hash') && request.path.startsWith('/v1/agent/'));
}

function indexOf({ query }: ApiRequest): bigint {
  const text = query.get('index');
  return /^\d{1,20}$/.test(text) ? BigInt(text) : 0n;
}

/** The whole wait with what may be added to it. */
function blocksMs(text: string): number {
  const parsed = parseGoDuration(text === '' ? '0' : text);
  const ms = parsed.ok ? parsed.value / 1e6 : 0;
  const bounded = Math.min(ms <= 0 ? waitMsDefault : ms, waitMsMax);
  return bounded * (1 + 1 / jitterFraction);
}

/** Whether the indexes of an endpoint are not in an order. `path`: without its query. */
export function isUnordered(path: string): boolean {
  return path === unorderedIndexes;
}

export interface QueryPart {
  /** Decoded. */
  readonly name: string;
  /** Decoded. */
  readonly value: string;
  /** As it came. */
  readonly raw: string;
}

/** The parameters of a query, in their order. */
export function queryParts(raw: string): readonly QueryPart[] {
  if (raw === '') return [];
  return raw.split('&').map((pair) => {
    const cut = pair.indexOf('=');
    const [name, value] = cut < 0 ? [pair, ''] : [pair.slice(0, cut), pair.slice(cut + 1)];
    return { name: decode(name), value: decode(value), raw: pair };
  });
}

/** A query without one of its parameters. */
export function without(raw: string, unwanted: string): string {
  return queryParts(raw)
    .filter(({ name }) => name !== unwanted)
    .map((part) => part.raw)
    .join('&');
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return text;
  }
}
