import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { OriginId } from '../../src/crdt/dot.ts';
import { Topology, type Peer } from '../../src/replication/topology.ts';

const idOf = (i: number): string => `${i.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000`;
const originOf = (i: number): OriginId => i.toString(16).padStart(32, '0') as OriginId;

function peerOf(i: number, region: string, live = true): Peer {
  const endpoint = { address: '10.0.0.1', port: i + 1 };
  return { id: idOf(i), name: `n${i}`, endpoint, region, origin: originOf(i), live, rttMs: 1 };
}

/** One topology per member, all seeing the same regions. */
function views(regions: readonly number[]): Map<string, Topology> {
  const members = regions.flatMap((count, region) => Array.from({ length: count }, () => `r${region}`));
  return new Map(
    members.map((region, i) => {
      const topology = new Topology({ id: idOf(i), region });
      members.forEach((name, j) => {
        if (j !== i) topology.set(peerOf(j, name));
      });
      return [idOf(i), topology];
    }),
  );
}

/** Everybody whom a change of the writer's reaches, each as often as it is handed to. */
function reached(all: ReadonlyMap<string, Topology>, writer: number, lead?: { id: string }): string[] {
  const key = originOf(writer);
  const writerId = idOf(writer);
  const hand = (id: string, root: boolean): string[] => {
    const children = all.get(id)?.childrenOf(key, writerId, id, root) ?? [];
    return children.flatMap((child) => [child, ...hand(child, false)]);
  };
  const own = all.get(writerId) as Topology;
  const roots = [...own.regions()]
    .filter((region) => region !== own.self.region)
    .map((region) => own.relays(key, region)[0] as string);
  if (lead !== undefined) return hand(lead.id, true);
  return [...hand(writerId, true), ...roots.flatMap((root) => [root, ...hand(root, true)])];
}

describe('who hands whose changes to whom', () => {
  test('every member is handed every change exactly once', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 4 }),
        fc.nat(),
        (regions, pick) => {
          const all = views(regions);
          const writer = pick % all.size;
          const others = [...all.keys()].filter((id) => id !== idOf(writer));
          expect(reached(all, writer).toSorted()).toEqual(others.toSorted());
        },
      ),
      { numRuns: 40 },
    );
  });

  test('a standby that is given a change in place of the relay reaches the whole region', () => {
    const all = views([1, 40]);
    const standby = all.get(idOf(0))?.relays(originOf(0), 'r1')[1] as string;
    const got = new Set([standby, ...reached(all, 0, { id: standby })]);
    // The relay gets it as a child of the root and then serves its own: everybody once more or once.
    expect(got.size).toBe(40);
  });

  test('members that see the same agree on relays, and writers differ in theirs', () => {
    const all = views([30, 10]);
    const relays = new Set<string>();
    for (let writer = 0; writer < 30; writer++) {
      const seen = [...all.values()].map((topology) => topology.relays(originOf(writer), 'r1').join());
      expect(new Set(seen).size).toBe(1);
      relays.add(seen[0] as string);
    }
    expect(relays.size).toBeGreaterThan(5);
  });

  test('a member that goes moves only what it stood for', () => {
    const all = views([200, 20]);
    const topology = all.get(idOf(0)) as Topology;
    const before = Array.from({ length: 200 }, (_, i) => topology.relays(originOf(i), 'r1')[0]);
    const gone = before[0] as string;
    topology.delete(gone);
    const after = Array.from({ length: 200 }, (_, i) => topology.relays(originOf(i), 'r1')[0]);
    const moved = before.map((relay, i) => after[i] !== relay);
    expect(moved).toEqual(before.map((relay) => relay === gone));
  });

  test('who is not live stands nowhere', () => {
    const topology = new Topology({ id: idOf(0), region: 'r0' });
    topology.set(peerOf(1, 'r1'));
    topology.set(peerOf(2, 'r1'));
    topology.set(peerOf(1, 'r1', false));
    expect(topology.relays(originOf(0), 'r1')).toEqual([idOf(2)]);
    topology.set(peerOf(2, 'r2'));
    expect(topology.relays(originOf(0), 'r1')).toEqual([]);
    expect([...topology.regions()].toSorted()).toEqual(['r0', 'r2']);
  });
});
