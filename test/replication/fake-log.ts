import type { Dot, OriginId, ReplicatedRecord } from '../../src/crdt/dot.ts';
import { merge } from '../../src/crdt/merge.ts';
import {
  addRange,
  hasSeq,
  headOf,
  noSeqs,
  unionRanges,
  type SeqRange,
  type SeqRanges,
} from '../../src/crdt/seq-ranges.ts';
import { must } from '../../src/kernel/assert.ts';
import type { Instant } from '../../src/kernel/instant.ts';
import { nextStamp } from '../../src/kernel/stamp.ts';
import { compareUtf8 } from '../../src/kernel/utf8-order.ts';
import type {
  Cursor,
  DottedRecord,
  MergeResult,
  OriginLog,
  Page,
  ReplicatedLog,
} from '../../src/replication/log.ts';

interface Entry {
  readonly origin: OriginId;
  readonly nodeId: string;
  seen: SeqRanges;
  /** Names of the rows that a dot still holds, by seq. */
  readonly rows: Map<number, Set<string>>;
}

/** A register of this kind raises the terms that are known: its value's first byte. */
export const zoneKind = 6;
export const plainKind = 1;

/** The log of a gateway in memory: the port's contract without what registers mean. */
export class FakeLog implements ReplicatedLog {
  origin: OriginId;
  readonly nodeId: string;
  collectedBelow = 0;
  knownTerm = 1;
  #rows = new Map<string, DottedRecord>();
  #origins = new Map<OriginId, Entry>();
  #clock = 0;
  /** All rows in order, until one is added or removed. */
  #sorted: DottedRecord[] | undefined;

  constructor(origin: OriginId, nodeId: string) {
    this.origin = origin;
    this.nodeId = nodeId;
    this.introduce(origin, nodeId);
  }

  *origins(): Iterable<OriginLog> {
    yield* this.#origins.values();
  }

  originLog(origin: OriginId): OriginLog | undefined {
    return this.#origins.get(origin);
  }

  introduce(origin: OriginId, nodeId: string): void {
    if (!this.#origins.has(origin)) {
      this.#origins.set(origin, { origin, nodeId, seen: noSeqs, rows: new Map() });
    }
  }

