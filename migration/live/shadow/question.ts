import type { ApiRequest } from '../../../compat/wire/http.ts';
import type { MigrationKind } from '../../../src/state/migration.ts';
import { encodeKeyPath, isPathSafe } from '../../mirror/key-rules.ts';
import { isGatewayKey } from './ignore.ts';

/** How an answer is taken apart for comparing. */
export type AnswerForm =
  | 'kv-entries'
  | 'kv-raw'
  | 'kv-names'
  /** A list of objects that are told apart by the names in them. */
  | 'catalog-list'
  /** Names of services, with their tags. */
  | 'catalog-services'
  /** One node with its services. */
  | 'catalog-node';

/** What a client asked, as far as counting it needs: next to nothing to make, as it is made of every read. */
export interface ReadKind {
  readonly of: MigrationKind;
  /** For counting: few. A blocking read's ends in `?index`. */
  readonly endpoint: string;
  readonly form: AnswerForm;
  /** One key; undefined for lists and the catalog. */
  readonly key: string | undefined;
  /** The key, the prefix, or the path in the catalog: by this it is sampled. */
  readonly subject: string;
  readonly blocking: boolean;
}

/** As it can be asked again of either side. Equal questions have equal `id`s. */
export interface Question extends ReadKind {
  readonly id: string;
  /** Percent-encoded, with those parameters that the answer depends on, as a consistent read that does not block. */
  readonly path: string;
  readonly token: string;
  /** Order tells something (`?near=`), though not the same on both sides. */
  readonly near: boolean;
}

/** Say how a read is made, not what of. */
const notOfContent: ReadonlySet<string> = new Set([
  ...['index', 'wait', 'stale', 'consistent', 'cached', 'max_stale', 'token', 'pretty', 'hash'],
]);

const catalogForms: readonly (readonly [path: string, endpoint: string, form: AnswerForm])[] = [
  ['/v1/catalog/nodes', 'catalog-nodes', 'catalog-list'],
  ['/v1/catalog/services', 'catalog-services', 'catalog-services'],
  ['/v1/catalog/service/', 'catalog-service', 'catalog-list'],
  ['/v1/catalog/connect/', 'catalog-connect', 'catalog-list'],
  ['/v1/catalog/node/', 'catalog-node', 'catalog-node'],
  ['/v1/catalog/node-services/', 'catalog-node-services', 'catalog-node'],
  ['/v1/health/node/', 'health-node', 'catalog-list'],
  ['/v1/health/checks/', 'health-checks', 'catalog-list'],
  ['/v1/health/service/', 'health-service', 'catalog-list'],
  ['/v1/health/connect/', 'health-connect', 'catalog-list'],
  ['/v1/health/state/', 'health-state', 'catalog-list'],
];

/** Undefined: a request that is not compared. */
export function readKindOf(request: ApiRequest, datacenter: string): ReadKind | undefined {
  if (request.method !== 'GET') return undefined;
  const dc = request.query.get('dc');
  if (dc !== '' && dc !== datacenter) return undefined;
  return request.path.startsWith(keyPath) ? keyRead(request) : catalogRead(request);
}

/** Undefined: a request that is not compared. */
export function questionOf(request: ApiRequest, datacenter: string): Question | undefined {
  const kind = readKindOf(request, datacenter);
  return kind && asQuestion(request, kind);
}

/** Undefined: it cannot be asked again by URL. */
export function asQuestion(request: ApiRequest, kind: ReadKind): Question | undefined {
  if (kind.of === 'kv' && !isPathSafe(kind.subject)) return undefined;
  const parameters = parametersOf(request);
  const path = kind.of === 'kv' ? `${keyPath}${encodeKeyPath(kind.subject)}` : encodedPath(request.path);
  return {
    ...kind,
    id: idOf(request, parameters),
    path: `${path}?${[...parameters, 'consistent'].join('&')}`,
    token: request.token,
    near: request.query.get('near') !== '',
  };
}

/** The `id` of its question, without the rest of it. */
export function questionId(request: ApiRequest): string {
  return idOf(request, parametersOf(request));
}

const keyPath = '/v1/kv/';

function keyRead({ query, rest }: ApiRequest): ReadKind | undefined {
  if (isGatewayKey(rest)) return undefined;
  const blocking = isBlocking(query);
  const shared = { of: 'kv', subject: rest, blocking } as const;
  if (query.has('keys')) {
    return { ...shared, endpoint: blocking ? 'kv-keys?index' : 'kv-keys', form: 'kv-names', key: undefined };
  }
  if (query.has('recurse')) {
    const endpoint = blocking ? 'kv-recurse?index' : 'kv-recurse';
    return { ...shared, endpoint, form: 'kv-entries', key: undefined };
  }
  if (rest === '') return undefined;
  if (query.has('raw')) {
    return { ...shared, endpoint: blocking ? 'kv-raw?index' : 'kv-raw', form: 'kv-raw', key: rest };
  }
  return { ...shared, endpoint: blocking ? 'kv-get?index' : 'kv-get', form: 'kv-entries', key: rest };
}

function catalogRead({ path, query }: ApiRequest): ReadKind | undefined {
  for (const [under, endpoint, form] of catalogForms) {
    const below = under.endsWith('/');
    if (below ? !path.startsWith(under) : path !== under) continue;
    const name = below ? path.slice(under.length) : '';
    if (below && (name === '' || name.includes('/'))) return undefined;
    const blocking = isBlocking(query);
    return {
      ...{ of: 'catalog', form, key: undefined, blocking },
      endpoint: blocking ? `${endpoint}?index` : endpoint,
      subject: `${endpoint}/${name}`,
    };
  }
  return undefined;
}

function isBlocking(query: ApiRequest['query']): boolean {
  const index = query.get('index');
  return index !== '' && index !== '0';
}

/** Those that the answer depends on, in one order, percent-encoded. */
function parametersOf({ query }: ApiRequest): readonly string[] {
  if (query.raw === '') return [];
  const parameters: string[] = [];
  for (const name of [...query.names()].toSorted()) {
    if (notOfContent.has(name)) continue;
    for (const value of query.all(name)) {
      parameters.push(
        value === '' ? encodeURIComponent(name) : `${encodeURIComponent(name)}=${encodeURIComponent(value)}`,
      );
    }
  }
  return parameters;
}

/** Parameters hold no question mark: no two questions have one. */
function idOf({ path }: ApiRequest, parameters: readonly string[]): string {
  return `${path}?${parameters.join('&')}`;
}

/** All that may need it stands behind the last slash. */
function encodedPath(path: string): string {
  const cut = path.lastIndexOf('/') + 1;
  return `${path.slice(0, cut)}${encodeURIComponent(path.slice(cut))}`;
}
