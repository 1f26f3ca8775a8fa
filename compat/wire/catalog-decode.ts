import { err, ok, type Result } from '../../src/kernel/result.ts';
import { keySeparator } from '../../src/state/topics.ts';
import type { CheckValue, NodeValue, ServiceAddress, ServiceValue } from '../../src/state/values.ts';
import {
  decodeHealthDefinition,
  healthDefinitionType,
  renderHealthDefinition,
} from '../checks/health-definition.ts';
import { decodeServiceExtra } from './catalog-extra.ts';
import { GoFields, goKind, isJsonObject, renderJson } from './go-json.ts';

// Catalog entries as `/v1/catalog/register` and `/v1/txn` take them. What is wrong is left in the fields' `problem`.

/** A node's own fields; `metaName` is `NodeMeta` in a registration and `Meta` in a transaction. */
export function decodeNode(fields: GoFields, metaName: 'NodeMeta' | 'Meta'): NodeValue {
  return {
    id: fields.string('ID'),
    node: nameOf(fields, 'Node'),
    address: fields.string('Address'),
    taggedAddresses: fields.has('TaggedAddresses') ? fields.stringMap('TaggedAddresses') : null,
    meta: fields.has(metaName) ? fields.stringMap(metaName) : null,
  };
}

/** A service of a node. Without an id it gets its name as one. */
export function decodeService(fields: GoFields, node: string): ServiceValue {
  const service = fields.string('Service');
  return {
    node,
    id: nameOf(fields, 'ID') || service,
    service,
    tags: fields.strings('Tags'),
    address: fields.string('Address'),
    taggedAddresses: decodeServiceAddresses(fields),
    port: fields.int('Port'),
    meta: fields.has('Meta') ? fields.stringMap('Meta') : null,
    weights: decodeWeights(fields),
    enableTagOverride: fields.bool('EnableTagOverride'),
    extra: decodeServiceExtra(fields),
  };
}

function decodeServiceAddresses(fields: GoFields): Readonly<Record<string, ServiceAddress>> | null {
  const raw = fields.raw('TaggedAddresses');
  if (raw === undefined) return null;
  if (!isJsonObject(raw)) {
    fields.fail(
      `json: cannot unmarshal ${goKind(raw)} into Go struct field NodeService.TaggedAddresses of type map[string]structs.ServiceAddress`,
    );
    return null;
  }
  const addresses: [string, ServiceAddress][] = [];
  for (const [tag, value] of Object.entries(raw)) {
    const entry = new GoFields(value, 'ServiceAddress');
    addresses.push([tag, { address: entry.string('Address'), port: entry.int('Port') }]);
    if (entry.problem !== undefined) fields.fail(entry.problem);
  }
  return Object.fromEntries(addresses);
}

/** Weights that DNS could not use count as absent, as Consul 1.8.7 stores them. */
function decodeWeights(fields: GoFields): ServiceValue['weights'] {
  const weights = fields.object('Weights', 'Weights');
  if (weights === undefined) return { passing: 1, warning: 1 };
  const passing = weights.int('Passing');
  const warning = weights.int('Warning');
  if (weights.problem !== undefined) fields.fail(weights.problem);
  return passing < 1 || warning < 0 ? { passing: 1, warning: 1 } : { passing, warning };
}

/**
 * A check. Without an id it gets its name as one; without a status it is critical. `node` is where it belongs
 * unless it says itself. `typed`: a missing Type comes from the definition (a registration's does, a
 * transaction's does not).
 */
export function decodeCheck(fields: GoFields, node: string, typed: boolean): CheckValue {
  const name = fields.string('Name');
  const { definition, definitionType } = decodeDefinition(fields);
  return {
    node: nameOf(fields, 'Node') || node,
    checkId: nameOf(fields, 'CheckID') || name,
    name,
    status: fields.string('Status') || 'critical',
    notes: fields.string('Notes'),
    output: fields.string('Output'),
    serviceId: fields.string('ServiceID'),
    serviceName: fields.string('ServiceName'),
    serviceTags: fields.strings('ServiceTags'),
    type: fields.string('Type') || (typed ? definitionType : ''),
    definition,
  };
}

/** The definition as JSON text, empty for none, and the type of check that it makes. */
function decodeDefinition(fields: GoFields): {
  readonly definition: string;
  readonly definitionType: string;
} {
  const none = { definition: '', definitionType: '' };
  const raw = fields.raw('Definition');
  if (raw === undefined) return none;
  const decoded = decodeHealthDefinition(raw);
  if (!decoded.ok) {
    fields.fail(decoded.error);
    return none;
  }
  const shown = renderJson(renderHealthDefinition(decoded.value));
  return { definition: shown === '{}' ? '' : shown, definitionType: healthDefinitionType(decoded.value) };
}

function nameOf(fields: GoFields, name: string): string {
  const text = fields.string(name);
  if (text.includes(keySeparator)) fields.fail(`${name} must not contain the character U+0001`);
  return text;
}

/** What Consul says of a node id that is no UUID. */
export function checkNodeId(id: string): Result<undefined, string> {
  if (id === '') return ok(undefined);
  if (id.length !== 36) return err('Bad node ID: uuid string is wrong length');
  for (const at of [8, 13, 18, 23])
    if (id[at] !== '-') return err('Bad node ID: uuid is improperly formatted');
  const odd = /[^0-9a-fA-F]/u.exec(id.replaceAll('-', ''))?.[0];
  if (odd === undefined) return ok(undefined);
  const point = (odd.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, '0');
  return err(`Bad node ID: encoding/hex: invalid byte: U+${point} '${odd}'`);
}

/** An address that means all interfaces cannot be one that clients connect to. */
export function isAnyAddress(address: string): boolean {
  return address === '0.0.0.0' || address === '::' || address === '[::]';
}

/** What is wrong with the mesh part of a service, each in Consul's words. */
export function meshProblems(service: ServiceValue, proxy: GoFields | undefined, native: boolean): string[] {
  const problems: string[] = [];
  const kind = service.extra === '' ? '' : kindOf(service);
  const destination = proxy?.string('DestinationServiceName', 'destination_service_name') ?? '';
  if (kind === 'connect-proxy') {
    if (destination === '') {
      problems.push('Proxy.DestinationServiceName must be non-empty for Connect proxy services');
    }
    if (service.port === 0 && !hasSocket(service)) problems.push('Port must be set for a Connect proxy');
    if (native) problems.push('A Proxy cannot also be Connect Native, only typical services');
  }
  if (kind === 'mesh-gateway' && service.port === 0)
    problems.push('Port must be non-zero for a mesh-gateway');
  if (gatewayKinds.has(kind) && destination !== '') {
    problems.push(`The Proxy.DestinationServiceName configuration is invalid for a ${kind}`);
  }
  return problems;
}

const gatewayKinds: ReadonlySet<string> = new Set(['mesh-gateway', 'ingress-gateway', 'terminating-gateway']);

function kindOf(service: ServiceValue): string {
  return (JSON.parse(service.extra) as { Kind?: string }).Kind ?? '';
}

function hasSocket(service: ServiceValue): boolean {
  return (JSON.parse(service.extra) as { SocketPath?: string }).SocketPath !== undefined;
}

/** Several errors as Go's multierror prints them. */
export function multiError(problems: readonly string[]): string {
  const count = problems.length === 1 ? '1 error' : `${problems.length} errors`;
  return `${count} occurred:\n${problems.map((problem) => `\t* ${problem}\n`).join('')}\n`;
}
