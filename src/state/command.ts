import type { CatalogCommand, CatalogOutcome } from './catalog.ts';
import type { CollectTombstones, Collected } from './collect.ts';
import type { ConflictCommand, ConflictOutcome } from './conflicts.ts';
import type { KvDelete, KvOutcome, KvPut } from './kv.ts';
import type { LocalCommand, LocalOutcome } from './local.ts';
import type { MigrationCommand, MigrationOutcome } from './migration.ts';
import type { MirrorApply, MirrorOutcome } from './mirror.ts';
import type { Refusal } from './outcome.ts';
import type { Restore, RestoreOutcome } from './restore.ts';
import type { SessionCreate, SessionDestroy, SessionOutcome } from './sessions.ts';
import type { Txn, TxnOutcome } from './txn.ts';
import type { ZoneCommand, ZoneOutcome } from './zone-commands.ts';

/** Everything that changes state. Commands are data: an owner elsewhere could be handed one. */
export type Command =
  | KvPut
  | KvDelete
  | Txn
  | SessionCreate
  | SessionDestroy
  | CatalogCommand
  | LocalCommand
  | MirrorApply
  | Restore
  | CollectTombstones
  | ZoneCommand
  | ConflictCommand
  | MigrationCommand;

export type CommandOutcome =
  | KvOutcome
  | TxnOutcome
  | SessionOutcome
  | CatalogOutcome
  | LocalOutcome
  | MirrorOutcome
  | RestoreOutcome
  | Collected
  | ZoneOutcome
  | ConflictOutcome
  | MigrationOutcome
  | Refusal;
