import type { AnswerTrust, Held, Listed } from './registers.ts';
import { compareVersions, standingOf, type TermOf } from './version.ts';

/**
 * The rules that decide what an answer of the source means for what the target holds: rules 2 to 6 of the
 * migration algorithm. Pure; the randomised model in test/migration/mirror runs exactly these functions.
 *
 *   upsert     version in the list > version held
 *   tombstone  absent, and the list's index proves that the list is not older than what is held
 *   proof      absent, but the list's index is lower than the held stamp (a reaped tombstone, a list taken
 *              before a relayed create): only a consistent point read can tell
 *   fork       the source contradicts what it said before: its history was replaced
 */
export type LeafAnswer = AnswerTrust & {
  /**
   * True when `index` is the table's index and not the prefix's own (a list at the empty prefix): then an
   * absent key whose held stamp is above it needs no further question, it proves a fork.
   */
  readonly indexIsTable: boolean;
  readonly items: readonly Listed[];
};

export type ForkEvidence = {
  readonly key: string;
  readonly heldStamp: number;
  /** What the source says now: the entry's index, or the table index under which it is absent. */
  readonly sourceIndex: number;
  readonly why:
    | 'lower-index'
    | 'same-index-other-bytes'
    | 'same-index-was-deleted'
    | 'absent-under-lower-index';
};

export type Tombstone = { readonly key: string; readonly stamp: number };

export type LeafPlan = {
  readonly kind: 'plan';
  /** Keys of the answer whose version is above the held one. */
  readonly upserts: readonly string[];
  readonly tombstones: readonly Tombstone[];
  /** Absent keys that need a consistent point read before anything is decided. */
  readonly proofs: readonly string[];
  /** Keys that stay as they are. */
  readonly unchanged: readonly string[];
  /** Keys written at the target under a higher term than the source's: kept, whatever the source says. */
  readonly kept: readonly string[];
  /** Why absent keys were not judged at all; null when they were. */
  readonly absenceIgnored: AbsenceIgnored | null;
};

export type AbsenceIgnored = 'no-index' | 'no-leader' | 'filtered-by-acl';

export type LeafDecision =
  | LeafPlan
  /** Asked under an older timeline: says nothing about this one. Nothing changes. */
  | { readonly kind: 'outdated' }
  | { readonly kind: 'fork'; readonly evidence: readonly ForkEvidence[] };

export type LeafInput = {
  readonly timeline: number;
  readonly termOf: TermOf;
  /** Everything held under the leaf's prefix, tombstones included. */
  readonly held: readonly Held[];
  readonly answer: LeafAnswer;
  /**
   * Ask for a point read of every absent key, also where the index would prove it: for sources with ACLs,
   * whose older versions shorten lists without saying so.
   */
  readonly proveEveryAbsence: boolean;
};

/** Why an answer's silence about a key means nothing; null when it may be judged. */
export function absenceIgnored(trust: AnswerTrust): AbsenceIgnored | null {
  if (trust.index === null) return 'no-index';
  if (!trust.knownLeader) return 'no-leader';
  if (trust.filtered) return 'filtered-by-acl';
  return null;
}

