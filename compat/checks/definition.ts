import { err, ok, type Result } from '../../src/kernel/result.ts';
import type { Nanoseconds } from '../wire/go-duration.ts';
import { parseGoDuration } from '../wire/go-duration.ts';
import { GoFields, goKind, isJsonObject, type JsonObject, type JsonValue } from '../wire/go-json.ts';

/** Header names with all their values, spelled as registered. */
export type CheckHeader = Readonly<Record<string, readonly string[]>>;

/**
 * A check as registered with an agent, a union of what Consul 1.8.7 and later versions know.
 * Absent fields hold Go's zero value ('' / 0 / false / empty), so that two definitions compare field by field.
 */
export type CheckDefinition = {
  readonly checkId: string;
  readonly name: string;
  readonly notes: string;
  /** '' or one of the three statuses; checked by `validate.ts`, not by the decoder. */
  readonly status: string;
  readonly serviceId: string;
  readonly args: readonly string[];
  readonly http: string;
  readonly header: CheckHeader;
  readonly method: string;
  readonly body: string;
  readonly disableRedirects: boolean;
  readonly tcp: string;
  readonly tcpUseTls: boolean;
  readonly udp: string;
  readonly grpc: string;
  readonly grpcUseTls: boolean;
  readonly h2ping: string;
  readonly osService: string;
  readonly tlsServerName: string;
  readonly tlsSkipVerify: boolean;
  readonly dockerContainerId: string;
  readonly shell: string;
  readonly aliasNode: string;
  readonly aliasService: string;
  readonly intervalNs: Nanoseconds;
  readonly timeoutNs: Nanoseconds;
  readonly ttlNs: Nanoseconds;
  readonly deregisterCriticalServiceAfterNs: Nanoseconds;
  readonly successBeforePassing: number;
  readonly failuresBeforeWarning: number;
  readonly failuresBeforeCritical: number;
  /** In bytes; 0 means the agent's own limit. */
  readonly outputMaxSize: number;
};

export const emptyCheck: CheckDefinition = {
  checkId: '',
  name: '',
  notes: '',
  status: '',
  serviceId: '',
  args: [],
  http: '',
  header: {},
  method: '',
  body: '',
  disableRedirects: false,
  tcp: '',
  tcpUseTls: false,
  udp: '',
  grpc: '',
  grpcUseTls: false,
  h2ping: '',
  osService: '',
  tlsServerName: '',
  tlsSkipVerify: false,
  dockerContainerId: '',
  shell: '',
  aliasNode: '',
  aliasService: '',
  intervalNs: 0,
  timeoutNs: 0,
  ttlNs: 0,
  deregisterCriticalServiceAfterNs: 0,
  successBeforePassing: 0,
  failuresBeforeWarning: 0,
  failuresBeforeCritical: 0,
  outputMaxSize: 0,
};

/**
 * Where a definition stands, which decides the names it may use:
 * - `check`: the body of `/v1/agent/check/register` (its id is `ID`);
 * - `service-check`: `Check` or an item of `Checks` in `/v1/agent/service/register` (its id is `CheckID`);
 * - `config`: a configuration file (every field in snake case too; the loader reports unknown fields);
 * - `catalog`: the `Definition` of a health check;
 * - `stored`: what `encodeCheckDefinition` wrote.
 *
 * Unknown fields are passed over, because newer clients send newer ones; but see `misleadingField`.
 */
export type CheckForm = 'check' | 'service-check' | 'config' | 'catalog' | 'stored';

/** The name of the check's id, per form. */
const idNames: Readonly<Record<CheckForm, readonly string[]>> = {
  check: ['ID'],
  'service-check': ['CheckID'],
  config: ['ID', 'CheckID'],
  catalog: [],
  stored: ['CheckID'],
};

/**
 * Decodes a check. The error is Go's text without a prefix; the handlers put `Request decode failed: `
 * before it and answer 400. `null` decodes to the empty check.
 */
