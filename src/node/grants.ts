import { rangesText } from '../crdt/seq-ranges.ts';
import type { Fence } from '../state/values.ts';
import type { GrantContext } from '../state/zone-commands.ts';
import type { ReplicaCore } from './replica-core.ts';

/** What grants that this gateway makes have to know of it. */
export function grantContext(core: ReplicaCore): GrantContext {
  const { origins } = core;
  return {
    zones: core.zones,
    nodeId: core.nodeId,
    origin: origins.own.id,
    isReady: (zone) => core.isReady(zone),
    fencesOf: (nodeIds, ownHead) => {
      const fences: Fence[] = [];
      for (const nodeId of nodeIds) {
        for (const origin of origins.ofNode(nodeId)) {
          const seen = origin === origins.own ? [{ from: 1, to: ownHead }] : origin.seen;
          if (seen.length > 0) fences.push({ origin: origin.id, seen: rangesText(seen) });
        }
      }
      return fences;
    },
  };
}
