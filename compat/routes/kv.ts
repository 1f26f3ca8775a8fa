import { prefixEnd } from '../../src/kernel/utf8-order.ts';
import type { Dependencies } from '../../src/state/dependencies.ts';
import { Kind } from '../../src/state/kinds.ts';
import { getKv, rangeKv, type PutMode } from '../../src/state/kv.ts';
import type { ReadView } from '../../src/state/store.ts';
import { topic } from '../../src/state/topics.ts';
import { decodeKv } from '../../src/state/values.ts';
import { indentJson } from '../wire/go-indent.ts';
import { parseUint64 } from '../wire/go-numbers.ts';
import { failure, json, jsonBody, jsonType } from '../wire/http.ts';
import type { Answer, ApiRequest, Read, Reply, RouteResult, Write } from '../wire/http.ts';
import { renderKvEntry } from '../wire/kv-json.ts';
import type { Query } from '../wire/query.ts';
import { bodyTooLarge, refusalReply } from '../wire/refusal.ts';
import type { RouteContext } from './context.ts';
import type { Route } from './route.ts';

const bodySetting = 'kv_max_value_size';
const missingKey = failure(400, 'Missing key name');

const rawHeaders = {
  'X-Content-Type-Options': 'nosniff',
  'Content-Security-Policy': 'sandbox',
} as const;

/** GET /v1/kv/:key — `keys` wins over `recurse`, `recurse` over `raw` (Consul 1.8.7). */
function getRoute(request: ApiRequest): RouteResult {
  const { query, rest: key } = request;
  const pretty = query.has('pretty');
  if (query.raw === '') return key === '' ? missingKey : readKey(key, false, false);
  if (query.has('keys')) return readKeys(key, query.get('separator') || query.get('seperator'), pretty);
  if (query.has('recurse')) return readTree(key, pretty);
  return key === '' ? missingKey : readKey(key, query.has('raw'), pretty);
}

function readKey(key: string, raw: boolean, pretty: boolean): Read {
  return {
    kind: 'read',
    key: `kv:${raw ? 'r' : ''}${pretty ? 'p' : ''}:${key}`,
    scope: { kind: 'key', key },
    evaluate: (view, dependencies) => answerKey(view, dependencies, key, raw, pretty),
  };
}

function answerKey(
  view: ReadView,
  dependencies: Dependencies,
  key: string,
  raw: boolean,
  pretty: boolean,
): Answer {
  dependencies.add(topic.key(key));
  const row = getKv(view, key);
  if (row === undefined) return notFound(view.tableIndex(Kind.kv));
  if (raw) {
    const body = decodeKv(row.value as Uint8Array).value;
    return { status: 200, body, contentType: 'text/plain', index: row.modifyIndex, headers: rawHeaders };
  }
  const body = `[${renderKvEntry(row)}]`;
  return { status: 200, body: prettied(body, pretty), contentType: jsonType, index: row.modifyIndex };
}

function prettied(body: string, pretty: boolean): string {
  return pretty ? indentJson(body) : body;
}

function notFound(index: number): Answer {
  return { status: 404, body: '', contentType: undefined, index };
}

function readTree(prefix: string, pretty: boolean): Read {
  return {
    kind: 'read',
    key: `kv-tree:${pretty ? 'p' : ''}:${prefix}`,
    scope: { kind: 'prefix', prefix },
    evaluate: (view, dependencies) => {
      dependencies.add(topic.keyPrefix(prefix));
      const parts: string[] = [];
      let index = 0;
      for (const row of rangeKv(view, prefix)) {
        if (row.modifyIndex > index) index = row.modifyIndex;
        if (row.value !== null) parts.push(renderKvEntry(row));
      }
      // At the empty prefix Consul answers the table's index; elsewhere the highest below the prefix, if any.
      if (prefix === '' || index === 0) index = view.tableIndex(Kind.kv);
      if (parts.length === 0) return notFound(index);
      return { status: 200, body: prettied(`[${parts.join(',')}]`, pretty), contentType: jsonType, index };
    },
  };
}