export function decodeCheckDefinition(value: JsonValue, form: CheckForm): Result<CheckDefinition, string> {
  if (value !== null && !isJsonObject(value)) {
    return err(`json: cannot unmarshal ${goKind(value)} into Go value of type structs.CheckDefinition`);
  }
  const source = form === 'config' && value !== null ? withoutUnderscores(value) : value;
  const misleading = misleadingField(source, form);
  if (misleading !== undefined) return err(`json: unknown field ${JSON.stringify(misleading)}`);
  const fields = new GoFields(source, '');
  const definition: CheckDefinition = {
    checkId: idNames[form].length === 0 ? '' : fields.string(...idNames[form]),
    name: fields.string('Name'),
    notes: fields.string('Notes'),
    status: fields.string('Status'),
    serviceId: fields.string('ServiceID', 'service_id'),
    args: firstFilled(fields, 'ScriptArgs', 'args', 'script_args'),
    http: fields.string('HTTP'),
    header: readHeader(fields),
    method: fields.string('Method'),
    body: fields.string('Body'),
    disableRedirects: fields.bool('DisableRedirects'),
    tcp: fields.string('TCP'),
    tcpUseTls: fields.bool('TCPUseTLS'),
    udp: fields.string('UDP'),
    grpc: fields.string('GRPC'),
    grpcUseTls: fields.bool('GRPCUseTLS'),
    h2ping: fields.string('H2PING'),
    osService: fields.string('OSService'),
    tlsServerName: fields.string('TLSServerName'),
    tlsSkipVerify: either(fields, 'TLSSkipVerify', 'tls_skip_verify'),
    dockerContainerId: fields.string('DockerContainerID', 'docker_container_id'),
    shell: fields.string('Shell'),
    aliasNode: fields.string('AliasNode'),
    aliasService: fields.string('AliasService'),
    intervalNs: readDuration(fields, 'Interval', ...catalogName(form, 'IntervalDuration')),
    timeoutNs: readDuration(fields, 'Timeout', ...catalogName(form, 'TimeoutDuration')),
    ttlNs: readDuration(fields, 'TTL', ...catalogName(form, 'TTLDuration')),
    deregisterCriticalServiceAfterNs: readDuration(
      fields,
      'DeregisterCriticalServiceAfter',
      'deregister_critical_service_after',
      ...catalogName(form, 'DeregisterCriticalServiceAfterDuration'),
    ),
    successBeforePassing: fields.int('SuccessBeforePassing'),
    failuresBeforeWarning: fields.int('FailuresBeforeWarning'),
    failuresBeforeCritical: fields.int('FailuresBeforeCritical'),
    outputMaxSize: fields.int('OutputMaxSize'),
  };
  return fields.problem === undefined ? ok(definition) : err(fields.problem);
}

function catalogName(form: CheckForm, name: string): readonly string[] {
  return form === 'catalog' ? [name] : [];
}

/**
 * A field that Consul refuses as unknown, and that would make another check of it if it were passed over: the
 * command line of old clients (`Script`), the id by the name of the other form, and in the API's forms the snake case
 * of a field that has none there.
 */
function misleadingField(value: JsonObject | null, form: CheckForm): string | undefined {
  if (value === null || (form !== 'check' && form !== 'service-check')) return undefined;
  return Object.keys(value).find((name) => {
    const lower = name.toLowerCase();
    if (lower === 'script') return true;
    if (lower === 'id' || lower === 'checkid') return !idNames[form].some((id) => id.toLowerCase() === lower);
    return lower.includes('_') && !snakeNames.has(lower) && knownNames.has(lower.replaceAll('_', ''));
  });
}

function withoutUnderscores(value: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name.replaceAll('_', ''), item]));
}

/** A list under several names: the first that is not empty, as Consul folds its aliases together. */
function firstFilled(fields: GoFields, ...names: readonly string[]): readonly string[] {
  let filled: readonly string[] = [];
  for (const name of names) {
    const list = readStrings(fields, fields.raw(name), name);
    if (filled.length === 0) filled = list;
  }
  return filled;
}

function either(fields: GoFields, ...names: readonly string[]): boolean {
  // Read both before deciding: a wrong kind under either name is an error.
  return names.map((name) => fields.bool(name)).includes(true);
}

function readStrings(fields: GoFields, value: JsonValue | undefined, name: string): readonly string[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) {
    fields.fail(`json: cannot unmarshal ${goKind(value)} into Go struct field .${name} of type []string`);
    return [];
  }
  const list: string[] = [];
  for (const item of value as readonly JsonValue[]) {
    if (item === null) list.push('');
    else if (typeof item === 'string') list.push(item);
    else fields.fail(`json: cannot unmarshal ${goKind(item)} into Go struct field .${name} of type string`);
  }
  return list;
}

