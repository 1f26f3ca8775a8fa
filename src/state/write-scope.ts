import { assert } from '../kernel/assert.ts';
import { bytesEqual } from '../kernel/codec.ts';
import { indexFor, nextStamp, type GatewayIndex, type Stamp } from '../kernel/stamp.ts';
import { compareVersions, type Version } from '../crdt/version.ts';
import { registersPerDotMax, type ReplicatedRecord } from '../crdt/dot.ts';
import { isCatalog, isReplicated, ownNodeTerm, type Kind } from './kinds.ts';
import type { ReadView, Row, Store } from './store.ts';
import { touchedTopics } from './topics.ts';

/** What a scope needs to know of the gateway that writes. */
export interface WriterContext {
  readonly store: Store;
  /** Local number of the gateway's own origin. */
  readonly origin: number;
  /** Highest seq of that origin so far. */
  readonly headSeq: number;
  /** Highest index shown and highest stamp seen so far, whichever is greater. */
  readonly highest: number;
  readonly nowUs: number;
  /** What the clock has said already, if that is more than `highest`: stamps are above it, indexes need not be. */
  readonly clock?: number;
  /** What is written was decided by others: its greatest stamp. */
  readonly mergedStamp?: number;
  readonly rights: WriteRights;
}

/** The log entry that a row came in. */
export interface DotRef {
  /** Local number of its origin. */
  readonly origin: number;
  readonly seq: number;
  /** How many other registers it had. */
  readonly beside: number;
}

/** What a gateway may write, and as what. */
export interface WriteRights {
  /** The term under which this gateway may write the register; `held` is what is there. */
  termOf(kind: Kind, key: string, held: Row | undefined): number;
  /** The timeline of such a write: above 0 where a name went to and fro (`ownTimeline`). Left out: 0. */
  timelineOf?(kind: Kind, key: string, held: Row | undefined): number;
  /** Whether this gateway may write the register at all. Left out: everything, there is nobody else. */
  mayWrite?(kind: Kind, key: string): boolean;
  /**
   * The term that a source Consul's word on a register has: that of the zone that was lent to it, 0 where no migration
   * concerns it. Undefined: its word does not count there. Left out: there are no migrations.
   */
  sourceTermOf?(kind: Kind, key: string): number | undefined;
  /** Node id of the gateway that logged a row, and of this one. Left out: every row is this gateway's. */
  writerOf?(row: Row): string | undefined;
  readonly nodeId?: string;
}

/**
 * One command's writes: they share one stamp and one index (as all operations of a Consul transaction share one
 * Raft index) and go into the log as one dot per 128 registers. A write that changes nothing leaves no trace.
 */
export class WriteScope {
  readonly #context: WriterContext;
  readonly #touched = new Set<string>();
  /** Replicated writes of this gateway. */
  #written = 0;
  /** These, one by one. */
  readonly #own: Pick<Row, 'kind' | 'key' | 'seq'>[] = [];
  /** Local ones, and those that others decided. */
  #otherWritten = 0;
  readonly stamp: Stamp;
  readonly index: GatewayIndex;
  readonly nowMs: number;

  constructor(context: WriterContext) {
    this.#context = context;
    const { highest, clock = highest, nowUs, mergedStamp } = context;
    this.stamp = (mergedStamp ?? nextStamp(Math.max(highest, clock), nowUs)) as Stamp;
    this.index = indexFor(this.stamp, context.highest, context.nowUs);
    this.nowMs = Math.floor(context.nowUs / 1000);
  }

  get view(): ReadView {
    return this.#context.store;
  }

  get changed(): boolean {
    return this.#written + this.#otherWritten > 0;
  }

  /** Seq of the dot that the next replicated write goes into. */
  get nextSeq(): number {
    return this.#context.headSeq + 1 + Math.floor(this.#written / registersPerDotMax);
  }

  /** See `WriteRights`. */
  mayWrite(kind: Kind, key: string): boolean {
    return this.#context.rights.mayWrite?.(kind, key) ?? true;
  }