  get head(): number {
    return headOf(must(this.#origins.get(this.origin)).seen);
  }

  /** One dot of the own log. */
  write(
    writes: readonly { readonly key: string; readonly value: Uint8Array | null; readonly kind?: number }[],
    now: Instant,
    term = this.knownTerm,
  ): Dot {
    const stamp = this.stampNow(now);
    const seq = this.head + 1;
    const records = writes.map(({ key, value, kind = plainKind }): ReplicatedRecord => {
      const held = this.#rows.get(`${kind} ${key}`);
      return { kind, key, value, term, timeline: 0, stamp, born: held?.born ?? stamp, ix: null };
    });
    const dot = { origin: this.origin, seq, records };
    this.#apply(must(this.#origins.get(this.origin)), dot);
    return dot;
  }

  merge(dot: Dot): MergeResult {
    const entry = must(this.#origins.get(dot.origin), 'an origin that was not introduced');
    if (hasSeq(entry.seen, dot.seq)) return 'seen';
    if (dot.records.some(({ kind, term }) => kind !== zoneKind && term > this.knownTerm)) return 'deferred';
    this.#apply(entry, dot);
    return 'applied';
  }

  read(origin: OriginId, range: SeqRange, dotsMax: number, bytesMax: number): readonly Dot[] {
    const entry = this.#origins.get(origin);
    if (entry === undefined) return [];
    const dots: Dot[] = [];
    let bytes = 0;
    const to = Math.min(range.to, headOf(entry.seen));
    for (let seq = to; seq >= range.from && dots.length < dotsMax; seq--) {
      if (!hasSeq(entry.seen, seq)) continue;
      const records = [...(entry.rows.get(seq) ?? [])].map((name) => plain(must(this.#rows.get(name))));
      for (const { key, value } of records) bytes += key.length + (value?.length ?? 0);
      if (dots.length > 0 && bytes > bytesMax) break;
      dots.push({ origin, seq, records });
    }
    return dots;
  }

  page(from: Cursor, rowsMax: number, bytesMax: number): Page {
    const sorted = this.rows();
    const rows: DottedRecord[] = [];
    let bytes = 0;
    for (let i = firstFrom(sorted, from); i < sorted.length; i++) {
      const row = sorted[i] as DottedRecord;
      rows.push(row);
      bytes += row.key.length + (row.value?.length ?? 0);
      if (rows.length >= rowsMax || bytes >= bytesMax) {
        return {
          from,
          to: { kind: row.kind, key: `${row.key}\0` },
          rows,
          collectedBelow: this.collectedBelow,
        };
      }
    }
    return { from, to: undefined, rows, collectedBelow: this.collectedBelow };
  }

  join(page: Page, context: ReadonlyMap<OriginId, SeqRanges>): number {
    let changed = 0;
    const theirs = new Set<string>();
    for (const row of page.rows) {
      theirs.add(nameOf(row));
      const entry = must(this.#origins.get(row.origin), 'a row of an origin that was not introduced');
      const held = this.#rows.get(nameOf(row));
      const collected = held === undefined && row.stamp < this.collectedBelow && hasSeq(entry.seen, row.seq);
      if (!collected) changed += Number(this.#keep(entry, row.seq, row));
    }
    for (const row of this.rows()) {
      if (compare(row, page.from) < 0 || (page.to !== undefined && compare(row, page.to) >= 0)) continue;
      if (theirs.has(nameOf(row)) || row.stamp >= (page.collectedBelow ?? 0)) continue;
      if (!hasSeq(context.get(row.origin) ?? noSeqs, row.seq)) continue;
      this.#drop(row);
      changed += 1;
    }
    return changed;
  }

  adoptContext(context: ReadonlyMap<OriginId, SeqRanges>): void {
    for (const [origin, seen] of context) {
      const entry = must(this.#origins.get(origin), 'a context of an origin that was not introduced');
      entry.seen = unionRanges(entry.seen, seen);
    }
  }

  stampNow(now: Instant): number {
    this.#clock = nextStamp(this.#clock, now.wallUs);
    return this.#clock;
  }

  /** All registers in order, tombstones included. */
  rows(): readonly DottedRecord[] {
    this.#sorted ??= [...this.#rows.values()].toSorted(compare);
    return this.#sorted;
  }

  get(key: string, kind = plainKind): DottedRecord | undefined {
    return this.#rows.get(`${kind} ${key}`);
  }

  /** What all replicas must agree on. */
  state(): ReadonlyMap<string, string> {
    const live = this.rows().filter(({ value }) => value !== null);
    return new Map(
      live.map((row) => [nameOf(row), `${row.stamp} ${Buffer.from(row.value ?? []).toString('hex')}`]),
    );
  }

  collect(below: number): void {
    for (const row of this.rows()) if (row.value === null && row.stamp < below) this.#drop(row);
    this.collectedBelow = Math.max(this.collectedBelow, below);
  }

  /** Damage that nobody logged. */
  lose(key: string): void {
    this.#drop(must(this.#rows.get(`${plainKind} ${key}`)));
  }

  /** As after `restore` of a backup: a copy that goes on by itself. */
  copy(): FakeLog {
    const copy = new FakeLog(this.origin, this.nodeId);
    copy.#rows = new Map(this.#rows);
    copy.#origins = new Map(
      [...this.#origins].map(([origin, entry]) => [
        origin,
        { ...entry, rows: new Map([...entry.rows].map(([seq, names]) => [seq, new Set(names)])) },
      ]),
    );
    copy.#clock = this.#clock;
    copy.collectedBelow = this.collectedBelow;
    copy.knownTerm = this.knownTerm;
    return copy;
  }

  #apply(entry: Entry, dot: Dot): void {
    for (const record of dot.records) {
      this.#keep(entry, dot.seq, record);
      if (record.kind === zoneKind) this.knownTerm = Math.max(this.knownTerm, record.value?.[0] ?? 0);
    }
    entry.seen = addRange(entry.seen, { from: dot.seq, to: dot.seq });
  }

  #keep(entry: Entry, seq: number, record: ReplicatedRecord): boolean {
    this.#clock = Math.max(this.#clock, record.stamp);
    const held = this.#rows.get(nameOf(record));
    const outcome = merge(held, record);
    if (outcome.kind !== 'apply' && !(outcome.kind === 'conflict' && outcome.incomingWins)) return false;
    if (held !== undefined) this.#drop(held);
    this.#sorted = undefined;
    this.#rows.set(nameOf(record), { ...plain(record), origin: entry.origin, seq, beside: 0 });
    let names = entry.rows.get(seq);
    if (names === undefined) entry.rows.set(seq, (names = new Set()));
    names.add(nameOf(record));
    return true;
  }

  #drop(row: DottedRecord): void {
    this.#sorted = undefined;
    this.#rows.delete(nameOf(row));
    const { rows } = must(this.#origins.get(row.origin));
    const names = rows.get(row.seq);
    names?.delete(nameOf(row));
    if (names?.size === 0) rows.delete(row.seq);
  }
}

function nameOf({ kind, key }: { readonly kind: number; readonly key: string }): string {
  return `${kind} ${key}`;
}

/** Place of the first row that is not below. */
function firstFrom(rows: readonly Cursor[], from: Cursor): number {
  let low = 0;
  for (let high = rows.length; low < high;) {
    const middle = (low + high) >> 1;
    if (compare(rows[middle] as Cursor, from) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function compare(a: Cursor, b: Cursor): number {
  return a.kind - b.kind || compareUtf8(a.key, b.key);
}

function plain({ kind, key, value, term, timeline, stamp, born, ix }: ReplicatedRecord): ReplicatedRecord {
  return { kind, key, value, term, timeline, stamp, born, ix };
}
