import { Kind } from './kinds.ts';
import { deleteKv, putKv, type KvDelete, type KvPut } from './kv.ts';
import { refused, type Refusal } from './outcome.ts';
import type { ReadView, SetAside, Store } from './store.ts';
import { decodeKv, decodeValue, type CheckValue, type NodeValue, type ServiceValue } from './values.ts';
import type { CatalogDeregister, CatalogRegister } from './catalog.ts';
import type { WriteScope } from './write-scope.ts';
import { keySeparator } from './topics.ts';

/**
 * Writes a conflict of this gateway's list again, as a new write; only the owner of its zone may. Elsewhere `replayOf`
 * is the write to hand to the owner, and `conflict-mark` notes that it was done.
 */
export interface ConflictReplay {
  readonly kind: 'conflict-replay';
  /** `SetAside.id`. */
  readonly id: number;
}

export interface ConflictMark {
  readonly kind: 'conflict-mark';
  readonly id: number;
}

/** Takes a conflict off this gateway's list for good. */
export interface ConflictDrop {
  readonly kind: 'conflict-drop';
  readonly id: number;
}

export type ConflictCommand = ConflictReplay | ConflictMark | ConflictDrop;

/** `found`: there is, or was, such a conflict. */
export type ConflictOutcome = { readonly kind: 'conflict'; readonly found: boolean } | Refusal;

export function conflictById(view: Pick<ReadView, 'setAside'>, id: number): SetAside | undefined {
  if (!Number.isSafeInteger(id)) return undefined;
  const [first] = view.setAside('conflicts', id - 1, 1);
  return first?.id === id ? first : undefined;
}

export function applyConflictCommand(
  scope: WriteScope,
  store: Store,
  { kind, id }: ConflictCommand,
): ConflictOutcome {
  const conflict = conflictById(store, id);
  if (conflict === undefined) return { kind: 'conflict', found: false };
  switch (kind) {
    case 'conflict-drop':
      store.removeSetAside('conflicts', conflict.id);
      break;
    case 'conflict-replay':
      if (conflict.kind === Kind.migration) {
        return refused('a step of a migration is not written again: make it again', 409);
      }
      replay(scope, conflict);
      store.markReplayed(conflict.id);
      break;
    case 'conflict-mark':
      store.markReplayed(conflict.id);
  }
  return { kind: 'conflict', found: true };
}

function replay(scope: WriteScope, conflict: SetAside): void {
  const { kind, key, value, ix } = conflict;
  const command = replayOf(conflict);
  if (command?.kind === 'kv-put') putKv(scope, command);
  else if (command?.kind === 'kv-delete') deleteKv(scope, command);
  else if (value === null) scope.delete(kind, key);
  else scope.put(kind, key, value, ix);
}

type Replay = KvPut | KvDelete | CatalogRegister | CatalogDeregister;

/** A conflict as the write that its client wanted. A lock that it took is not taken again. Undefined: none is that. */
export function replayOf({ kind, key, value }: SetAside): Replay | undefined {
  if (kind === Kind.kv) {
    if (value === null) return { kind: 'kv-delete', key };
    const { flags, value: bytes } = decodeKv(value);
    return { kind: 'kv-put', key, flags, value: bytes, mode: { kind: 'plain' } };
  }
  const [node = '', part = ''] = key.split(keySeparator);
  if (value === null) {
    return {
      kind: 'catalog-deregister',
      node,
      serviceId: kind === Kind.service ? part : '',
      checkId: kind === Kind.check ? part : '',
    };
  }
  const onlyName = { id: '', node, address: '', taggedAddresses: null, meta: null };
  const register = { kind: 'catalog-register', node: onlyName, skipNodeUpdate: true, checks: [] } as const;
  switch (kind) {
    case Kind.node:
      return { ...register, node: decodeValue<NodeValue>(value), skipNodeUpdate: false };
    case Kind.service:
      return { ...register, service: decodeValue<ServiceValue>(value) };
    case Kind.check:
      return { ...register, checks: [decodeValue<CheckValue>(value)] };
    default:
      return undefined;
  }
}
