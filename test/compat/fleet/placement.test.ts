import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { nextPlacement, type PlacementMember, type ZoneRule } from '../../../compat/fleet/placement.ts';
import type { ZoneValue } from '../../../src/state/values.ts';

const gateway = (name: string, region: string, live = true): PlacementMember => ({
  id: `id-${name}`,
  name,
  region,
  live,
});
const zone = (prefix: string, owner: string, term = 1): ZoneValue => ({
  prefix,
  ownerId: `id-${owner}`,
  term,
});

const members = [gateway('eu-2', 'eu'), gateway('us-1', 'us'), gateway('eu-1', 'eu')];
const rules: readonly ZoneRule[] = [
  { prefix: 'eu/', region: 'eu' },
  { prefix: 'team-x/', gateway: 'us-1' },
];

/** What every gateway would do, until none does anything. */
function settle(
  start: readonly ZoneValue[],
  all: readonly ZoneRule[],
  present: readonly PlacementMember[],
): readonly ZoneValue[] {
  let zones = start;
  for (let steps = 0; steps < 1000; steps++) {
    const proposals = present
      .filter(({ live }) => live)
      .flatMap(({ id }) => nextPlacement({ rules: all, zones, members: present, selfId: id }) ?? []);
    const [next] = proposals;
    if (next === undefined) return zones;
    // Nobody else has a say in the same prefix.
    expect(proposals.filter(({ prefix }) => prefix === next.prefix)).toHaveLength(1);
    expect(zones.map(({ prefix }) => prefix)).not.toContain(next.prefix);
    zones = [...zones, { prefix: next.prefix, ownerId: next.toNodeId, term: 2 }];
  }
  throw new Error('it never settles');
}

describe('a zone that a rule names', () => {
  test('is given by the owner of what covers it to the live gateway of the region with the lowest name', () => {
    const zones = [zone('', 'us-1')];
    expect(nextPlacement({ rules: [rules[0] as ZoneRule], zones, members, selfId: 'id-us-1' })).toEqual({
      kind: 'zone-place',
      prefix: 'eu/',
      toNodeId: 'id-eu-1',
    });
    const without = members.map((each) => ({ ...each, live: each.name !== 'eu-1' }));
    expect(nextPlacement({ rules, zones, members: without, selfId: 'id-us-1' })).toBeDefined();
    expect(
      nextPlacement({ rules: [rules[0] as ZoneRule], zones, members: without, selfId: 'id-us-1' })?.toNodeId,
    ).toBe('id-eu-2');
  });

  test('is nobody else’s to give', () => {
    const zones = [zone('', 'us-1')];
    for (const selfId of ['id-eu-1', 'id-eu-2']) {
      expect(nextPlacement({ rules, zones, members, selfId })).toBeUndefined();
    }
    expect(nextPlacement({ rules, zones: [], members, selfId: 'id-us-1' })).toBeUndefined();
  });

  test('may go to its owner itself, by a name in any case', () => {
    const own: readonly ZoneRule[] = [{ prefix: 'team-x/', gateway: 'US-1' }];
    expect(nextPlacement({ rules: own, zones: [zone('', 'us-1')], members, selfId: 'id-us-1' })).toEqual({
      kind: 'zone-place',
      prefix: 'team-x/',
      toNodeId: 'id-us-1',
    });
  });

  test('waits for a gateway of its region, and is there as soon as one joins', () => {
    const zones = settle([zone('', 'us-1')], rules, [gateway('us-1', 'us'), gateway('eu-9', 'eu', false)]);
    expect(zones.map(({ prefix }) => prefix)).toEqual(['', 'team-x/']);
    const joined = [gateway('us-1', 'us'), gateway('eu-9', 'eu')];
    expect(settle(zones, rules, joined).at(-1)).toMatchObject({ prefix: 'eu/', ownerId: 'id-eu-9' });
  });

  test('stays where it is, whoever joins or goes and whatever the rule says now', () => {
    const zones = [zone('', 'us-1'), zone('eu/', 'us-1', 7), zone('team-x/', 'eu-2')];
    for (const { id } of members) {
      expect(nextPlacement({ rules, zones, members, selfId: id })).toBeUndefined();
    }
  });

  test('below another one is given before that one is gone', () => {
    const nested: readonly ZoneRule[] = [
      { prefix: 'eu/', region: 'eu' },
      { prefix: 'eu/us-team/', region: 'us' },
    ];
    const zones = [zone('', 'us-1')];
    expect(nextPlacement({ rules: nested, zones, members, selfId: 'id-us-1' })?.prefix).toBe('eu/us-team/');
    expect(
      nextPlacement({ rules: nested, zones: [...zones, zone('eu/', 'eu-1')], members, selfId: 'id-eu-1' }),
    ).toEqual({ kind: 'zone-place', prefix: 'eu/us-team/', toNodeId: 'id-us-1' });
  });
});

test('any rules settle, each zone once, with nobody moving what another placed', () => {
  const regions = ['eu', 'us', 'ap'];
  const prefix = fc.string({ minLength: 1, maxLength: 3, unit: fc.constantFrom('a', 'b', '/') });
  const anyRule = fc.oneof(
    fc.record({ prefix, region: fc.constantFrom(...regions) }),
    fc.record({ prefix, gateway: fc.constantFrom('g0', 'g1', 'g2', 'g9') }),
  );
  const anyMembers = fc.array(fc.tuple(fc.constantFrom(...regions), fc.boolean()), {
    minLength: 1,
    maxLength: 5,
  });
  fc.assert(
    fc.property(fc.uniqueArray(anyRule, { selector: (rule) => rule.prefix }), anyMembers, (all, given) => {
      const present = given.map(([region, live], i) => gateway(`g${i}`, region, live || i === 0));
      const zones = settle([zone('', 'g0')], all, present);
      expect(new Set(zones.map((each) => each.prefix)).size).toBe(zones.length);
      for (const rule of all) {
        const meant = present.filter(
          ({ live, region, name }) =>
            live && ('region' in rule ? region === rule.region : name === rule.gateway),
        );
        const placed = zones.find((each) => each.prefix === rule.prefix);
        expect(placed?.ownerId).toBe(meant[0]?.id);
      }
    }),
  );
});
