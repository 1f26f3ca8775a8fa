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

/** What a client asked, so that it can be asked again of either side. Equal questions have equal `id`s. */
export interface Question {
  readonly of: MigrationKind;
  /** For counting: few. A blocking read's ends in `?index`. */
  readonly endpoint: string;
  readonly form: AnswerForm;
  /** One key; undefined for lists and the catalog. */
  readonly key: string | undefined;
  /** The key, the prefix, or the path in the catalog: by this it is sampled. */
  readonly subject: string;
  readonly id: string;
  /** Percent-encoded, with those parameters that the answer depends on, as a consistent read that does not block. */
  readonly path: string;
  readonly token: string;
  readonly blocking: boolean;
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
export function questionOf(request: ApiRequest, datacenter: string): Question | undefined {
  if (request.method !== 'GET') return undefined;
  const dc = request.query.get('dc');
  if (dc !== '' && dc !== datacenter) return undefined;
  return request.path.startsWith('/v1/kv/') ? keyQuestion(request) : catalogQuestion(request);
}

function keyQuestion(request: ApiRequest): Question | undefined {
  const { query, rest } = request;
  if (!isPathSafe(rest) || isGatewayKey(rest)) return undefined;
  const [endpoint, form]: [string, AnswerForm] = query.has('keys')
    ? ['kv-keys', 'kv-names']
    : query.has('recurse')
      ? ['kv-recurse', 'kv-entries']
      : query.has('raw')
        ? ['kv-raw', 'kv-raw']
        : ['kv-get', 'kv-entries'];
  const key = form === 'kv-raw' || endpoint === 'kv-get' ? rest : undefined;
  if (key === '') return undefined;
  return asked(request, { of: 'kv', endpoint, form, key, subject: rest }, `/v1/kv/${encodeKeyPath(rest)}`);
}

function catalogQuestion(request: ApiRequest): Question | undefined {
  for (const [path, endpoint, form] of catalogForms) {
    const below = path.endsWith('/');
    if (below ? !request.path.startsWith(path) : request.path !== path) continue;
    const name = below ? request.path.slice(path.length) : '';
    if (below && (name === '' || name.includes('/'))) return undefined;
    const subject = `${endpoint}/${name}`;
    return asked(
      request,
      { of: 'catalog', endpoint, form, key: undefined, subject },
      `${path}${encodeURIComponent(name)}`,
    );
  }
  return undefined;
}

function asked(
  request: ApiRequest,
  what: Pick<Question, 'of' | 'endpoint' | 'form' | 'key' | 'subject'>,
  path: string,
): Question {
  const { query } = request;
  const parameters: string[] = [];
  for (const name of [...query.names()].toSorted()) {
    if (notOfContent.has(name)) continue;
    for (const value of query.all(name)) {
      parameters.push(
        value === '' ? encodeURIComponent(name) : `${encodeURIComponent(name)}=${encodeURIComponent(value)}`,
      );
    }
  }
  const index = query.get('index');
  const blocking = index !== '' && index !== '0';
  return {
    ...what,
    endpoint: blocking ? `${what.endpoint}?index` : what.endpoint,
    id: `${path}?${parameters.join('&')}`,
    path: `${path}?${[...parameters, 'consistent'].join('&')}`,
    token: request.token,
    blocking,
    near: query.get('near') !== '',
  };
}
