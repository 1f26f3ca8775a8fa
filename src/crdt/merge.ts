import { compareBytes } from '../kernel/codec.ts';
import { compareVersions, type Version } from './version.ts';

/** A register's state as merge sees it: a version and a whole value, `null` for a tombstone. */
export interface VersionedValue extends Version {
  readonly value: Uint8Array | null;
}

/**
 * What merging an incoming value into the held one does.
 * - `apply`: the incoming one is greater;
 * - `duplicate`: the very same version and bytes;
 * - `older`: the held one is greater;
 * - `conflict`: equal versions, different bytes, so one-writer-per-key was broken; every replica keeps the
 *   greater bytes (a tombstone is the least), and `incomingWins` says whether that is the incoming value.
 */
export type MergeOutcome =
  | { readonly kind: 'apply' }
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'older' }
  | { readonly kind: 'conflict'; readonly incomingWins: boolean };

const apply: MergeOutcome = { kind: 'apply' };
const duplicate: MergeOutcome = { kind: 'duplicate' };
const older: MergeOutcome = { kind: 'older' };

/** The merge of a last-writer-wins register with a total order: idempotent, commutative, associative. */
export function merge(held: VersionedValue | undefined, incoming: VersionedValue): MergeOutcome {
  if (held === undefined) return apply;
  const order = compareVersions(incoming, held);
  if (order > 0) return apply;
  if (order < 0) return older;
  const bytes = compareValues(incoming.value, held.value);
  if (bytes === 0) return duplicate;
  return { kind: 'conflict', incomingWins: bytes > 0 };
}

function compareValues(a: Uint8Array | null, b: Uint8Array | null): number {
  if (a === null || b === null) return Number(a !== null) - Number(b !== null);
  return compareBytes(a, b);
}
