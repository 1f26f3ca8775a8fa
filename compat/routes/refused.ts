import { uuidProblem } from '../../src/state/session-id.ts';
import {
  failure,
  json,
  jsonBody,
  jsonType,
  textType,
  type ApiRequest,
  type Method,
  type RouteResult,
} from '../wire/http.ts';
import { decodeJsonBody } from '../wire/json-body.ts';
import { answered, failedRead } from './answered.ts';
import type { Handler, Route, RouteState } from './route.ts';

// What is not built here: each answers as a Consul without that feature would, with a one-line reason. Lists of
// things that cannot exist are empty lists; nothing answers 200 that was to change something.

function refuse(status: number, message: string): Handler {
  return () => answered(failure(status, message));
}

/** A list that never has anything, and that may be waited on as any other. */
function always(status: number, body: unknown, effectiveConsistency = false): Handler {
  return ({ path, query }): RouteResult => {
    const pretty = query.has('pretty');
    return {
      kind: 'read',
      key: `refused${pretty ? '-p' : ''}:${path}`,
      effectiveConsistency,
      evaluate: () => ({
        status,
        body: typeof body === 'string' ? body : jsonBody(body, pretty),
        contentType: typeof body === 'string' ? textType : jsonType,
        index: 1,
      }),
    };
  };
}

function route(
  state: RouteState,
  path: string,
  methods: Readonly<Partial<Record<Method, Handler>>>,
  note: string,
): Route {
  const common = methods.GET === undefined ? 'none' : 'read';
  return { path, methods, common, state, note };
}

const aclDisabled = refuse(401, 'ACL support disabled');

function acl(path: string, ...methods: readonly Method[]): Route {
  const handlers = Object.fromEntries(methods.map((method) => [method, aclDisabled]));
  return {
    path,
    methods: handlers,
    common: 'none',
    state: 'later',
    note: 'Not built yet: 401 `ACL support disabled`, as a Consul without ACLs.',
  };
}

const aclRoutes: readonly Route[] = [
  acl('/v1/acl/bootstrap', 'PUT'),
  acl('/v1/acl/login', 'POST'),
  acl('/v1/acl/logout', 'POST'),
  acl('/v1/acl/replication', 'GET'),
  acl('/v1/acl/policies', 'GET'),
  acl('/v1/acl/policy', 'PUT'),
  acl('/v1/acl/policy/', 'GET', 'PUT', 'DELETE'),
  acl('/v1/acl/policy/name/', 'GET'),
  acl('/v1/acl/roles', 'GET'),
  acl('/v1/acl/role', 'PUT'),
  acl('/v1/acl/role/', 'GET', 'PUT', 'DELETE'),
  acl('/v1/acl/role/name/', 'GET'),
  acl('/v1/acl/tokens', 'GET'),
  acl('/v1/acl/token', 'PUT'),
  acl('/v1/acl/token/self', 'GET'),
  acl('/v1/acl/token/', 'GET', 'PUT', 'DELETE'),
  acl('/v1/acl/auth-methods', 'GET'),
  acl('/v1/acl/auth-method', 'PUT'),
  acl('/v1/acl/auth-method/', 'GET', 'PUT', 'DELETE'),
  acl('/v1/acl/binding-rules', 'GET'),
  acl('/v1/acl/binding-rule', 'PUT'),
  acl('/v1/acl/binding-rule/', 'GET', 'PUT', 'DELETE'),
  acl('/v1/acl/templated-policies', 'GET'),
  acl('/v1/acl/templated-policy/name/', 'GET'),
  acl('/v1/acl/templated-policy/preview/', 'POST'),
  acl('/v1/acl/rules/translate', 'POST'),
  acl('/v1/acl/rules/translate/', 'GET'),
  acl('/v1/acl/create', 'PUT'),
  acl('/v1/acl/update', 'PUT'),
  acl('/v1/acl/destroy/', 'PUT'),
  acl('/v1/acl/info/', 'GET'),
  acl('/v1/acl/clone/', 'PUT'),
  acl('/v1/acl/list', 'GET'),
  acl('/v1/internal/acl/authorize', 'POST'),
];

const noMesh = 'Grapevine has no service mesh';

