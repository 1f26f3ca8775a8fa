import { applyCatalog, type CatalogCommand } from './catalog.ts';
import { Kind } from './kinds.ts';
import type { Refusal } from './outcome.ts';
import type { WriteScope } from './write-scope.ts';

/**
 * What the gateway's own agent changes: its local registers (definitions of its services and checks, which are
 * never replicated) and its node's part of the catalog, in one commit.
 */
export interface LocalCommand {
  readonly kind: 'local';
  readonly puts: readonly { readonly kind: LocalKind; readonly key: string; readonly value: Uint8Array }[];
  readonly deletes: readonly { readonly kind: LocalKind; readonly key: string }[];
  readonly catalog: readonly CatalogCommand[];
}

export type LocalKind =
  | typeof Kind.agentService
  | typeof Kind.agentCheck
  | typeof Kind.dualKey
  | typeof Kind.reverse
  | typeof Kind.rehearsal;

export type LocalOutcome = { readonly kind: 'local' } | Refusal;

export function applyLocal(scope: WriteScope, command: LocalCommand): LocalOutcome {
  for (const { kind, key } of command.deletes) scope.delete(kind, key);
  for (const { kind, key, value } of command.puts) scope.put(kind, key, value);
  for (const change of command.catalog) {
    const outcome = applyCatalog(scope, change);
    if (outcome.kind !== 'catalog') return outcome;
  }
  return { kind: 'local' };
}