function readHeader(fields: GoFields): CheckHeader {
  const value = fields.raw('Header');
  if (value === undefined) return {};
  if (!isJsonObject(value)) {
    fields.fail(
      `json: cannot unmarshal ${goKind(value)} into Go struct field .Header of type map[string][]string`,
    );
    return {};
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, values]) => [name, readStrings(fields, values, 'Header')]),
  );
}

/**
 * A duration of a check: text in Go's form or a number of nanoseconds. Unlike elsewhere in Consul an empty
 * text is an error and any other kind counts as absent (observed on 1.8.7).
 */
function readDuration(fields: GoFields, ...names: readonly string[]): Nanoseconds {
  const value = fields.raw(...names);
  if (typeof value === 'number') return Math.trunc(value);
  if (typeof value === 'bigint') return Number(value);
  if (typeof value !== 'string') return 0;
  const parsed = parseGoDuration(value);
  if (parsed.ok) return parsed.value;
  fields.fail(parsed.error);
  return 0;
}

/** Go's field names, in the order in which they are written. */
const storedNames: readonly (readonly [keyof CheckDefinition, string])[] = [
  ['checkId', 'CheckID'],
  ['name', 'Name'],
  ['notes', 'Notes'],
  ['status', 'Status'],
  ['serviceId', 'ServiceID'],
  ['args', 'ScriptArgs'],
  ['http', 'HTTP'],
  ['header', 'Header'],
  ['method', 'Method'],
  ['body', 'Body'],
  ['disableRedirects', 'DisableRedirects'],
  ['tcp', 'TCP'],
  ['tcpUseTls', 'TCPUseTLS'],
  ['udp', 'UDP'],
  ['grpc', 'GRPC'],
  ['grpcUseTls', 'GRPCUseTLS'],
  ['h2ping', 'H2PING'],
  ['osService', 'OSService'],
  ['tlsServerName', 'TLSServerName'],
  ['tlsSkipVerify', 'TLSSkipVerify'],
  ['dockerContainerId', 'DockerContainerID'],
  ['shell', 'Shell'],
  ['aliasNode', 'AliasNode'],
  ['aliasService', 'AliasService'],
  ['intervalNs', 'Interval'],
  ['timeoutNs', 'Timeout'],
  ['ttlNs', 'TTL'],
  ['deregisterCriticalServiceAfterNs', 'DeregisterCriticalServiceAfter'],
  ['successBeforePassing', 'SuccessBeforePassing'],
  ['failuresBeforeWarning', 'FailuresBeforeWarning'],
  ['failuresBeforeCritical', 'FailuresBeforeCritical'],
  ['outputMaxSize', 'OutputMaxSize'],
];

/** Every field, in lower case. */
const knownNames: ReadonlySet<string> = new Set(['id', ...storedNames.map(([, name]) => name.toLowerCase())]);

/** Names in snake case that the API takes too. */
const snakeNames: ReadonlySet<string> = new Set([
  'service_id',
  'script_args',
  'tls_skip_verify',
  'docker_container_id',
  'deregister_critical_service_after',
]);

/**
 * The JSON that keeps a definition across restarts: Go's names, zero values left out, durations in
 * nanoseconds. `decodeCheckDefinition(…, 'stored')` reads it back; fields added later default when absent.
 */
export function encodeCheckDefinition(definition: CheckDefinition): JsonObject {
  const stored: Record<string, JsonValue> = {};
  for (const [field, name] of storedNames) {
    const value = definition[field];
    if (!isZero(value)) stored[name] = value;
  }
  return stored;
}

export function isZero(value: CheckDefinition[keyof CheckDefinition]): boolean {
  if (typeof value === 'object') return Object.keys(value).length === 0;
  return value === '' || value === 0 || value === false;
}

/** A check object that says nothing at all: Consul treats such a `Check` of a service as absent. */
export function isEmptyCheck(definition: CheckDefinition): boolean {
  return Object.values(definition).every(isZero);
}

export function sameDefinition(a: CheckDefinition, b: CheckDefinition): boolean {
  return JSON.stringify(encodeCheckDefinition(a)) === JSON.stringify(encodeCheckDefinition(b));
}