  /** See `WriteRights`. */
  sourceTermOf(kind: Kind, key: string): number | undefined {
    const { rights } = this.#context;
    return rights.sourceTermOf === undefined ? 0 : rights.sourceTermOf(kind, key);
  }

  /** Node id of the gateway that logged a row. */
  writerOf(row: Row): string | undefined {
    return this.#context.rights.writerOf?.(row);
  }

  /** Whether this gateway wrote it, also under an earlier origin of its own. */
  isOwn(row: Row): boolean {
    return this.writerOf(row) === this.#context.rights.nodeId;
  }

  get touched(): ReadonlySet<string> {
    return this.#touched;
  }

  /** Number of log entries that the replicated writes so far need. */
  get dots(): number {
    return Math.ceil(this.#written / registersPerDotMax);
  }

  /** Writes a whole value; answers the row as it now stands. No-op when value and secondary key are the held ones. */
  put(kind: Kind, key: string, value: Uint8Array, ix: string | null = null): Row {
    return this.replace(kind, key, this.view.get(kind, key), value, ix);
  }

  /** As `put`, for a caller that has just read the row: `held` is what `view.get` answers. */
  replace(kind: Kind, key: string, held: Row | undefined, value: Uint8Array, ix: string | null): Row {
    if (held?.value && held.ix === ix && bytesEqual(held.value, value) && !this.#raises(kind, key, held)) {
      return held;
    }
    return this.#write(kind, key, held, value, ix, held);
  }

  /**
   * Writes what is there (or a tombstone) once more under this gateway's own term: what others may hold of the register
   * from a term that is over must give way to it.
   */
  restate(kind: Kind, key: string): Row {
    const held = this.view.get(kind, key);
    return this.#write(kind, key, held, held?.value ?? null, held?.ix ?? null, held);
  }

  /** Writes a register whose version is not this gateway's term: a zone's, which carries its own. */
  putAt(kind: Kind, key: string, value: Uint8Array, term: number): Row {
    const held = this.view.get(kind, key);
    const version = { term, timeline: 0, stamp: this.stamp };
    return this.#store(kind, key, held, value, null, version, { born: this.stamp, of: undefined });
  }

  /** Takes over a record of another gateway as it is, dot and all. The caller has decided that it wins. */
  merged(record: ReplicatedRecord, dot: DotRef, held: Row | undefined): Row {
    const { kind, key, value, ix, born } = record;
    return this.#store(kind as Kind, key, held, value, ix, record, { born, of: held }, dot);
  }

  /**
   * What another replica proved deleted, though its tombstone is gone already: a tombstone that only this gateway has,
   * so that its watchers wake and its indexes do not fall.
   */
  dropped(held: Row): void {
    const { kind, key, ix, born } = held;
    const dot = { origin: 0, seq: 0, beside: 0 };
    this.#store(kind, key, held, null, ix, held, { born, of: held }, dot);
  }

  /** Writes a value that goes on with the life of a register under another key, whose CreateIndex it keeps. */
  succeed(predecessor: Row, key: string, value: Uint8Array, ix: string | null): Row {
    const { kind } = predecessor;
    return this.#write(kind, key, this.view.get(kind, key), value, ix, predecessor);
  }

  /** Leaves a tombstone (or removes a local row); answers whether there was something to delete. */
  delete(kind: Kind, key: string): boolean {
    const held = this.view.get(kind, key);
    if (held === undefined || held.value === null) return false;
    this.#write(kind, key, held, null, held.ix, held);
    return true;
  }

  /** Drops a row for good, without a trace: only for what nobody will ask about again. */
  forget(kind: Kind, key: string): void {
    this.#context.store.remove(kind, key);
  }

  /**
   * Takes over a value that another writer decided, at that writer's version (a mirrored Consul's, say), unless
   * what is held is as new. The caller has compared: `version` must be above the held one.
   */
  adopt(
    kind: Kind,
    key: string,
    version: Version,
    value: Uint8Array | null,
    ix: string | null,
    born: number,
  ): Row {
    const held = this.view.get(kind, key);
    assert(
      held === undefined || compareVersions(version, held) > 0,
      'adopt needs a version above the held one',
    );
    return this.#store(kind, key, held, value, value === null ? (held?.ix ?? ix) : ix, version, {
      born,
      of: held,
    });
  }

  /**
   * When all is written: each row is told how many others its log entry has, so that whoever is given what is left of
   * the entry later knows that it is not all.
   */
  seal(): void {
    if (this.#own.length < 2) return;
    const { store, origin } = this.#context;
    const bySeq = new Map<number, Map<string, Row>>();
    for (const { kind, key, seq } of this.#own) {
      const row = store.get(kind, key);
      // Written again in this scope, it may be in a later entry.
      if (row === undefined || row.origin !== origin || row.seq !== seq) continue;
      bySeq.set(seq, (bySeq.get(seq) ?? new Map<string, Row>()).set(`${kind} ${key}`, row));
    }
    for (const rows of bySeq.values()) {
      const beside = rows.size - 1;
      if (beside > 0) for (const row of rows.values()) store.put({ ...row, beside });
    }
  }

  /** Runs a part that is undone when it answers `keep: false`. */
  attempt<T>(work: () => { readonly keep: boolean; readonly value: T }): T {
    const touched = new Set(this.#touched);
    const written = this.#written;
    const otherWritten = this.#otherWritten;
    return this.#context.store.attempt(() => {
      const outcome = work();
      if (!outcome.keep) {
        this.#touched.clear();
        for (const name of touched) this.#touched.add(name);
        this.#written = written;
        this.#own.length = written;
        this.#otherWritten = otherWritten;
      }
      return outcome;
    });
  }

  /** A gateway's own node is above every zone's terms, whoever registered a node of that name before. */
  #raises(kind: Kind, key: string, held: Row): boolean {
    const { rights } = this.#context;
    if (!isCatalog(kind) || rights.termOf(kind, key, held) !== ownNodeTerm) return false;
    return held.term < ownNodeTerm || held.timeline < this.#timelineOf(kind, key, held);
  }

  #timelineOf(kind: Kind, key: string, held: Row | undefined): number {
    return this.#context.rights.timelineOf?.(kind, key, held) ?? 0;
  }

  /** `life` is the row whose life this one goes on with: the held one, but for a change of keys. */
  #write(
    kind: Kind,
    key: string,
    held: Row | undefined,
    value: Uint8Array | null,
    ix: string | null,
    life: Row | undefined,
  ): Row {
    const replicated = isReplicated(kind);
    const version = {
      term: replicated ? this.#context.rights.termOf(kind, key, held) : 0,
      timeline: replicated ? this.#timelineOf(kind, key, held) : 0,
      stamp: this.stamp,
    };
    const reborn = life === undefined || life.value === null;
    return this.#store(kind, key, held, value, ix, version, {
      born: reborn ? this.stamp : life.born,
      of: life,
    });
  }

  #store(
    kind: Kind,
    key: string,
    held: Row | undefined,
    value: Uint8Array | null,
    ix: string | null,
    version: Version,
    life: { readonly born: number; readonly of: Row | undefined },
    dot?: DotRef,
  ): Row {
    const replicated = dot === undefined && isReplicated(kind);
    const { born, of: earlier } = life;
    const sameLife = earlier !== undefined && earlier.value !== null && earlier.born === born;
    const row: Row = {
      kind,
      key,
      value,
      term: version.term,
      timeline: version.timeline,
      stamp: version.stamp,
      born,
      origin: replicated ? this.#context.origin : (dot?.origin ?? 0),
      seq: replicated ? this.nextSeq : (dot?.seq ?? 0),
      beside: dot?.beside ?? 0,
      ix,
      createIndex: sameLife ? earlier.createIndex : this.index,
      modifyIndex: this.index,
    };
    if (replicated) {
      this.#written += 1;
      this.#own.push({ kind, key, seq: row.seq });
    } else {
      this.#otherWritten += 1;
    }
    this.#context.store.put(row);
    touchedTopics(held, row, this.#touched);
    return row;
  }
}
