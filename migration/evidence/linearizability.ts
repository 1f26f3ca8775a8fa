// Whether what clients did with one key could have happened one at a time (Wing and Gong's search, with Lowe's memory of
// configurations that were tried). The search is bounded: what it cannot decide in time is unknown, never fine.

/**
 * One operation. Times are of one monotonic clock. `version` tells states of the key apart; a read of a key that was not
 * there, when it cannot be told since which version, has the version undefined.
 */
export type KeyOperation =
  | {
      readonly kind: 'write';
      readonly version: number;
      readonly deleted: boolean;
      readonly startMs: number;
      /** Infinity: nobody knows whether or when it happened; it may have not. */
      readonly endMs: number;
    }
  | {
      readonly kind: 'read';
      readonly version: number | undefined;
      readonly startMs: number;
      readonly endMs: number;
    };

export type Linearizability = 'yes' | 'no' | 'unknown';

type Write = Extract<KeyOperation, { kind: 'write' }>;

/** More operations than this are not searched. */
export const operationsMax = 64;
export const stepsMax = 20_000;

/** A deletion by somebody unseen: it may come anywhere. */
const unseenRemoval = -2;

/**
 * The state before the first operation is unknown. A version that was read and that none of the operations wrote was
 * written by somebody unseen, at any time before its first read ended; the absence of a key that nobody seen deleted
 * may stem from somebody unseen, too. So `no` never comes of what was not seen.
 */
export function checkLinearizable(
  seen: readonly KeyOperation[],
  limits: { readonly steps: number } = { steps: stepsMax },
): Linearizability {
  const operations = withUnseenWrites(seen);
  if (operations.length > 2 * operationsMax) return 'unknown';
  const ordered = operations.toSorted((a, b) => a.startMs - b.startMs || a.endMs - b.endMs);
  const must = ordered.filter((each) => Number.isFinite(each.endMs)).length;

  const tried = new Set<string>();
  const done = ordered.map(() => false);
  let steps = 0;

  const search = (state: State, mustDone: number): Linearizability => {
    if (mustDone === must) return 'yes';
    steps += 1;
    if (steps > limits.steps) return 'unknown';
    const configuration = `${state.version}${state.absent}${done.map((each) => (each ? '1' : '0')).join('')}`;
    if (tried.has(configuration)) return 'no';
    tried.add(configuration);
    // Only what began before everything that is left has ended may come next.
    let firstEnd = Infinity;
    for (const [at, each] of ordered.entries()) if (!done[at]) firstEnd = Math.min(firstEnd, each.endMs);
    for (const [at, each] of ordered.entries()) {
      if (done[at]) continue;
      if (each.startMs > firstEnd) break;
      const next = stateAfter(each, state);
      if (next === undefined) continue;
      done[at] = true;
      const result = search(next, mustDone + (Number.isFinite(each.endMs) ? 1 : 0));
      done[at] = false;
      if (result !== 'no') return result;
    }
    return 'no';
  };
  return search({ version: -1, absent: undefined }, 0);
}

/** The greatest version so far, and whether the key is there; undefined: nobody knows. */
type State = { readonly version: number; readonly absent: boolean | undefined };

/** Undefined: not possible in this state. Versions are the source's and tell in which order writes happened. */
function stateAfter(operation: KeyOperation, state: State): State | undefined {
  if (operation.kind === 'write') {
    if (operation.version === unseenRemoval) return { version: state.version, absent: true };
    return operation.version > state.version
      ? { version: operation.version, absent: operation.deleted }
      : undefined;
  }
  if (operation.version === undefined) return state.absent === false ? undefined : { ...state, absent: true };
  // A read that tells its version tells of a deletion's, too.
  return state.version === operation.version ? state : undefined;
}

function withUnseenWrites(seen: readonly KeyOperation[]): readonly KeyOperation[] {
  const written = new Set(seen.filter((each) => each.kind === 'write').map((each) => each.version));
  const unseen = new Map<number, Write>();
  const removals: Write[] = [];
  for (const each of seen) {
    if (each.kind !== 'read') continue;
    if (each.version === undefined) {
      // Once for each read: it may have happened, and need not.
      removals.push({
        kind: 'write',
        version: unseenRemoval,
        deleted: true,
        startMs: -Infinity,
        endMs: Infinity,
      });
      continue;
    }
    if (written.has(each.version)) continue;
    const held = unseen.get(each.version);
    const endMs = Math.min(held?.endMs ?? Infinity, each.endMs);
    unseen.set(each.version, {
      kind: 'write',
      version: each.version,
      deleted: false,
      startMs: -Infinity,
      endMs,
    });
  }
  return [...unseen.values(), ...removals, ...seen];
}

/**
 * Γ (Golab et al., ICDCS 2014): by how much the operations' times would have to be stretched for the history to be
 * atomic. Of each version the zone from the first end to the last start of its operations; zones that conflict say how
 * much. Answers one figure (milliseconds) for each conflicting pair; none: nothing was out of order.
 */
export function gammaOf(operations: readonly KeyOperation[]): {
  readonly writes: number;
  readonly violations: readonly number[];
} {
  const zones = new Map<number, { first: number; last: number }>();
  for (const each of operations) {
    if (each.version === undefined || !Number.isFinite(each.endMs)) continue;
    const zone = zones.get(each.version) ?? { first: Infinity, last: -Infinity };
    zone.first = Math.min(zone.first, each.endMs);
    zone.last = Math.max(zone.last, each.startMs);
    zones.set(each.version, zone);
  }
  const all = [...zones.values()];
  const violations: number[] = [];
  for (const [at, a] of all.entries()) {
    for (const b of all.slice(at + 1)) {
      const conflict = conflictOf(a, b);
      if (conflict > 0) violations.push(conflict);
    }
  }
  return { writes: all.length, violations };
}

type Zone = { readonly first: number; readonly last: number };

function conflictOf(a: Zone, b: Zone): number {
  const [aForward, bForward] = [a.first < a.last, b.first < b.last];
  if (aForward && bForward) {
    // Both must be true at once while they overlap, and only one can be.
    return Math.min(a.last - b.first, b.last - a.first, a.last - a.first, b.last - b.first);
  }
  if (!aForward && !bForward) return 0;
  const [forward, backward] = aForward ? [a, b] : [b, a];
  // One that had to happen somewhere within `last` to `first`, all of which another one takes up.
  return Math.min(backward.last - forward.first, forward.last - backward.first);
}
