import type { MirrorKind } from '../mirror/registers.ts';
import { mismatchKinds, rowOf, type MismatchKind } from './entries.ts';
import type { Suspect } from './recheck.ts';

/** What became of the entries of one row (a top-level prefix, or a kind of the catalog). */
export type RowCounts = {
  compared: number;
  matched: number;
  transient: number;
  persistent: number;
  indeterminate: number;
  /** Differed at the first look and were too many to be looked at again. */
  unchecked: number;
};

export type Row = RowCounts & {
  readonly kind: MirrorKind;
  readonly prefix: string;
  readonly byKind: Record<MismatchKind, number>;
};

export type Outcome = 'transient' | 'persistent' | 'indeterminate' | 'unchecked';

export type Sample = {
  readonly outcome: Outcome;
  readonly entry: MirrorKind;
  readonly key: string;
  readonly openMs: number;
  readonly suspect: Suspect;
};

const sampleCaps: Readonly<Record<Outcome, number>> = {
  persistent: 100,
  indeterminate: 20,
  unchecked: 20,
  transient: 20,
};

const rowsMax = 1000;
export const otherRows = '(others)';

/** Adds up a comparison. Bounded: rows and samples have caps, what is beyond is counted all the same. */
export class Tally {
  readonly #rows = new Map<string, Row>();
  readonly #samples = new Map<Outcome, Sample[]>();
  longestOpenMs = 0;

  matched(kind: MirrorKind, key: string): void {
    const row = this.#row(kind, key);
    row.compared += 1;
    row.matched += 1;
  }

  /** Called when an entry that differed at the first look is settled. */
  settled(outcome: Outcome, kind: MirrorKind, key: string, suspect: Suspect, openMs: number): void {
    const row = this.#row(kind, key);
    row.compared += 1;
    row[outcome] += 1;
    if (outcome !== 'transient') row.byKind[suspect.kind] += 1;
    this.longestOpenMs = Math.max(this.longestOpenMs, openMs);
    const samples = this.#samples.get(outcome) ?? [];
    this.#samples.set(outcome, samples);
    if (samples.length < sampleCaps[outcome]) samples.push({ outcome, entry: kind, key, openMs, suspect });
  }

  /** Worst rows first. */
  rows(): readonly Row[] {
    const badness = (row: Row): number => row.persistent + row.unchecked + row.indeterminate;
    return [...this.#rows.values()].toSorted((a, b) => badness(b) - badness(a) || b.compared - a.compared);
  }

  samples(): readonly Sample[] {
    const order: readonly Outcome[] = ['persistent', 'unchecked', 'indeterminate', 'transient'];
    return order.flatMap((outcome) => this.#samples.get(outcome) ?? []);
  }

  total(): RowCounts & { byKind: Record<MismatchKind, number> } {
    const sum = { ...emptyRow(), byKind: emptyByKind() };
    for (const row of this.#rows.values()) {
      for (const name of counters) sum[name] += row[name];
      for (const kind of mismatchKinds) sum.byKind[kind] += row.byKind[kind];
    }
    return sum;
  }

  #row(kind: MirrorKind, key: string): Row {
    const wanted = rowOf(kind, key);
    const prefix = this.#rows.size < rowsMax || this.#rows.has(`${kind} ${wanted}`) ? wanted : otherRows;
    const id = `${kind} ${prefix}`;
    let row = this.#rows.get(id);
    if (row === undefined) {
      row = { kind, prefix, ...emptyRow(), byKind: emptyByKind() };
      this.#rows.set(id, row);
    }
    return row;
  }
}

const counters = ['compared', 'matched', 'transient', 'persistent', 'indeterminate', 'unchecked'] as const;

function emptyRow(): RowCounts {
  return { compared: 0, matched: 0, transient: 0, persistent: 0, indeterminate: 0, unchecked: 0 };
}

function emptyByKind(): Record<MismatchKind, number> {
  return { missing: 0, extra: 0, value: 0, flags: 0, session: 0, status: 0 };
}
