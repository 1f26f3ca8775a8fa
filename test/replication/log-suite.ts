import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Dot, OriginId } from '../../src/crdt/dot.ts';
import { countSeqs, headOf, missingRanges } from '../../src/crdt/seq-ranges.ts';
import type { Instant } from '../../src/kernel/instant.ts';
import {
  startCursor,
  type Cursor,
  type DottedRecord,
  type ReplicatedLog,
} from '../../src/replication/log.ts';

/** One gateway's log under test. Everything is called inside `transact`. */
export interface LogUnderTest {
  readonly log: ReplicatedLog;
  transact<T>(work: () => T): T;
}

/** A gateway that may write: `text` null deletes. A write that changes nothing logs nothing. */
export interface Writer extends LogUnderTest {
  write(key: string, text: string | null, now: Instant): void;
}

export interface LogsUnderTest {
  readonly writer: () => Writer;
  /** Another gateway of the same cluster, with nothing yet. */
  readonly reader: () => LogUnderTest;
}

interface Written {
  readonly key: string;
  readonly text: string | null;
}

const start: Instant = { wallUs: 1_750_000_000_000_000, monoMs: 0 };
const after = (steps: number): Instant => ({ wallUs: start.wallUs + steps * 1000, monoMs: steps });

const writes = fc.array(
  fc.record({
    key: fc.constantFrom('a', 'b', 'c', 'd/e', 'ü', '\u{1F347}'),
    text: fc.option(fc.string({ maxLength: 9 })),
  }),
  { minLength: 1, maxLength: 30 },
);

function filled(logs: LogsUnderTest, all: readonly Written[]): Writer {
  const writer = logs.writer();
  writer.transact(() => all.forEach(({ key, text }, i) => writer.write(key, text, after(i))));
  return writer;
}

function headSeq({ log }: LogUnderTest, origin: OriginId): number {
  return headOf(log.originLog(origin)?.seen ?? []);
}

function allDots({ log }: LogUnderTest, origin: OriginId): readonly Dot[] {
  const dots: Dot[] = [];
  for (let to = headOf(log.originLog(origin)?.seen ?? []); to > 0;) {
    const read = log.read(origin, { from: 1, to }, 3, 1000);
    if (read.length === 0) break;
    dots.push(...read);
    to = (read.at(-1) as Dot).seq - 1;
  }
  return dots;
}

function rowsOf({ log }: LogUnderTest, rowsMax = 100): readonly DottedRecord[] {
  const rows: DottedRecord[] = [];
  for (let at: Cursor | undefined = startCursor; at !== undefined;) {
    const page = log.page(at, rowsMax, 1 << 20);
    rows.push(...page.rows);
    at = page.to;
  }
  return rows;
}

/** Merges again and again what was put off, until nothing changes: answers what remains. */
function deliver(reader: LogUnderTest, dots: readonly Dot[], nodeId: string, now: Instant): readonly Dot[] {
  return reader.transact(() => {
    let left = dots;
    for (;;) {
      const deferred = left.filter((dot) => {
        reader.log.introduce(dot.origin, nodeId);
        return reader.log.merge(dot, now) === 'deferred';
      });
      if (deferred.length === left.length || deferred.length === 0) return deferred;
      left = deferred;
    }
  });
}

