import { serviceMetaProblem } from './catalog-meta.ts';
import { Kind } from './kinds.ts';
import { refused, type Refusal } from './outcome.ts';
import { dropLocksMadeAt, invalidateSessionsOfCheck, invalidateSessionsOfNode } from './sessions.ts';
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
      // Of a node that is not there it says nothing: Consul drops it without a word.
      if (getNode(scope.view, command.coordinate.node) !== undefined) {
        scope.put(Kind.coordinate, coordinateKey(command.coordinate), encodeValue(command.coordinate));
      }
      return done;
    case 'member-health': {
      const key = catalogKey(command.node, 'serfHealth');
      if (command.check === undefined) scope.delete(Kind.memberHealth, key);
      else scope.put(Kind.memberHealth, key, encodeValue(command.check));
      if (command.check === undefined || command.check.status === 'critical') {
        invalidateSessionsOfCheck(scope, command.node, 'serfHealth');
        dropLocksMadeAt(scope, command.node);
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
    if (problem !== undefined) {
      return prefixed('failed inserting check: ', problem, ` on node ${JSON.stringify(check.node)}`);
    }
  }
  return undefined;
}

function prefixed(prefix: string, refusal: Refusal, suffix = ''): Refusal {
  return refusal.kind === 'refused' ? { ...refusal, message: prefix + refusal.message + suffix } : refusal;
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
 * Writes a node. An id, and the node's CreateIndex, move with a rename, unless the new name belongs to another node that lives (its
 * serfHealth is there and not critical): the refusal then names both, as Consul's does. A node without an id
 * yields its name to a new id, but not to one that had another name before.
 */
export function ensureNode(scope: WriteScope, node: NodeValue): Refusal | undefined {
  if (node.node === '') return refused('Must provide node');
  const key = catalogKey(node.node);
  if (node.id !== '') {
    const holder = getNodeById(scope.view, node.id);
    const renames = holder !== undefined && holder.key !== key;
    const conflict = nameConflict(scope.view, node, renames);
    if (conflict !== undefined) {
      const address = holder === undefined ? '' : ` (${node.address})`;
      return refused(`Error while renaming Node ID: ${JSON.stringify(node.id)}${address}: ${conflict}`);
    }
    if (renames) {
      deleteNode(scope, nodeValue(holder).node);
      scope.succeed(holder, key, encodeValue(node), node.id.toLowerCase());
      return undefined;
    }
  }
  scope.put(Kind.node, key, encodeValue(node), node.id === '' ? null : node.id.toLowerCase());
  return undefined;
}

function nameConflict(view: ReadView, node: NodeValue, renames: boolean): string | undefined {
  const sameName = getNode(view, node.node);
  if (sameName === undefined) return undefined;
  const holder = nodeValue(sameName);
  if (holder.id === '' && !renames) return undefined;
  if (holder.id.toLowerCase() === node.id.toLowerCase()) return undefined;
  const health = serfHealth(view, node.node);
  if (health === undefined || health.status === 'critical') return undefined;
  return `Node name ${node.node} is reserved by node ${holder.id} with name ${holder.node} (${holder.address})`;
}

/** serfHealth of a node: from membership for a gateway, else as it was registered. */
export function serfHealth(view: ReadView, node: string): CheckValue | undefined {
  const key = catalogKey(node, 'serfHealth');
  for (const kind of [Kind.memberHealth, Kind.check]) {
    const row = view.get(kind, key);
    if (row?.value) return checkValue(row);
  }
  return undefined;
}

export function ensureService(scope: WriteScope, service: ServiceValue): Refusal | undefined {
  if (getNode(scope.view, service.node) === undefined) return refused('Missing node registration');
  const problem = serviceMetaProblem(service);
  if (problem !== undefined) return refused(problem);
  // Consul's words, which are its database's.
  if (service.id === '') return refused('failed inserting service: object missing primary index');
  const key = catalogKey(service.node, service.id);
  const held = scope.view.get(Kind.service, key);
  const ix = service.service.toLowerCase();
  scope.put(Kind.service, key, encodeValue(service), ix);
  if (held !== undefined && held.ix !== null && held.ix !== ix) raiseFloor(scope, held.ix);
  return undefined;
}

/** Key of the floor of a node's own checks; no service has a name with a separator in it. */
export function nodeFloorKey(node: string): string {
  return catalogKey(node) + keySeparator;
}

/**
 * A set that loses a row by renaming (a service its instance, a service or a node its check) keeps no row that
 * carries that index: this floor does, so that watchers of what was left wake and its index never falls.
 */
export function raiseFloor(scope: WriteScope, key: string): void {
  scope.put(Kind.serviceFloor, key, encodeValue({ index: scope.index }));
}

export function ensureCheck(scope: WriteScope, check: CheckValue): Refusal | undefined {
  if (getNode(scope.view, check.node) === undefined) return refused('Missing node registration');
  let filled = check;
  if (check.serviceId !== '') {
    const service = getService(scope.view, check.node, check.serviceId);
    if (service === undefined) return refused('Missing service registration');
    const value = serviceValue(service);
    filled = { ...check, serviceName: value.service, serviceTags: value.tags };
  }
  if (check.checkId === '') return refused('failed inserting check: object missing primary index');
  const key = catalogKey(check.node, check.checkId);
  const held = scope.view.get(Kind.check, key);
  // A check of a node counts as one even where it names a service: what makes it a service's is the id.
  const ix = filled.serviceId === '' ? null : filled.serviceName.toLowerCase();
  scope.put(Kind.check, key, encodeValue(filled), ix);
  if (held !== undefined && held.ix !== ix) raiseFloor(scope, held.ix ?? nodeFloorKey(check.node));
  if (filled.status === 'critical') invalidateSessionsOfCheck(scope, check.node, check.checkId);
  return undefined;
}

export function deleteNode(scope: WriteScope, node: string): void {
  if (getNode(scope.view, node) === undefined) return;
  for (const row of [...servicesOfNode(scope.view, node)])
    if (row.value !== null) scope.delete(Kind.service, row.key);
  for (const row of [...checksOfNode(scope.view, node)])
    if (row.value !== null) scope.delete(Kind.check, row.key);
  const key = catalogKey(node);
  scope.delete(Kind.coordinate, key);
  for (const row of [...childrenOf(scope.view, Kind.coordinate, node)])
    scope.delete(Kind.coordinate, row.key);
  scope.delete(Kind.memberHealth, catalogKey(node, 'serfHealth'));
  invalidateSessionsOfNode(scope, node);
  scope.delete(Kind.node, key);
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
