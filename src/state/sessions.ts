import { Kind } from './kinds.ts';
import { dropLocks } from './kv.ts';
import { refused, type Refusal } from './outcome.ts';
import { canonicalSessionId } from './session-id.ts';
import { findCheck, sessionCheckIds, sessionValue } from './session-health.ts';
import type { ReadView, Row } from './store.ts';
import { catalogKey } from './topics.ts';
import { encodeValue, type SessionValue } from './values.ts';
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
  dropLocks(scope, row.key, sessionValue(row));
  scope.delete(Kind.session, row.key);
  return { kind: 'session', row };
}

/** Live sessions of a node, ordered by id. */
export function sessionsOfNode(view: ReadView, node: string): readonly Row[] {
  return [...view.byIndex(Kind.session, node.toLowerCase())].filter((row) => row.value !== null);
}

/**
 * Invalidates the sessions of a node that rely on a check which went away or turned critical. Sessions of another
 * gateway only lose the locks in this one's zones: it destroys them itself when it sees the same.
 */
export function invalidateSessionsOfCheck(scope: WriteScope, node: string, checkId: string): void {
  const name = checkId.toLowerCase();
  for (const row of sessionsOfNode(scope.view, node)) {
    const session = sessionValue(row);
    if (sessionCheckIds(session).some((id) => id.toLowerCase() === name)) invalidate(scope, row, session);
  }
}

/** Invalidates all sessions of a node that left the catalog. */
export function invalidateSessionsOfNode(scope: WriteScope, node: string): void {
  for (const row of sessionsOfNode(scope.view, node)) invalidate(scope, row, sessionValue(row));
}

/** The gateway that this node is went away: nobody renews the sessions that were made there, wherever they are bound. */
export function dropLocksMadeAt(scope: WriteScope, node: string): void {
  const held = scope.view.get(Kind.node, catalogKey(node));
  if (held === undefined || held.ix === null) return;
  for (const row of [...scope.view.range(Kind.session, '', undefined)]) {
    if (row.value === null || scope.isOwn(row) || scope.writerOf(row) !== held.ix) continue;
    const session = sessionValue(row);
    if (session.ttl !== '') dropLocks(scope, row.key, session);
  }
}

function invalidate(scope: WriteScope, row: Row, session: SessionValue): void {
  if (scope.isOwn(row)) destroySession(scope, row.key);
  else dropLocks(scope, row.key, session);
}
