import { Kind } from './kinds.ts';
import { refused, type Refusal } from './outcome.ts';
import { invalidateSessionsOfCheck, invalidateSessionsOfNode } from './sessions.ts';
import type { ReadView, Row } from './store.ts';
import { catalogKey, keySeparator } from './topics.ts';
import { decodeValue, encodeValue } from './values.ts';
import type { CheckValue, CoordinateValue, NodeValue, ServiceValue } from './values.ts';
import type { WriteScope } from './write-scope.ts';
import { prefixEnd } from '../kernel/utf8-order.ts';

export interface CatalogRegister {
  readonly kind: 'catalog-register';
  readonly node: NodeValue;
  /** Leave a known node as it is (Consul's SkipNodeUpdate). */
  readonly skipNodeUpdate: boolean;
  readonly service?: ServiceValue;
  readonly checks: readonly CheckValue[];
}

/** The first of serviceId, checkId that is not empty says what goes; with neither, the whole node does. */
export interface CatalogDeregister {
  readonly kind: 'catalog-deregister';
  readonly node: string;
  readonly serviceId: string;
  readonly checkId: string;
}

export interface CoordinateUpdate {
  readonly kind: 'coordinate-update';
  readonly coordinate: CoordinateValue;
}

/** serfHealth of a member, as this gateway's membership sees it; `undefined` removes it. */
export interface MemberHealth {
  readonly kind: 'member-health';
  readonly node: string;
  readonly check: CheckValue | undefined;
}

export type CatalogCommand = CatalogRegister | CatalogDeregister | CoordinateUpdate | MemberHealth;
export type CatalogOutcome = { readonly kind: 'catalog' } | Refusal;

const done: CatalogOutcome = { kind: 'catalog' };

export function applyCatalog(scope: WriteScope, command: CatalogCommand): CatalogOutcome {
  switch (command.kind) {
    case 'catalog-register':
      return register(scope, command) ?? done;
    case 'catalog-deregister':
      if (command.serviceId !== '') deleteService(scope, command.node, command.serviceId);
      else if (command.checkId !== '') deleteCheck(scope, command.node, command.checkId);
      else deleteNode(scope, command.node);
      return done;
    case 'coordinate-update':
      scope.put(Kind.coordinate, coordinateKey(command.coordinate), encodeValue(command.coordinate));
      return done;
    case 'member-health': {
      const key = catalogKey(command.node, 'serfHealth');
      if (command.check === undefined) scope.delete(Kind.memberHealth, key);
      else scope.put(Kind.memberHealth, key, encodeValue(command.check));
      if (command.check === undefined || command.check.status === 'critical') {
        invalidateSessionsOfCheck(scope, command.node, 'serfHealth');
      }
      return done;
    }
  }
}

function coordinateKey(coordinate: CoordinateValue): string {
  return coordinate.segment === ''
    ? catalogKey(coordinate.node)
    : catalogKey(coordinate.node, coordinate.segment);
}

function register(scope: WriteScope, command: CatalogRegister): Refusal | undefined {
  const known = getNode(scope.view, command.node.node) !== undefined;
  if (!(command.skipNodeUpdate && known)) {
    const problem = ensureNode(scope, command.node);
    if (problem !== undefined) return prefixed('failed inserting node: ', problem);
  }
  if (command.service !== undefined) {
    const problem = ensureService(scope, command.service);
    if (problem !== undefined) return prefixed('failed inserting service: ', problem);
  }
  for (const check of command.checks) {
    const problem = ensureCheck(scope, check);
    if (problem !== undefined) return prefixed('failed inserting check: ', problem);
  }
  return undefined;
}

function prefixed(prefix: string, refusal: Refusal): Refusal {
  return refusal.kind === 'refused' ? { ...refusal, message: prefix + refusal.message } : refusal;
}

export function getNode(view: ReadView, node: string): Row | undefined {
  const row = view.get(Kind.node, catalogKey(node));
  return row?.value ? row : undefined;
}

export function nodeValue(row: Row): NodeValue {
  return decodeValue<NodeValue>(row.value as Uint8Array);
}

/** The live node with this id; ids compare without case. */
export function getNodeById(view: ReadView, id: string): Row | undefined {
  for (const row of view.byIndex(Kind.node, id.toLowerCase())) if (row.value !== null) return row;
  return undefined;
}

export function getService(view: ReadView, node: string, id: string): Row | undefined {
  const row = view.get(Kind.service, catalogKey(node, id));
  return row?.value ? row : undefined;
}

export function serviceValue(row: Row): ServiceValue {
  return decodeValue<ServiceValue>(row.value as Uint8Array);
}

export function getCheck(view: ReadView, node: string, checkId: string): Row | undefined {
  const row = view.get(Kind.check, catalogKey(node, checkId));
  return row?.value ? row : undefined;
}

export function checkValue(row: Row): CheckValue {
  return decodeValue<CheckValue>(row.value as Uint8Array);
}

/** Services of a node, tombstones included, ordered by id. */
export function servicesOfNode(view: ReadView, node: string): Iterable<Row> {
  return childrenOf(view, Kind.service, node);
}

/** Registered checks of a node (without serfHealth, which membership gives), tombstones included. */
export function checksOfNode(view: ReadView, node: string): Iterable<Row> {
  return childrenOf(view, Kind.check, node);
}

