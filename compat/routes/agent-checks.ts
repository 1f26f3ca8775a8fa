import { admitCheckBody } from '../agent/registration.ts';
import { isCheckStatus, type CheckStatus } from '../checks/thresholds.ts';
import { compileFilter } from '../filter/filter.ts';
import { healthCheckShape } from '../filter/shapes.ts';
import { GoFields, renderJson } from '../wire/go-json.ts';
import { decodeJsonBody } from '../wire/json-body.ts';
import { failure, type ApiRequest, type RouteResult } from '../wire/http.ts';
import { agentCheckRow, jsonReply, mapJson } from './agent-json.ts';
import { laterOutcome, ofThisAgent } from './agent-support.ts';
import type { RouteContext } from './context.ts';
import type { Handler, Route } from './route.ts';

/** GET /v1/agent/checks */
function listChecks(request: ApiRequest, { agent }: RouteContext): RouteResult {
  const { query } = request;
  const compiled = compileFilter(query.get('filter'), healthCheckShape);
  if (!compiled.ok) return failure(500, compiled.error.agentChecksText);
  const rows = [...agent.local.checks()].map(([id, check]) => [id, agentCheckRow(check)] as const);
  const shown = rows.filter(([, row]) => compiled.value(row));
  return jsonReply(mapJson(shown.map(([id, row]) => [id, renderJson(row)])), query.has('pretty'));
}

/** PUT /v1/agent/check/register */
function registerCheck(request: ApiRequest, { agent: { local } }: RouteContext): RouteResult {
  const body = decodeJsonBody(request.body);
  if (!body.ok) return failure(400, `Request decode failed: ${body.error}`);
  const admitted = admitCheckBody(body.value, 'api', { remoteScripts: local.remoteScripts });
  if (!admitted.ok) return failure(admitted.error.status, admitted.error.body);
  return laterOutcome(local.registerCheck(admitted.value));
}

/** PUT /v1/agent/check/deregister/:id */
function deregisterCheck({ rest: id }: ApiRequest, { agent }: RouteContext): RouteResult {
  return laterOutcome(agent.local.deregisterCheck(id));
}

/** PUT /v1/agent/check/{pass,warn,fail}/:id?note=… */
function beat(status: CheckStatus): Handler {
  return ofThisAgent(({ rest: id, query }, { agent }) =>
    laterOutcome(agent.local.updateCheck(id, status, query.get('note'))),
  );
}

/** PUT /v1/agent/check/update/:id with `{"Status":…,"Output":…}` */
function updateCheck(request: ApiRequest, { agent: { local } }: RouteContext): RouteResult {
  const body = decodeJsonBody(request.body);
  if (!body.ok) return failure(400, `Request decode failed: ${body.error}`);
  const fields = new GoFields(body.value, 'agent.checkUpdate');
  const status = fields.string('Status');
  const output = fields.string('Output');
  if (fields.problem !== undefined) return failure(400, `Request decode failed: ${fields.problem}`);
  if (!isCheckStatus(status)) return failure(400, `Invalid check status: '${status}'`);
  return laterOutcome(local.updateCheck(request.rest, status, output));
}

const beatNote =
  'Answers once a change of status is on disk. A beat that changes the output only is published late (check_update_interval).';

export const agentCheckRoutes: readonly Route[] = [
  { path: '/v1/agent/checks', methods: { GET: ofThisAgent(listChecks) }, common: 'none', state: 'same' },
  {
    path: '/v1/agent/check/register',
    methods: { PUT: ofThisAgent(registerCheck) },
    common: 'none',
    state: 'differs',
    note: 'Docker, H2PING and OSService checks are refused: a check that is taken is always run.',
  },
  {
    path: '/v1/agent/check/deregister/',
    methods: { PUT: ofThisAgent(deregisterCheck) },
    common: 'none',
    state: 'same',
  },
  {
    path: '/v1/agent/check/pass/',
    methods: { PUT: beat('passing') },
    common: 'none',
    state: 'same',
    note: beatNote,
  },
  {
    path: '/v1/agent/check/warn/',
    methods: { PUT: beat('warning') },
    common: 'none',
    state: 'same',
    note: beatNote,
  },
  {
    path: '/v1/agent/check/fail/',
    methods: { PUT: beat('critical') },
    common: 'none',
    state: 'same',
    note: beatNote,
  },
  {
    path: '/v1/agent/check/update/',
    methods: { PUT: ofThisAgent(updateCheck) },
    common: 'none',
    state: 'same',
    note: beatNote,
  },
];