/** Kinds up to Consul 1.22; another one is refused by its name. */
const configKinds: ReadonlySet<string> = new Set([
  'service-defaults',
  'proxy-defaults',
  'service-router',
  'service-splitter',
  'service-resolver',
  'ingress-gateway',
  'terminating-gateway',
  'service-intentions',
  'mesh',
  'exported-services',
  'sameness-group',
  'control-plane-request-limit',
  'api-gateway',
  'bound-api-gateway',
  'inline-certificate',
  'file-system-certificate',
  'http-route',
  'tcp-route',
  'jwt-provider',
]);

/** GET /v1/config/:kind[/:name] */
const readConfig: Handler = (request, context) => {
  const cut = request.rest.indexOf('/');
  const kind = cut < 0 ? request.rest : request.rest.slice(0, cut);
  if (kind !== '' && !configKinds.has(kind)) {
    return answered(failure(500, `invalid config entry kind: ${kind}`));
  }
  if (cut < 0) return always(200, [])(request, context);
  const name = request.rest.slice(cut + 1);
  return always(404, `Config entry not found for "${kind}" / "${name}"`)(request, context);
};

/** There is nothing that could be deleted, which is what deleting comes to. */
function deleteConfig({ rest }: ApiRequest): RouteResult {
  const cut = rest.indexOf('/');
  if (cut <= 0 || cut === rest.length - 1) {
    return failure(404, 'Must provide both a kind and name to delete');
  }
  return answered(json({}));
}

function writeConfig({ body }: ApiRequest): RouteResult {
  const parsed = decodeJsonBody(body);
  if (!parsed.ok) return failure(400, `Bad request: Request decoding failed: ${parsed.error}`);
  return answered(failure(501, `Config entries are not supported: ${noMesh}`));
}

const configRoutes: readonly Route[] = [
  route(
    'refused',
    '/v1/config',
    { PUT: writeConfig },
    'No service mesh: no config entry can be written, 501.',
  ),
  route(
    'refused',
    '/v1/config/',
    { GET: readConfig, DELETE: deleteConfig },
    'There are no config entries: lists are empty, a single one is 404, deleting changes nothing.',
  ),
];

const connectText = 'Connect must be enabled in order to use this endpoint';
const noConnect = `No service mesh: 500 \`${connectText}\`.`;
const connectDisabled = refuse(500, connectText);
/** Of reads that wait in Consul. */
const connectDisabledRead: Handler = () => failedRead(500, connectText);
const noIntentions = refuse(501, `Intentions are not supported: ${noMesh}`);

function readIntention({ rest: id }: ApiRequest): RouteResult {
  const problem = uuidProblem(id);
  if (problem === undefined) return answered(failure(404, 'Intention not found'));
  return answered(failure(400, `Bad request: failed intention lookup: index error: ${problem}`));
}

/** Without intentions, and with ACLs off, Consul allows every connection. */
function checkIntention({ query }: ApiRequest): RouteResult {
  for (const name of ['source', 'destination']) {
    if (query.get(name) === '') return failure(500, `required query parameter '${name}' not set`);
  }
  return answered(json({ Allowed: true }, query.has('pretty')));
}

function matchIntentions(request: ApiRequest): RouteResult {
  const { query } = request;
  for (const name of ['by', 'name']) {
    if (query.get(name) === '') return failure(500, `required query parameter '${name}' not set`);
  }
  return answered(
    json(Object.fromEntries(query.all('name').map((name) => [name, null])), query.has('pretty')),
  );
}

const chainRoute: Handler = (request, context) =>
  request.rest === ''
    ? failure(400, 'Bad request: Missing chain name')
    : connectDisabledRead(request, context);

