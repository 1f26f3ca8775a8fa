import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Member } from '../../src/swim/member.ts';
import { memberHash, mergeMember } from '../../src/swim/merge.ts';
import type { MemberUpdate } from '../../src/swim/messages.ts';
import { Roster } from '../../src/swim/roster.ts';
import { factsOf, idOf, seeded } from './pool.ts';

const told = fc
  .record({
    incarnation: fc.nat(6),
    state: fc.constantFrom('alive' as const, 'suspect' as const, 'failed' as const, 'left' as const),
    lag: fc.nat(6),
    withFacts: fc.boolean(),
  })
  .map(({ incarnation, state, lag, withFacts }): MemberUpdate => {
    const factsIncarnation = Math.max(0, incarnation - lag);
    return {
      id: idOf(1),
      incarnation,
      state,
      factsIncarnation,
      // A member says one thing per incarnation.
      facts: withFacts ? factsOf(1, { tags: { of: `${factsIncarnation}` } }) : null,
      by: null,
      ageMs: 0,
    };
  });

const shown = (member: Member | undefined) =>
  member && [member.state, member.incarnation, member.factsIncarnation, member.facts.tags['of']];

function merged(updates: readonly MemberUpdate[], start?: Member): Member | undefined {
  return updates.reduce<Member | undefined>((current, update) => mergeMember(current, update), start);
}

const start: Member = {
  facts: factsOf(1, { tags: { of: '0' } }),
  state: 'alive',
  incarnation: 0,
  factsIncarnation: 0,
};

describe('merging what is said of a member', () => {
  test('ends the same in whatever order, and however often, it is heard', () => {
    fc.assert(
      fc.property(
        fc
          .array(told, { maxLength: 12 })
          .chain((updates) =>
            fc.tuple(
              fc.constant(updates),
              fc.shuffledSubarray([...updates, ...updates], { minLength: 2 * updates.length }),
            ),
          ),
        ([updates, again]) => {
          expect(shown(merged(again, start))).toEqual(shown(merged(updates, start)));
        },
      ),
    );
  });

  test('never lowers an incarnation, and never makes one that nobody said', () => {
    fc.assert(
      fc.property(fc.array(told, { minLength: 1, maxLength: 12 }), (updates) => {
        let current: Member | undefined;
        for (const update of updates) {
          const next = mergeMember(current, update);
          expect(next?.incarnation ?? 0).toBeGreaterThanOrEqual(current?.incarnation ?? 0);
          expect(next?.factsIncarnation ?? 0).toBeGreaterThanOrEqual(current?.factsIncarnation ?? 0);
          current = next;
        }
        expect([undefined, ...updates.map((each) => each.incarnation)]).toContain(current?.incarnation);
      }),
    );
  });

  test('that is no news answers the same object', () => {
    fc.assert(
      fc.property(fc.array(told, { minLength: 1, maxLength: 8 }), (updates) => {
        const once = merged(updates, start);
        for (const update of updates) expect(mergeMember(once, update)).toBe(once);
      }),
    );
  });

  test('without facts says nothing of who is not known', () => {
    const update: MemberUpdate = {
      ...{ id: idOf(1), incarnation: 3, state: 'failed', factsIncarnation: 1 },
      ...{ facts: null, by: null, ageMs: 0 },
    };
    expect(mergeMember(undefined, update)).toBeUndefined();
  });

  test('left is believed over failed of the same incarnation, and only a later one undoes it', () => {
    const say = (state: MemberUpdate['state'], incarnation: number): MemberUpdate => ({
      ...{ id: idOf(1), incarnation, state, factsIncarnation: 0 },
      ...{ facts: null, by: null, ageMs: 0 },
    });
    const left = merged([say('left', 2)], start);
    expect(merged([say('failed', 2), say('suspect', 2), say('alive', 2)], left)).toBe(left);
    expect(merged([say('alive', 3)], left)?.state).toBe('alive');
  });
});

describe('the roster', () => {
  test('has a digest of what it holds, however it came to hold it', () => {
    const change = fc.tuple(fc.nat(5), told);
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
        const random = seeded(1);
        const roster = new Roster(idOf(0));
        const held = new Map<string, Member>();
        for (const [n, { state, incarnation, factsIncarnation }] of changes) {
          if (state === 'alive' || state === 'suspect' || state === 'failed' || state === 'left') {
            const member: Member = { facts: factsOf(n), state, incarnation, factsIncarnation };
            roster.set(member, 0, random);
            held.set(member.facts.id, member);
          }
          if (incarnation === 0) {
            roster.remove(idOf(n));
            held.delete(idOf(n));
          }
        }
        let digest = 0;
        for (const [id, { incarnation, state, factsIncarnation }] of held) {
          digest ^= memberHash(id, incarnation, state, factsIncarnation);
        }
        expect(roster.digest).toBe(digest >>> 0);
        expect(roster.size).toBe(held.size);
        const live = [...held.values()].filter(({ state }) => state === 'alive' || state === 'suspect');
        expect(roster.liveCount).toBe(live.length);
        expect(roster.sorted().map((member) => member.facts.id)).toEqual([...held.keys()].toSorted());
        for (const { facts } of held.values()) expect(roster.byName(facts.name)?.facts.id).toBe(facts.id);
      }),
    );
  });

  test('probes every living other once in a round, in another order each', () => {
    const random = seeded(2);
    const roster = new Roster(idOf(0));
    for (let n = 0; n < 12; n++) {
      const state = n === 5 ? 'failed' : 'alive';
      roster.set({ facts: factsOf(n), state, incarnation: 1, factsIncarnation: 1 }, 0, random);
    }
    for (let n = 0; n < 10; n++) roster.nextToProbe(random);
    const rounds = [0, 1, 2].map(() =>
      Array.from({ length: 10 }, () => roster.nextToProbe(random)?.facts.name),
    );
    for (const round of rounds) expect(new Set(round).size).toBe(10);
    expect(rounds[0]).not.toEqual(rounds[1]);
    expect(rounds.flat()).not.toContain('node-5');
    expect(rounds.flat()).not.toContain('node-0');
  });

  test('picks by chance, each once, only who is wanted', () => {
    const random = seeded(3);
    const roster = new Roster(idOf(0));
    expect(roster.pick(3, () => true, random)).toEqual([]);
    for (let n = 0; n < 100; n++) {
      roster.set({ facts: factsOf(n), state: 'alive', incarnation: 1, factsIncarnation: 1 }, 0, random);
    }
    const picked = new Set<string>();
    for (let i = 0; i < 400; i++) {
      const three = roster.pick(3, ({ facts }) => facts.name !== 'node-7', random);
      expect(new Set(three).size).toBe(three.length);
      for (const { facts } of three) picked.add(facts.name);
    }
    expect(picked.size).toBe(98);
  });
});
