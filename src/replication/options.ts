import type { ReplicatedLog } from './log.ts';
import type { Self } from './topology.ts';

export interface ReplicationTiming {
  /** How often two gateways compare what they have seen, each with somebody. */
  readonly syncEveryMs: number;
  /** How often a run of registers is compared with somebody. */
  readonly auditEveryMs: number;
}

export const defaultTiming: ReplicationTiming = { syncEveryMs: 30_000, auditEveryMs: 60_000 };

export interface ReplicationOptions {
  readonly log: ReplicatedLog;
  readonly self: Self;
  /** From 0 up to, not including, 1. */
  readonly random: () => number;
  readonly timing?: Partial<ReplicationTiming>;
  /** Monotonic clock now. */
  readonly nowMs: number;
  /** `safeStamp` of an earlier run on this database, 0 when unknown: then absence is made up for by whole state. */
  readonly safeStamp?: number;
  /** Clock reading above every stamp of earlier runs on this database; left out: no earlier run is looked for. */
  readonly startStamp?: number;
}
