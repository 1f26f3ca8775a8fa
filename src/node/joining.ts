import type { OriginId } from '../crdt/dot.ts';
import { hasSeq, type SeqRanges } from '../crdt/seq-ranges.ts';
import { isReplicated, Kind } from '../state/kinds.ts';
import type { DottedRecord, Page } from '../replication/log.ts';
import type { Row } from '../state/store.ts';
import type { ReplicaCore } from './replica-core.ts';

/**
 * The rows of another replica's page that may be taken over: all but those that were seen here and are gone, as their
 * tombstone was collected. What is gone from here though no tombstone of its time was collected was lost, and comes
 * back.
 */
export function joinableRows(core: ReplicaCore, page: Page): readonly DottedRecord[] {
  const { origins, store } = core;
  return page.rows.filter((row) => {
    const origin = origins.get(row.origin);
    // A backup was restored here: what our log says above its head comes once it is another origin's.
    if (origin === origins.own && row.seq > origins.headSeq) return false;
    // A grant is never deleted: who lacks it has lost it.
    if (row.kind === Kind.zone) return true;
    if (store.get(row.kind as Kind, row.key) !== undefined || row.stamp >= core.collectedBelow) return true;
    return origin === undefined || !hasSeq(origins.seenOf(origin), row.seq);
  });
}

/**
 * Rows of this replica that a page lacks although its reader had seen them: deleted, and the tombstone collected. A
 * grant is never deleted.
 */
export function missingFrom(
  core: ReplicaCore,
  page: Page,
  context: ReadonlyMap<OriginId, SeqRanges>,
): readonly Row[] {
  const { collectedBelow = 0 } = page;
  const there = new Set(page.rows.map(({ kind, key }) => `${kind}:${key}`));
  const missing: Row[] = [];
  for (const kind of core.store.kinds()) {
    if (!isReplicated(kind) || kind === Kind.zone || kind < page.from.kind) continue;
    if (page.to !== undefined && kind > page.to.kind) continue;
    const from = kind === page.from.kind ? page.from.key : '';
    const to = kind === page.to?.kind ? page.to.key : undefined;
    for (const row of core.store.range(kind, from, to)) {
      if (row.stamp >= collectedBelow || there.has(`${kind}:${row.key}`)) continue;
      const origin = core.origins.ofRow(row);
      if (origin !== undefined && hasSeq(context.get(origin.id) ?? [], row.seq)) missing.push(row);
    }
  }
  return missing;
}
