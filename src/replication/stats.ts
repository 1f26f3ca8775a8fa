import type { OriginId } from '../crdt/dot.ts';

/** Counters for status and metrics; they only rise. */
export interface ReplicationStats {
  /** Dots that came in and were new. */
  applied: number;
  duplicates: number;
  deferred: number;
  /** Dots of origins whose writer nobody told: they are asked for again by their sender's retransmission. */
  unnamed: number;
  sentDots: number;
  retransmissions: number;
  /** Sendings that were given up, or never begun, because too much was unacknowledged: still needed over there. */
  abandoned: number;
  wantsSent: number;
  wantsAnswered: number;
  /** Dots that came by asking. */
  repaired: number;
  syncs: number;
  syncsFailed: number;
  syncDots: number;
  transfers: number;
  transferRows: number;
  audits: number;
  auditsUnequal: number;
  /** Registers that differ although both had seen all that could explain it. */
  divergences: number;
  divergencesRepaired: number;
  /** Entries of logs that came with other contents than what was seen under their numbers. */
  contradictions: number;
}

export function noStats(): ReplicationStats {
  return {
    applied: 0,
    duplicates: 0,
    deferred: 0,
    unnamed: 0,
    sentDots: 0,
    retransmissions: 0,
    abandoned: 0,
    wantsSent: 0,
    wantsAnswered: 0,
    repaired: 0,
    syncs: 0,
    syncsFailed: 0,
    syncDots: 0,
    transfers: 0,
    transferRows: 0,
    audits: 0,
    auditsUnequal: 0,
    divergences: 0,
    divergencesRepaired: 0,
    contradictions: 0,
  };
}

/** What is missing of one origin. */
export interface Gap {
  readonly origin: OriginId;
  readonly head: number;
  readonly missing: number;
  readonly forMs: number;
}

export interface ReplicationNeeds {
  readonly gaps: readonly Gap[];
  readonly deferredDots: number;
  readonly unacked: { readonly messages: number; readonly bytes: number };
  readonly queues: Readonly<
    Record<
      'write' | 'repair' | 'resync',
      { readonly messages: number; readonly bytes: number; readonly dropped: number }
    >
  >;
  readonly syncWith: string | undefined;
  readonly serving: number;
  readonly stats: Readonly<ReplicationStats>;
}
