import { err, ok, type Result } from '../../src/kernel/result.ts';
import type { CatalogRegister } from '../../src/state/catalog.ts';
import {
  checkNodeId,
  decodeCheck,
  decodeNode,
  decodeService,
  isAnyAddress,
  meshProblems,
  multiError,
} from '../wire/catalog-decode.ts';
import { GoFields } from '../wire/go-json.ts';
import { failure, json, type ApiRequest, type Reply, type RouteResult, type Write } from '../wire/http.ts';
import { decodeJsonBody } from '../wire/json-body.ts';
import { enterpriseRefusal } from '../wire/read-options.ts';
import { refusalReply } from '../wire/refusal.ts';
import type { RouteContext } from './context.ts';
import { noPath } from './datacenter.ts';

const missingNode = failure(500, 'Must provide node');

/** PUT /v1/catalog/register. `?dc=` counts for nothing here, only the body's Datacenter does. */
export function registerRoute(request: ApiRequest, context: RouteContext): RouteResult {
  const refusal = enterpriseRefusal(request);
  if (refusal !== undefined) return refusal;
  const body = decodeBody(request, 'structs.RegisterRequest');
  if (!body.ok) return body.error;
  const command = decodeRegister(body.value, context.gateway.datacenter);
  return command.ok ? { kind: 'write', command: command.value, reply: answerTo(request) } : command.error;
}

/** The fields of a JSON body; Consul's words where it cannot be read. */
export function decodeBody(request: ApiRequest, struct: string): Result<GoFields, Reply> {
  const parsed = decodeJsonBody(request.body);
  if (!parsed.ok) return err(undecodable(parsed.error));
  const fields = new GoFields(parsed.value, struct);
  return fields.problem === undefined ? ok(fields) : err(undecodable(fields.problem));
}

export function undecodable(problem: string): Reply {
  return failure(400, `Request decode failed: ${problem}`);
}

/** In the order in which Consul finds what is wrong. */
function decodeRegister(fields: GoFields, datacenter: string): Result<CatalogRegister, Reply> {
  const node = decodeNode(fields, 'NodeMeta');
  const skipNodeUpdate = fields.bool('SkipNodeUpdate');
  const wantedDatacenter = fields.string('Datacenter');
  const serviceFields = fields.object('NodeService', 'Service');
  const service = serviceFields && decodeService(serviceFields, node.node);
  const checks = [...fields.array('Checks'), ...(fields.has('Check') ? [fields.raw('Check') ?? null] : [])]
    .filter((value) => value !== null)
    .map((value) => {
      const checkFields = new GoFields(value, 'HealthCheck');
      const check = decodeCheck(checkFields, node.node, true);
      if (checkFields.problem !== undefined) fields.fail(checkFields.problem);
      return check;
    });
  const connect = serviceFields?.object('ServiceConnect', 'Connect');
  const proxy = serviceFields?.object('ConnectProxyConfig', 'Proxy');
  const native = connect?.bool('Native') ?? false;
  const problem = serviceFields?.problem ?? fields.problem;
  if (problem !== undefined) return err(undecodable(problem));
  if (wantedDatacenter !== '' && wantedDatacenter !== datacenter) return err(noPath);
  if (node.node === '') return err(missingNode);
  if (node.address === '' && !skipNodeUpdate) {
    return err(failure(500, 'Must provide address if SkipNodeUpdate is not set'));
  }
  const badId = checkNodeId(node.id);
  if (!badId.ok) return err(failure(500, badId.error));
  if (service !== undefined) {
    if (service.service === '' && service.id !== '') {
      return err(failure(500, 'Must provide service name with ID'));
    }
    if (isAnyAddress(service.address)) return err(failure(500, 'Invalid service address'));
    const problems = meshProblems(service, proxy, native);
    if (problems.length > 0) return err(failure(500, multiError(problems)));
  }
  const stray = checks.find((check) => check.node !== node.node);
  if (stray !== undefined) {
    const [found, expected] = [stray.node, node.node].map((name) => JSON.stringify(name));
    return err(failure(500, `check node ${found} does not match node ${expected}`));
  }
  const command = { kind: 'catalog-register', node, skipNodeUpdate, checks } as const;
  return ok(service === undefined ? command : { ...command, service });
}

/** PUT /v1/catalog/deregister: of what is not there answers `true` too. */
export function deregisterRoute(request: ApiRequest, context: RouteContext): RouteResult {
  const refusal = enterpriseRefusal(request);
  if (refusal !== undefined) return refusal;
  const body = decodeBody(request, 'structs.DeregisterRequest');
  if (!body.ok) return body.error;
  const fields = body.value;
  const node = fields.string('Node');
  const serviceId = fields.string('ServiceID');
  const checkId = fields.string('CheckID');
  const datacenter = fields.string('Datacenter');
  if (fields.problem !== undefined) return undecodable(fields.problem);
  if (datacenter !== '' && datacenter !== context.gateway.datacenter) return noPath;
  if (node === '') return missingNode;
  return {
    kind: 'write',
    command: { kind: 'catalog-deregister', node, serviceId, checkId },
    reply: answerTo(request),
  };
}

function answerTo({ query }: ApiRequest): Write['reply'] {
  return (outcome) => {
    if (outcome.kind === 'catalog') return json(true, query.has('pretty'));
    if (outcome.kind === 'refused' || outcome.kind === 'not-owned') return refusalReply(outcome);
    return failure(500, `unexpected outcome ${outcome.kind}`);
  };
}
