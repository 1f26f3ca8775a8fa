import { renderCheck, renderNodeService } from '../../../compat/wire/catalog-json.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../../compat/wire/go-json.ts';
import { Kind } from '../../../src/state/kinds.ts';
import { isGatewaysOwn } from '../../../src/state/own-node.ts';
import {
  checksOfNode,
  checkValue,
  getNode,
  nodeValue,
  serfHealth,
  servicesOfNode,
  serviceValue,
} from '../../../src/state/catalog.ts';
import { decodeJsonBody } from '../../../compat/wire/json-body.ts';
import type { ReadView, Row } from '../../../src/state/store.ts';
import type { NodeValue } from '../../../src/state/values.ts';

/** Marks what a gateway registered at the source, so that it is never mirrored back: a node's metadata. */
export const originMeta = 'grapevine-origin';

/** Before a gateway's name: the name of its node at the source. */
export const prefixOfOwn = 'grapevine-';

/** A node as the source is to show it: a body of `/v1/catalog/register` without what is on it, and all that is. */
export interface WantedNode {
  readonly name: string;
  readonly node: JsonObject;
  /** By id. */
  readonly services: ReadonlyMap<string, JsonObject>;
  readonly checks: ReadonlyMap<string, JsonObject>;
}

/**
 * The services of the gateways' own agents, each gateway under a node of another name than its own: an agent of the
 * source may still run under that one, and would take out within a minute whatever it does not know.
 */
export function gatewayNodes(
  view: ReadView,
  gateways: readonly { readonly nodeName: string }[],
): readonly WantedNode[] {
  return gateways.flatMap(({ nodeName }) => {
    const row = getNode(view, nodeName);
    if (row === undefined) return [];
    const { address } = nodeValue(row);
    const name = `${prefixOfOwn}${nodeName}`;
    // The way of external services: nobody probes this node, so its health must be said.
    const Meta = { 'external-node': 'true', [originMeta]: nodeName };
    const health = serfHealth(view, nodeName);
    const isUp = health === undefined || health.status === 'passing';
    const checks = entries(checksOfNode(view, nodeName), name, (each) => checkValue(each).checkId);
    checks.set(`${prefixOfOwn}health`, {
      ...{ Node: name, CheckID: `${prefixOfOwn}health`, Name: `Gateway ${nodeName} answers` },
      ...{ Status: isUp ? 'passing' : 'critical', Output: health?.output ?? '' },
    });
    const services = entries(servicesOfNode(view, nodeName), name, (each) => serviceValue(each).id);
    for (const [id, service] of services) if (service['Service'] === 'consul') services.delete(id);
    if (services.size === 0) return [];
    return [{ name, node: { Node: name, Address: address, NodeMeta: Meta }, services, checks }];
  });
}

/**
 * The nodes that were registered or changed here since the catalog is decided here, and those that were taken out: so
 * that the source can be gone back to.
 */
export function changedHere(
  view: ReadView,
  isHere: (row: Row) => boolean,
): { readonly nodes: readonly WantedNode[]; readonly removed: readonly RemovedEntry[] } {
  const nodes = new Map<string, WantedNode>();
  const removed: RemovedEntry[] = [];
  for (const kind of [Kind.node, Kind.service, Kind.check]) {
    for (const row of view.range(kind, '', undefined)) {
      if (isGatewaysOwn(row) || !isHere(row)) continue;
      const [nodeKey = '', id = ''] = row.key.split('\u0001');
      if (row.value === null) {
        removed.push({ node: nodeKey, kind, id });
        continue;
      }
      const holder = getNode(view, nodeKey);
      if (holder === undefined || nodes.has(nodeKey)) continue;
      nodes.set(nodeKey, wantedNode(view, nodeValue(holder)));
    }
  }
  return { nodes: [...nodes.values()], removed };
}

export interface RemovedEntry {
  /** In lower case, as registers have it. */
  readonly node: string;
  readonly kind: typeof Kind.node | typeof Kind.service | typeof Kind.check;
  readonly id: string;
}

function wantedNode(view: ReadView, value: NodeValue): WantedNode {
  const { node: name, id, address, taggedAddresses, meta } = value;
  return {
    name,
    node: { Node: name, ID: id, Address: address, TaggedAddresses: taggedAddresses, NodeMeta: meta },
    services: entries(servicesOfNode(view, name), name, (each) => serviceValue(each).id),
    checks: entries(checksOfNode(view, name), name, (each) => checkValue(each).checkId),
  };
}

const shownAtSource = ['CreateIndex', 'ModifyIndex', 'Connect', 'Proxy'];

function entries(rows: Iterable<Row>, node: string, idOf: (row: Row) => string): Map<string, JsonObject> {
  const found = new Map<string, JsonObject>();
  for (const row of rows) {
    if (row.value === null) continue;
    const text =
      row.kind === Kind.service
        ? renderNodeService(serviceValue(row), row)
        : renderCheck({ ...checkValue(row), node }, row);
    const parsed = decodeJsonBody(Buffer.from(text));
    if (!parsed.ok || !isJsonObject(parsed.value)) continue;
    const entry: Record<string, JsonValue> = { ...parsed.value };
    for (const name of shownAtSource) delete entry[name];
    found.set(idOf(row), entry);
  }
  return found;
}
