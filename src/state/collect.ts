import { Kind } from './kinds.ts';
import type { LockDelay } from './kv.ts';
import { decodeValue } from './values.ts';
import type { WriteScope } from './write-scope.ts';

/**
 * Drops tombstones that this gateway has shown for long enough, and lock-delays that are over. Safe only when every
 * member has applied the deletions (design, "State and merge", 8): a cluster of one always has.
 */
export interface CollectTombstones {
  readonly kind: 'collect-tombstones';
  /** Tombstones whose modify index is below this one go. */
  readonly belowIndex: number;
  /** At most this many at once, so that a commit stays short. */
  readonly limit: number;
}

export interface Collected {
  readonly kind: 'collected';
  /** Less than the limit: there is nothing more to drop. */
  readonly count: number;
}

export function collectTombstones(scope: WriteScope, command: CollectTombstones): Collected {
  const old = scope.view.tombstones(command.belowIndex, command.limit);
  for (const { kind, key } of old) scope.forget(kind, key);
  for (const row of [...scope.view.range(Kind.lockDelay, '', undefined, command.limit)]) {
    const over = row.value === null || decodeValue<LockDelay>(row.value).untilMs <= scope.nowMs;
    if (over) scope.forget(row.kind, row.key);
  }
  return { kind: 'collected', count: old.length };
}
