import type { ForkEvidence, Tombstone } from './leaf-decision.ts';
import type { Held, Listed } from './registers.ts';
import { standingOf } from './version.ts';

/**
 * The catalog has no tombstones and no point read that proves absence, so nothing is deleted, and no fork
 * is called, on one reading: a second consistent reading must agree. A lower index under the same bytes is
 * no contradiction here: servers before Consul 1.9 gave entries new indexes when they started from a
 * snapshot, each its own.
 */
export type CatalogLook = {
  readonly upserts: readonly string[];
  readonly unchanged: readonly string[];
  /** Written at the target under a higher term. */
  readonly kept: readonly string[];
  /** Held and live, and not in the reading. */
  readonly absent: readonly string[];
  /** In the reading under an index that contradicts what is held. */
  readonly suspects: readonly string[];
};

/** `term`: under which the source's word on the catalog is written now. */
export function lookAtCatalog(
  timeline: number,
  term: number,
  held: readonly Held[],
  items: readonly Listed[],
): CatalogLook {
  const heldByKey = new Map(held.map((entry) => [entry.key, entry]));
  const listed = new Set(items.map((item) => item.key));
  const upserts: string[] = [];
  const unchanged: string[] = [];
  const kept: string[] = [];
  const suspects: string[] = [];
  for (const item of items) {
    const known = heldByKey.get(item.key);
    const standing = known === undefined ? 'earlier' : standingOf(known, term);
    if (known === undefined || standing === 'earlier') upserts.push(item.key);
    else if (standing === 'later') kept.push(item.key);
    else if (known.timeline < timeline) upserts.push(item.key);
    else if (item.stamp > known.stamp) upserts.push(item.key);
    else if (!known.deleted && item.digest === known.digest) unchanged.push(item.key);
    else suspects.push(item.key);
  }
  const absent = held.filter((entry) => entry.term <= term && !entry.deleted && !listed.has(entry.key));
  return { upserts, unchanged, kept, absent: absent.map((entry) => entry.key), suspects };
}

export type CatalogVerdict =
  | { readonly kind: 'plan'; readonly look: CatalogLook; readonly tombstones: readonly Tombstone[] }
  | { readonly kind: 'fork'; readonly evidence: readonly ForkEvidence[] };

/**
 * Joins two consistent readings. Upserts are the second's; tombstones are for what both miss, at the index of
 * the second; contradictions count when both show them. `index` null: absence is not to be judged.
 */
export function agreeOnCatalog(
  timeline: number,
  term: number,
  held: readonly Held[],
  first: CatalogLook,
  second: { readonly items: readonly Listed[]; readonly index: number | null },
): CatalogVerdict {
  const look = lookAtCatalog(timeline, term, held, second.items);
  const heldByKey = new Map(held.map((entry) => [entry.key, entry]));
  const stamps = new Map(second.items.map((item) => [item.key, item.stamp]));
  const evidence: ForkEvidence[] = [];
  const firstSuspects = new Set(first.suspects);
  for (const key of look.suspects) {
    const known = heldByKey.get(key);
    if (known === undefined || !firstSuspects.has(key)) continue;
    const sourceIndex = stamps.get(key) ?? 0;
    const lower = sourceIndex < known.stamp;
    const equal = known.deleted ? 'same-index-was-deleted' : 'same-index-other-bytes';
    evidence.push({ key, heldStamp: known.stamp, sourceIndex, why: lower ? 'lower-index' : equal });
  }
  const tombstones: Tombstone[] = [];
  const firstAbsent = new Set(first.absent);
  for (const key of look.absent) {
    const known = heldByKey.get(key);
    if (known === undefined || !firstAbsent.has(key) || second.index === null) continue;
    if (known.term === term && known.timeline === timeline && second.index < known.stamp) {
      evidence.push({
        key,
        heldStamp: known.stamp,
        sourceIndex: second.index,
        why: 'absent-under-lower-index',
      });
    } else {
      tombstones.push({ key, stamp: second.index });
    }
  }
  return evidence.length > 0 ? { kind: 'fork', evidence } : { kind: 'plan', look, tombstones };
}
