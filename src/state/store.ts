import type { OriginId } from '../crdt/dot.ts';
import type { SeqRanges } from '../crdt/seq-ranges.ts';
import type { Version } from '../crdt/version.ts';
import type { Kind } from './kinds.ts';

/** A register as a replica holds it. Replicated fields first, then what belongs to this gateway. */
export interface Row extends Version {
  readonly kind: Kind;
  readonly key: string;
  /** `null`: a tombstone. */
  readonly value: Uint8Array | null;
  /** Stamp of the first write of this life of the register: tells a re-creation from an update. */
  readonly born: number;
  /** Local number of the origin that logged it (`OriginRow.ref`); 0 for local kinds, and for what only this gateway says. */
  readonly origin: number;
  readonly seq: number;
  /** How many other registers its log entry had when it was written: those that are no more were overwritten since. */
  readonly beside: number;
  /** Secondary key (a service's name, the session that locks a key); a tombstone keeps the last one. */
  readonly ix: string | null;
  readonly createIndex: number;
  readonly modifyIndex: number;
}

/** Synchronous reads of one consistent state. Keys are ordered as their UTF-8 bytes. */
export interface ReadView {
  get(kind: Kind, key: string): Row | undefined;
  /**
   * Rows with `from <= key < to`, tombstones included; `to` undefined means to the end of the kind. With a limit
   * only that many: all of a range may be held in memory at once.
   */
  range(kind: Kind, from: string, to: string | undefined, limit?: number): Iterable<Row>;
  /** As `range`, with `value` and other columns left out: for listings of keys with large values. */
  rangeKeys(kind: Kind, from: string, to: string | undefined): Iterable<KeyRow>;
  /** Rows whose secondary key is `ix`, tombstones included, ordered by key. */
  byIndex(kind: Kind, ix: string): Iterable<Row>;
  /** Up to `limit` tombstones whose modify index is below `belowIndex`, oldest first. */
  tombstones(belowIndex: number, limit: number): readonly { readonly kind: Kind; readonly key: string }[];
  /** Rows of a kind that have a secondary key, tombstones included, in no order: locked keys, say. */
  indexed(kind: Kind): Iterable<Row>;
  /** Highest modify index of a kind, 0 when it never had a row. Never falls, also when tombstones go. */
  tableIndex(kind: Kind): number;
  /** The highest table index of all kinds, also of those that this version does not know. */
  highestIndex(): number;
  /** Highest seq that was ever stored of an origin, 0 when none. Never falls, also when rows go. */
  headSeq(origin: number): number;
  /** Kinds of which there ever was a row, ascending. */
  kinds(): readonly Kind[];
  /** Everybody who ever wrote a log that this database heard of, by ref. */
  origins(): readonly OriginRow[];
  /**
   * Rows by the dots that wrote them, from the highest seq down; rows of one dot stand together. Nothing else may be
   * asked of the store while it is read; it may be left before its end.
   */
  byDots(origin: number, fromSeq: number, toSeq: number): Iterable<Row>;
  /** Records that were set aside (see `SetAside`), in the order of their ids, after this one (all: 0). */
  setAside(table: SetAsideTable, afterId: number, limit: number): readonly SetAside[];
  /** Those that came with these dots, from the highest seq down. */
  setAsideByDots(table: SetAsideTable, origin: OriginId, fromSeq: number, toSeq: number): readonly SetAside[];
  /** How many are there now, and how many were ever put there. */
  setAsideCount(table: SetAsideTable): { readonly now: number; readonly ever: number };
}

/** Who writes, or wrote, a log. Refs are this database's own: its first own origin is 1. */
export interface OriginRow {
  readonly ref: number;
  readonly id: OriginId;
  /** Node id of the gateway. */
  readonly nodeId: string;
  /** As last persisted: see `Replica.flush`. */
  readonly seen: SeqRanges;
}

/**
 * - `quarantine`: what broke a rule. Bounded: the oldest go first, and are counted.
 * - `conflicts`: what an owner wrote under a term that was over. Never dropped but by an order.
 */
export type SetAsideTable = 'quarantine' | 'conflicts';

/** A record that came from another gateway and was not applied: everything of it, so that it can be applied later. */
export interface SetAside extends Version {
  /** Ascending in the order in which they were set aside. */
  readonly id: number;
  /** Why, in a word: a `QuarantineReason` or a `ConflictReason`. */
  readonly why: string;
  /** When, by this gateway's clock: microseconds since the epoch. */
  readonly atUs: number;
  /** Prefix of the zone of a conflict and its term at the time; of what was quarantined '' and 0. */
  readonly zone: string;
  readonly zoneTerm: number;
  readonly origin: OriginId;
  readonly seq: number;
  readonly kind: Kind;
  readonly key: string;
  readonly born: number;
  readonly ix: string | null;
  readonly value: Uint8Array | null;
  /** Written again by an order since (conflicts). */
  readonly replayed: boolean;
}

/** What a quarantine holds at most; the oldest go first. Guess. */
export const quarantineRowsMax = 1000;
export const quarantineBytesMax = 32 * 1024 * 1024;

export interface KeyRow {
  readonly key: string;
  readonly live: boolean;
  readonly modifyIndex: number;
}

/**
 * Where registers live. One writer, everything synchronous. Writes happen inside `transact` only, and are
 * durable when it returns. A throw inside rolls everything back and is thrown on.
 */
export interface Store extends ReadView {
  transact<T>(work: () => T): T;
  /** A part of a transaction that can be undone alone: undone when `work` returns `keep: false` or throws. */
  attempt<T>(work: () => { readonly keep: boolean; readonly value: T }): T;
  put(row: Row): void;
  /** Removes a row for good: collected tombstones and local rows only. */
  remove(kind: Kind, key: string): void;
  getMeta(name: string): string | undefined;
  setMeta(name: string, value: string): void;
  /** Adds an origin or replaces what is known of it. */
  putOrigin(row: OriginRow): void;
  /** Sets a record aside; answers its id. */
  putSetAside(table: SetAsideTable, record: Omit<SetAside, 'id'>): number;
  /** Notes that a conflict was replayed. */
  markReplayed(id: number): void;
  removeSetAside(table: SetAsideTable, id: number): void;
  close(): void;
}
