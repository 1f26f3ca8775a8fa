import { err, ok, type Result } from '../../src/kernel/result.ts';
import { keySeparator } from '../../src/state/topics.ts';
import type { ServiceAddress, ServiceValue } from '../../src/state/values.ts';
import { decodeCheckDefinition, type CheckDefinition } from '../checks/definition.ts';
import { admitCheck, admitServiceChecks, type CheckPolicy } from '../checks/validate.ts';
import { isAnyAddress, meshProblems, multiError } from '../wire/catalog-decode.ts';
import { decodeServiceExtra } from '../wire/catalog-extra.ts';
import { GoFields, goKind, isJsonObject, type JsonObject, type JsonValue } from '../wire/go-json.ts';
import { ipFamily } from './ip-family.ts';

/** A service with its checks, judged and ready to be taken. */
export interface ServiceRegistration {
  readonly service: Omit<ServiceValue, 'node'>;
  /** With ids, names and the service's id filled in. */
  readonly checks: readonly CheckDefinition[];
  /** Drop the service's other checks (`?replace-existing-checks`). */
  readonly replaceChecks: boolean;
}

export interface CheckRegistration {
  readonly check: CheckDefinition;
}

export interface RegistrationRefusal {
  readonly status: 400 | 500;
  readonly body: string;
}

/** Where a definition stands: the body of an API call, or a configuration file with its snake_case names. */
export type RegistrationForm = 'api' | 'config';

/**
 * Decodes and judges a service, in Consul's order and words. Unknown fields are passed over, because newer clients
 * send newer ones.
 */
export function admitService(
  value: JsonValue,
  form: RegistrationForm,
  policy: CheckPolicy,
): Result<Omit<ServiceRegistration, 'replaceChecks'>, RegistrationRefusal> {
  const decoded = decodeService(value, form);
  if (!decoded.ok) return err(bad(`Request decode failed: ${decoded.error}`));
  const { service, check, checks, sidecar, meshProblem } = decoded.value;
  if (service.service === '') return err(bad('Missing service name'));
  const odd = [service.id, service.service].find((name) => name.includes(keySeparator));
  if (odd !== undefined) return err(bad(oddNameText));
  if (isAnyAddress(service.address)) return err(bad('Invalid service address'));
  const weights = weightsProblem(service.weights);
  if (weights !== undefined) return err(bad(`Invalid Weights: ${weights}`));
  const meta = metaProblem(service.meta ?? {});
  if (meta !== undefined) return err(bad(`Invalid Service Meta: ${meta}`));
  if (meshProblem !== undefined) return err(bad(meshProblem));
  if (sidecar) {
    return err(
      bad('Invalid SidecarService: this gateway has no service mesh; register the proxy as a service'),
    );
  }
  const admitted = admitServiceChecks({ id: service.id, name: service.service }, check, checks, policy);
  if (!admitted.ok) return err(admitted.error);
  if (admitted.value.some(({ checkId }) => checkId.includes(keySeparator))) return err(bad(oddNameText));
  return ok({ service, checks: admitted.value });
}

/** Decodes and judges a check registered by itself. That its service exists is for the agent to see. */
export function admitCheckBody(
  value: JsonValue,
  form: RegistrationForm,
  policy: CheckPolicy,
): Result<CheckRegistration, RegistrationRefusal> {
  const decoded = decodeCheckDefinition(value, form === 'api' ? 'check' : 'config');
  if (!decoded.ok) return err(bad(`Request decode failed: ${decoded.error}`));
  const admitted = admitCheck(decoded.value, policy);
  if (!admitted.ok) return err(admitted.error);
  if (admitted.value.checkId.includes(keySeparator)) return err(bad(oddNameText));
  return ok({ check: admitted.value });
}

/** The catalog's keys are made with it. */
const oddNameText = 'Names and IDs must not contain the character U+0001';

function bad(body: string): RegistrationRefusal {
  return { status: 400, body };
}

interface DecodedService {
  readonly service: Omit<ServiceValue, 'node'>;
  readonly check: CheckDefinition | undefined;
  readonly checks: readonly CheckDefinition[];
  /** What is wrong with its part in a service mesh. */
  readonly meshProblem: string | undefined;
  /** Connect.SidecarService is asked for. */
  readonly sidecar: boolean;
}

