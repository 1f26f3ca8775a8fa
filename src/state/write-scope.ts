import { assert } from '../kernel/assert.ts';
import { bytesEqual } from '../kernel/codec.ts';
import { indexFor, nextStamp, type GatewayIndex, type Stamp } from '../kernel/stamp.ts';
import { compareVersions, type Version } from '../crdt/version.ts';
import { registersPerDotMax } from '../crdt/dot.ts';
import { isReplicated, type Kind } from './kinds.ts';
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
  /** The term under which this gateway may write the register. */
  termOf(kind: Kind, key: string): number;
}

/**
 * One command's writes: they share one stamp and one index (as all operations of a Consul transaction share one
 * Raft index) and go into the log as one dot per 128 registers. A write that changes nothing leaves no trace.
 */
export class WriteScope {
  readonly #context: WriterContext;
  readonly #touched = new Set<string>();
  /** Replicated writes. */
  #written = 0;
  #localWritten = 0;
  readonly stamp: Stamp;
  readonly index: GatewayIndex;
  readonly nowMs: number;

  constructor(context: WriterContext) {
    this.#context = context;
    this.stamp = nextStamp(context.highest, context.nowUs);
    this.index = indexFor(this.stamp, context.highest, context.nowUs);
    this.nowMs = Math.floor(context.nowUs / 1000);
  }

  get view(): ReadView {
    return this.#context.store;
  }

  get changed(): boolean {
    return this.#written + this.#localWritten > 0;
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
    if (held?.value && held.ix === ix && bytesEqual(held.value, value)) return held;
    return this.#write(kind, key, held, value, ix, held);
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

  /** Runs a part that is undone when it answers `keep: false`. */
  attempt<T>(work: () => { readonly keep: boolean; readonly value: T }): T {
    const touched = new Set(this.#touched);
    const written = this.#written;
    const localWritten = this.#localWritten;
    return this.#context.store.attempt(() => {
      const outcome = work();
      if (!outcome.keep) {
        this.#touched.clear();
        for (const name of touched) this.#touched.add(name);
        this.#written = written;
        this.#localWritten = localWritten;
      }
      return outcome;
    });
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
      term: replicated ? this.#context.termOf(kind, key) : 0,
      timeline: 0,
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
  ): Row {
    const replicated = isReplicated(kind);
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
      origin: replicated ? this.#context.origin : 0,
      seq: replicated ? this.#context.headSeq + 1 + Math.floor(this.#written / registersPerDotMax) : 0,
      ix,
      createIndex: sameLife ? earlier.createIndex : this.index,
      modifyIndex: this.index,
    };
    if (replicated) this.#written += 1;
    else this.#localWritten += 1;
    this.#context.store.put(row);
    touchedTopics(held, row, this.#touched);
    return row;
  }
}
