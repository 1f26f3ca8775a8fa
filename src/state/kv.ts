import { Kind } from './kinds.ts';
import { refused, type Refusal } from './outcome.ts';
import { canonicalSessionId, sessionIdProblem } from './session-id.ts';
import { isSessionOver } from './session-health.ts';
import type { ReadView, Row } from './store.ts';
import { decodeKv, decodeValue, encodeKv, encodeValue, type KvValue, type SessionValue } from './values.ts';
import type { WriteScope } from './write-scope.ts';
import { prefixEnd } from '../kernel/utf8-order.ts';

/** How a PUT is conditioned: plainly, on the index, or on a session's lock. */
export type PutMode =
  | { readonly kind: 'plain' }
  | { readonly kind: 'cas'; readonly index: bigint }
  | { readonly kind: 'acquire'; readonly session: string }
  | { readonly kind: 'release'; readonly session: string };

export interface KvPut {
  readonly kind: 'kv-put';
  readonly key: string;
  readonly flags: bigint;
  readonly value: Uint8Array;
  readonly mode: PutMode;
}

export type KvDelete =
  | { readonly kind: 'kv-delete'; readonly key: string; readonly cas?: bigint }
  | { readonly kind: 'kv-delete-tree'; readonly prefix: string };

/** `applied` is the `true` or `false` that Consul answers; `row` is the key as it now stands. */
export type KvOutcome = { readonly kind: 'kv'; readonly applied: boolean; readonly row?: Row } | Refusal;

/** A key as clients see it. */
export interface KvEntry extends KvValue {
  readonly key: string;
  readonly createIndex: number;
  readonly modifyIndex: number;
}

export function kvEntry(row: Row): KvEntry | undefined {
  if (row.value === null) return undefined;
  return { key: row.key, ...decodeKv(row.value), createIndex: row.createIndex, modifyIndex: row.modifyIndex };
}

/** The live row of a key. */
export function getKv(view: ReadView, key: string): Row | undefined {
  const row = view.get(Kind.kv, key);
  return row?.value ? row : undefined;
}

/** All rows under a prefix, tombstones included, bytewise ordered. */
export function rangeKv(view: ReadView, prefix: string): Iterable<Row> {
  return view.range(Kind.kv, prefix, prefixEnd(prefix));
}

/**
 * Whether an index given with `?cas` names this row: the index shown here, or the writer's stamp (for a mirrored
 * key: the source Consul's own ModifyIndex).
 */
export function matchesIndex(row: Row, index: bigint): boolean {
  return index === BigInt(row.modifyIndex) || index === BigInt(row.stamp);
}

export function putKv(scope: WriteScope, put: KvPut): KvOutcome {
  const row = scope.view.get(Kind.kv, put.key);
  const held = row?.value ? row : undefined;
  switch (put.mode.kind) {
    case 'plain':
      return written(scope, put, row, heldSession(held), 0);
    case 'cas':
      if (
        put.mode.index === 0n ? held !== undefined : held === undefined || !matchesIndex(held, put.mode.index)
      ) {
        return { kind: 'kv', applied: false };
      }
      return written(scope, put, row, heldSession(held), 0);
    case 'acquire':
      return acquire(scope, put, row, held, put.mode.session);
    case 'release': {
      const { session } = put.mode;
      if (session === '') return refused('missing session');
      if (held === undefined || heldSession(held) !== canonicalSessionId(session))
        return { kind: 'kv', applied: false };
      return written(scope, put, row, '', decodeKv(held.value as Uint8Array).lockIndex);
    }
  }
}

