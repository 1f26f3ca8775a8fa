import { compareUtf8 } from '../../src/kernel/utf8-order.ts';
import type { Row } from '../../src/state/store.ts';
import type {
  CheckValue,
  CoordinateValue,
  NodeValue,
  ServiceAddress,
  ServiceValue,
} from '../../src/state/values.ts';
import { parseServiceExtra } from './catalog-extra.ts';
import { renderJson, renderJsonString } from './go-json.ts';

// The catalog's entries as Consul 1.8.7 renders them, built by hand: these are hot bodies, Go orders maps by name
// (which JSON.stringify does not where names look like numbers), and a fragment goes into several answers.

type Indexes = Pick<Row, 'createIndex' | 'modifyIndex'>;

function indexes({ createIndex, modifyIndex }: Indexes): string {
  return `"CreateIndex":${createIndex},"ModifyIndex":${modifyIndex}}`;
}

/** A Go map: ordered by the bytes of its names; null stays null. */
function renderMap<T>(map: Readonly<Record<string, T>> | null, render: (value: T) => string): string {
  if (map === null) return 'null';
  const names = Object.keys(map);
  if (names.length === 0) return '{}';
  if (names.length > 1) names.sort(compareUtf8);
  return `{${names.map((name) => `${renderJsonString(name)}:${render(map[name] as T)}`).join(',')}}`;
}

export function renderStringMap(map: Readonly<Record<string, string>> | null): string {
  return renderMap(map, renderJsonString);
}

function renderStrings(items: readonly string[]): string {
  return items.length === 0 ? '[]' : `[${items.map(renderJsonString).join(',')}]`;
}

function renderServiceAddress({ address, port }: ServiceAddress): string {
  return `{"Address":${renderJsonString(address)},"Port":${port}}`;
}

/** With its comma; left out when empty, as Go's omitempty does. */
function taggedAddressesField(name: string, map: ServiceValue['taggedAddresses']): string {
  const text = renderMap(map, renderServiceAddress);
  return text === 'null' || text === '{}' ? '' : `"${name}":${text},`;
}

/** A node, as in `/v1/catalog/nodes` and in every entry of `/v1/health/service/`. */
export function renderNode(node: NodeValue, datacenter: string, row: Indexes): string {
  return (
    `{"ID":${renderJsonString(node.id)},"Node":${renderJsonString(node.node)},` +
    `"Address":${renderJsonString(node.address)},"Datacenter":${renderJsonString(datacenter)},` +
    `"TaggedAddresses":${renderStringMap(node.taggedAddresses)},"Meta":${renderStringMap(node.meta)},` +
    indexes(row)
  );
}

/** A service of a node, as in `/v1/catalog/node/` and `/v1/health/service/`. */
export function renderNodeService(service: ServiceValue, row: Indexes): string {
  const extra = parseServiceExtra(service.extra);
  const { passing, warning } = service.weights;
  const kind = extra.kind === '' ? '' : `"Kind":${renderJsonString(extra.kind)},`;
  const socketPath = extra.socketPath === '' ? '' : `"SocketPath":${renderJsonString(extra.socketPath)},`;
  return (
    `{${kind}"ID":${renderJsonString(service.id)},"Service":${renderJsonString(service.service)},` +
    `"Tags":${renderStrings(service.tags)},"Address":${renderJsonString(service.address)},` +
    taggedAddressesField('TaggedAddresses', service.taggedAddresses) +
    `"Meta":${renderStringMap(service.meta)},"Port":${service.port},${socketPath}` +
    `"Weights":{"Passing":${passing},"Warning":${warning}},"EnableTagOverride":${service.enableTagOverride},` +
    `"Proxy":${extra.proxy},"Connect":${extra.connect}${extra.newer},${indexes(row)}`
  );
}

/** A service with its node, as in `/v1/catalog/service/`. There a service without metadata shows `{}`. */
export function renderServiceNode(
  service: ServiceValue,
  node: NodeValue,
  datacenter: string,
  row: Indexes,
): string {
  const extra = parseServiceExtra(service.extra);
  const { passing, warning } = service.weights;
  const socketPath =
    extra.socketPath === '' ? '' : `"ServiceSocketPath":${renderJsonString(extra.socketPath)},`;
  return (
    `{"ID":${renderJsonString(node.id)},"Node":${renderJsonString(service.node)},` +
    `"Address":${renderJsonString(node.address)},"Datacenter":${renderJsonString(datacenter)},` +
    `"TaggedAddresses":${renderStringMap(node.taggedAddresses)},"NodeMeta":${renderStringMap(node.meta)},` +
    `"ServiceKind":${renderJsonString(extra.kind)},"ServiceID":${renderJsonString(service.id)},` +
    `"ServiceName":${renderJsonString(service.service)},"ServiceTags":${renderStrings(service.tags)},` +
    `"ServiceAddress":${renderJsonString(service.address)},` +
    taggedAddressesField('ServiceTaggedAddresses', service.taggedAddresses) +
    `"ServiceWeights":{"Passing":${passing},"Warning":${warning}},` +
    `"ServiceMeta":${renderStringMap(service.meta ?? {})},"ServicePort":${service.port},${socketPath}` +
    `"ServiceEnableTagOverride":${service.enableTagOverride},"ServiceProxy":${extra.proxy},` +
    `"ServiceConnect":${extra.connect},${indexes(row)}`
  );
}

/** A check, as in all of `/v1/health/`. */
export function renderCheck(check: CheckValue, row: Indexes): string {
  return (
    `{"Node":${renderJsonString(check.node)},"CheckID":${renderJsonString(check.checkId)},` +
    `"Name":${renderJsonString(check.name)},"Status":${renderJsonString(check.status)},` +
    `"Notes":${renderJsonString(check.notes)},"Output":${renderJsonString(check.output)},` +
    `"ServiceID":${renderJsonString(check.serviceId)},"ServiceName":${renderJsonString(check.serviceName)},` +
    `"ServiceTags":${renderStrings(check.serviceTags)},"Type":${renderJsonString(check.type)},` +
    `"Definition":${check.definition === '' ? '{}' : check.definition},${indexes(row)}`
  );
}

/** A coordinate; `node` is the name as it is to be shown. */
export function renderCoordinate(node: string, coordinate: CoordinateValue): string {
  const { segment, vec, error, adjustment, height } = coordinate;
  return renderJson({
    Node: node,
    Segment: segment,
    Coord: { Vec: vec, Error: error, Adjustment: adjustment, Height: height },
  });
}
