import type { CommandOutcome } from '../../src/state/command.ts';
import type { Dependencies } from '../../src/state/dependencies.ts';
import { Kind } from '../../src/state/kinds.ts';
import { canonicalSessionId, sessionIdProblem } from '../../src/state/session-id.ts';
import { sessionValue } from '../../src/state/session-health.ts';
import { getSession } from '../../src/state/sessions.ts';
import type { ReadView, Row } from '../../src/state/store.ts';
import { topic } from '../../src/state/topics.ts';
import { indentJson } from '../wire/go-indent.ts';
import { renderJson } from '../wire/go-json.ts';
import { failure, json, jsonType } from '../wire/http.ts';
import type { ApiRequest, Later, Read, Reply, RouteResult } from '../wire/http.ts';
import { refusalReply } from '../wire/refusal.ts';
import { answered, failedRead } from './answered.ts';
import type { RouteContext } from './context.ts';
import { isForeign, noPath } from './datacenter.ts';
import type { Route } from './route.ts';
import { decodeSession, sessionTtlMs } from './session-decode.ts';

const missingSession = failure(400, 'Missing session');

function createRoute(request: ApiRequest, context: RouteContext): RouteResult {
  const session = decodeSession(request.body, {
    id: context.newId(),
    node: context.gateway.nodeName,
    ttlMsMin: context.limits.sessionTtlMsMin,
  });
  if (!session.ok) return session.error;
  const { id } = session.value;
  return {
    kind: 'write',
    command: { kind: 'session-create', session: session.value },
    reply: (outcome) => created(outcome, id, request.query.has('pretty')),
  };
}

function created(outcome: CommandOutcome, id: string, pretty: boolean): Reply {
  if (outcome.kind === 'refused' || outcome.kind === 'not-owned') return refusalReply(outcome);
  return json({ ID: id }, pretty);
}

/** PUT /v1/session/destroy/:id — `true`, also for one that is not there. */
function destroyRoute({ rest: id, query }: ApiRequest): RouteResult {
  const problem = idProblem(id);
  if (problem !== undefined) return problem;
  return {
    kind: 'write',
    command: { kind: 'session-destroy', id: canonicalSessionId(id) },
    reply: (outcome) => {
      if (outcome.kind === 'refused' || outcome.kind === 'not-owned') return refusalReply(outcome);
      return json(true, query.has('pretty'));
    },
  };
}

function renewRoute(request: ApiRequest, context: RouteContext): RouteResult {
  const { rest: id, query } = request;
  const problem = idProblem(id);
  if (problem !== undefined) return problem;
  // A renewal takes effect at once: not before the datacenter is known to be this one.
  if (isForeign(request, context)) return answered(noPath);
  const row = getSession(context.view, id);
  const gone = failure(404, `Session id '${id}' not found`);
  if (row === undefined) return answered(gone);
  const done: Reply = {
    kind: 'reply',
    status: 200,
    body: list([row], query.has('pretty')),
    contentType: jsonType,
  };
  if (sessionTtlMs(sessionValue(row).ttl) === 0) return answered(done);
  const renewed = context.sessions.renew(canonicalSessionId(id));
  if (typeof renewed === 'boolean') return answered(renewed ? done : gone);
  return { kind: 'later', reply: renewed.then((is) => (is ? done : gone)) };
}

function infoRoute({ rest: id, query }: ApiRequest): RouteResult {
  if (id === '') return missingSession;
  const problem = sessionIdProblem(id);
  if (problem !== undefined) return failedRead(500, problem);
  const pretty = query.has('pretty');
  const key = canonicalSessionId(id);
  return read(`info:${key}`, pretty, (view, dependencies) => {
    dependencies.add(topic.session(key));
    const row = getSession(view, key);
    return row === undefined
      ? { rows: [], index: view.tableIndex(Kind.session) }
      : { rows: [row], index: row.modifyIndex };
  });
}

function nodeRoute({ rest: node, query }: ApiRequest): RouteResult {
  if (node === '') return failure(400, 'Missing node name');
  return read(`node:${node.toLowerCase()}`, query.has('pretty'), (view, dependencies) => {
    dependencies.add(topic.sessionsOfNode(node));
    const rows = [...view.byIndex(Kind.session, node.toLowerCase())];
    const index = rows.reduce((max, row) => Math.max(max, row.modifyIndex), 0);
    return { rows, index: index === 0 ? view.tableIndex(Kind.session) : index };
  });
}

function listRoute({ query }: ApiRequest): RouteResult {
  return read('list', query.has('pretty'), (view, dependencies) => {
    dependencies.add(topic.sessions);
    return { rows: [...view.range(Kind.session, '', undefined)], index: view.tableIndex(Kind.session) };
  });
}

interface Found {
  /** In the order of their ids; tombstones are skipped. */
  readonly rows: readonly Row[];
  readonly index: number;
}

function read(
  key: string,
  pretty: boolean,
  find: (view: ReadView, dependencies: Dependencies) => Found,
): Read {
  return {
    kind: 'read',
    key: `session-${pretty ? 'p' : ''}:${key}`,
    scope: { kind: 'sessions' },
    evaluate: (view, dependencies) => {
      const { rows, index } = find(view, dependencies);
      return { status: 200, body: list(rows, pretty), contentType: jsonType, index };
    },
  };
}

function list(rows: readonly Row[], pretty: boolean): string {
  const body = `[${rows
    .filter((row) => row.value !== null)
    .map(renderSession)
    .join(',')}]`;
  return pretty ? indentJson(body) : body;
}

function renderSession(row: Row): string {
  const session = sessionValue(row);
  return renderJson({
    ID: session.id,
    Name: session.name,
    Node: session.node,
    LockDelay: session.lockDelayNs,
    Behavior: session.behavior,
    TTL: session.ttl,
    NodeChecks: session.nodeChecks,
    ServiceChecks:
      session.serviceChecks?.map(({ id, namespace }) => ({ ID: id, Namespace: namespace })) ?? null,
    Checks: session.checks,
    CreateIndex: row.createIndex,
    ModifyIndex: row.modifyIndex,
  });
}

/** What Consul's server says of an id comes after its agent has looked for the datacenter. */
function idProblem(id: string): Reply | Later | undefined {
  if (id === '') return missingSession;
  const problem = sessionIdProblem(id);
  return problem === undefined ? undefined : answered(failure(500, problem));
}

export const sessionRoutes: readonly Route[] = [
  { path: '/v1/session/create', methods: { PUT: createRoute }, common: 'dc', state: 'same' },
  {
    path: '/v1/session/destroy/',
    methods: { PUT: destroyRoute },
    common: 'dc',
    state: 'same',
  },
  {
    path: '/v1/session/renew/',
    methods: { PUT: renewRoute },
    common: 'dc',
    state: 'same',
  },
  { path: '/v1/session/info/', methods: { GET: infoRoute }, common: 'read', state: 'same' },
  { path: '/v1/session/node/', methods: { GET: nodeRoute }, common: 'read', state: 'same' },
  { path: '/v1/session/list', methods: { GET: listRoute }, common: 'read', state: 'same' },
];
