import { unreachable } from '../kernel/assert.ts';
import { applyCatalog } from '../state/catalog.ts';
import { collectTombstones } from '../state/collect.ts';
import type { Command, CommandOutcome } from '../state/command.ts';
import { applyConflictCommand } from '../state/conflicts.ts';
import { deleteKv, putKv } from '../state/kv.ts';
import { applyLocal } from '../state/local.ts';
import { applyMigrationCommand } from '../state/migration-commands.ts';
import { applyMirror } from '../state/mirror.ts';
import { applyRestore } from '../state/restore.ts';
import { createSession, destroySession } from '../state/sessions.ts';
import { applyTxn } from '../state/txn.ts';
import type { WriteScope } from '../state/write-scope.ts';
import { applyZoneCommand } from '../state/zone-commands.ts';
import { grantContext } from './grants.ts';
import type { ReplicaCore } from './replica-core.ts';

/** Carries out a command that this gateway may decide. */
export function decide(core: ReplicaCore, scope: WriteScope, command: Command): CommandOutcome {
  switch (command.kind) {
    case 'kv-put':
      return putKv(scope, command);
    case 'kv-delete':
    case 'kv-delete-tree':
      return deleteKv(scope, command);
    case 'txn':
      return applyTxn(scope, command);
    case 'session-create':
      return createSession(scope, command);
    case 'session-destroy':
      return destroySession(scope, command.id);
    case 'catalog-register':
    case 'catalog-deregister':
    case 'coordinate-update':
    case 'member-health':
      // A registration of several parts is undone whole when a later part is refused.
      return scope.attempt(() => {
        const value = applyCatalog(scope, command);
        return { keep: value.kind === 'catalog', value };
      });
    case 'local':
      return scope.attempt(() => {
        const value = applyLocal(scope, command);
        return { keep: value.kind === 'local', value };
      });
    case 'mirror-apply':
      return applyMirror(scope, command);
    case 'collect-tombstones':
      return collectTombstones(scope, command, (index) => core.collected(index));
    case 'restore':
      return applyRestore(scope, command);
    case 'zone-delegate':
    case 'zone-place':
    case 'zone-takeover':
      return applyZoneCommand(scope, grantContext(core), command);
    case 'migration-step':
    case 'migration-forget':
    case 'migration-source':
      return applyMigrationCommand(scope, grantContext(core), command);
    case 'conflict-replay':
    case 'conflict-mark':
    case 'conflict-drop':
      return applyConflictCommand(scope, core.store, command);
    default:
      return unreachable(command);
  }
}