function readKeys(prefix: string, separator: string, pretty: boolean): Read {
  return {
    kind: 'read',
    key: `kv-keys:${pretty ? 'p' : ''}:${separator.length}:${separator}:${prefix}`,
    scope: { kind: 'prefix', prefix },
    evaluate: (view, dependencies) => {
      dependencies.add(topic.keyPrefix(prefix));
      const keys: string[] = [];
      let index = 0;
      for (const row of view.rangeKeys(Kind.kv, prefix, prefixEnd(prefix))) {
        if (row.modifyIndex > index) index = row.modifyIndex;
        if (!row.live) continue;
        const cut = separator === '' ? -1 : row.key.indexOf(separator, prefix.length);
        const name = cut < 0 ? row.key : row.key.slice(0, cut + separator.length);
        if (keys.at(-1) !== name) keys.push(name);
      }
      if (prefix === '' || index === 0) index = view.tableIndex(Kind.kv);
      if (keys.length === 0 && prefix !== '') return notFound(index);
      return { status: 200, body: jsonBody(keys, pretty), contentType: jsonType, index };
    },
  };
}

/** PUT /v1/kv/:key — body `true` or `false`. */
function putRoute(request: ApiRequest, context: RouteContext): RouteResult {
  const { query, rest: key, body } = request;
  if (key === '') return missingKey;
  let mode: PutMode = { kind: 'plain' };
  let flags = 0n;
  if (query.raw !== '') {
    const conflict = conflictingFlags(query, ['cas', 'acquire', 'release']);
    if (conflict !== undefined) return conflict;
    if (query.has('flags')) {
      const parsed = parseUint64(query.get('flags'));
      if (!parsed.ok) return failure(500, parsed.error);
      flags = parsed.value;
    }
    if (query.has('cas')) {
      const parsed = parseUint64(query.get('cas'));
      if (!parsed.ok) return failure(500, parsed.error);
      mode = { kind: 'cas', index: parsed.value };
    } else if (query.has('acquire')) {
      mode = { kind: 'acquire', session: query.get('acquire') };
    } else if (query.has('release')) {
      mode = { kind: 'release', session: query.get('release') };
    }
  }
  if (body.length > context.limits.kvValueBytesMax)
    return bodyTooLarge(body.length, context.limits.kvValueBytesMax, bodySetting);
  return {
    kind: 'write',
    command: { kind: 'kv-put', key, flags, value: body, mode },
    reply: answerTo(query),
  };
}

/** DELETE /v1/kv/:key — of a missing key answers `true`, of one that a `cas` does not name `false`. */
function deleteRoute(request: ApiRequest): RouteResult {
  const { query, rest: key } = request;
  const conflict = conflictingFlags(query, ['recurse', 'cas']);
  if (conflict !== undefined) return conflict;
  if (query.has('recurse')) {
    return { kind: 'write', command: { kind: 'kv-delete-tree', prefix: key }, reply: answerTo(query) };
  }
  if (key === '') return missingKey;
  if (!query.has('cas'))
    return { kind: 'write', command: { kind: 'kv-delete', key }, reply: answerTo(query) };
  const cas = parseUint64(query.get('cas'));
  if (!cas.ok) return failure(500, cas.error);
  return { kind: 'write', command: { kind: 'kv-delete', key, cas: cas.value }, reply: answerTo(query) };
}

const answerCompact = writeAnswer(false);
const answerPretty = writeAnswer(true);

function answerTo(query: Query): Write['reply'] {
  return query.has('pretty') ? answerPretty : answerCompact;
}

function writeAnswer(pretty: boolean): Write['reply'] {
  const [applied, notApplied] = [json(true, pretty), json(false, pretty)];
  return (outcome) => {
    if (outcome.kind === 'kv') return outcome.applied ? applied : notApplied;
    if (outcome.kind === 'refused' || outcome.kind === 'not-owned') return refusalReply(outcome);
    return failure(500, `unexpected outcome ${outcome.kind}`);
  };
}

function conflictingFlags(query: Query, names: readonly string[]): Reply | undefined {
  if (names.filter((name) => query.has(name)).length < 2) return undefined;
  return failure(400, `Conflicting flags: ${encodeSorted(query)}`);
}

/** Go's `url.Values.Encode`: by name, escaped as a query. */
function encodeSorted(query: Query): string {
  return [...query.names()]
    .toSorted()
    .flatMap((name) => query.all(name).map((value) => `${queryEscape(name)}=${queryEscape(value)}`))
    .join('&');
}

function queryEscape(text: string): string {
  return encodeURIComponent(text)
    .replaceAll('%20', '+')
    .replaceAll(/[!'()*]/g, percent);
}

function percent(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase()}`;
}

export const kvRoutes: readonly Route[] = [
  {
    path: '/v1/kv/',
    methods: { GET: getRoute, PUT: putRoute, DELETE: deleteRoute },
    common: 'read',
    hot: true,
    bodyBytesMax: (context) => context.limits.kvValueBytesMax,
    bodySetting,
    state: 'same',
  },
];
