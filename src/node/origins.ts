import type { OriginId } from '../crdt/dot.ts';
import { addRange, headOf, noSeqs, upTo, type SeqRange, type SeqRanges } from '../crdt/seq-ranges.ts';
import { assert, must } from '../kernel/assert.ts';
import type { Store } from '../state/store.ts';
import type { OriginLog } from '../replication/log.ts';

/** What this replica knows of one log. Mutable: there may be thousands, and each dot changes one. */
export interface Origin {
  readonly ref: number;
  readonly id: OriginId;
  readonly nodeId: string;
  seen: SeqRanges;
  /** Known, but not in the database yet. */
  fresh: boolean;
  dirty: boolean;
}

/**
 * Who writes logs, and what was seen of each. What changes is written to the store once per transaction (`flush`), in
 * the same transaction as the rows that it speaks of. The log that this gateway writes is all seen by nature: its head
 * is that of the rows, and is written down only when rows that carry it may go.
 */
export class Origins {
  readonly #store: Store;
  readonly #nodeId: string;
  readonly #byId = new Map<OriginId, Origin>();
  readonly #byRef = new Map<number, Origin>();
  readonly #changed = new Set<Origin>();
  #own: Origin;
  #headSeq: number;
  #refMax = 0;

  constructor(store: Store, own: OriginId, nodeId: string) {
    this.#store = store;
    this.#nodeId = nodeId;
    for (const row of store.origins()) {
      this.#add({ ...row, nodeId: row.id === own ? nodeId : row.nodeId, fresh: false, dirty: false });
    }
    this.#own = this.#byId.get(own) ?? this.#mint(own, nodeId);
    this.#headSeq = Math.max(store.headSeq(this.#own.ref), headOf(this.#own.seen));
  }

  get own(): Origin {
    return this.#own;
  }

  get headSeq(): number {
    return this.#headSeq;
  }

  /** What this gateway logged itself, just now. */
  advance(dots: number): void {
    this.#headSeq += dots;
  }

  get(id: OriginId): Origin | undefined {
    return this.#byId.get(id);
  }

  byRef(ref: number): Origin {
    return must(this.#byRef.get(ref), `no origin has ref ${ref}`);
  }

  /** The origin of a row; undefined for what is local. */
  ofRow({ origin }: { readonly origin: number }): Origin | undefined {
    return this.#byRef.get(origin);
  }

  /** Whether a ref is of an origin that this gateway writes or wrote. */
  isOwn(ref: number): boolean {
    return ref === this.#own.ref || this.#byRef.get(ref)?.nodeId === this.#nodeId;
  }

  seenOf(origin: Origin): SeqRanges {
    if (origin !== this.#own) return origin.seen;
    return this.#headSeq === 0 ? noSeqs : [{ from: 1, to: this.#headSeq }];
  }

  log(id: OriginId): OriginLog | undefined {
    const origin = this.#byId.get(id);
    return origin && { origin: id, nodeId: origin.nodeId, seen: this.seenOf(origin) };
  }

  *logs(): Iterable<OriginLog> {
    for (const origin of this.#byId.values()) {
      yield { origin: origin.id, nodeId: origin.nodeId, seen: this.seenOf(origin) };
    }
  }

  all(): readonly Origin[] {
    return [...this.#byId.values()];
  }

  /** Those of one gateway, its earlier ones included. */
  ofNode(nodeId: string): readonly Origin[] {
    return [...this.#byId.values()].filter((origin) => origin.nodeId === nodeId);
  }

  introduce(id: OriginId, nodeId: string): Origin {
    return this.#byId.get(id) ?? this.#mint(id, nodeId);
  }

  markSeen(origin: Origin, range: SeqRange): void {
    origin.seen = addRange(origin.seen, range);
    this.#change(origin);
  }

  /** A row is about to go: its origin's head must not go with it. */
  rowGoes(ref: number): void {
    if (ref === this.#own.ref) this.#change(this.#own);
  }

  /** Before rows are written that name it. */
  persist(origin: Origin): void {
    if (origin.fresh) this.#write(origin);
  }

  /** Goes on under another origin. The present one counts as seen up to `sinceSeq` only. */
  remint(id: OriginId, sinceSeq: number): Origin {
    const before = this.#own;
    assert(!this.#byId.has(id), 'a new origin must be new');
    before.seen = upTo(this.seenOf(before), sinceSeq);
    this.#own = this.#mint(id, this.#nodeId);
    this.#headSeq = 0;
    this.#change(before);
    this.persist(this.#own);
    this.#store.setMeta('origin', id);
    return before;
  }

  /** Writes down what changed. Inside the transaction of the rows. */
  flush(): void {
    if (this.#changed.size === 0) return;
    for (const origin of this.#changed) this.#write(origin);
    this.#changed.clear();
  }

  #write(origin: Origin): void {
    // Refs are given in order, and ref 1 to the first own origin: it must not be given again after a restart.
    if (origin !== this.#own && this.#own.fresh) this.#write(this.#own);
    this.#store.putOrigin({
      ref: origin.ref,
      id: origin.id,
      nodeId: origin.nodeId,
      seen: this.seenOf(origin),
    });
    origin.fresh = false;
    origin.dirty = false;
  }

  #change(origin: Origin): void {
    if (origin.dirty) return;
    origin.dirty = true;
    this.#changed.add(origin);
  }

  #mint(id: OriginId, nodeId: string): Origin {
    const origin = { ref: this.#refMax + 1, id, nodeId, seen: noSeqs, fresh: true, dirty: false };
    this.#add(origin);
    return origin;
  }

  #add(origin: Origin): void {
    this.#byId.set(origin.id, origin);
    this.#byRef.set(origin.ref, origin);
    this.#refMax = Math.max(this.#refMax, origin.ref);
  }
}