const meshRoutes: readonly Route[] = [
  route('refused', '/v1/connect/ca/roots', { GET: connectDisabledRead }, noConnect),
  route('refused', '/v1/connect/ca/configuration', { GET: connectDisabled, PUT: connectDisabled }, noConnect),
  route(
    'refused',
    '/v1/connect/intentions',
    { GET: always(200, []), POST: noIntentions },
    'There are no intentions: the list is empty, POST answers 501.',
  ),
  route(
    'refused',
    '/v1/connect/intentions/match',
    { GET: matchIntentions },
    'There are no intentions: none matches.',
  ),
  route(
    'refused',
    '/v1/connect/intentions/check',
    { GET: checkIntention },
    'There are no intentions: every connection is allowed, as with ACLs off.',
  ),
  route(
    'refused',
    '/v1/connect/intentions/exact',
    { GET: refuse(404, 'Intention not found'), PUT: noIntentions, DELETE: noIntentions },
    'There are no intentions: GET answers 404, writes 501.',
  ),
  route(
    'refused',
    '/v1/connect/intentions/',
    { GET: readIntention, PUT: noIntentions, DELETE: noIntentions },
    'There are no intentions: GET answers 404, writes 501.',
  ),
  route('refused', '/v1/discovery-chain/', { GET: chainRoute, POST: chainRoute }, noConnect),
  route(
    'refused',
    '/v1/exported-services',
    { GET: always(200, []) },
    'Nothing is exported: the list is empty.',
  ),
  route(
    'refused',
    '/v1/imported-services',
    { GET: always(200, []) },
    'Nothing is imported: the list is empty.',
  ),
  route(
    'refused',
    '/v1/internal/federation-states',
    { GET: always(200, []) },
    'There are no federation states: the list is empty.',
  ),
  route(
    'refused',
    '/v1/internal/federation-states/mesh-gateways',
    { GET: always(200, {}) },
    'There are no mesh gateways: the map is empty.',
  ),
  route(
    'refused',
    '/v1/internal/federation-state/',
    { GET: ({ rest }) => answered(failure(404, `Federation state not found: ${JSON.stringify(rest)}`)) },
    'There are no federation states: 404.',
  ),
  route(
    'refused',
    '/v1/internal/service-virtual-ip',
    { PUT: refuse(501, `Virtual addresses are not supported: ${noMesh}`) },
    'No service mesh: 501.',
  ),
];

const noPeering = refuse(501, 'Cluster peering is not supported: gateways federate by gossip');

const peeringRoutes: readonly Route[] = [
  route(
    'refused',
    '/v1/peering/token',
    { POST: noPeering },
    'Gateways are to federate by gossip, not by peering: 501.',
  ),
  route(
    'refused',
    '/v1/peering/establish',
    { POST: noPeering },
    'Gateways are to federate by gossip, not by peering: 501.',
  ),
  route(
    'refused',
    '/v1/peering/',
    { GET: refuse(404, 'Peering not found'), DELETE: noPeering },
    'There are no peerings: GET answers 404, DELETE 501.',
  ),
  route('refused', '/v1/peerings', { GET: always(200, []) }, 'There are no peerings: the list is empty.'),
];

const noQueries = refuse(501, 'Prepared queries are not supported yet');
const queryNotFound = failure(404, 'Query not found');

/** With /execute and /explain, to which any name may be given. */
function readQuery({ rest }: ApiRequest): RouteResult {
  const problem = /\/(execute|explain)$/.test(rest) ? undefined : uuidProblem(rest);
  if (problem === undefined) return answered(queryNotFound);
  return failedRead(500, `failed prepared query lookup: index error: ${problem}`);
}

const queryRoutes: readonly Route[] = [
  route(
    'later',
    '/v1/query',
    { GET: always(200, [], true), POST: noQueries },
    'Not built yet: the list is empty, POST answers 501.',
  ),
  route(
    'later',
    '/v1/query/',
    { GET: readQuery, PUT: noQueries, DELETE: noQueries },
    'Not built yet: reads, /execute and /explain answer 404, writes 501.',
  ),
];

const noUiData = refuse(501, "This endpoint of Consul's own console is not supported yet");

const uiRoutes: readonly Route[] = [
  '/v1/internal/ui/nodes',
  '/v1/internal/ui/node/',
  '/v1/internal/ui/services',
  '/v1/internal/ui/exported-services',
  '/v1/internal/ui/catalog-overview',
  '/v1/internal/ui/gateway-services-nodes/',
  '/v1/internal/ui/gateway-intentions/',
  '/v1/internal/ui/service-topology/',
  '/v1/internal/ui/metrics-proxy/',
].map((path) => route('later', path, { GET: noUiData }, "Not built yet: 501. Data of Consul's own console."));

const enterpriseRoutes: readonly Route[] = [
  route(
    'refused',
    '/v1/operator/utilization',
    { GET: refuse(404, 'Invalid URL path: not a recognized HTTP API endpoint\n') },
    'Consul Enterprise: 404, as in the Community Edition.',
  ),
];

export const refusedRoutes: readonly Route[] = [
  ...aclRoutes,
  ...configRoutes,
  ...meshRoutes,
  ...peeringRoutes,
  ...queryRoutes,
  ...uiRoutes,
  ...enterpriseRoutes,
];
