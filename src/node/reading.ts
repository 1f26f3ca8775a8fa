import type { Dot, OriginId, ReplicatedRecord } from '../crdt/dot.ts';
import type { SeqRange } from '../crdt/seq-ranges.ts';
import { compareUtf8 } from '../kernel/utf8-order.ts';
import { isReplicated } from '../state/kinds.ts';
import type { Cursor, DottedRecord, Page } from '../replication/log.ts';
import type { Row, SetAside } from '../state/store.ts';
import type { ReplicaCore } from './replica-core.ts';

/** What a row costs beside its key and value. Guess. */
const recordBytes = 64;

/** See `ReplicatedLog.read`. */
export function readDots(
  core: ReplicaCore,
  id: OriginId,
  range: SeqRange,
  dotsMax: number,
  bytesMax: number,
): readonly Dot[] {
  const origin = core.origins.get(id);
  if (origin === undefined) return [];
  const groups = survivors(core, origin.ref, range, dotsMax, bytesMax);
  const dots: Dot[] = [];
  // Where the rows had to stop, what is below is not known to be superseded.
  const floor = groups.complete ? range.from : (groups.list.at(-1)?.seq ?? range.from);
  let next = 0;
  for (const seen of core.origins.seenOf(origin).toReversed()) {
    for (let seq = Math.min(seen.to, range.to); seq >= Math.max(seen.from, floor); seq--) {
      if (dots.length >= dotsMax) return finished(core, dots);
      while ((groups.list[next]?.seq ?? 0) > seq) next += 1;
      const group = groups.list[next];
      dots.push(group?.seq === seq ? { origin: id, ...group } : { origin: id, seq, records: [] });
    }
  }
  return finished(core, dots);
}

/** What is left of a dot. */
interface Group {
  readonly seq: number;
  readonly records: ReplicatedRecord[];
  /** How many registers it had. */
  size: number;
}

interface Survivors {
  readonly list: readonly Group[];
  /** Everything that has survived in the range is here. */
  readonly complete: boolean;
}

/** What is left of the dots of a range, whole dots only, newest first. */
function survivors(
  core: ReplicaCore,
  ref: number,
  range: SeqRange,
  dotsMax: number,
  bytesMax: number,
): Survivors {
  const list: Group[] = [];
  let bytes = 0;
  for (const row of core.store.byDots(ref, range.from, range.to)) {
    const last = list.at(-1);
    if (last?.seq === row.seq) {
      last.records.push(recordOf(row));
      last.size = Math.max(last.size, row.beside + 1);
    } else {
      if (list.length >= dotsMax || (list.length > 0 && bytes >= bytesMax)) return { list, complete: false };
      list.push({ seq: row.seq, records: [recordOf(row)], size: row.beside + 1 });
    }
    bytes += sizeOf(row);
  }
  return { list, complete: true };
}

/** Says of which dots something was overwritten. */
function finished(core: ReplicaCore, dots: readonly Dot[]): readonly Dot[] {
  return withSetAside(core, dots).map(({ origin, seq, records, size = 0 }) => {
    const isPartial = size > records.length && records.length > 0;
    return { origin, seq, records, ...(isPartial && { size }) };
  });
}

/**
 * What was set aside here goes with its dot all the same: another replica judges for itself, and may know more. So a
 * conflict gets to everybody's list, and a poison record into everybody's quarantine.
 */
function withSetAside(core: ReplicaCore, dots: readonly Dot[]): readonly Dot[] {
  const first = dots[0];
  const last = dots.at(-1);
  if (first === undefined || last === undefined || !core.hasSetAside) return dots;
  const aside = (['quarantine', 'conflicts'] as const).flatMap((table) =>
    core.store.setAsideByDots(table, first.origin, last.seq, first.seq),
  );
  if (aside.length === 0) return dots;
  return dots.map((dot) => {
    const more = aside.filter(({ seq, kind, key }) => seq === dot.seq && !has(dot.records, kind, key));
    return more.length === 0 ? dot : { ...dot, records: [...dot.records, ...more.map(recordOf)] };
  });
}

function has(records: readonly ReplicatedRecord[], kind: number, key: string): boolean {
  return records.some((record) => record.kind === kind && record.key === key);
}

/** See `ReplicatedLog.page`. */
export function readPage(core: ReplicaCore, from: Cursor, rowsMax: number, bytesMax: number): Page {
  const rows: DottedRecord[] = [];
  let bytes = 0;
  for (const kind of core.store.kinds()) {
    if (!isReplicated(kind) || kind < from.kind) continue;
    for (let key = kind === from.kind ? from.key : ''; ;) {
      // Few at a time: values may have half a megabyte each.
      const some = [...core.store.range(kind, key, undefined, rowsAtOnce)];
      for (const row of some) {
        key = `${row.key}\0`;
        const origin = core.origins.ofRow(row);
        // What only this gateway says of a register (`WriteScope.dropped`) is nobody else's.
        if (origin === undefined) continue;
        rows.push({ ...recordOf(row), origin: origin.id, seq: row.seq, beside: row.beside });
        bytes += sizeOf(row);
        if (rows.length >= rowsMax || bytes >= bytesMax) return end(core, from, { kind, key }, rows);
      }
      if (some.length < rowsAtOnce) break;
    }
  }
  return end(core, from, undefined, rows);
}

const rowsAtOnce = 32;

function end(core: ReplicaCore, from: Cursor, to: Cursor | undefined, rows: readonly DottedRecord[]): Page {
  const page = { from, to, rows, collectedBelow: core.collectedBelow };
  const aside = core.hasSetAside ? conflictsIn(core, from, to) : [];
  return aside.length === 0 ? page : { ...page, aside };
}

function conflictsIn(core: ReplicaCore, from: Cursor, to: Cursor | undefined): readonly DottedRecord[] {
  const { now } = core.store.setAsideCount('conflicts');
  return core.store
    .setAside('conflicts', 0, now)
    .filter((each) => isBefore(from, each) && (to === undefined || !isBefore(to, each)))
    .map((each) => ({ ...recordOf(each), origin: each.origin, seq: each.seq, beside: 0 }));
}

/** Whether a place is at or before another one. */
function isBefore(a: Cursor, b: Cursor): boolean {
  return a.kind === b.kind ? compareUtf8(a.key, b.key) <= 0 : a.kind < b.kind;
}

export function recordOf(row: Row | SetAside): ReplicatedRecord {
  const { kind, key, value, term, timeline, stamp, born, ix } = row;
  return { kind, key, value, term, timeline, stamp, born, ix };
}

function sizeOf(row: Row): number {
  return recordBytes + row.key.length + (row.value?.length ?? 0);
}
