import type { SwimProfile } from './profile.ts';

/**
 * A suspicion waits long while one member alone says it, and less with every other that confirms it independently:
 * who is slow itself suspects others wrongly, but rarely are several slow (Lifeguard, Dadgar et al., 2017, §IV-B).
 */
export interface Suspicion {
  readonly incarnation: number;
  readonly sinceMs: number;
  readonly minMs: number;
  readonly maxMs: number;
  /** How many confirmations bring the wait down to the minimum; 0: the pool is too small for any. */
  readonly confirmationsWanted: number;
  /** Who says so; the first is who raised it. */
  readonly accusers: string[];
}

export function raiseSuspicion(
  profile: SwimProfile,
  members: number,
  incarnation: number,
  accuser: string,
  nowMs: number,
): Suspicion {
  const wanted = profile.suspicionMult - 2;
  const minMs =
    profile.suspicionMult * Math.max(1, Math.log10(Math.max(1, members))) * profile.probeIntervalMs;
  return {
    incarnation,
    sinceMs: nowMs,
    minMs,
    maxMs: minMs * profile.suspicionMaxMult,
    confirmationsWanted: members - 2 < wanted ? 0 : wanted,
    accusers: [accuser],
  };
}

/** Whether that was news, which is spread on. */
export function confirmSuspicion(suspicion: Suspicion, accuser: string): boolean {
  const { accusers, confirmationsWanted } = suspicion;
  if (accusers.includes(accuser) || accusers.length > confirmationsWanted) return false;
  accusers.push(accuser);
  return true;
}

export function suspicionEndsMs({ sinceMs, minMs, maxMs, confirmationsWanted, accusers }: Suspicion): number {
  if (confirmationsWanted < 1) return sinceMs + minMs;
  const share = Math.log(accusers.length) / Math.log(confirmationsWanted + 1);
  return sinceMs + Math.max(minMs, maxMs - share * (maxMs - minMs));
}
