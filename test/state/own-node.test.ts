import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compareVersions, type Version } from '../../src/crdt/version.ts';
import { ownNodeTerm } from '../../src/state/kinds.ts';
import { isGatewaysOwn, ownTimeline, sourceTimelineOfOwn, versionOverOwn } from '../../src/state/own-node.ts';

type Held = Version & { readonly value: Uint8Array | null };

const some = new Uint8Array([1]);
const clock = 1_800_000_000_000_000;

/** A write by the gateway of the name, or by the owner of the zone. */
function written(held: Held | undefined, by: 'gateway' | 'zone', at: number, value: Held['value']): Held {
  return { term: ownNodeTerm, timeline: ownTimeline(held, by), stamp: clock + at, value };
}

function told(held: Held | undefined, timeline: number, index: number, value: Held['value'] = some): Held {
  return { ...versionOverOwn(held, { term: 7, timeline, stamp: index }), value };
}

describe('a name that goes to and fro between a gateway and an agent of the source', () => {
  test('is always above who had it before, however often it changes hands', () => {
    const owners = fc.array(fc.constantFrom('gateway' as const, 'zone' as const, 'source' as const));
    fc.assert(
      fc.property(owners, (hands) => {
        let held: Held = written(undefined, 'gateway', 0, null);
        for (const [i, by] of hands.entries()) {
          // An index of Consul is far below any clock; only what was taken out gives way to it.
          if (by === 'source' && isGatewaysOwn(held)) held = { ...held, value: null };
          const next = by === 'source' ? told(held, 3, 100 + i) : written(held, by, 1 + i, some);
          expect(compareVersions(next, held)).toBeGreaterThan(0);
          held = next;
        }
      }),
    );
  });

  test('is not taken by the source from a gateway that has it', () => {
    const own = written(undefined, 'gateway', 0, some);
    expect(told(own, 3, 100)).toMatchObject({ term: 7, timeline: 3, stamp: 100 });
    expect(compareVersions(told(own, 3, 100), own)).toBeLessThan(0);
  });

  test('keeps the order that the source itself gives: by its timeline, then by its index', () => {
    const gone = written(undefined, 'gateway', 0, null);
    const first = told(gone, 3, 5000);
    expect(sourceTimelineOfOwn(first)).toBe(3);
    expect(compareVersions(told(first, 3, 4999), first)).toBeLessThan(0);
    expect(compareVersions(told(first, 3, 5001), first)).toBeGreaterThan(0);
    // Restored: indexes start over, under another timeline.
    expect(compareVersions(told(first, 4, 10), first)).toBeGreaterThan(0);
    expect(sourceTimelineOfOwn(told(first, 4, 10))).toBe(4);
    expect(isGatewaysOwn(first)).toBe(false);
    expect(isGatewaysOwn(gone)).toBe(true);
  });

  test('has the timeline 0, as ever, where no source had it', () => {
    const own = written(undefined, 'gateway', 0, some);
    expect([
      ownTimeline(undefined, 'gateway'),
      ownTimeline(own, 'gateway'),
      ownTimeline(own, 'zone'),
    ]).toEqual([0, 0, 0]);
    expect(ownTimeline({ term: 7, timeline: 3, stamp: 5 }, 'gateway')).toBe(0);
  });
});
