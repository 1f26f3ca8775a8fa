import type { Endpoint } from '../wire/endpoint.ts';
import type { Member, MemberFacts, PersistedMember } from './member.ts';
import type { RefusalKind, SwimMessage } from './messages.ts';

export type Lane = 'packet' | 'stream';

/**
 * - `joined`: not known before, or it had left; `returned`: it had failed or was suspect (see `previous`);
 * - `updated`: its facts changed; `suspect`: it does not answer, but counts as alive;
 * - `failed`, `left`: gone; `forgotten`: no longer a member at all.
 */
export type MemberEvent = 'joined' | 'updated' | 'suspect' | 'failed' | 'left' | 'returned' | 'forgotten';

export interface JoinFailure {
  readonly endpoint: Endpoint;
  readonly reason: string;
}

/** What the machine wants done, in order. */
export type SwimEffect =
  | { readonly kind: 'send'; readonly to: Endpoint; readonly lane: Lane; readonly message: SwimMessage }
  | {
      readonly kind: 'event';
      readonly event: MemberEvent;
      readonly member: Member;
      readonly previous?: Member;
    }
  /** Two living members claim one name, or two processes one id (then `theirs` has the id of `ours`). */
  | {
      readonly kind: 'conflict';
      readonly name: string;
      readonly ours: MemberFacts;
      readonly theirs: MemberFacts;
    }
  /** To be on disk before what follows is sent. `put` replaces by id; `incarnation` is this member's own. */
  | {
      readonly kind: 'persist';
      readonly incarnation: number;
      readonly put: readonly PersistedMember[];
      readonly remove: readonly string[];
    }
  /** This gateway belonged to no cluster and now belongs to this one. To be persisted by who composes the machine. */
  | { readonly kind: 'cluster'; readonly id: string }
  | {
      readonly kind: 'join-result';
      readonly token: number;
      readonly joined: number;
      readonly failures: readonly JoinFailure[];
    }
  | { readonly kind: 'left'; readonly token: number }
  /**
   * Another gateway does not let this one in. `final`: it has stood down: it said goodbye and takes no more part,
   * because the pool knows another by its name or id.
   */
  | {
      readonly kind: 'refused';
      readonly from: Endpoint;
      readonly reason: RefusalKind;
      readonly text: string;
      readonly final: boolean;
    };

/** Counters since the start; `queue` and `health` are as of now. */
export interface SwimStats {
  readonly probes: number;
  readonly probeFailures: number;
  readonly indirectProbes: number;
  /** Probes that were answered over the stream only: packets do not get through. */
  readonly streamOnly: number;
  readonly suspicions: number;
  readonly failures: number;
  readonly refutations: number;
  readonly syncs: number;
  readonly refusalsSent: number;
  readonly refusalsReceived: number;
  readonly conflicts: number;
  /** Updates that were known already, or older than what is known. */
  readonly staleUpdates: number;
  readonly appliedUpdates: number;
  /** Updates of members that are not known here, without facts. */
  readonly unknownUpdates: number;
  /** Messages or updates that contradict themselves or are not for this member. */
  readonly malformed: number;
  /** Dropped because a table or queue was full. */
  readonly dropped: number;
  /** Times that this process found itself stopped for a while. */
  readonly pauses: number;
  readonly coordinateResets: number;
  readonly coordinatesRejected: number;
  readonly queue: number;
  /** Lifeguard's score: 0 is healthy. */
  readonly health: number;
}

export type Counters = {
  -readonly [
    K in Exclude<keyof SwimStats, 'queue' | 'health' | 'coordinateResets' | 'coordinatesRejected'>
  ]: number;
};

export function newCounters(): Counters {
  return {
    probes: 0,
    probeFailures: 0,
    indirectProbes: 0,
    streamOnly: 0,
    suspicions: 0,
    failures: 0,
    refutations: 0,
    syncs: 0,
    refusalsSent: 0,
    refusalsReceived: 0,
    conflicts: 0,
    staleUpdates: 0,
    appliedUpdates: 0,
    unknownUpdates: 0,
    malformed: 0,
    dropped: 0,
    pauses: 0,
  };
}
