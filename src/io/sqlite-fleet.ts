import type Database from 'better-sqlite3';
import type { OriginId } from '../crdt/dot.ts';
import { parseRanges, rangesText } from '../crdt/seq-ranges.ts';
import {
  quarantineBytesMax,
  quarantineRowsMax,
  type OriginRow,
  type SetAside,
  type SetAsideTable,
} from '../state/store.ts';

type Prepare = (sql: string) => Database.Statement;

const columns =
  'id, why, at AS atUs, zone, zone_term AS zoneTerm, origin, seq, kind, key, term, timeline, stamp, born, ix, value, replayed';

/** The tables beside the registers: who writes logs, and what was set aside. */
export class SqliteFleet {
  readonly #prepare: Prepare;

  constructor(prepare: Prepare) {
    this.#prepare = prepare;
  }

  origins(): readonly OriginRow[] {
    const rows = this.#prepare('SELECT ref, id, node_id AS nodeId, seen FROM origins ORDER BY ref').all();
    return (rows as { ref: number; id: OriginId; nodeId: string; seen: string }[]).map((row) => ({
      ...row,
      seen: parseRanges(row.seen),
    }));
  }

  putOrigin({ ref, id, nodeId, seen }: OriginRow): void {
    this.#prepare(
      'INSERT INTO origins (ref, id, node_id, seen) VALUES (?, ?, ?, ?) ON CONFLICT (ref) DO UPDATE SET' +
        ' id = excluded.id, node_id = excluded.node_id, seen = excluded.seen',
    ).run(ref, id, nodeId, rangesText(seen));
  }

  setAside(table: SetAsideTable, afterId: number, limit: number): readonly SetAside[] {
    const rows = this.#prepare(`SELECT ${columns} FROM ${table} WHERE id > ? ORDER BY id LIMIT ?`);
    return (rows.all(afterId, limit) as Stored[]).map(read);
  }

  setAsideByDots(table: SetAsideTable, origin: string, from: number, to: number): readonly SetAside[] {
    const rows = this.#prepare(
      `SELECT ${columns} FROM ${table} WHERE origin = ? AND seq BETWEEN ? AND ? ORDER BY seq DESC, id`,
    );
    return (rows.all(origin, from, to) as Stored[]).map(read);
  }

  setAsideCount(table: SetAsideTable): { readonly now: number; readonly ever: number } {
    const now = this.#prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number;
    const ever = this.#prepare('SELECT seq FROM sqlite_sequence WHERE name = ?').pluck().get(table);
    return { now, ever: (ever as number | undefined) ?? 0 };
  }

  putSetAside(table: SetAsideTable, record: Omit<SetAside, 'id'>): number {
    const { lastInsertRowid } = this.#prepare(
      `INSERT INTO ${table} (why, at, zone, zone_term, origin, seq, kind, key, term, timeline, stamp, born, ix, value,` +
        ' replayed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
    ).run(
      record.why,
      record.atUs,
      record.zone,
      record.zoneTerm,
      record.origin,
      record.seq,
      record.kind,
      record.key,
      record.term,
      record.timeline,
      record.stamp,
      record.born,
      record.ix,
      record.value,
      record.replayed ? 1 : 0,
    );
    if (table === 'quarantine') this.#bound(Number(lastInsertRowid));
    return Number(lastInsertRowid);
  }

  markReplayed(id: number): void {
    this.#prepare('UPDATE conflicts SET replayed = 1 WHERE id = ?').run(id);
  }

  removeSetAside(table: SetAsideTable, id: number): void {
    this.#prepare(`DELETE FROM ${table} WHERE id = ?`).run(id);
  }

  /** Keeps the newest that fit. */
  #bound(newest: number): void {
    this.#prepare('DELETE FROM quarantine WHERE id <= ?').run(newest - quarantineRowsMax);
    const held = this.#prepare('SELECT coalesce(sum(length(value)), 0) FROM quarantine').pluck();
    while ((held.get() as number) > quarantineBytesMax) {
      this.#prepare('DELETE FROM quarantine WHERE id = (SELECT min(id) FROM quarantine)').run();
    }
  }
}

type Stored = Omit<SetAside, 'replayed'> & { readonly replayed: number };

function read(row: Stored): SetAside {
  return { ...row, replayed: row.replayed === 1 };
}
