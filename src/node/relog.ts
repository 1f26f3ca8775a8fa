import type { OriginId } from '../crdt/dot.ts';
import type { Row } from '../state/store.ts';
import type { ReplicaCore } from './replica-core.ts';

/**
 * Goes on under another origin, and logs again under it what was logged above a seq: the same records, versions and
 * dots, under new numbers, since the old ones are somebody else's: this gateway's own before it was restored.
 */
export function relog(core: ReplicaCore, id: OriginId, sinceSeq: number): void {
  const { origins, store } = core;
  const before = origins.remint(id, sinceSeq);
  const rows: Row[] = [...store.byDots(before.ref, sinceSeq + 1, Number.MAX_SAFE_INTEGER)].toReversed();
  let lastSeq: number | undefined;
  for (const row of rows) {
    if (row.seq !== lastSeq) origins.advance(1);
    lastSeq = row.seq;
    store.put({ ...row, origin: origins.own.ref, seq: origins.headSeq });
  }
}
