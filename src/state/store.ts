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
  /** Local number of the origin that logged it (see `Store.originRef`), 0 for local kinds. */
  readonly origin: number;
  readonly seq: number;
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
  /** Highest modify index of a kind, 0 when it never had a row. Never falls, also when tombstones go. */
  tableIndex(kind: Kind): number;
  /** Highest seq that was ever stored of an origin, 0 when none. Never falls, also when rows go. */
  headSeq(origin: number): number;
}

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
  close(): void;
}
