import type { DifferenceKind } from '../../evidence/snapshot.ts';
import { differs, type Differences, type Verdict } from './judge.ts';

/** An answer that differed, and is looked at again: it counts as lasting only if nothing of it moved meanwhile. */
export interface SuspectState {
  readonly difference: DifferenceKind;
  readonly entries: Differences;
  /** Monotonic milliseconds. */
  readonly openSinceMs: number;
  /** Since neither side changed. */
  readonly unmovedSinceMs: number;
  readonly dueMs: number;
  readonly round: number;
  readonly looks: number;
  readonly resets: number;
}

/** How often a changing entry's clock may start anew before it is given up. */
export const resetsMax = 5;

export type SuspectStep =
  | { readonly kind: 'again'; readonly suspect: SuspectState }
  | { readonly kind: 'transient'; readonly openMs: number }
  | { readonly kind: 'persistent'; readonly suspect: SuspectState; readonly openMs: number }
  | { readonly kind: 'indeterminate'; readonly openMs: number };

export function suspectOf(
  verdict: Extract<Verdict, { kind: 'differs' }>,
  nowMs: number,
  delaysMs: readonly number[],
): SuspectState {
  return {
    difference: verdict.difference,
    entries: verdict.entries,
    openSinceMs: nowMs,
    unmovedSinceMs: nowMs,
    dueMs: nowMs + (delaysMs[0] ?? 0),
    round: 0,
    looks: 1,
    resets: 0,
  };
}

/** `nowMs`: when here was read for this look. Only what differed at first is judged: what is new differs for itself. */
export function lookAgain(
  suspect: SuspectState,
  verdict: Verdict,
  nowMs: number,
  delaysMs: readonly number[],
): SuspectStep {
  const openMs = nowMs - suspect.openSinceMs;
  if (verdict.kind === 'matched' || verdict.kind === 'ignored') return { kind: 'transient', openMs };
  const looks = suspect.looks + 1;
  const restart = (entries: Differences): SuspectStep => {
    const resets = suspect.resets + 1;
    if (resets > resetsMax) return { kind: 'indeterminate', openMs };
    const { difference } = differs(entries);
    const state = { ...suspect, difference, entries, looks, resets, round: 0, unmovedSinceMs: nowMs };
    return { kind: 'again', suspect: { ...state, dueMs: nowMs + (delaysMs[0] ?? 0) } };
  };
  if (verdict.kind === 'moving') return restart(suspect.entries);
  const still = new Map([...verdict.entries].filter(([id]) => suspect.entries.has(id)));
  if (still.size === 0) return { kind: 'transient', openMs };
  const unmoved = new Map(
    [...still].filter(([id, now]) => {
      const then = suspect.entries.get(id);
      return then !== undefined && then.source === now.source && then.here === now.here;
    }),
  );
  if (unmoved.size === 0) return restart(still);
  const { difference } = differs(unmoved);
  const round = suspect.round + 1;
  const seen = { ...suspect, difference, entries: unmoved, looks, round };
  const dueAfterMs = delaysMs[round];
  if (dueAfterMs === undefined) return { kind: 'persistent', suspect: seen, openMs };
  return { kind: 'again', suspect: { ...seen, dueMs: suspect.unmovedSinceMs + dueAfterMs } };
}
