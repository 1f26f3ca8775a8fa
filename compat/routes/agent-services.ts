import type { AgentPort } from '../agent/port.ts';
import { admitService } from '../agent/registration.ts';
import { nodeServiceShape } from '../filter/shapes.ts';
import { decodeJsonBody } from '../wire/json-body.ts';
import { failure, jsonType, type ApiRequest, type Reply, type RouteResult } from '../wire/http.ts';
import { parseReadOptions } from '../wire/read-options.ts';
import { agentServiceJson, agentServiceRow, contentHashOf, jsonReply, mapJson } from './agent-json.ts';
import { filterOf, isReply, laterOutcome, maintenanceSwitch, ofThisAgent } from './agent-support.ts';
import type { RouteContext } from './context.ts';
import type { Route } from './route.ts';

/** GET /v1/agent/services: of this agent alone; clients deregister what they find here and do not know. */
function listServices(request: ApiRequest, { agent }: RouteContext): RouteResult {
  const { query } = request;
  const keep = filterOf(request, nodeServiceShape);
  if (isReply(keep)) return keep;
  const shown = [...agent.local.services()].filter(
    ([, service]) => !query.has('filter') || keep(agentServiceRow(service)),
  );
  const entries = shown.map(([id, service]) => [id, agentServiceJson(service)] as const);
  return jsonReply(mapJson(entries), query.has('pretty'));
}

/** GET /v1/agent/service/:id: blocks while `?hash=` is the hash of the present answer. */
function readService(request: ApiRequest, { agent, nowMs, limits }: RouteContext): RouteResult {
  const options = parseReadOptions(request, limits.waits);
  if (!options.ok) return options.error;
  const hash = request.query.get('hash');
  const present = serviceAnswer(request, agent);
  if (hash === '' || present.hash !== hash) return present.reply;
  const gone = new AbortController();
  const endMs = nowMs() + options.value.waitMs;
  return {
    kind: 'later',
    reply: waitForService(request, agent, { hash, endMs, gone: gone.signal }, nowMs),
    cancel: () => gone.abort(),
  };
}

async function waitForService(
  request: ApiRequest,
  agent: AgentPort,
  until: { readonly hash: string; readonly endMs: number; readonly gone: AbortSignal },
  nowMs: () => number,
): Promise<Reply> {
  for (;;) {
    await agent.local.servicesChanged(Math.max(0, until.endMs - nowMs()), until.gone);
    const present = serviceAnswer(request, agent);
    if (present.hash !== until.hash || nowMs() >= until.endMs || until.gone.aborted) return present.reply;
  }
}

function serviceAnswer(
  { rest: id, query }: ApiRequest,
  { local }: AgentPort,
): { readonly hash: string; readonly reply: Reply } {
  const service = local.services().get(id);
  if (service === undefined) return { hash: '', reply: failure(404, `unknown service ID: ${id}`) };
  const hash = contentHashOf(service);
  const reply = jsonReply(agentServiceJson(service, hash), query.has('pretty'));
  return { hash, reply: { ...reply, contentType: jsonType, headers: { 'X-Consul-Contenthash': hash } } };
}

/** PUT /v1/agent/service/register */
function registerService(request: ApiRequest, { agent: { local } }: RouteContext): RouteResult {
  const body = decodeJsonBody(request.body);
  if (!body.ok) return failure(400, `Request decode failed: ${body.error}`);
  const admitted = admitService(body.value, 'api', { remoteScripts: local.remoteScripts });
  if (!admitted.ok) return failure(admitted.error.status, admitted.error.body);
  const { query } = request;
  const replace = query.get('replace-existing-checks');
  const replaceChecks = query.has('replace-existing-checks') && (replace === '' || replace === 'true');
  return laterOutcome(local.registerService({ ...admitted.value, replaceChecks }));
}

/** PUT /v1/agent/service/deregister/:id */
function deregisterService({ rest: id }: ApiRequest, { agent }: RouteContext): RouteResult {
  return laterOutcome(agent.local.deregisterService(id));
}

/** PUT /v1/agent/service/maintenance/:id?enable=…&reason=… */
function serviceMaintenance(request: ApiRequest, { agent: { local } }: RouteContext): RouteResult {
  const { rest: id, query } = request;
  if (id === '') return failure(400, 'Missing service ID');
  const enable = maintenanceSwitch(request);
  if (isReply(enable)) return enable;
  return laterOutcome(enable ? local.setMaintenance(id, query.get('reason')) : local.clearMaintenance(id));
}

/** PUT /v1/agent/maintenance?enable=…&reason=… */
function nodeMaintenance(request: ApiRequest, { agent: { local } }: RouteContext): RouteResult {
  const enable = maintenanceSwitch(request);
  if (isReply(enable)) return enable;
  return laterOutcome(
    enable ? local.setMaintenance(undefined, request.query.get('reason')) : local.clearMaintenance(undefined),
  );
}

export const agentServiceRoutes: readonly Route[] = [
  {
    path: '/v1/agent/services',
    methods: { GET: ofThisAgent(listServices) },
    common: 'none',
    state: 'same',
  },
  { path: '/v1/agent/service/', methods: { GET: ofThisAgent(readService) }, common: 'none', state: 'same' },
  {
    path: '/v1/agent/service/register',
    methods: { PUT: ofThisAgent(registerService) },
    common: 'none',
    state: 'differs',
    note:
      'Answers once the service is on disk and in the catalog. Refuses `Connect.SidecarService` and the ids `consul` ' +
      'and `serfHealth`; ids are compared without regard to case.',
  },
  {
    path: '/v1/agent/service/deregister/',
    methods: { PUT: ofThisAgent(deregisterService) },
    common: 'none',
    state: 'same',
  },
  {
    path: '/v1/agent/service/maintenance/',
    methods: { PUT: ofThisAgent(serviceMaintenance) },
    common: 'none',
    state: 'same',
  },
  {
    path: '/v1/agent/maintenance',
    methods: { PUT: ofThisAgent(nodeMaintenance) },
    common: 'none',
    state: 'same',
  },
];
