import { z } from 'zod';
import { Leaf } from './leaf.ts';

/** What was done under a rule since its copying began, exact across restarts. */
export interface TailCounts {
  /** Keys written here: new, or with other bytes than what was here. */
  copied: number;
  deleted: number;
  /** Bytes of values that were written. */
  copiedBytes: number;
}

export function noCounts(): TailCounts {
  return { copied: 0, deleted: 0, copiedBytes: 0 };
}

/** Where the tail of one rule stands; travels with the records that it covers. */
export interface KvCursor {
  readonly timeline: number;
  readonly term: number;
  readonly counts: TailCounts;
  readonly leaves: readonly Leaf[];
}

const count = z.number().int().nonnegative();
const shape = z.object({
  v: z.literal(1),
  timeline: count,
  term: count,
  counts: z.object({ copied: count, deleted: count, copiedBytes: count }),
  // prefix, tree, index, items, bytes, digest of the names, compared
  leaves: z.array(z.tuple([z.string(), z.boolean(), count, count, count, z.string(), z.boolean()])),
});

export function encodeKvCursor(cursor: KvCursor): string {
  const { timeline, term, counts, leaves } = cursor;
  const encoded = leaves.map((leaf) => (leaf.encoded ??= encodeLeaf(leaf)));
  return `{"v":1,"timeline":${timeline},"term":${term},"counts":${JSON.stringify(counts)},"leaves":[${encoded.join(',')}]}`;
}

function encodeLeaf({ prefix, tree, index, items, bytes, names, compared }: Leaf): string {
  return JSON.stringify([prefix, tree, index, items, bytes, names, compared]);
}

/** Undefined for one that this version cannot read: then everything is compared anew, which is always safe. */
export function decodeKvCursor(text: string | undefined): KvCursor | undefined {
  if (text === undefined || text === '') return undefined;
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = shape.safeParse(json);
  if (!parsed.success) return undefined;
  const { timeline, term, counts } = parsed.data;
  const leaves = parsed.data.leaves.map(([prefix, tree, index, items, bytes, names, compared]) =>
    Object.assign(new Leaf(prefix, tree), { index, items, bytes, names, compared }),
  );
  return { timeline, term, counts, leaves };
}