/** What `ReplicatedLog` promises to replication, whoever keeps it. */
export function describeReplicatedLog(name: string, logs: LogsUnderTest): void {
  describe(`${name}: the log of a gateway`, () => {
    test('read newest first, it answers every seq that was seen once', () => {
      fc.assert(
        fc.property(writes, (all) => {
          const writer = filled(logs, all);
          const { origin } = writer.log;
          const seqs = allDots(writer, origin).map(({ seq }) => seq);
          const head = headSeq(writer, origin);
          expect(seqs).toEqual(Array.from({ length: head }, (_, i) => head - i));
        }),
        { numRuns: 30 },
      );
    });

    test('any order and any number of deliveries end in the same registers, and everything is seen', () => {
      fc.assert(
        fc.property(writes, fc.func(fc.nat()), fc.nat(3), (all, rank, twice) => {
          const writer = filled(logs, all);
          const { origin, nodeId } = writer.log;
          const dots = allDots(writer, origin);
          const doubled = dots.flatMap((dot) => (rank(dot.seq, 'twice') % 4 < twice ? [dot, dot] : [dot]));
          const shuffled = doubled.toSorted((a, b) => rank(a.seq) - rank(b.seq));
          const reader = logs.reader();
          expect(deliver(reader, shuffled, nodeId, after(100))).toEqual([]);
          expect(rowsOf(reader)).toEqual(rowsOf(writer));
          expect(reader.log.originLog(origin)?.seen).toEqual([{ from: 1, to: headSeq(writer, origin) }]);
        }),
        { numRuns: 30 },
      );
    });

    test('what was merged is seen, and merging it again says so', () => {
      const writer = filled(logs, [{ key: 'k', text: '1' }]);
      const { origin, nodeId } = writer.log;
      const reader = logs.reader();
      const dots = allDots(writer, origin).toReversed();
      deliver(reader, dots, nodeId, after(5));
      for (const dot of dots) expect(reader.transact(() => reader.log.merge(dot, after(6)))).toBe('seen');
    });

    test('a hole stays a hole until what belongs there comes', () => {
      const all = ['1', '2', '3', '4'].map((text) => ({ key: `k${text}`, text }));
      const writer = filled(logs, all);
      const { origin, nodeId } = writer.log;
      const dots = allDots(writer, origin).toReversed();
      const reader = logs.reader();
      const missing = dots[dots.length - 2] as Dot;
      deliver(
        reader,
        dots.filter((dot) => dot !== missing),
        nodeId,
        after(9),
      );
      const head = headSeq(writer, origin);
      const seen = reader.log.originLog(origin)?.seen ?? [];
      expect(missingRanges([{ from: 1, to: head }], seen)).toEqual([{ from: missing.seq, to: missing.seq }]);
      expect(allDots(reader, origin).map(({ seq }) => seq)).not.toContain(missing.seq);
      deliver(reader, [missing], nodeId, after(10));
      expect(reader.log.originLog(origin)?.seen).toEqual([{ from: 1, to: head }]);
    });

    test('an overwritten dot is handed on without records', () => {
      const writer = filled(logs, [
        { key: 'k', text: '1' },
        { key: 'k', text: '2' },
      ]);
      const { origin } = writer.log;
      const [newest, older] = allDots(writer, origin);
      expect(newest?.records.map(({ key }) => key)).toEqual(['k']);
      expect(older?.records).toEqual([]);
    });

    test('pages of any size make the same walk, in order', () => {
      fc.assert(
        fc.property(writes, fc.integer({ min: 1, max: 5 }), (all, rowsMax) => {
          const writer = filled(logs, all);
          const whole = rowsOf(writer);
          expect(rowsOf(writer, rowsMax)).toEqual(whole);
          const names = whole.map(({ kind, key }) => `${String(kind).padStart(3, '0')} ${key}`);
          const bytewise = names.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
          expect(names).toEqual(bytewise);
        }),
        { numRuns: 30 },
      );
    });

    test('a walk of whole state with its context is as good as all dots', () => {
      fc.assert(
        fc.property(writes, fc.integer({ min: 1, max: 5 }), fc.nat(30), (all, rowsMax, before) => {
          const writer = filled(logs, all);
          const { origin, nodeId } = writer.log;
          const reader = logs.reader();
          deliver(reader, allDots(writer, origin).slice(before), nodeId, after(100));
          const context = new Map([...writer.log.origins()].map((log) => [log.origin, log.seen]));
          reader.transact(() => {
            for (const log of writer.log.origins()) reader.log.introduce(log.origin, log.nodeId);
            for (let at: Cursor | undefined = startCursor; at !== undefined;) {
              const page = writer.log.page(at, rowsMax, 1 << 20);
              reader.log.join(page, context, after(101));
              at = page.to;
            }
            reader.log.adoptContext(context);
          });
          expect(rowsOf(reader)).toEqual(rowsOf(writer));
          expect(countSeqs(reader.log.originLog(origin)?.seen ?? [])).toBe(headSeq(writer, origin));
        }),
        { numRuns: 30 },
      );
    });

    test('a clock reading that was told is above all that was seen and below all that is written later', () => {
      const writer = filled(logs, [{ key: 'k', text: '1' }]);
      const told = writer.log.stampNow(after(50));
      for (const row of rowsOf(writer)) expect(row.stamp).toBeLessThan(told);
      // The wall clock steps back.
      writer.transact(() => writer.write('k', '2', after(-1000)));
      const latest = Math.max(...rowsOf(writer).map(({ stamp }) => stamp));
      expect(latest).toBeGreaterThan(told);
    });
  });
}
