import { isReplicated, Kind } from './kinds.ts';
import type { LockDelay } from './kv.ts';
import { decodeValue } from './values.ts';
import type { WriteScope } from './write-scope.ts';

/**
 * Drops tombstones that this gateway has shown for long enough and every member has seen (design, "State and merge",
 * 8), and lock-delays that are over.
 */
export interface CollectTombstones {
  readonly kind: 'collect-tombstones';
  /** Tombstones whose modify index is below this one go. */
  readonly belowIndex: number;
  /**
   * Every member that is not forgotten has seen all that anybody wrote up to this stamp: later tombstones stay. Left
   * out: there is nobody else.
   */
  readonly stableStamp?: number;
  /** At most this many at once, so that a commit stays short. */
  readonly limit: number;
}

export interface Collected {
  readonly kind: 'collected';
  /** Less than the limit: there is nothing more to drop. */
  readonly count: number;
}

/** `dropped` is called with the highest index of what went, if others know of it. */
export function collectTombstones(
  scope: WriteScope,
  command: CollectTombstones,
  dropped: (highestIndex: number) => void,
): Collected {
  // No index is below its stamp, and one that was logged here for a source Consul has none of its own.
  const belowIndex = Math.min(command.belowIndex, command.stableStamp ?? Infinity);
  const old = scope.view.tombstones(belowIndex, command.limit);
  let highest = 0;
  for (const { kind, key } of old) {
    if (isReplicated(kind)) highest = Math.max(highest, scope.view.get(kind, key)?.modifyIndex ?? 0);
    scope.forget(kind, key);
  }
  if (highest > 0) dropped(highest);
  for (const row of [...scope.view.range(Kind.lockDelay, '', undefined, command.limit)]) {
    const over = row.value === null || decodeValue<LockDelay>(row.value).untilMs <= scope.nowMs;
    if (over) scope.forget(row.kind, row.key);
  }
  return { kind: 'collected', count: old.length };
}
