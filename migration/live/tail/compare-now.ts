import type { TailDeps } from './deps.ts';
import type { Discovery } from './discovery.ts';
import { doubtOf } from './doubts.ts';
import type { TailCounts } from './kv-cursor.ts';
import type { Leaf } from './leaf.ts';
import type { LeafTable } from './leaf-table.ts';

/** What a comparison on demand asks of its rule. */
export interface ComparedRule {
  readonly deps: TailDeps;
  readonly table: LeafTable;
  readonly counts: TailCounts;
  readonly signal: AbortSignal;
  readonly problem: string | undefined;
}

/** Compares leaves below a prefix now; resolves when all that are there were asked for after this call. */
export async function compareNow(
  rule: ComparedRule,
  discovery: Discovery,
  prefix: string,
  waitMs: number,
): Promise<{ entries: number; changed: number }> {
  const { counts, deps } = rule;
  const endMs = deps.gateway.monoMs() + waitMs;
  const before = counts.copied + counts.deleted;
  await compareBy(rule, discovery, prefix, endMs);
  const doubt = (): string | undefined =>
    doubtOf(concerned(rule, prefix).filter((leaf) => leaf.unproved > 0));
  // What came and went at that very moment is proved the next time.
  if (doubt() !== undefined) await compareBy(rule, discovery, prefix, endMs);
  const left = doubt();
  if (left !== undefined) throw new Error(left);
  const entries = concerned(rule, prefix).reduce((sum, leaf) => sum + leaf.items, 0);
  return { entries, changed: counts.copied + counts.deleted - before };
}

function concerned({ table }: ComparedRule, prefix: string): readonly Leaf[] {
  return table.all.filter((leaf) => leaf.prefix.startsWith(prefix) || prefix.startsWith(leaf.prefix));
}

async function compareBy(
  rule: ComparedRule,
  discovery: Discovery,
  prefix: string,
  endMs: number,
): Promise<void> {
  const { deps, table, signal } = rule;
  const { gateway } = deps;
  const startMs = gateway.monoMs();
  discovery.now();
  const leaves = (): readonly Leaf[] => concerned(rule, prefix);
  for (const leaf of leaves()) {
    leaf.index = 0;
    leaf.interrupt();
  }
  const isDone = (): boolean =>
    (table.isWhole || discovery.askedAtMs >= startMs) &&
    table.all.length > 0 &&
    leaves().every((leaf) => leaf.comparedAtMs >= startMs);
  while (!isDone()) {
    if (gateway.monoMs() > endMs || signal.aborted) {
      const open = leaves().filter((leaf) => leaf.comparedAtMs < startMs);
      const why = open.map(
        (leaf) => leaf.problem ?? (leaf.question === undefined ? '' : 'mass delete held back'),
      );
      const first = why.find((text) => text !== '') ?? rule.problem ?? doubtOf(open) ?? 'the source is slow';
      throw new Error(`${open.length} of ${leaves().length} leaves were not compared in time: ${first}`);
    }
    // oxlint-disable-next-line no-await-in-loop -- a look after the other
    await gateway.clock.sleep(20, signal);
  }
}
