import type { CheckValue, ServiceValue } from '../../src/state/values.ts';
import { parseServiceExtra } from '../wire/catalog-extra.ts';
import { indentJson } from '../wire/go-indent.ts';
import { renderJson, renderJsonString } from '../wire/go-json.ts';
import { jsonType, type Reply } from '../wire/http.ts';

// What the agent's endpoints show of services and checks: other fields, and in another order, than the catalog's.

const proxyKinds: ReadonlySet<string> = new Set(['connect-proxy', 'mesh-gateway']);

/** A service as `/v1/agent/services` has it. `contentHash` stands in it where one service is asked for. */
export function agentServiceJson(service: ServiceValue, contentHash = ''): string {
  const extra = parseServiceExtra(service.extra);
  const { passing, warning } = service.weights;
  const text = (name: string, value: string): string =>
    value === '' ? '' : `${renderJsonString(name)}:${renderJsonString(value)},`;
  const proxy = proxyKinds.has(extra.kind) ? `,"Proxy":${extra.proxy}` : '';
  const connect = extra.connect === '{}' ? '' : `,"Connect":${extra.connect}`;
  return (
    `{${text('Kind', extra.kind)}"ID":${renderJsonString(service.id)},` +
    `"Service":${renderJsonString(service.service)},"Tags":${renderJson(service.tags)},` +
    `"Meta":${renderJson(sortedByName(service.meta ?? {}))},"Port":${service.port},` +
    `"Address":${renderJsonString(service.address)},${text('SocketPath', extra.socketPath)}` +
    `${taggedAddresses(service)}"Weights":{"Passing":${passing},"Warning":${warning}},` +
    `"EnableTagOverride":${service.enableTagOverride}` +
    (contentHash === '' ? '' : `,"ContentHash":${renderJsonString(contentHash)}`) +
    `${proxy}${connect}${extra.newer}}`
  );
}

function taggedAddresses({ taggedAddresses: addresses }: ServiceValue): string {
  if (addresses === null || Object.keys(addresses).length === 0) return '';
  const shown = Object.entries(sortedByName(addresses)).map(([tag, { address, port }]) => [
    tag,
    { Address: address, Port: port },
  ]);
  return `"TaggedAddresses":${renderJson(Object.fromEntries(shown))},`;
}

function sortedByName<T>(map: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(map).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** The service as an object, for filters. */
export function agentServiceRow(service: ServiceValue): unknown {
  return JSON.parse(agentServiceJson(service));
}

/** A check as `/v1/agent/checks` has it. */
export function agentCheckRow(check: CheckValue) {
  return {
    Node: check.node,
    CheckID: check.checkId,
    Name: check.name,
    Status: check.status,
    Notes: check.notes,
    Output: check.output,
    ServiceID: check.serviceId,
    ServiceName: check.serviceName,
    ServiceTags: check.serviceTags,
    Type: check.type,
    Definition: {},
    CreateIndex: 0,
    ModifyIndex: 0,
  };
}

/** A check as `/v1/agent/health/service/…` has it: Consul passes it through a type of its client library. */
export function clientCheckRow(check: CheckValue) {
  return {
    ...agentCheckRow(check),
    ServiceTags: check.serviceTags.length === 0 ? null : check.serviceTags,
    Type: '',
    Definition: {
      Interval: '0s',
      Timeout: '0s',
      DeregisterCriticalServiceAfter: '0s',
      HTTP: '',
      Header: null,
      Method: '',
      Body: '',
      TLSSkipVerify: false,
      TCP: '',
    },
  };
}

/** A JSON object whose names stay in the order given: a JavaScript object would put those that are numbers first. */
export function mapJson(entries: Iterable<readonly [string, string]>): string {
  return `{${[...entries].map(([name, value]) => `${renderJsonString(name)}:${value}`).join(',')}}`;
}

/** A reply of rendered JSON. */
export function jsonReply(body: string, pretty: boolean, status = 200): Reply {
  return { kind: 'reply', status, body: pretty ? indentJson(body) : body, contentType: jsonType };
}

const fnvOffset = 0xcbf29ce484222325n;
const fnvPrime = 0x100000001b3n;

/** 16 hex digits that change with the content (FNV-1a, 64 bits): what hash-based blocking compares. */
export function contentHashOf(service: ServiceValue): string {
  let hash = fnvOffset;
  for (const byte of new TextEncoder().encode(agentServiceJson(service))) {
    hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * fnvPrime);
  }
  return hash.toString(16).padStart(16, '0');
}
