import { Kind } from './kinds.ts';
import { dropLocksOf } from './kv.ts';
import { refused, type Refusal } from './outcome.ts';
import { canonicalSessionId } from './session-id.ts';
import type { ReadView, Row } from './store.ts';
import { catalogKey } from './topics.ts';
import { decodeValue, encodeValue, type CheckValue, type SessionValue } from './values.ts';
import type { WriteScope } from './write-scope.ts';

export interface SessionCreate {
  readonly kind: 'session-create';
  readonly session: SessionValue;
}

export interface SessionDestroy {
  readonly kind: 'session-destroy';
  readonly id: string;
}

/** `row`: the session that was created, or the one that was destroyed as it last stood. */
export type SessionOutcome = { readonly kind: 'session'; readonly row?: Row } | Refusal;

export function getSession(view: ReadView, id: string): Row | undefined {
  const row = view.get(Kind.session, canonicalSessionId(id));
  return row?.value ? row : undefined;
}

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

export function createSession(scope: WriteScope, { session }: SessionCreate): SessionOutcome {
  const node = scope.view.get(Kind.node, catalogKey(session.node));
  if (!node?.value) return refused('Missing node registration');
  for (const checkId of sessionCheckIds(session)) {
    const check = findCheck(scope.view, session.node, checkId);
    if (check === undefined) return refused(`Missing check '${checkId}' registration`);
    if (check.status === 'critical') return refused(`Check '${checkId}' is in critical state`);
  }
  const row = scope.put(Kind.session, session.id, encodeValue(session), session.node.toLowerCase());
  return { kind: 'session', row };
}

/** Destroys a session if there is one: its keys are released or deleted by its Behavior, with lock-delay. */
export function destroySession(scope: WriteScope, id: string): SessionOutcome {
  const row = getSession(scope.view, id);
  if (row === undefined) return { kind: 'session' };
  dropLocksOf(scope, sessionValue(row));
  scope.delete(Kind.session, row.key);
  return { kind: 'session', row };
}

/** Live sessions of a node, ordered by id. */
export function sessionsOfNode(view: ReadView, node: string): readonly Row[] {
  return [...view.byIndex(Kind.session, node.toLowerCase())].filter((row) => row.value !== null);
}

/** Invalidates the sessions of a node that rely on a check which went away or turned critical. */
export function invalidateSessionsOfCheck(scope: WriteScope, node: string, checkId: string): void {
  const name = checkId.toLowerCase();
  for (const row of sessionsOfNode(scope.view, node)) {
    const listed = sessionCheckIds(sessionValue(row)).some((id) => id.toLowerCase() === name);
    if (listed) destroySession(scope, row.key);
  }
}

/** Invalidates all sessions of a node that left the catalog. */
export function invalidateSessionsOfNode(scope: WriteScope, node: string): void {
  for (const row of sessionsOfNode(scope.view, node)) destroySession(scope, row.key);
}
