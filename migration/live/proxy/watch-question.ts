import { isUnordered, jitterFraction, queryParts, type UpstreamRequest } from './upstream-request.ts';

/** What clients wait for, without their indexes and waits: who asks the same may share an answer. */
export interface WatchQuestion {
  /** Without its query. */
  readonly path: string;
  /** The rest of the query. */
  readonly query: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Whether a higher index is a later one. */
  readonly ordered: boolean;
  readonly reads: 'default' | 'stale' | 'consistent';
}

/** One client that waits. */
export interface WatchAsked {
  /** The same for all who ask the same. */
  readonly key: string;
  readonly question: WatchQuestion;
  readonly index: bigint;
  /** Without what may be added to it. */
  readonly waitMs: number;
  /** The request as one that is answered at once. */
  readonly unblocked: UpstreamRequest;
}

/** Undefined: the request does not wait, or by something else than an index. */
export function watchOf(request: UpstreamRequest): WatchAsked | undefined {
  const { method, path: whole, headers, blocksMs } = request;
  if (method !== 'GET' || blocksMs === undefined) return undefined;
  const [path, raw] = split(whole);
  const named = queryParts(raw);
  const text = named.find(({ name }) => name === 'index')?.value ?? '';
  if (!/^\d{1,20}$/.test(text)) return undefined;
  const index = BigInt(text);
  const rest = named.filter(({ name }) => name !== 'index' && name !== 'wait');
  const has = (wanted: string): boolean => rest.some(({ name }) => name === wanted);
  const query = rest.map(({ raw: part }) => part).join('&');
  const ordered = !isUnordered(path);
  const reads = has('consistent') ? 'consistent' : has('stale') ? 'stale' : 'default';
  // Who asks is no part of what is asked, but for its rights.
  const meant = Object.entries(headers).filter(([name]) => name !== 'user-agent');
  const key = JSON.stringify([path, query, meant, ordered ? '' : text]);
  const unblocked = { ...request, path: query === '' ? path : `${path}?${query}`, blocksMs: undefined };
  const question = { path, query, headers, ordered, reads } as const;
  return { key, question, index, waitMs: blocksMs / (1 + 1 / jitterFraction), unblocked };
}

/** The question as a request that waits for something newer than `index`. */
export function pollOf(question: WatchQuestion, index: bigint, waitMs: number): UpstreamRequest {
  const { path, query, headers } = question;
  return {
    ...{ method: 'GET', headers, body: undefined },
    path: `${path}?${query === '' ? '' : `${query}&`}index=${index}&wait=${waitMs}ms`,
    blocksMs: waitMs * (1 + 1 / jitterFraction),
  };
}

/** Whether an index says that there is something that a client with the other one does not have. */
export function isNewer({ ordered }: WatchQuestion, index: bigint, than: bigint): boolean {
  return ordered ? index > than : index !== than;
}

function split(whole: string): readonly [string, string] {
  const cut = whole.indexOf('?');
  return cut < 0 ? [whole, ''] : [whole.slice(0, cut), whole.slice(cut + 1)];
}
