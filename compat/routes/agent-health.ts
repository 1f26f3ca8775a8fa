import type { CheckValue, ServiceValue } from '../../src/state/values.ts';
import { isMaintenanceId } from '../agent/held.ts';
import { renderJson } from '../wire/go-json.ts';
import { failure, type ApiRequest, type Reply, type RouteResult } from '../wire/http.ts';
import { agentServiceJson, clientCheckRow, jsonReply } from './agent-json.ts';
import { ofThisAgent } from './agent-support.ts';
import type { RouteContext } from './context.ts';
import type { Route } from './route.ts';

type Aggregated = 'passing' | 'warning' | 'critical' | 'maintenance';

const statusCodes: Readonly<Record<Aggregated, number>> = {
  passing: 200,
  warning: 429,
  critical: 503,
  maintenance: 503,
};

interface ServiceHealth {
  readonly status: Aggregated;
  readonly checks: readonly CheckValue[];
}

/** The checks of a service and of its node, and the worst of them; maintenance is worse than critical. */
function healthOf(service: ServiceValue, all: Iterable<CheckValue>): ServiceHealth {
  const checks = [...all].filter(({ serviceId }) => serviceId === '' || serviceId === service.id);
  return { status: aggregate(checks), checks };
}

function aggregate(checks: readonly CheckValue[]): Aggregated {
  if (checks.some(({ checkId }) => isMaintenanceId(checkId))) return 'maintenance';
  for (const status of ['critical', 'warning'] as const) {
    if (checks.some((check) => check.status === status)) return status;
  }
  return 'passing';
}

function healthJson(service: ServiceValue, { status, checks }: ServiceHealth): string {
  return (
    `{"AggregatedStatus":"${status}","Service":${agentServiceJson(service)},` +
    `"Checks":${renderJson(checks.map(clientCheckRow))}}`
  );
}

function wantsText(request: ApiRequest): boolean {
  const accepted = request.header('accept');
  return accepted?.startsWith('text/plain') === true || request.query.get('format') === 'text';
}

function withReason(reply: Reply, reason: string): Reply {
  return { ...reply, headers: { 'X-Consul-Reason': reason } };
}

function textReply(status: number, text: string): Reply {
  return withReason({ kind: 'reply', status, body: text, contentType: 'text/plain' }, text);
}

/** GET /v1/agent/health/service/id/:id: 200, 429 or 503 by the health of one instance of this agent. */
function healthById(request: ApiRequest, { agent }: RouteContext): RouteResult {
  const { rest: id, query } = request;
  // Meant as a 400, but Consul, the newest too, does not recognise its own error here.
  if (id === '') return failure(500, 'Missing serviceID');
  const pretty = query.has('pretty');
  const service = agent.local.services().get(id);
  if (service === undefined) {
    const reason = `ServiceId ${id} not found`;
    const body = wantsText(request)
      ? renderJson(reason)
      : '{"AggregatedStatus":"critical","Service":null,"Checks":null}';
    return withReason(jsonReply(body, pretty, 404), reason);
  }
  const health = healthOf(service, agent.local.checks().values());
  const code = statusCodes[health.status];
  if (wantsText(request)) return textReply(code, health.status);
  return withReason(jsonReply(healthJson(service, health), pretty, code), health.status);
}

/** GET /v1/agent/health/service/name/:name: the worst of this agent's instances of a name. */
function healthByName(request: ApiRequest, { agent }: RouteContext): RouteResult {
  const { rest: name, query } = request;
  if (name === '') return failure(500, 'Missing service Name');
  let code = 404;
  let reason = `ServiceName ${name} Not Found`;
  const rows: string[] = [];
  const checks = agent.local.checks();
  for (const service of agent.local.services().values()) {
    if (service.service !== name) continue;
    const health = healthOf(service, checks.values());
    rows.push(healthJson(service, health));
    const own = statusCodes[health.status];
    // The first instance replaces "not found"; a worse one replaces a better one.
    if (rows.length > 1 && own <= code) continue;
    code = own;
    reason = health.status;
  }
  if (wantsText(request)) return textReply(code, reason);
  return withReason(jsonReply(`[${rows.join(',')}]`, query.has('pretty'), code), reason);
}

export const agentHealthRoutes: readonly Route[] = [
  {
    path: '/v1/agent/health/service/id/',
    methods: { GET: ofThisAgent(healthById) },
    common: 'none',
    state: 'same',
  },
  {
    path: '/v1/agent/health/service/name/',
    methods: { GET: ofThisAgent(healthByName) },
    common: 'none',
    state: 'same',
  },
];