function acquire(
  scope: WriteScope,
  put: KvPut,
  row: Row | undefined,
  held: Row | undefined,
  given: string,
): KvOutcome {
  // Consul looks at the lock-delay before the session.
  if (lockDelayed(scope, put.key)) return { kind: 'kv', applied: false };
  const invalid = sessionRefusal(scope, given);
  if (invalid !== undefined) return invalid;
  const session = canonicalSessionId(given);
  const holder = heldSession(held);
  const lockIndex = held === undefined ? 0 : decodeKv(held.value as Uint8Array).lockIndex;
  if (holder === session) return written(scope, put, row, session, lockIndex);
  if (holder !== '') return { kind: 'kv', applied: false };
  return written(scope, put, row, session, lockIndex + 1);
}

function sessionRefusal(scope: WriteScope, session: string): Refusal | undefined {
  if (session === '') return refused('missing session');
  const problem = sessionIdProblem(session);
  if (problem !== undefined) return refused(problem);
  const row = scope.view.get(Kind.session, canonicalSessionId(session));
  return row?.value && !isSessionOver(scope, row)
    ? undefined
    : refused(`invalid session ${JSON.stringify(session)}`);
}

/** A key's lock may not be granted again for a while after its holder's session was invalidated. */
export function lockDelayed(scope: WriteScope, key: string): boolean {
  const row = scope.view.get(Kind.lockDelay, key);
  return row?.value ? decodeValue<LockDelay>(row.value).untilMs > scope.nowMs : false;
}

export interface LockDelay {
  readonly untilMs: number;
}

function heldSession(row: Row | undefined): string {
  return row?.ix ?? '';
}

/** `before`: the row as it stands, or its tombstone. */
function written(
  scope: WriteScope,
  put: KvPut,
  before: Row | undefined,
  session: string,
  lockIndex: number,
): KvOutcome {
  const value = encodeKv({ flags: put.flags, lockIndex, session, value: put.value });
  // Consul lets a plain write keep the lock but forget how often it was taken (see consul-api, locks are advisory).
  const row = scope.replace(Kind.kv, put.key, before, value, session === '' ? null : session);
  return { kind: 'kv', applied: true, row };
}

export function deleteKv(scope: WriteScope, command: KvDelete): KvOutcome {
  if (command.kind === 'kv-delete-tree') {
    const { prefix } = command;
    // Names first, values one at a time: a tree may be larger than memory.
    for (const { key, live } of [...scope.view.rangeKeys(Kind.kv, prefix, prefixEnd(prefix))]) {
      if (live) scope.delete(Kind.kv, key);
    }
    return { kind: 'kv', applied: true };
  }
  if (command.cas !== undefined) {
    const held = getKv(scope.view, command.key);
    if (held !== undefined && (command.cas === 0n || !matchesIndex(held, command.cas))) {
      return { kind: 'kv', applied: false };
    }
  }
  scope.delete(Kind.kv, command.key);
  return { kind: 'kv', applied: true };
}

type LockTerms = Pick<SessionValue, 'lockDelayNs' | 'behavior'>;

/** Consul's defaults. */
const unknownTerms: LockTerms = { lockDelayNs: 15e9, behavior: 'release' };

/** Longest lock-delay that is enforced, whatever a session asked for (Consul: structs.MaxLockDelay). */
export const lockDelayMsMax = 60_000;

/**
 * Releases or deletes every key that a session holds, and starts their lock-delay; of keys in zones of other gateways
 * their owners do, once they know. Of a session that was never seen alive here the keys are released.
 */
export function dropLocks(scope: WriteScope, id: string, session: LockTerms = unknownTerms): void {
  const delayMs = Math.min(session.lockDelayNs / 1e6, lockDelayMsMax);
  for (const row of [...scope.view.byIndex(Kind.kv, id)]) {
    if (row.value === null || !scope.mayWrite(Kind.kv, row.key)) continue;
    if (session.behavior === 'delete') {
      scope.delete(Kind.kv, row.key);
    } else {
      scope.put(Kind.kv, row.key, encodeKv({ ...decodeKv(row.value), session: '' }), null);
    }
    if (delayMs > 0) {
      const untilMs = scope.nowMs + delayMs;
      scope.put(Kind.lockDelay, row.key, encodeValue({ untilMs }));
    }
  }
}
