import type { OriginId } from '../crdt/dot.ts';
import { missingRanges, noSeqs, unionRanges, type SeqRange, type SeqRanges } from '../crdt/seq-ranges.ts';
import type { Intake } from './intake.ts';
import type { OriginRanges } from './body.ts';
import { rangesMax } from './messages.ts';
import type { OriginTable } from './origins.ts';
import type { SyncVectorMessage } from './sync-messages.ts';

const seqsPerPull = 2048;
const itemsPerPull = 128;

/** What differs between what was seen here and what a peer says it has seen. */
export class Differences {
  readonly #origins: OriginTable;
  readonly #intake: Intake;

  constructor(origins: OriginTable, intake: Intake) {
    this.#origins = origins;
    this.#intake = intake;
  }

  /** What of some ranges is neither here nor waiting. */
  lacking({ origin, ranges }: OriginRanges): SeqRanges {
    const row = this.#origins.row(origin);
    return missingRanges(ranges, unionRanges(this.#origins.seen(row), this.#intake.deferredOf(origin)));
  }

  remaining(items: readonly OriginRanges[]): readonly OriginRanges[] {
    return items
      .map((item) => ({ origin: item.origin, ranges: this.lacking(item) }))
      .filter(({ ranges }) => ranges.length > 0);
  }

  /** The newest part of what is wanted of each origin, to be asked for at once, and what is left. */
  cut(queue: readonly OriginRanges[]): {
    readonly items: readonly OriginRanges[];
    readonly left: readonly OriginRanges[];
  } {
    // What came by another way meanwhile need not come again.
    const taken = this.remaining(queue.slice(0, itemsPerPull));
    const share = Math.max(16, Math.floor(seqsPerPull / Math.max(1, taken.length)));
    const items: OriginRanges[] = [];
    const left: OriginRanges[] = [];
    for (const { origin, ranges } of taken) {
      const [newest, older] = splitNewest(ranges, share);
      items.push({ origin, ranges: newest });
      if (older.length > 0) left.push({ origin, ranges: older });
    }
    return { items, left: [...left, ...queue.slice(itemsPerPull)] };
  }

  /** Whether something was seen here in the buckets that differ of an origin that the peer did not name. */
  hasMore(message: SyncVectorMessage): boolean {
    const told = new Set(message.seen.map(({ origin }) => origin));
    const buckets = new Set(message.buckets);
    for (let row = 0; row < this.#origins.size; row++) {
      if (!buckets.has(this.#origins.bucketAt(row)) || told.has(this.#origins.originAt(row))) continue;
      if (this.#origins.seen(row).length > 0) return true;
    }
    return false;
  }

  /** All that the peer had seen: what it told, and in buckets that are equal what was seen here. */
  contextOf(message: SyncVectorMessage): ReadonlyMap<OriginId, SeqRanges> {
    const buckets = new Set(message.buckets);
    const context = new Map<OriginId, SeqRanges>(message.seen.map(({ origin, seen }) => [origin, seen]));
    for (let row = 0; row < this.#origins.size; row++) {
      const seen = buckets.has(this.#origins.bucketAt(row)) ? noSeqs : this.#origins.seen(row);
      if (seen.length > 0) context.set(this.#origins.originAt(row), seen);
    }
    return context;
  }
}

function splitNewest(ranges: SeqRanges, count: number): readonly [SeqRange[], SeqRange[]] {
  const newest: SeqRange[] = [];
  const older: SeqRange[] = [];
  let room = count;
  for (let i = ranges.length - 1; i >= 0; i--) {
    const { from, to } = ranges[i] as SeqRange;
    const cut = newest.length >= rangesMax ? to + 1 : Math.max(from, to - room + 1);
    if (cut <= to && room > 0) {
      newest.push({ from: cut, to });
      room -= to - cut + 1;
      if (cut > from) older.push({ from, to: cut - 1 });
    } else older.push({ from, to });
  }
  return [newest.toReversed(), older.toReversed()];
}
