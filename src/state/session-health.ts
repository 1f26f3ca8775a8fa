import { Kind } from './kinds.ts';
import type { ReadView, Row } from './store.ts';
import { catalogKey } from './topics.ts';
import { decodeValue, type CheckValue, type SessionValue } from './values.ts';
import type { WriteScope } from './write-scope.ts';

export function sessionValue(row: Row): SessionValue {
  return decodeValue<SessionValue>(row.value as Uint8Array);
}

/** All checks on whose health a session depends. */
export function sessionCheckIds(session: SessionValue): readonly string[] {
  return [
    ...(session.checks ?? []),
    ...(session.nodeChecks ?? []),
    ...(session.serviceChecks ?? []).map((check) => check.id),
  ];
}

/** A check as the catalog and this gateway's membership know it. */
export function findCheck(view: ReadView, node: string, checkId: string): CheckValue | undefined {
  const key = catalogKey(node, checkId);
  for (const kind of [Kind.memberHealth, Kind.check]) {
    const row = view.get(kind, key);
    if (row?.value) return decodeValue<CheckValue>(row.value);
  }
  return undefined;
}

/**
 * Whether a session counts as dead for the owner of a lock: it was destroyed, or its node is critical as this gateway
 * sees it and the session lists that check. A TTL runs where the session was made: with that gateway gone nobody can
 * renew it, nor expire it, so it counts as expired.
 */
export function isSessionOver(scope: WriteScope, row: Row): boolean {
  if (row.value === null) return true;
  // A session of this gateway is destroyed when its time comes.
  if (scope.isOwn(row)) return false;
  const session = sessionValue(row);
  const lists = sessionCheckIds(session).some((id) => id.toLowerCase() === 'serfhealth');
  if (lists && isCritical(scope.view, session.node)) return true;
  if (session.ttl === '') return false;
  const creator = creatorNode(scope, row);
  return creator !== undefined && isCritical(scope.view, creator);
}

/** Key of the node of the gateway that made a session. */
export function creatorNode(scope: WriteScope, row: Row): string | undefined {
  const id = scope.writerOf(row);
  if (id === undefined) return undefined;
  for (const node of scope.view.byIndex(Kind.node, id)) if (node.value !== null) return node.key;
  return undefined;
}

function isCritical(view: ReadView, node: string): boolean {
  return findCheck(view, node, 'serfHealth')?.status === 'critical';
}