function decodeService(value: JsonValue, form: RegistrationForm): Result<DecodedService, string> {
  if (value !== null && !isJsonObject(value)) {
    return err(`json: cannot unmarshal ${goKind(value)} into Go value of type structs.ServiceDefinition`);
  }
  const source = form === 'config' ? withoutUnderscores(value) : value;
  const fields = new GoFields(source, '');
  for (const [name, feature] of [
    ['Namespace', 'Namespaces'],
    ['Partition', 'Partitions'],
  ] as const) {
    const given = fields.string(name);
    if (given !== '' && given !== 'default') return err(`${feature} are a Consul Enterprise feature`);
  }
  const name = fields.string('Name');
  const address = fields.string('Address');
  const port = fields.int('Port');
  const tagged = { ...decodeAddresses(fields), ...automaticAddresses(fields, address, port) };
  const checkForm = form === 'api' ? 'service-check' : 'config';
  const check = decodeChecks(fields, fields.has('Check') ? [fields.raw('Check') ?? null] : [], checkForm)[0];
  const checks = decodeChecks(fields, fields.array('Checks'), checkForm);
  const service: Omit<ServiceValue, 'node'> = {
    id: fields.string('ID') || name,
    service: name,
    tags: fields.strings('Tags'),
    address,
    taggedAddresses: Object.keys(tagged).length === 0 ? null : tagged,
    port,
    meta: fields.has('Meta') ? nonEmpty(fields.stringMap('Meta')) : null,
    weights: decodeWeights(fields),
    enableTagOverride: [fields.bool('EnableTagOverride'), fields.bool('enable_tag_override')].includes(true),
    extra: decodeServiceExtra(fields),
  };
  const connect = fields.object('structs.ServiceConnect', 'Connect');
  if (connect?.problem !== undefined) fields.fail(connect.problem);
  const sidecar = connect?.has('SidecarService', 'sidecar_service') ?? false;
  const proxy = fields.object('structs.ConnectProxyConfig', 'Proxy');
  const problems = meshProblems({ ...service, node: '' }, proxy, connect?.bool('Native') ?? false);
  const meshProblem = problems.length === 0 ? undefined : multiError(problems);
  if (fields.problem !== undefined) return err(fields.problem);
  return ok({ service, check, checks, sidecar, meshProblem });
}

function withoutUnderscores(value: JsonObject | null): JsonObject | null {
  if (value === null) return null;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name.replaceAll('_', ''), item]));
}

function nonEmpty(meta: Readonly<Record<string, string>>): Readonly<Record<string, string>> | null {
  return Object.keys(meta).length === 0 ? null : meta;
}

function decodeChecks(
  fields: GoFields,
  values: readonly JsonValue[],
  form: 'service-check' | 'config',
): readonly CheckDefinition[] {
  const checks: CheckDefinition[] = [];
  for (const value of values) {
    const decoded = decodeCheckDefinition(value, form);
    if (decoded.ok) checks.push(decoded.value);
    else fields.fail(decoded.error);
  }
  return checks;
}

function decodeAddresses(fields: GoFields): Record<string, ServiceAddress> {
  const addresses: Record<string, ServiceAddress> = {};
  const raw = fields.raw('TaggedAddresses', 'tagged_addresses');
  if (raw === undefined) return addresses;
  if (!isJsonObject(raw)) {
    fields.fail(
      `json: cannot unmarshal ${goKind(raw)} into Go struct field .TaggedAddresses of type map[string]structs.ServiceAddress`,
    );
    return addresses;
  }
  for (const [tag, value] of Object.entries(raw)) {
    const entry = new GoFields(value, 'ServiceAddress');
    addresses[tag] = { address: entry.string('Address'), port: entry.int('Port') };
    if (entry.problem !== undefined) fields.fail(entry.problem);
  }
  return addresses;
}

/** An IP address is also shown under the tags of its family, unless the registration says otherwise. */
function automaticAddresses(fields: GoFields, address: string, port: number): Record<string, ServiceAddress> {
  const family = ipFamily(address);
  if (family === undefined) return {};
  const given = decodeAddresses(fields);
  const automatic: Record<string, ServiceAddress> = {};
  for (const tag of [`lan_${family}`, `wan_${family}`]) automatic[tag] = given[tag] ?? { address, port };
  return automatic;
}

function decodeWeights(fields: GoFields): ServiceValue['weights'] {
  const weights = fields.object('Weights', 'Weights');
  if (weights === undefined) return { passing: 1, warning: 1 };
  const decoded = { passing: weights.int('Passing'), warning: weights.int('Warning') };
  if (weights.problem !== undefined) fields.fail(weights.problem);
  return decoded;
}

const weightMax = 65_535;

function weightsProblem({ passing, warning }: ServiceValue['weights']): string | undefined {
  if (passing < 1) return 'Passing must be greater than 0';
  if (warning < 0) return 'Warning must be greater or equal than 0';
  if (passing > weightMax || warning > weightMax) return 'DNS Weight must be between 0 and 65535';
  return undefined;
}

const metaPairsMax = 64;
const metaKeyLengthMax = 128;
const metaValueLengthMax = 512;
const reservedMetaPrefix = 'consul-';

/** The rules of service metadata, in the words of Consul 1.8.7 (misprints included). */
export function metaProblem(meta: Readonly<Record<string, string>>): string | undefined {
  const pairs = Object.entries(meta);
  if (pairs.length > metaPairsMax) {
    return `Node metadata cannot contain more than ${metaPairsMax} key/value pairs`;
  }
  for (const [key, value] of pairs) {
    const problem = metaPairProblem(key, value);
    if (problem !== undefined) return `Couldn't load metadata pair ('${key}', '${value}'): ${problem}`;
  }
  return undefined;
}

function metaPairProblem(key: string, value: string): string | undefined {
  if (key === '') return 'Key cannot be blank';
  if (!/^[a-zA-Z0-9_-]+$/.test(key)) return 'Key contains invalid characters';
  if (key.length > metaKeyLengthMax) return `Key is too long (limit: ${metaKeyLengthMax} characters)`;
  if (key.startsWith(reservedMetaPrefix)) {
    return `Key prefix '${reservedMetaPrefix}' is reserved for internal use`;
  }
  if (value.length > metaValueLengthMax) return `Value is too long (limit: ${metaValueLengthMax} characters)`;
  return undefined;
}
