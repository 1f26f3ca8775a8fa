import type { AgentOutcome } from '../agent/port.ts';
import { compileFilter, type FilterShape, type RowFilter } from '../filter/filter.ts';
import { empty, failure, type ApiRequest, type Later, type Reply, type RouteResult } from '../wire/http.ts';
import { parseGoBool } from '../wire/go-numbers.ts';
import { enterpriseRefusal } from '../wire/read-options.ts';
import type { Handler } from './route.ts';

/**
 * The agent's endpoints are about this gateway alone: of Consul's common parameters they look at the Enterprise ones
 * only. `dc` and `index` are passed over.
 */
export function ofThisAgent(handler: Handler): Handler {
  return (request, context) => enterpriseRefusal(request) ?? handler(request, context);
}

/** A change of the agent is answered by an empty 200 once it is durable. */
export function outcomeReply(outcome: AgentOutcome): Reply {
  return outcome.kind === 'done' ? empty : failure(outcome.status, outcome.message);
}

export function laterOutcome(outcome: Promise<AgentOutcome>): Later {
  return { kind: 'later', reply: outcome.then(outcomeReply) };
}

/** Compiles `?filter=`; the reply is the refusal. */
export function filterOf(request: ApiRequest, shape: FilterShape): RowFilter | Reply {
  const compiled = compileFilter(request.query.get('filter'), shape);
  return compiled.ok ? compiled.value : failure(500, compiled.error.text);
}

/** `?enable=` of the maintenance endpoints. */
export function maintenanceSwitch(request: ApiRequest): boolean | Reply {
  if (!request.query.has('enable')) return failure(400, 'Missing value for enable');
  const raw = request.query.get('enable');
  return parseGoBool(raw) ?? failure(400, `Invalid value for enable: ${JSON.stringify(raw)}`);
}

export function isReply(value: unknown): value is RouteResult {
  return typeof value === 'object' && value !== null && 'kind' in value;
}
