import { Kind } from './kinds.ts';
import type { Row } from './store.ts';
import { decodeValue, type CheckValue } from './values.ts';

/**
 * What a result may depend on, and what a change touches. A query that depends on a topic is looked at again
 * when a commit touches it, and only then: this is what makes wake-ups precise.
 * A KV change touches `topic.key(k)`; a query may depend on `topic.key(k)` or on `topic.keyPrefix(p)`.
 */
export const topic = {
  key: (key: string) => `k/${key}`,
  keyPrefix: (prefix: string) => `K/${prefix}`,
  /** The set of nodes and their own fields. */
  nodes: 'nodes',
  /** Anything of one node: itself, its services, its checks. */
  node: (node: string) => `node/${node.toLowerCase()}`,
  /** What every service on a node shares: the node's fields and its node-level checks. */
  nodeLevel: (node: string) => `node-level/${node.toLowerCase()}`,
  /** The set of services, their names and tags. */
  services: 'services',
  /** One service by name: its instances and their service-level checks. */
  service: (name: string) => `service/${name.toLowerCase()}`,
  /** All checks. */
  checks: 'checks',
  /** Checks that have or had this status. */
  checksInState: (status: string) => `checks/${status}`,
  sessions: 'sessions',
  session: (id: string) => `session/${id}`,
  sessionsOfNode: (node: string) => `sessions-of/${node.toLowerCase()}`,
  coordinates: 'coordinates',
  coordinate: (node: string) => `coordinate/${node.toLowerCase()}`,
  zones: 'zones',
  /** The rules and the source of a migration. */
  migration: 'migration',
} as const;

/** Separates the parts of a catalog key (`node`, then service or check id); cannot occur in a name. */
export const keySeparator = '\u0001';

/** Registers of the catalog are keyed by lower-case names, because Consul compares those without case. */
export function catalogKey(...parts: readonly string[]): string {
  return parts.map((part) => part.toLowerCase()).join(keySeparator);
}

/** Adds the topics that replacing `before` by `after` touches. */
export function touchedTopics(before: Row | undefined, after: Row, into: Set<string>): void {
  const node = after.key.split(keySeparator, 1)[0] as string;
  switch (after.kind) {
    case Kind.kv:
      into.add(topic.key(after.key));
      return;
    case Kind.session:
      into.add(topic.sessions).add(topic.session(after.key));
      if (after.ix !== null) into.add(topic.sessionsOfNode(after.ix));
      return;
    case Kind.node:
      into.add(topic.nodes).add(topic.node(node)).add(topic.nodeLevel(node));
      return;
    case Kind.service:
      into.add(topic.services).add(topic.node(node));
      for (const name of [before?.ix, after.ix]) if (name) into.add(topic.service(name));
      return;
    case Kind.check:
    case Kind.memberHealth:
      into.add(topic.checks).add(topic.node(node));
      for (const row of [before, after]) {
        if (row === undefined) continue;
        into.add(row.ix ? topic.service(row.ix) : topic.nodeLevel(node));
        if (row.value !== null) into.add(topic.checksInState(decodeValue<CheckValue>(row.value).status));
      }
      return;
    case Kind.coordinate:
      into.add(topic.coordinates).add(topic.coordinate(node));
      return;
    case Kind.zone:
      into.add(topic.zones);
      return;
    case Kind.migration:
      into.add(topic.migration);
      return;
    case Kind.lockDelay:
    case Kind.serviceFloor:
    case Kind.agentService:
    case Kind.agentCheck:
    case Kind.mirror:
    case Kind.dualKey:
    case Kind.reverse:
    case Kind.rehearsal:
      return;
  }
}