function childrenOf(view: ReadView, kind: Kind, node: string): Iterable<Row> {
  const prefix = catalogKey(node) + keySeparator;
  return view.range(kind, prefix, prefixEnd(prefix));
}

/**
 * Writes a node. An id moves with a rename, unless the new name belongs to another node that lives (its
 * serfHealth is not critical) and has an id of its own: the refusal then names both, as Consul's does.
 */
export function ensureNode(scope: WriteScope, node: NodeValue): Refusal | undefined {
  if (node.id !== '') {
    const sameName = getNode(scope.view, node.node);
    const holder = getNodeById(scope.view, node.id);
    if (holder !== undefined && holder.key !== catalogKey(node.node)) {
      const conflict = nameConflict(scope.view, node, sameName);
      if (conflict !== undefined) {
        return refused(
          `Error while renaming Node ID: ${JSON.stringify(node.id)} (${node.address}): ${conflict}`,
        );
      }
      deleteNode(scope, nodeValue(holder).node);
    } else {
      const conflict = nameConflict(scope.view, node, sameName);
      if (conflict !== undefined) {
        return refused(
          `Error while renaming Node ID: ${JSON.stringify(node.id)} (${node.address}): ${conflict}`,
        );
      }
    }
  }
  scope.put(
    Kind.node,
    catalogKey(node.node),
    encodeValue(node),
    node.id === '' ? null : node.id.toLowerCase(),
  );
  return undefined;
}

function nameConflict(view: ReadView, node: NodeValue, sameName: Row | undefined): string | undefined {
  if (sameName === undefined) return undefined;
  const holder = nodeValue(sameName);
  if (holder.id === '' || holder.id.toLowerCase() === node.id.toLowerCase()) return undefined;
  const health = serfHealth(view, node.node);
  if (health === undefined || health.status === 'critical') return undefined;
  return `Node name ${node.node} is reserved by node ${holder.id} with name ${holder.node} (${holder.address})`;
}

/** serfHealth of a node: from membership for a gateway, else as it was registered. */
export function serfHealth(view: ReadView, node: string): CheckValue | undefined {
  const key = catalogKey(node, 'serfHealth');
  const row = view.get(Kind.memberHealth, key) ?? view.get(Kind.check, key);
  return row?.value ? checkValue(row) : undefined;
}

export function ensureService(scope: WriteScope, service: ServiceValue): Refusal | undefined {
  if (getNode(scope.view, service.node) === undefined) return refused('Missing node registration');
  const key = catalogKey(service.node, service.id);
  const held = scope.view.get(Kind.service, key);
  const ix = service.service.toLowerCase();
  scope.put(Kind.service, key, encodeValue(service), ix);
  if (held !== undefined && held.ix !== null && held.ix !== ix) raiseServiceFloor(scope, held.ix);
  return undefined;
}

/**
 * A service that loses an instance by renaming keeps no row to carry that index: this floor does, so that
 * watchers of the old name wake and its index never falls.
 */
function raiseServiceFloor(scope: WriteScope, name: string): void {
  scope.put(Kind.serviceFloor, name, encodeValue({ index: scope.index }));
}

export function ensureCheck(scope: WriteScope, check: CheckValue): Refusal | undefined {
  if (getNode(scope.view, check.node) === undefined) return refused('Missing node registration');
  let filled = check;
  if (check.serviceId !== '') {
    const service = getService(scope.view, check.node, check.serviceId);
    if (service === undefined)
      return refused(`Missing service registration on node ${JSON.stringify(check.node)}`);
    const value = serviceValue(service);
    filled = { ...check, serviceName: value.service, serviceTags: value.tags };
  }
  const ix = filled.serviceName === '' ? null : filled.serviceName.toLowerCase();
  scope.put(Kind.check, catalogKey(check.node, check.checkId), encodeValue(filled), ix);
  if (filled.status === 'critical') invalidateSessionsOfCheck(scope, check.node, check.checkId);
  return undefined;
}

export function deleteNode(scope: WriteScope, node: string): void {
  if (getNode(scope.view, node) === undefined) return;
  for (const row of [...servicesOfNode(scope.view, node)])
    if (row.value !== null) scope.delete(Kind.service, row.key);
  for (const row of [...checksOfNode(scope.view, node)])
    if (row.value !== null) scope.delete(Kind.check, row.key);
  scope.delete(Kind.coordinate, catalogKey(node));
  invalidateSessionsOfNode(scope, node);
  scope.delete(Kind.node, catalogKey(node));
}

export function deleteService(scope: WriteScope, node: string, id: string): void {
  const held = getService(scope.view, node, id);
  if (held === undefined) return;
  for (const row of [...checksOfNode(scope.view, node)]) {
    if (row.value !== null && checkValue(row).serviceId.toLowerCase() === id.toLowerCase()) {
      deleteCheckRow(scope, node, row);
    }
  }
  scope.delete(Kind.service, held.key);
}

export function deleteCheck(scope: WriteScope, node: string, checkId: string): void {
  const row = getCheck(scope.view, node, checkId);
  if (row !== undefined) deleteCheckRow(scope, node, row);
}

function deleteCheckRow(scope: WriteScope, node: string, row: Row): void {
  const { checkId } = checkValue(row);
  scope.delete(Kind.check, row.key);
  invalidateSessionsOfCheck(scope, node, checkId);
}
