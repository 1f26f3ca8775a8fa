/**
 * The mass-delete breaker (rule 5): more deletes than max(50, 5 %) of what a leaf holds stop the copy until
 * somebody says that they are meant. The same measure is kept over the whole run, because a wiped source
 * whose leaves are small would otherwise pass leaf by leaf.
 */
export type DeleteTally = {
  /** Live registers looked at so far in this run. */
  readonly live: number;
  /** Deletes let through so far. */
  readonly deleted: number;
};

export const emptyTally: DeleteTally = { live: 0, deleted: 0 };

export const breakerFloor = 50;
export const breakerShare = 0.05;

export function tripsBreaker(deletes: number, live: number): boolean {
  return deletes > Math.max(breakerFloor, live * breakerShare);
}

/** Whether these deletes need a human's word, and the tally when they are let through. */
export function weighDeletes(
  tally: DeleteTally,
  leaf: { readonly deletes: number; readonly live: number },
): { readonly trips: boolean; readonly allowed: DeleteTally; readonly withheld: DeleteTally } {
  const live = tally.live + leaf.live;
  const allowed = { live, deleted: tally.deleted + leaf.deletes };
  const trips =
    leaf.deletes > 0 &&
    (tripsBreaker(leaf.deletes, leaf.live) || tripsBreaker(allowed.deleted, allowed.live));
  return { trips, allowed, withheld: { live, deleted: tally.deleted } };
}
