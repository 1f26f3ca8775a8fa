import { eventsTopic } from '../events/event-log.ts';
import { eventIndex, eventProblem, type UserEvent } from '../events/user-event.ts';
import { indentJson } from '../wire/go-indent.ts';
import { renderJson } from '../wire/go-json.ts';
import { failure, jsonType, type ApiRequest, type RouteResult } from '../wire/http.ts';
import { base64 } from '../wire/kv-json.ts';
import { answered } from './answered.ts';
import type { RouteContext } from './context.ts';
import { isForeign, noPath } from './datacenter.ts';
import type { Route } from './route.ts';

/** PUT /v1/event/fire/:name — the body is the payload. */
function fireRoute(request: ApiRequest, context: RouteContext): RouteResult {
  const { rest: name, query, body } = request;
  if (name === '') return failure(400, 'Missing name');
  const event: UserEvent = {
    id: context.newId(),
    name,
    payload: body,
    nodeFilter: query.get('node'),
    serviceFilter: query.get('service'),
    tagFilter: query.get('tag'),
    version: 1,
    lTime: 0,
  };
  const problem = eventProblem(event);
  if (problem !== undefined) return answered(failure(500, problem));
  // Unlike a command, firing cannot be undone: not before the datacenter is known to be this one.
  if (isForeign(request, context)) return answered(noPath);
  context.events.fire(event);
  const rendered = renderEvent(event);
  const text = query.has('pretty') ? indentJson(rendered) : rendered;
  return answered({ kind: 'reply', status: 200, body: text, contentType: jsonType });
}

/** GET /v1/event/list — waits until the newest event is another one than `index` names. */
function listRoute({ query }: ApiRequest, context: RouteContext): RouteResult {
  const name = query.get('name');
  const pretty = query.has('pretty');
  return {
    kind: 'read',
    key: `events${pretty ? '-p' : ''}:${name}`,
    wakesOn: 'difference',
    agentLocal: true,
    evaluate: (_view, dependencies) => {
      dependencies.add(eventsTopic);
      const events = context.events.list(name);
      const last = events.at(-1);
      const body = `[${events.map(renderEvent).join(',')}]`;
      return {
        status: 200,
        body: pretty ? indentJson(body) : body,
        contentType: jsonType,
        index: last === undefined ? 1 : eventIndex(last.id),
      };
    },
  };
}

function renderEvent(event: UserEvent): string {
  return renderJson({
    ID: event.id,
    Name: event.name,
    Payload: event.payload.length === 0 ? null : base64(event.payload),
    NodeFilter: event.nodeFilter,
    ServiceFilter: event.serviceFilter,
    TagFilter: event.tagFilter,
    Version: event.version,
    LTime: event.lTime,
  });
}

export const eventRoutes: readonly Route[] = [
  {
    path: '/v1/event/fire/',
    methods: { PUT: fireRoute },
    common: 'dc',
    enterprise: 'ignored',
    state: 'same',
  },
  {
    path: '/v1/event/list',
    methods: { GET: listRoute },
    common: 'read',
    enterprise: 'ignored',
    state: 'same',
  },
];
