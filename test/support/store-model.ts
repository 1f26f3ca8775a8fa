import fc from 'fast-check';
import { Kind } from '../../src/state/kinds.ts';
import type { Row, Store } from '../../src/state/store.ts';

/** A row with believable defaults. */
export function rowOf(fields: Partial<Row> & { readonly key: string }): Row {
  return {
    kind: Kind.kv,
    value: new Uint8Array([1, 2, 3]),
    term: 1,
    timeline: 0,
    stamp: 100,
    born: 100,
    origin: 1,
    seq: 1,
    ix: null,
    createIndex: 100,
    modifyIndex: 100,
    beside: 0,
    ...fields,
  };
}

/** A row in a form that compares equal whichever class its bytes have. */
export function plainRow(row: Row | undefined): unknown {
  return row === undefined ? undefined : { ...row, value: row.value === null ? null : [...row.value] };
}

export function keysOf(rows: Iterable<{ readonly key: string }>): readonly string[] {
  return [...rows].map((row) => row.key);
}

/** Strings that no store may confuse: empty, NUL, both sides of the surrogates, astral, prefixes of each other. */
export const awkwardKeys = [
  '',
  '\u0000',
  '\u0000a',
  ' ',
  'A',
  'a',
  'a\u0000',
  'a\u0000b',
  'a/',
  'a/b',
  'a0',
  'aa',
  'é',
  'e\u0301',
  '\ud7ff',
  '\ue000',
  '\uffff',
  '\u{10000}',
  '\u{1f600}',
  '\u{10ffff}',
  '\u{10ffff}a',
] as const;

/** Thrown by a transaction that is meant to be rolled back. */
export class Stop extends Error {}

type Op =
  | { readonly op: 'put'; readonly row: Row }
  | { readonly op: 'remove'; readonly kind: Row['kind']; readonly key: string }
  | { readonly op: 'meta'; readonly name: string; readonly value: string }
  | { readonly op: 'attempt'; readonly keep: boolean; readonly ops: readonly Op[] };

interface Transaction {
  readonly ops: readonly Op[];
  readonly commits: boolean;
}

const kinds = [Kind.kv, Kind.session] as const;
const kindArbitrary = fc.constantFrom(...kinds);
const keyArbitrary = fc.oneof(fc.constantFrom(...awkwardKeys), fc.string({ unit: 'binary', maxLength: 3 }));
const rowArbitrary: fc.Arbitrary<Row> = fc
  .record({
    kind: kindArbitrary,
    key: keyArbitrary,
    value: fc.option(fc.uint8Array({ maxLength: 4 })),
    ix: fc.option(fc.constantFrom('s1', 's2', '')),
  })
  .map((fields) => rowOf(fields));

const { op: opArbitrary } = fc.letrec<{ op: Op }>((tie) => ({
  op: fc.oneof(
    { maxDepth: 2, withCrossShrink: true },
    { weight: 6, arbitrary: rowArbitrary.map((row): Op => ({ op: 'put', row })) },
    {
      weight: 2,
      arbitrary: fc
        .record({ kind: kindArbitrary, key: keyArbitrary })
        .map((fields): Op => ({ op: 'remove', ...fields })),
    },
    {
      weight: 1,
      arbitrary: fc
        .record({ name: fc.constantFrom('a', 'b'), value: fc.string({ maxLength: 2 }) })
        .map((fields): Op => ({ op: 'meta', ...fields })),
    },
    {
      weight: 1,
      arbitrary: fc
        .record({ keep: fc.boolean(), ops: fc.array(tie('op'), { maxLength: 4 }) })
        .map((fields): Op => ({ op: 'attempt', ...fields })),
    },
  ),
}));

export const transaction: fc.Arbitrary<Transaction> = fc.record({
  ops: fc.array(opArbitrary, { maxLength: 8 }),
  commits: fc.oneof(
    { weight: 4, arbitrary: fc.constant(true) },
    { weight: 1, arbitrary: fc.constant(false) },
  ),
});

/** Gives each put an index above all before it, as a replica does. */
export function withRisingIndexes(transactions: readonly Transaction[]): readonly Transaction[] {
  let index = 0;
  const number = (op: Op): Op => {
    if (op.op === 'put') return { ...op, row: { ...op.row, modifyIndex: ++index } };
    return op.op === 'attempt' ? { ...op, ops: op.ops.map(number) } : op;
  };
  return transactions.map((one) => ({ ...one, ops: one.ops.map(number) }));
}

export function applyTo(store: Store, { ops, commits }: Transaction): void {
  const run = (list: readonly Op[]): void => {
    for (const op of list) {
      if (op.op === 'put') store.put(op.row);
      else if (op.op === 'remove') store.remove(op.kind, op.key);
      else if (op.op === 'meta') store.setMeta(op.name, op.value);
      else {
        store.attempt(() => {
          run(op.ops);
          return { keep: op.keep, value: undefined };
        });
      }
    }
  };
  try {
    store.transact(() => {
      run(ops);
      if (!commits) throw new Stop();
    });
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
  }
}

/** The obvious implementation: everything copied before whatever may be undone. */
export class ModelStore {
  #rows = new Map<string, Row>();
  #meta = new Map<string, string>();
  #tableIndexes = new Map<number, number>();

  apply({ ops, commits }: Transaction): void {
    this.#undoable(() => {
      this.#run(ops);
      return commits;
    });
  }

  #undoable(work: () => boolean): void {
    const before = [new Map(this.#rows), new Map(this.#meta), new Map(this.#tableIndexes)] as const;
    if (!work()) [this.#rows, this.#meta, this.#tableIndexes] = before;
  }

  #run(ops: readonly Op[]): void {
    for (const op of ops) {
      if (op.op === 'put') {
        this.#rows.set(`${op.row.kind}:${op.row.key}`, op.row);
        const held = this.#tableIndexes.get(op.row.kind) ?? 0;
        this.#tableIndexes.set(op.row.kind, Math.max(held, op.row.modifyIndex));
      } else if (op.op === 'remove') this.#rows.delete(`${op.kind}:${op.key}`);
      else if (op.op === 'meta') this.#meta.set(op.name, op.value);
      else
        this.#undoable(() => {
          this.#run(op.ops);
          return op.keep;
        });
    }
  }

  snapshot(): unknown {
    return kinds.map((kind) => {
      const rows = [...this.#rows.values()]
        .filter((row) => row.kind === kind)
        .toSorted((a, b) => Buffer.compare(Buffer.from(a.key), Buffer.from(b.key)));
      return {
        rows: rows.map(plainRow),
        keys: rows.map((row) => ({ key: row.key, live: row.value !== null, modifyIndex: row.modifyIndex })),
        byIx: ['s1', 's2', ''].map((ix) => rows.filter((row) => row.ix === ix).map((row) => row.key)),
        tableIndex: this.#tableIndexes.get(kind) ?? 0,
        meta: ['a', 'b'].map((name) => this.#meta.get(name)),
      };
    });
  }
}

export function snapshotOf(store: Store): unknown {
  return kinds.map((kind) => ({
    rows: [...store.range(kind, '', undefined)].map(plainRow),
    keys: [...store.rangeKeys(kind, '', undefined)],
    byIx: ['s1', 's2', ''].map((ix) => keysOf(store.byIndex(kind, ix))),
    tableIndex: store.tableIndex(kind),
    meta: ['a', 'b'].map((name) => store.getMeta(name)),
  }));
}
