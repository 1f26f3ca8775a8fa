import { z } from 'zod';
import type { Position } from '../mirror/regions.ts';
import type { CountsByKind } from './counts.ts';
import type { NoticeSummary } from './notices.ts';

/**
 * Where a copy stands. It travels with the batch that it describes and is committed by the target in the same
 * transaction, so that place and counts are exact after any crash.
 */
export type CopyCursor = {
  /** Hash of what was asked for: another selection of prefixes or kinds starts anew. */
  readonly selection: string;
  readonly timeline: number;
  readonly phase: 'kv' | 'catalog' | 'done';
  readonly position: Position | null;
  readonly startedAtMs: number;
  readonly counts: CountsByKind;
  readonly notices: readonly NoticeSummary[];
};

export const cursorName = 'copy';

const count = z.number().int().nonnegative();
const counts = z.object({
  copied: count,
  deleted: count,
  unchanged: count,
  skipped: count,
  withheld: count,
  kept: count,
  refused: count,
  overtaken: count,
});

const shape = z.object({
  selection: z.string(),
  timeline: count,
  phase: z.enum(['kv', 'catalog', 'done']),
  position: z.object({ prefix: z.string(), tree: z.boolean() }).nullable(),
  startedAtMs: z.number(),
  counts: z.object({ kv: counts, node: counts, service: counts, check: counts }),
  notices: z.array(z.object({ code: z.string(), action: z.string(), count, examples: z.array(z.string()) })),
});

export function encodeCursor(cursor: CopyCursor): string {
  return JSON.stringify(cursor);
}

/** null for a cursor that this version cannot read: the copy then starts anew, which is always safe. */
export function decodeCursor(text: string | undefined): CopyCursor | null {
  if (text === undefined || text === '') return null;
  try {
    const parsed = shape.safeParse(JSON.parse(text));
    return parsed.success ? (parsed.data as CopyCursor) : null;
  } catch {
    return null;
  }
}
