import { failure, json, type ApiRequest, type Later, type Reply, type RouteResult } from '../wire/http.ts';
import type { RouteContext } from './context.ts';
import type { MigrationAnswer, MigrationOrder, MigrationQuestion } from './migration-port.ts';
import type { Handler, Route } from './route.ts';

const orderBytesMax = 64 * 1024 * 1024;

const none = failure(404, 'no migration runs in this gateway');

/** GET: parameters of the query are the question's. */
function question(what: MigrationQuestion): Handler {
  return (request, { migration }) =>
    migration === undefined ? none : later(request, migration.ask(what, parameters(request)));
}

/** PUT with a JSON object; the answer comes when what was ordered is done, or cannot be. */
function order(what: MigrationOrder): Handler {
  return (request, { migration }: RouteContext): RouteResult => {
    if (migration === undefined) return none;
    const body = parsed(request.body);
    if (body === undefined) return failure(400, 'Request decode failed: the body must be a JSON object');
    return later(request, migration.order(what, body));
  };
}

function parsed(body: Uint8Array): unknown {
  if (body.length === 0) return {};
  try {
    const value: unknown = JSON.parse(Buffer.from(body).toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function parameters({ query }: ApiRequest): Readonly<Record<string, string>> {
  const names = ['prefix', 'kind', 'gateway', 'samples', 'after', 'limit', 'export'];
  return Object.fromEntries(names.filter((name) => query.has(name)).map((name) => [name, query.get(name)]));
}

function later({ query }: ApiRequest, answer: Promise<MigrationAnswer>): Later {
  const reply = async (): Promise<Reply> => {
    const { status, body } = await answer;
    if (typeof body === 'string') return failure(status, body);
    return { ...json(body, query.has('pretty')), status };
  };
  return { kind: 'later', reply: reply() };
}

const own = { common: 'none', state: 'differs', orders: true } as const;
const note = "Grapevine's own, not Consul's: moving a live Consul over, see migration.md.";
const base = '/v1/grapevine/migration';

export const migrationRoutes: readonly Route[] = [
  { path: `${base}/status`, methods: { GET: question('status') }, ...own, note },
  { path: `${base}/gates`, methods: { GET: question('gates') }, ...own, note },
  { path: `${base}/plan`, methods: { GET: question('plan') }, ...own, note },
  { path: `${base}/report`, methods: { GET: question('report') }, ...own, note },
  { path: `${base}/samples`, methods: { GET: question('samples') }, ...own, note },
  { path: `${base}/quarantine`, methods: { GET: question('quarantine') }, ...own, note },
  { path: `${base}/quarantine/drop`, methods: { PUT: order('quarantine-drop') }, ...own, note },
  { path: `${base}/accept-source`, methods: { PUT: order('accept-source') }, ...own, note },
  { path: `${base}/step`, methods: { PUT: order('step') }, ...own, note },
  { path: `${base}/pause`, methods: { PUT: order('pause') }, ...own, note },
  { path: `${base}/resume`, methods: { PUT: order('resume') }, ...own, note },
  { path: `${base}/breaker`, methods: { PUT: order('breaker') }, ...own, note },
  { path: `${base}/panic`, methods: { PUT: order('panic') }, ...own, note },
  { path: `${base}/verify`, methods: { PUT: order('verify') }, ...own, note },
  {
    path: `${base}/repair`,
    methods: { PUT: order('repair') },
    bodyBytesMax: () => orderBytesMax,
    ...own,
    note,
  },
  { path: `${base}/rehearse`, methods: { PUT: order('rehearse') }, ...own, note },
];
