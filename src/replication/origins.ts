import type { OriginId } from '../crdt/dot.ts';
import { contiguousHead, headOf, noSeqs, type SeqRanges } from '../crdt/seq-ranges.ts';
import { hashSeen, hashText } from './hash.ts';
import type { ReplicatedLog } from './log.ts';
import { bucketCount } from './messages.ts';

/**
 * What is known of every origin beside its log: heads heard of, and proofs of freshness. There may be thousands of
 * origins, and simulations hold thousands of such tables, so it is columns and not objects; an origin is a row number.
 * It keeps the digest of all that was seen up to date as it changes: 64 buckets by a hash of the origin, each the
 * exclusive or of its origins' hashes.
 */
export class OriginTable {
  readonly #log: ReplicatedLog;
  readonly #rows = new Map<OriginId, number>();
  readonly #origins: OriginId[] = [];
  /** Highest seq that anybody is known to have. */
  heads = new Float64Array(16);
  /** The freshest news of an origin's head, to be passed on: head, stamp, and when (own clock) it was true. */
  newsHead = new Float64Array(16);
  newsAtMs = new Float64Array(16).fill(Number.NEGATIVE_INFINITY);
  newsStampS = new Uint32Array(16);
  /** All that the origin had written by then (own clock) is here. */
  provenAtMs = new Float64Array(16).fill(Number.NEGATIVE_INFINITY);
  /** All that the origin wrote with stamps up to this second is here. */
  provenStampS = new Uint32Array(16);
  /** Up to this second of stamps the origin's gateway has seen everything of everybody. */
  seenStampS = new Uint32Array(16);
  #contributions = new Int32Array(16);
  readonly #buckets = new Int32Array(bucketCount);
  #digest = 0;
  /** Called with what a row's part of the digest changed by (exclusive or). */
  onChange: ((row: number, change: number) => void) | undefined;

  constructor(log: ReplicatedLog) {
    this.#log = log;
    for (const { origin } of log.origins()) this.refresh(this.row(origin));
  }

  get size(): number {
    return this.#origins.length;
  }

  /** Of all that was seen; unsigned. */
  get digest(): number {
    return this.#digest >>> 0;
  }

  find(origin: OriginId): number | undefined {
    return this.#rows.get(origin);
  }

  originAt(row: number): OriginId {
    return this.#origins[row] as OriginId;
  }

  bucketAt(row: number): number {
    return bucketOf(hashText(this.originAt(row)));
  }

  row(origin: OriginId): number {
    let row = this.#rows.get(origin);
    if (row === undefined) {
      row = this.#origins.length;
      this.#rows.set(origin, row);
      this.#origins.push(origin);
      if (row >= this.heads.length) this.#grow(row + (row >> 1) + 1);
    }
    return row;
  }

  seen(row: number): SeqRanges {
    return this.#log.originLog(this.originAt(row))?.seen ?? noSeqs;
  }

  /** After what was seen of an origin changed: brings digest and head up to date; answers up to where it is whole. */
  refresh(row: number): number {
    const origin = this.originAt(row);
    const seen = this.seen(row);
    const originHash = hashText(origin);
    const contribution = hashSeen(originHash, seen);
    const change = contribution ^ (this.#contributions[row] as number);
    if (change !== 0) {
      this.#contributions[row] = contribution;
      const bucket = bucketOf(originHash);
      this.#buckets[bucket] = (this.#buckets[bucket] as number) ^ change;
      this.#digest ^= change;
      this.onChange?.(row, change);
    }
    this.learnHead(row, headOf(seen));
    return contiguousHead(seen);
  }

  /** What a row adds to digests. */
  contribution(row: number): number {
    return this.#contributions[row] as number;
  }

  learnHead(row: number, head: number): void {
    if (head > (this.heads[row] as number)) this.heads[row] = head;
  }

  packDigests(): Uint8Array {
    const packed = new Uint8Array(bucketCount * 4);
    const view = new DataView(packed.buffer);
    for (let i = 0; i < bucketCount; i++) view.setInt32(i * 4, this.#buckets[i] as number);
    return packed;
  }

  /** Numbers of the buckets that differ from somebody else's. */
  differing(packed: Uint8Array): readonly number[] {
    if (packed.length !== bucketCount * 4) return Array.from({ length: bucketCount }, (_, i) => i);
    const view = new DataView(packed.buffer, packed.byteOffset, packed.byteLength);
    const different: number[] = [];
    for (let i = 0; i < bucketCount; i++) if (view.getInt32(i * 4) !== this.#buckets[i]) different.push(i);
    return different;
  }

  #grow(size: number): void {
    this.heads = grown(this.heads, new Float64Array(size));
    this.newsHead = grown(this.newsHead, new Float64Array(size));
    this.newsAtMs = grown(this.newsAtMs, new Float64Array(size).fill(Number.NEGATIVE_INFINITY));
    this.newsStampS = grown(this.newsStampS, new Uint32Array(size));
    this.provenAtMs = grown(this.provenAtMs, new Float64Array(size).fill(Number.NEGATIVE_INFINITY));
    this.provenStampS = grown(this.provenStampS, new Uint32Array(size));
    this.seenStampS = grown(this.seenStampS, new Uint32Array(size));
    this.#contributions = grown(this.#contributions, new Int32Array(size));
  }
}

export function bucketOf(originHash: number): number {
  return originHash & (bucketCount - 1);
}

function grown<T extends Float64Array | Uint32Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
