import { coversRanges, noSeqs, rangesText } from '../crdt/seq-ranges.ts';
import type { MigrationContext } from '../state/migration-commands.ts';
import type { Fence } from '../state/values.ts';
import type { ReplicaCore } from './replica-core.ts';

/** What grants that this gateway makes have to know of it. */
export function grantContext(core: ReplicaCore): MigrationContext {
  const { origins } = core;
  return {
    zones: core.zones,
    nodeId: core.nodeId,
    origin: origins.own.id,
    isReady: (zone) => core.isReady(zone),
    fencesOf: (nodeIds, ownHead) => {
      const fences: Fence[] = [];
      const some = nodeIds === 'everybody' ? origins.all() : [...nodeIds].flatMap((id) => origins.ofNode(id));
      for (const origin of some) {
        const seen = origin === origins.own ? [{ from: 1, to: ownHead }] : origin.seen;
        if (seen.length > 0) fences.push({ origin: origin.id, seen: rangesText(seen) });
      }
      return fences;
    },
    notArrived: (told, ownHead) =>
      told
        .filter(({ origin: id, seq }) => {
          const origin = origins.get(id);
          if (origin === origins.own) return seq > ownHead;
          return seq > 0 && !coversRanges(origin?.seen ?? noSeqs, [{ from: 1, to: seq }]);
        })
        .map(({ origin }) => origin),
  };
}
