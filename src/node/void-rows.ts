import { headOf, parseRanges } from '../crdt/seq-ranges.ts';
import type { Row } from '../state/store.ts';
import type { Zone, Zones } from '../state/zones.ts';
import type { Origin } from './origins.ts';
import type { ReplicaCore } from './replica-core.ts';

export interface VoidRow {
  readonly row: Row;
  readonly origin: Origin;
  readonly zone: Zone;
}

/**
 * Rows that were right when they were applied, and by what is known of the zones now never should have been: what an
 * owner wrote after a takeover's fence, or under a grant that lost against another. They stay as they are until the
 * owner says what stands instead; until then nobody knows.
 */
export function voidRows(core: ReplicaCore, before: Zones): readonly VoidRow[] {
  const found = new Map<Row, VoidRow>();
  const look = (origin: Origin, fromSeq: number, term: number): void => {
    for (const row of core.store.byDots(origin.ref, fromSeq, Number.MAX_SAFE_INTEGER)) {
      if (row.term !== term) continue;
      const verdict = core.zones.judge(row.kind, row.key, row.term, {
        ...{ origin: origin.id, seq: row.seq, nodeId: origin.nodeId },
      });
      if (verdict.kind === 'over') found.set(row, { row, origin, zone: verdict.zone });
    }
  };
  for (const { prefix } of core.zones.list) {
    const chain = core.zones.get(prefix)?.chain ?? [];
    const known = new Set(before.get(prefix)?.chain.map(({ term }) => term));
    chain.forEach((grant, i) => {
      const over = chain[i + 1];
      if (grant.cause !== 'taken-over' || known.has(grant.term) || over === undefined) return;
      for (const origin of core.origins.ofNode(over.ownerId)) {
        const fence = grant.fences?.find((each) => each.origin === origin.id);
        look(origin, fence === undefined ? 1 : headOf(parseRanges(fence.seen)) + 1, over.term);
      }
    });
  }
  const voidBefore = new Set(before.lost().map(({ prefix, term }) => `${term} ${prefix}`));
  for (const { prefix, term, ownerId } of core.zones.lost()) {
    if (voidBefore.has(`${term} ${prefix}`)) continue;
    for (const origin of core.origins.ofNode(ownerId)) look(origin, 1, term);
  }
  return [...found.values()];
}
