import { compareUtf8 } from '../kernel/utf8-order.ts';
import { checksOfNode, getNode, nodeFloorKey, nodeValue, serviceValue, servicesOfNode } from './catalog.ts';
import type { Dependencies } from './dependencies.ts';
import { Kind } from './kinds.ts';
import type { ReadView, Row } from './store.ts';
import { catalogKey, keySeparator, topic } from './topics.ts';
import { decodeValue, type CheckValue, type NodeValue, type ServiceValue } from './values.ts';

// What the catalog's reads see, each with the index of the answer: the highest modify index of the rows that the
// answer depends on, tombstones and floors included, so that it grows with every change of the answer and with no
// other. Where there was never such a row it is the index of the table.

/** The highest index of the rows looked at so far. */
export class IndexMax {
  #value = 0;

  add(row: { readonly modifyIndex: number } | undefined): void {
    if (row !== undefined && row.modifyIndex > this.#value) this.#value = row.modifyIndex;
  }

  raise(index: number): void {
    if (index > this.#value) this.#value = index;
  }

  /** The index, or that of the tables when no row was there. */
  or(view: ReadView, ...kinds: readonly Kind[]): number {
    return this.#value > 0 ? this.#value : tableIndex(view, ...kinds);
  }
}

export function tableIndex(view: ReadView, ...kinds: readonly Kind[]): number {
  return Math.max(...kinds.map((kind) => view.tableIndex(kind)));
}

export interface FoundNode {
  readonly row: Row;
  readonly value: NodeValue;
}

export interface FoundCheck {
  readonly row: Row;
  readonly value: CheckValue;
}

export interface FoundService {
  readonly row: Row;
  readonly value: ServiceValue;
}

/** One instance of a service with its node; `node` is shared by all instances on it. */
export interface Instance extends FoundService {
  readonly node: FoundNode;
}

/** The live instances of a service, ordered by node and id. */
export function instancesOf(
  view: ReadView,
  dependencies: Dependencies,
  index: IndexMax,
  service: string,
): readonly Instance[] {
  const name = service.toLowerCase();
  dependencies.add(topic.service(name));
  index.add(view.get(Kind.serviceFloor, name));
  const nodes = new Map<string, FoundNode | undefined>();
  const instances: Instance[] = [];
  for (const row of view.byIndex(Kind.service, name)) {
    index.add(row);
    if (row.value === null) continue;
    const value = serviceValue(row);
    const key = catalogKey(value.node);
    if (!nodes.has(key)) {
      dependencies.add(topic.nodeLevel(value.node));
      const found = view.get(Kind.node, key);
      index.add(found);
      nodes.set(key, found?.value ? { row: found, value: nodeValue(found) } : undefined);
    }
    const node = nodes.get(key);
    if (node !== undefined) instances.push({ row, value, node });
  }
  return instances;
}

/** The checks of one node, as its services see them: the node's own, and those of each service by lower-case id. */
export interface NodeChecks {
  readonly ownChecks: readonly FoundCheck[];
  readonly byService: ReadonlyMap<string, readonly FoundCheck[]>;
}

/**
 * The node's own checks and those of one service on it, ordered by id. The caller depends on the service and on the
 * node's own level already.
 */
export function checksForService(view: ReadView, index: IndexMax, node: string, service: string): NodeChecks {
  const name = service.toLowerCase();
  const ownChecks: FoundCheck[] = [];
  const byService = new Map<string, FoundCheck[]>();
  index.add(view.get(Kind.serviceFloor, nodeFloorKey(node)));
  for (const row of allChecksOfNode(view, node)) {
    if (row.ix !== null && row.ix !== name) continue;
    index.add(row);
    if (row.value === null) continue;
    const value = decodeValue<CheckValue>(row.value);
    if (row.ix === null) {
      ownChecks.push({ row, value });
      continue;
    }
    const id = value.serviceId.toLowerCase();
    const held = byService.get(id);
    if (held === undefined) byService.set(id, [{ row, value }]);
    else held.push({ row, value });
  }
  return { ownChecks, byService };
}

/** All check rows of a node, tombstones included, ordered by id: serfHealth of a gateway stands in for a registered one. */
export function allChecksOfNode(view: ReadView, node: string): readonly Row[] {
  const rows = [...checksOfNode(view, node)];
  const member = view.get(Kind.memberHealth, catalogKey(node, 'serfHealth'));
  return member === undefined ? rows : mergeByKey(rows, [member]);
}

/** Every check row in the order of node and id, tombstones included. */
export function allChecks(view: ReadView, dependencies: Dependencies): readonly Row[] {
  const rows = [...view.range(Kind.check, '', undefined)];
  for (const { key, value } of rows) {
    // A member's serfHealth may cover this one or uncover it: a change that is not one of its own status.
    if (value !== null && key.endsWith(serfHealthSuffix)) {
      dependencies.add(topic.nodeLevel(key.slice(0, -serfHealthSuffix.length)));
    }
  }
  const members = [...view.range(Kind.memberHealth, '', undefined)];
  return members.length === 0 ? rows : mergeByKey(rows, members);
}

const serfHealthSuffix = `${keySeparator}serfhealth`;

/**
 * Two lists ordered by key as one. Of two live rows with the same key the second list's counts; the covered one stays
 * as if deleted, since the index that it has given to answers must not be lost with it.
 */
function mergeByKey(rows: readonly Row[], members: readonly Row[]): readonly Row[] {
  const live = new Set(members.filter((row) => row.value !== null).map((row) => row.key));
  const kept = rows.map((row) => (live.has(row.key) ? { ...row, value: null } : row));
  return [...kept, ...members].toSorted((a, b) => compareUtf8(a.key, b.key));
}

/**
 * The node that a path names: by its name or, failing that, by a prefix of its id which no other node shares
 * (Consul takes both).
 */
export function findNode(
  view: ReadView,
  dependencies: Dependencies,
  index: IndexMax,
  nameOrId: string,
): FoundNode | undefined {
  dependencies.add(topic.node(nameOrId));
  const row = view.get(Kind.node, catalogKey(nameOrId));
  index.add(row);
  if (row?.value) return { row, value: nodeValue(row) };
  if (!/^[0-9a-f-]{2,36}$/i.test(nameOrId)) return undefined;
  dependencies.add(topic.nodes);
  index.raise(view.tableIndex(Kind.node));
  const prefix = nameOrId.toLowerCase();
  let found: Row | undefined;
  for (const candidate of view.range(Kind.node, '', undefined)) {
    // A node's secondary key is its id in lower case.
    if (candidate.value === null || candidate.ix?.startsWith(prefix) !== true) continue;
    if (found !== undefined) return undefined;
    found = candidate;
  }
  if (found === undefined) return undefined;
  const value = nodeValue(found);
  dependencies.add(topic.node(value.node));
  return { row: found, value };
}

/** The live services of a node, ordered by id. */
export function servicesOn(view: ReadView, index: IndexMax, node: string): readonly FoundService[] {
  const services: FoundService[] = [];
  for (const row of servicesOfNode(view, node)) {
    index.add(row);
    if (row.value !== null) services.push({ row, value: serviceValue(row) });
  }
  return services;
}

/** A service's name and tags: what a list of services shows of an instance. */
export interface ServiceTags {
  readonly service: string;
  readonly tags: readonly string[];
}

interface KnownTags extends ServiceTags {
  readonly modifyIndex: number;
}

const knownTags = new WeakMap<ReadView, ReadonlyMap<string, KnownTags>>();

/**
 * Name and tags of every live instance, ordered by node and id. The list of services is watched by many and changes
 * with every write to any service, so what was decoded for the last reading is kept for the next one.
 */
export function allServiceTags(view: ReadView): Iterable<ServiceTags> {
  const before = knownTags.get(view);
  const now = new Map<string, KnownTags>();
  for (const { key, live, modifyIndex } of view.rangeKeys(Kind.service, '', undefined)) {
    if (!live) continue;
    const known = before?.get(key);
    if (known?.modifyIndex === modifyIndex) {
      now.set(key, known);
      continue;
    }
    const row = view.get(Kind.service, key);
    if (!row?.value) continue;
    const { service, tags } = serviceValue(row);
    now.set(key, { service, tags, modifyIndex });
  }
  knownTags.set(view, now);
  return now.values();
}

/** The live checks among these rows, for which `wanted` holds. */
export function liveChecks(rows: Iterable<Row>, wanted: (check: CheckValue) => boolean): FoundCheck[] {
  const checks: FoundCheck[] = [];
  for (const row of rows) {
    if (row.value === null) continue;
    const value = decodeValue<CheckValue>(row.value);
    if (wanted(value)) checks.push({ row, value });
  }
  return checks;
}

/** The node that a check or a coordinate names; for its metadata. */
export function nodeNamed(view: ReadView, node: string): NodeValue | undefined {
  const row = getNode(view, node);
  return row === undefined ? undefined : nodeValue(row);
}
