import type { Dot, OriginId, ReplicatedRecord } from '../crdt/dot.ts';
import type { SeqRange, SeqRanges } from '../crdt/seq-ranges.ts';
import type { Instant } from '../kernel/instant.ts';

/** What a replica knows of one origin's log. */
export interface OriginLog {
  readonly origin: OriginId;
  /** Node id of the gateway that writes, or wrote, this log. */
  readonly nodeId: string;
  /** Applied here, or known to be superseded. */
  readonly seen: SeqRanges;
}

/**
 * What merging a dot did.
 * - `applied`: it is in the state now (or was quarantined, register by register, or lost against newer versions);
 * - `seen`: this dot was there already;
 * - `deferred`: it says a zone's term that is not known here yet, or its clock is a day ahead of this gateway's. It is
 *   *not* seen: ask again once zones change, or after a while.
 */
export type MergeResult = 'applied' | 'seen' | 'deferred';

/** A register with the dot that wrote it: what pages of whole state hold. */
export interface DottedRecord extends ReplicatedRecord {
  readonly origin: OriginId;
  readonly seq: number;
  /** How many other registers its dot had. */
  readonly beside: number;
}

/** A place in the order of (kind, key) in which whole state is walked. */
export interface Cursor {
  readonly kind: number;
  readonly key: string;
}

export const startCursor: Cursor = { kind: 0, key: '' };

/** A run of registers in the order of (kind, key), tombstones included. */
export interface Page {
  readonly from: Cursor;
  /** Exclusive end; undefined: to the end of all. */
  readonly to: Cursor | undefined;
  readonly rows: readonly DottedRecord[];
  /**
   * `collectedBelow` of the replica that read the page: what it lacks though it saw it was deleted only if it is older
   * than this; else it lost it, and nobody drops it for that. Left out: nothing is dropped.
   */
  readonly collectedBelow?: number;
  /**
   * What the reader set aside of registers of this run: its dots are seen, yet they are not in its state. Who joins the
   * page judges for itself. Left out (an audit of one run needs none): nothing.
   */
  readonly aside?: readonly DottedRecord[];
}

/**
 * What replication asks of the state of this gateway; `Replica` is it. Calls that change something are made inside a
 * transaction of the store.
 */
export interface ReplicatedLog {
  /** The origin that this gateway writes. */
  readonly origin: OriginId;
  readonly nodeId: string;
  /** Every origin ever heard of, this gateway's own included. */
  origins(): Iterable<OriginLog>;
  originLog(origin: OriginId): OriginLog | undefined;
  /** Other origins that may have overwritten what this one wrote: those of gateways that got its zones. */
  overwriters?(origin: OriginId): Iterable<OriginId>;
  /** Learns who writes an origin. Idempotent. */
  introduce(origin: OriginId, nodeId: string): void;
  /** Merges one dot of another origin, which must have been introduced. All of its records or, where deferred, none. */
  merge(dot: Dot, now: Instant): MergeResult;
  /** Whether the stamp of a record is a reading of a gateway's clock. */
  isTimed?(record: ReplicatedRecord): boolean;
  /** Whether others may wait for what this dot says: then what is left of it waits for nothing itself. */
  isAwaited?(dot: Pick<Dot, 'records'>): boolean;
  /** Whether `merge` would put a dot off now. */
  defers?(dot: Dot, now: Instant): boolean;
  /**
   * The dots of a range that this replica has seen, newest first; those without a surviving record come as
   * superseded. Stops after `dotsMax` dots or, once there is one, `bytesMax` bytes of keys and values. Records that were
   * set aside here come along: who gets them judges for itself.
   */
  read(origin: OriginId, range: SeqRange, dotsMax: number, bytesMax: number): readonly Dot[];
  /** Up to `rowsMax` registers from a place on (one at least, then up to `bytesMax` bytes). */
  page(from: Cursor, rowsMax: number, bytesMax: number): Page;
  /**
   * Joins a page of another replica's whole state (as a dotted version vector set does: Preguiça et al., 2012):
   * takes over its registers where they are newer, and drops those of ours that it lacks although `context` (what it
   * had seen when it read the page) covers their dots: they were deleted, and the tombstone was collected.
   * Answers how many registers changed here.
   */
  join(page: Page, context: ReadonlyMap<OriginId, SeqRanges>, now: Instant): number;
  /** After a whole walk of `join`: all that `context` covers is seen. */
  adoptContext(context: ReadonlyMap<OriginId, SeqRanges>): void;
  /** Tombstones with a stamp below this may be gone from here: who had not seen all up to it needs whole state. */
  readonly collectedBelow: number;
  /** Clock reading above every version seen so far: what a heartbeat says of this gateway's own log. */
  readonly stampNow: (now: Instant) => number;
}
