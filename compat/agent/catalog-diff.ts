import { bytesEqual } from '../../src/kernel/codec.ts';
import {
  checksOfNode,
  checkValue,
  getCheck,
  getNode,
  getNodeById,
  getService,
  nodeValue,
  servicesOfNode,
  serviceValue,
  type CatalogCommand,
  type CatalogRegister,
} from '../../src/state/catalog.ts';
import { coordinateSet, type Coordinate } from '../../src/state/coordinates.ts';
import { Kind } from '../../src/state/kinds.ts';
import type { ReadView } from '../../src/state/store.ts';
import { catalogKey } from '../../src/state/topics.ts';
import { encodeValue, type CheckValue, type NodeValue, type ServiceValue } from '../../src/state/values.ts';
import { aliveHealth } from './own-node.ts';

/** What the catalog should hold for the agent's node. */
export interface WantedCatalog {
  readonly node: NodeValue;
  /** By id; the service `consul` is among them. */
  readonly services: readonly ServiceValue[];
  /** By id, with the names and tags of their services. */
  readonly checks: readonly CheckValue[];
  /** Where the node is, if nobody says otherwise; unset: coordinates are off. */
  readonly coordinate: Coordinate | undefined;
}

/**
 * The commands that bring the catalog of the agent's own node to what the agent holds (Consul's anti-entropy):
 * missing and different entries are written, entries that the agent does not know are removed.
 */
export function catalogDiff(view: ReadView, wanted: WantedCatalog): readonly CatalogCommand[] {
  const { node } = wanted;
  return [
    ...nodeCommands(view, node),
    ...strangers(view, wanted),
    ...wanted.services
      .filter((service) => !holds(getService(view, node.node, service.id)?.value, service))
      .map((service) => registerCommand(node, service, [])),
    ...wanted.checks
      .filter((check) => !holds(getCheck(view, node.node, check.checkId)?.value, check))
      .map((check) => registerCommand(node, undefined, [check])),
    ...coordinateCommands(view, wanted),
  ];
}

/** `?near=_agent` and `consul rtt` need a coordinate; one that was measured stays. */
function coordinateCommands(
  view: ReadView,
  { node: { node }, coordinate }: WantedCatalog,
): readonly CatalogCommand[] {
  if (coordinate === undefined || coordinateSet(view, node).size > 0) return [];
  return [{ kind: 'coordinate-update', coordinate: { node, segment: '', ...coordinate } }];
}

function holds(bytes: Uint8Array | null | undefined, value: object): boolean {
  return bytes !== null && bytes !== undefined && bytesEqual(bytes, encodeValue(value));
}

const serfHealthId = 'serfHealth';

/**
 * A node's own name is its own: what was left of an earlier life under another id or name gives way, instead of
 * reserving it as a node of somebody else would.
 */
function nodeCommands(view: ReadView, node: NodeValue): readonly CatalogCommand[] {
  const commands: CatalogCommand[] = [];
  const sameName = getNode(view, node.node);
  if (sameName === undefined || !holds(sameName.value, node)) {
    if (sameName !== undefined && nodeValue(sameName).id.toLowerCase() !== node.id.toLowerCase()) {
      commands.push({ kind: 'member-health', node: node.node, check: undefined });
      // Of an agent of Consul that had the name, and was copied: it may look well yet.
      if (getCheck(view, node.node, serfHealthId) !== undefined)
        commands.push(deregisterCommand(node.node, '', serfHealthId));
    }
    const sameId = getNodeById(view, node.id);
    if (sameId !== undefined) {
      const before = nodeValue(sameId).node;
      if (before.toLowerCase() !== node.node.toLowerCase()) {
        commands.push({ kind: 'member-health', node: before, check: undefined });
      }
    }
    commands.push({ kind: 'catalog-register', node, skipNodeUpdate: false, checks: [] });
  }
  const alive = aliveHealth(node.node);
  const health = view.get(Kind.memberHealth, catalogKey(node.node, alive.checkId));
  if (commands.length > 0 || !holds(health?.value, alive)) {
    commands.push({ kind: 'member-health', node: node.node, check: alive });
  }
  return commands;
}

function strangers(view: ReadView, wanted: WantedCatalog): readonly CatalogCommand[] {
  const { node } = wanted.node;
  const commands: CatalogCommand[] = [];
  const serviceIds = new Set(wanted.services.map(({ id }) => id.toLowerCase()));
  const goneServices = new Set<string>();
  for (const row of servicesOfNode(view, node)) {
    if (row.value === null) continue;
    const { id } = serviceValue(row);
    if (serviceIds.has(id.toLowerCase())) continue;
    goneServices.add(id.toLowerCase());
    commands.push(deregisterCommand(node, id, ''));
  }
  const checkIds = new Set(wanted.checks.map(({ checkId }) => checkId.toLowerCase()));
  for (const row of checksOfNode(view, node)) {
    if (row.value === null) continue;
    const { checkId, serviceId } = checkValue(row);
    // A service takes its checks with it; a check that is wanted is written again after that.
    if (checkIds.has(checkId.toLowerCase()) || goneServices.has(serviceId.toLowerCase())) continue;
    commands.push(deregisterCommand(node, '', checkId));
  }
  return commands;
}

/** Registers a part of a node that is there already. */
export function registerCommand(
  node: NodeValue,
  service: ServiceValue | undefined,
  checks: readonly CheckValue[],
): CatalogRegister {
  return {
    kind: 'catalog-register',
    node,
    skipNodeUpdate: true,
    ...(service === undefined ? {} : { service }),
    checks,
  };
}

export function deregisterCommand(node: string, serviceId: string, checkId: string): CatalogCommand {
  return { kind: 'catalog-deregister', node, serviceId, checkId };
}
