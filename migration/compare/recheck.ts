import { isSame, mismatchOf, type MismatchKind, type SideEntry } from './entries.ts';

/** One look at one entry: source, then target, then source again. */
export type Look = {
  readonly before: SideEntry | undefined;
  readonly target: SideEntry | undefined;
  readonly after: SideEntry | undefined;
};

/**
 * An entry that differed and is looked at again. Its clock starts anew whenever either side changes: a
 * difference counts only when it survives all rounds with nothing moving.
 */
export type Suspect = {
  readonly kind: MismatchKind;
  readonly source: SideEntry | undefined;
  readonly target: SideEntry | undefined;
  /** When it was first seen to differ. */
  readonly openSinceMs: number;
  /** The round that comes next, and when. */
  readonly round: number;
  readonly dueMs: number;
  readonly looks: number;
  readonly resets: number;
};

export type LookResult =
  | { readonly kind: 'equal' }
  /** The source changed while it was compared and the target agrees with neither reading. */
  | { readonly kind: 'moving' }
  | { readonly kind: 'differs'; readonly mismatch: MismatchKind };

/** The target may agree with either reading of the source. */
export function judgeLook(look: Look): LookResult {
  const mismatch = mismatchOf(look.after, look.target);
  if (mismatch === null || mismatchOf(look.before, look.target) === null) return { kind: 'equal' };
  return isSame(look.before, look.after) ? { kind: 'differs', mismatch } : { kind: 'moving' };
}

export function openSuspect(look: Look, nowMs: number, delaysMs: readonly number[]): Suspect {
  const mismatch = mismatchOf(look.after, look.target) ?? 'value';
  return {
    kind: mismatch,
    source: look.after,
    target: look.target,
    openSinceMs: nowMs,
    round: 0,
    dueMs: nowMs + (delaysMs[0] ?? 0),
    looks: 1,
    resets: 0,
  };
}

export type RecheckStep =
  /** It cleared by itself. */
  | { readonly kind: 'transient'; readonly openMs: number }
  | { readonly kind: 'again'; readonly suspect: Suspect }
  | { readonly kind: 'persistent'; readonly suspect: Suspect; readonly openMs: number }
  /** It kept changing for as long as was looked. */
  | { readonly kind: 'indeterminate'; readonly suspect: Suspect; readonly openMs: number };

/** How often a changing entry's clock may start anew before it is given up as indeterminate. */
export const resetsMax = 5;

export function recheck(
  suspect: Suspect,
  look: Look,
  nowMs: number,
  delaysMs: readonly number[],
): RecheckStep {
  const openMs = nowMs - suspect.openSinceMs;
  const result = judgeLook(look);
  if (result.kind === 'equal') return { kind: 'transient', openMs };
  const looks = suspect.looks + 1;
  const changed =
    result.kind === 'moving' || !isSame(suspect.source, look.after) || !isSame(suspect.target, look.target);
  const seen = {
    ...suspect,
    kind: mismatchOf(look.after, look.target) ?? suspect.kind,
    source: look.after,
    target: look.target,
    looks,
  };
  if (changed) {
    const resets = suspect.resets + 1;
    if (resets > resetsMax) return { kind: 'indeterminate', suspect: { ...seen, resets }, openMs };
    return { kind: 'again', suspect: { ...seen, round: 0, dueMs: nowMs + (delaysMs[0] ?? 0), resets } };
  }
  const round = suspect.round + 1;
  if (round >= delaysMs.length) return { kind: 'persistent', suspect: seen, openMs };
  // Delays count from the first look, so the next is due by the difference of the two.
  const waitMs = Math.max(0, (delaysMs[round] ?? 0) - (delaysMs[suspect.round] ?? 0));
  return { kind: 'again', suspect: { ...seen, round, dueMs: nowMs + waitMs } };
}
