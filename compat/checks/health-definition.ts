import { err, ok, type Result } from '../../src/kernel/result.ts';
import { formatGoDuration, type Nanoseconds } from '../wire/go-duration.ts';
import type { JsonObject, JsonValue } from '../wire/go-json.ts';
import { type CheckDefinition, decodeCheckDefinition, emptyCheck, isZero } from './definition.ts';
import { checkType } from './probe.ts';

/**
 * The `Definition` of a health check in the catalog: what external monitors register to say how a check is
 * to be run. An agent's own checks show `{}` there (observed on 1.8.7): their definition stays on the agent.
 */
export type HealthDefinition = Omit<CheckDefinition, 'checkId' | 'name' | 'notes' | 'status' | 'serviceId'>;

/** Reads a `Definition` as `/v1/catalog/register` and `/v1/txn` take it; the error is Go's text. */
export function decodeHealthDefinition(value: JsonValue): Result<HealthDefinition, string> {
  const decoded = decodeCheckDefinition(value, 'catalog');
  return decoded.ok ? ok(withoutIdentity(decoded.value)) : err(decoded.error);
}

function withoutIdentity(definition: CheckDefinition): HealthDefinition {
  const {
    checkId: _id,
    name: _name,
    notes: _notes,
    status: _status,
    serviceId: _service,
    ...rest
  } = definition;
  return rest;
}

/** Written first and as text; the others keep Go's declaration order. Zero values are left out. */
const durationNames: readonly (readonly [keyof HealthDefinition, string])[] = [
  ['intervalNs', 'Interval'],
  ['timeoutNs', 'Timeout'],
  ['deregisterCriticalServiceAfterNs', 'DeregisterCriticalServiceAfter'],
];

const plainNames: readonly (readonly [keyof HealthDefinition, string])[] = [
  ['http', 'HTTP'],
  ['tlsServerName', 'TLSServerName'],
  ['tlsSkipVerify', 'TLSSkipVerify'],
  ['header', 'Header'],
  ['method', 'Method'],
  ['body', 'Body'],
  ['disableRedirects', 'DisableRedirects'],
  ['tcp', 'TCP'],
  ['tcpUseTls', 'TCPUseTLS'],
  ['udp', 'UDP'],
  ['h2ping', 'H2PING'],
  ['osService', 'OSService'],
  ['outputMaxSize', 'OutputMaxSize'],
  ['args', 'ScriptArgs'],
  ['dockerContainerId', 'DockerContainerID'],
  ['shell', 'Shell'],
  ['grpc', 'GRPC'],
  ['grpcUseTls', 'GRPCUseTLS'],
  ['aliasNode', 'AliasNode'],
  ['aliasService', 'AliasService'],
  ['ttlNs', 'TTL'],
];

/** The JSON of a `Definition`: `{"Interval":"10s","HTTP":"http://…"}`, or `{}`. */
export function renderHealthDefinition(definition: HealthDefinition): JsonObject {
  const shown: Record<string, JsonValue> = {};
  for (const [field, name] of durationNames) {
    const value = definition[field] as Nanoseconds;
    if (value !== 0) shown[name] = formatGoDuration(value);
  }
  for (const [field, name] of plainNames) {
    const value = definition[field];
    if (!isZero(value)) shown[name] = value;
  }
  return shown;
}

/** The `Type` that the catalog shows for a check registered with this definition; '' when it says nothing. */
export function healthDefinitionType(definition: HealthDefinition): string {
  return checkType({ ...emptyCheck, ...definition });
}
