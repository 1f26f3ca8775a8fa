import type { OriginId } from '../crdt/dot.ts';
import type { SeqRange } from '../crdt/seq-ranges.ts';
import type { Cursor, DottedRecord } from './log.ts';
import type { DotBody, OriginName, OriginRanges, OriginSeen } from './body.ts';

// What is said when two gateways compare: what they have seen, whole state, and runs of registers.

/** A gateway that has just started asks how far others know the log that it writes. */
export interface LogAskMessage {
  readonly kind: 'log-ask';
  readonly by: string;
  readonly origin: OriginId;
  /** How far it had it itself when it started, and its clock (stamps) then. */
  readonly head: number;
  readonly stamp: number;
}

/** To the writer of a log: how far it is known, or (unasked) that it contradicts what was seen of it. */
export interface LogTellMessage {
  readonly kind: 'log-tell';
  readonly by: string;
  readonly origin: OriginId;
  readonly head: number;
  /** Numbers up to `head` were used twice, for different entries. */
  readonly forked: boolean;
}

/** Opens an exchange: how all that the asker has seen digests, bucket by bucket (see `OriginTable`). */
export interface SyncOpenMessage {
  readonly kind: 'sync-open';
  readonly id: number;
  readonly by: string;
  readonly digests: Uint8Array;
}

/** Nothing differs. */
export interface SyncSameMessage {
  readonly kind: 'sync-same';
  readonly id: number;
}

/** Too many are served already, or too much was sent lately. */
export interface SyncBusyMessage {
  readonly kind: 'sync-busy';
  readonly id: number;
  readonly retryMs: number;
}

/** All that the sender has seen of the origins in those buckets whose digests differ. */
export interface SyncVectorMessage {
  readonly kind: 'sync-vector';
  readonly id: number;
  readonly by: string;
  readonly collectedBelow: number;
  /** Up to this second of stamps the sender has seen everything of everybody. */
  readonly seenStampS: number;
  /** Numbers of the buckets that differ. */
  readonly buckets: readonly number[];
  readonly seen: readonly OriginSeen[];
}

export interface SyncPullMessage {
  readonly kind: 'sync-pull';
  readonly id: number;
  readonly by: string;
  readonly items: readonly OriginRanges[];
}

export interface SyncGroup extends OriginName {
  readonly superseded: readonly SeqRange[];
  /** Newest first. */
  readonly dots: readonly DotBody[];
}

export interface SyncPageMessage {
  readonly kind: 'sync-page';
  readonly id: number;
  /** The answer covers all that was asked for: what is not in it, the sender does not have. */
  readonly whole: boolean;
  readonly groups: readonly SyncGroup[];
  /** As of `DotsMessage`. */
  readonly context: readonly OriginRanges[];
}

/** The asker has all it came for: somebody else can be served. */
export interface SyncDoneMessage {
  readonly kind: 'sync-done';
  readonly by: string;
}

/** "I have news that you lack": an invitation to open a sync with the sender. */
export interface SyncHintMessage {
  readonly kind: 'sync-hint';
  readonly by: string;
  readonly digest: number;
  /** Who brought the news into the region: the root of the tree along which hints go. */
  readonly root: string;
}

export interface StatePullMessage {
  readonly kind: 'state-pull';
  readonly id: number;
  readonly by: string;
  readonly from: Cursor;
}

/** A row of whole state; its origin is a place in the table of its message. */
export interface StateRow extends Omit<DottedRecord, 'origin'> {
  readonly at: number;
}

export interface StatePageMessage {
  readonly kind: 'state-page';
  readonly id: number;
  readonly from: Cursor;
  readonly to: Cursor | null;
  readonly collectedBelow: number;
  readonly origins: readonly OriginName[];
  readonly rows: readonly StateRow[];
  /** Of this run, what the sender set aside. */
  readonly aside: readonly StateRow[];
}

/** Compares a run of registers: its live rows, counted and digested. */
export interface AuditAskMessage {
  readonly kind: 'audit-ask';
  readonly id: number;
  readonly by: string;
  readonly from: Cursor;
  readonly to: Cursor | null;
  readonly rows: number;
  readonly digest: number;
  /** Origins of the asker's rows: the answer says what its sender has seen of them. */
  readonly origins: readonly OriginId[];
}

export interface AuditRow extends Cursor {
  readonly at: number;
  readonly seq: number;
  readonly term: number;
  readonly timeline: number;
  readonly stamp: number;
  /** Of the value and of everything else that replicas hold alike. */
  readonly hash: number;
  /** Not a tombstone. */
  readonly live: boolean;
}

/** The runs are not equal: what the sender's rows are, and what it had seen when it read them. */
export interface AuditRowsMessage {
  readonly kind: 'audit-rows';
  readonly id: number;
  readonly by: string;
  readonly origins: readonly OriginSeen[];
  readonly rows: readonly AuditRow[];
}

export interface AuditSameMessage {
  readonly kind: 'audit-same';
  readonly id: number;
}

/** "This run differs between us": the receiver compares it from its side. */
export interface AuditHintMessage {
  readonly kind: 'audit-hint';
  readonly by: string;
  readonly from: Cursor;
}