export function decideLeaf(input: LeafInput): LeafDecision {
  const { timeline, answer } = input;
  if (answer.timeline !== timeline) return { kind: 'outdated' };

  const heldByKey = new Map(input.held.map((held) => [held.key, held]));
  const listed = new Set<string>();
  const evidence: ForkEvidence[] = [];
  const upserts: string[] = [];
  const unchanged: string[] = [];
  const kept: string[] = [];

  for (const item of answer.items) {
    listed.add(item.key);
    const held = heldByKey.get(item.key);
    const term = input.termOf(item.key);
    const contradiction = held === undefined ? null : contradictionOf(held, item, term, timeline, answer);
    if (contradiction !== null) evidence.push(contradiction);
    else if (held === undefined || isNewer(item.stamp, held, term, timeline)) upserts.push(item.key);
    else if (held.term > term) kept.push(item.key);
    else unchanged.push(item.key);
  }

  const tombstones: Tombstone[] = [];
  const proofs: string[] = [];
  const ignored = absenceIgnored(answer);
  const index = answer.index;
  for (const held of input.held) {
    if (ignored !== null || index === null) break;
    const standing = standingOf(held, input.termOf(held.key));
    if (standing === 'later' || listed.has(held.key)) continue;
    const isComparable = standing === 'equal' && held.timeline === timeline;
    const mayContradict = isComparable && held.storedAt < answer.askedAt;
    if (answer.indexIsTable && mayContradict && index < held.stamp) {
      evidence.push({
        key: held.key,
        heldStamp: held.stamp,
        sourceIndex: index,
        why: 'absent-under-lower-index',
      });
    } else if (held.deleted) {
      continue;
    } else if (input.proveEveryAbsence || (isComparable && held.stamp > index)) {
      proofs.push(held.key);
    } else {
      tombstones.push({ key: held.key, stamp: index });
    }
  }

  if (evidence.length > 0) return { kind: 'fork', evidence };
  return { kind: 'plan', upserts, tombstones, proofs, unchanged, kept, absenceIgnored: ignored };
}

/** A consistent point read of one key. */
export type PointAnswer = AnswerTrust & {
  /** null: 404; `index` is then the table's index. */
  readonly item: Listed | null;
};

export type ProofDecision =
  | { readonly kind: 'upsert' }
  | { readonly kind: 'tombstone'; readonly stamp: number }
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'kept' }
  | { readonly kind: 'outdated' }
  /** The answer proves nothing (no index, no leader, or what is held changed meanwhile): ask again later. */
  | { readonly kind: 'unproved' }
  | { readonly kind: 'fork'; readonly evidence: ForkEvidence };

/** `term`: under which the source's word on the key is written now. */
export function decideProof(timeline: number, term: number, held: Held, answer: PointAnswer): ProofDecision {
  if (answer.timeline !== timeline) return { kind: 'outdated' };
  const standing = standingOf(held, term);
  if (standing === 'later') return { kind: 'kept' };
  if (answer.item !== null) {
    const evidence = contradictionOf(held, answer.item, term, timeline, answer);
    if (evidence !== null) return { kind: 'fork', evidence };
    return isNewer(answer.item.stamp, held, term, timeline) ? { kind: 'upsert' } : { kind: 'unchanged' };
  }
  if (absenceIgnored(answer) !== null || answer.index === null) return { kind: 'unproved' };
  if (standing === 'earlier' || held.timeline < timeline || answer.index >= held.stamp) {
    return held.deleted ? { kind: 'unchanged' } : { kind: 'tombstone', stamp: answer.index };
  }
  if (held.storedAt >= answer.askedAt) return { kind: 'unproved' };
  const evidence: ForkEvidence = {
    key: held.key,
    heldStamp: held.stamp,
    sourceIndex: answer.index,
    why: 'absent-under-lower-index',
  };
  return { kind: 'fork', evidence };
}

function isNewer(stamp: number, held: Held, term: number, timeline: number): boolean {
  return compareVersions({ term, timeline, stamp }, held) > 0;
}

/**
 * A present entry contradicts what is held when that was stored, in this timeline, before the question was
 * asked: then the source must know at least that version, and under the same index the same bytes.
 */
function contradictionOf(
  held: Held,
  item: Listed,
  term: number,
  timeline: number,
  trust: AnswerTrust,
): ForkEvidence | null {
  if (held.term !== term || held.timeline !== timeline || held.storedAt >= trust.askedAt) return null;
  if (trust.index === null || !trust.knownLeader) return null;
  if (item.stamp > held.stamp) return null;
  const found = { key: item.key, heldStamp: held.stamp, sourceIndex: item.stamp };
  if (item.stamp < held.stamp) return { ...found, why: 'lower-index' };
  if (held.deleted) return { ...found, why: 'same-index-was-deleted' };
  return held.digest === item.digest ? null : { ...found, why: 'same-index-other-bytes' };
}
