import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { MemberUpdate, SwimMessage } from '../../src/swim/messages.ts';
import { lanProfile } from '../../src/swim/profile.ts';
import { swimMessage } from '../../src/swim/messages.ts';
import { toBytes } from '../../src/wire/schema.ts';
import { anyMessage } from './arbitrary.ts';
import { OneMember } from './one-member.ts';
import { factsOf, idOf } from './pool.ts';

const happening = fc.record({
  message: anyMessage,
  from: fc.integer({ min: 2, max: 6 }),
  /** Which of its own requests the message answers, if it can be an answer. */
  answers: fc.nat(10),
  thenMs: fc.constantFrom(0, 1, 50, 1000, 20_000),
});

/** Half of the answers answer something: those that do not are dropped unread. */
function fitting(
  one: OneMember,
  { message, answers }: { message: SwimMessage; answers: number },
): SwimMessage {
  if (!('seq' in message)) return message;
  const asked = one.sent.map((sent) => sent.message).filter((each) => 'seq' in each);
  const request = asked[asked.length - 1 - answers];
  return request === undefined ? message : { ...message, seq: request.seq };
}

function told(message: SwimMessage): readonly MemberUpdate[] {
  return 'updates' in message ? message.updates : [];
}

describe('whatever comes', () => {
  test("nothing throws, no incarnation falls, and none but one's own is raised", () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 40 }), (happenings) => {
        const one = new OneMember(4);
        /** The highest incarnation of each that anybody has said. */
        const said = new Map([2, 3, 4].map((n) => [idOf(n), 1]));
        const hear = (id: string, incarnation: number): void => {
          said.set(id, Math.max(said.get(id) ?? 0, incarnation));
        };
        let own = one.swim.self.incarnation;
        for (const each of happenings) {
          const message = fitting(one, each);
          for (const { id, incarnation } of told(message)) hear(id, incarnation);
          if ('incarnation' in message) hear(message.facts.id, message.incarnation);
          const before = new Map(one.swim.members().map((member) => [member.facts.id, member]));
          one.hear(each.from, message);
          expect(one.swim.self.incarnation).toBeGreaterThanOrEqual(own);
          own = one.swim.self.incarnation;
          for (const { facts, incarnation } of one.swim.members()) {
            expect(incarnation).toBeGreaterThanOrEqual(before.get(facts.id)?.incarnation ?? 0);
          }
          one.run(each.thenMs);
          const others = one.swim
            .members()
            .map(({ facts, incarnation }) => ({ id: facts.id, incarnation }))
            .concat(one.sent.flatMap((sent) => told(sent.message)))
            .filter(({ id }) => id !== idOf(1));
          expect(others.filter(({ id, incarnation }) => incarnation > (said.get(id) ?? -1))).toEqual([]);
          for (const sent of one.sent) toBytes(swimMessage, sent.message);
          one.sent = one.sent.slice(-20);
        }
        const live = one.swim.members().filter(({ state }) => state === 'alive' || state === 'suspect');
        expect(one.swim.liveCount()).toBe(live.length);
        // Names of those that live are unique.
        expect(new Set(live.map(({ facts }) => facts.name.toLowerCase())).size).toBe(live.length);
      }),
      { numRuns: 60 },
    );
  });

  test('a flood of strangers fills no table beyond its bound', () => {
    const profile = { ...lanProfile, membersMax: 20, broadcastsMax: 10 };
    const one = new OneMember(2, { profile });
    for (let n = 10; n < 600; n++) {
      const facts = factsOf(n);
      one.hear(2, {
        kind: 'gossip',
        sender: idOf(2),
        updates: [
          { id: facts.id, incarnation: 1, state: 'alive', factsIncarnation: 1, facts, by: null, ageMs: 0 },
          {
            id: idOf(n + 1000),
            incarnation: 1,
            state: 'pruned',
            factsIncarnation: 0,
            facts: null,
            by: null,
            ageMs: 0,
          },
        ],
      });
      one.hear(n & 255, {
        kind: 'ping-req',
        ...{ seq: n, sender: facts.id, target: idOf(2), endpoint: facts.endpoint, nackAfterMs: 600_000 },
      });
    }
    expect(one.swim.members()).toHaveLength(20);
    expect(one.swim.stats().queue).toBeLessThanOrEqual(10);
    expect(one.swim.stats().dropped).toBeGreaterThan(1000);
  });
});
