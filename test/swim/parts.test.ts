import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Awareness } from '../../src/swim/awareness.ts';
import { Broadcasts, muchNews } from '../../src/swim/broadcasts.ts';
import type { MemberUpdate } from '../../src/swim/messages.ts';
import { lanProfile, pushPullIntervalMs, retransmitLimit, wanProfile } from '../../src/swim/profile.ts';
import { confirmSuspicion, raiseSuspicion, suspicionEndsMs } from '../../src/swim/suspicion.ts';
import { Timers } from '../../src/swim/timers.ts';
import { factsOf, idOf } from './pool.ts';

function update(n: number, changes: Partial<MemberUpdate> = {}): MemberUpdate {
  return {
    ...{ id: idOf(n), incarnation: 1, state: 'alive', factsIncarnation: 1 },
    ...{ facts: null, by: null, ageMs: 0, ...changes },
  };
}

const names = (updates: readonly MemberUpdate[]) => updates.map(({ id }) => parseInt(id.slice(-4), 16));

describe('a suspicion', () => {
  test.each([
    // members, confirmations, seconds that it lasts (4 * log10(N) * 1 s, six times that until confirmed)
    [2, 0, 4],
    [3, 0, 4],
    [4, 0, 24],
    [4, 1, 24 - (20 * Math.log(2)) / Math.log(3)],
    [4, 2, 4],
    [10, 5, 4],
    [100, 0, 48],
    [100, 2, 8],
    [1000, 2, 12],
  ])('in a LAN pool of %i with %i confirmations lasts %f s', (members, confirmations, seconds) => {
    const suspicion = raiseSuspicion(lanProfile, members, 1, 'first', 1000);
    for (let i = 0; i < confirmations; i++) confirmSuspicion(suspicion, `other ${i}`);
    expect(suspicionEndsMs(suspicion) - 1000).toBeCloseTo(seconds * 1000, 3);
  });

  test('is confirmed by each other once, and by no more than count', () => {
    const suspicion = raiseSuspicion(lanProfile, 50, 1, 'a', 0);
    expect(confirmSuspicion(suspicion, 'a')).toBe(false);
    expect(confirmSuspicion(suspicion, 'b')).toBe(true);
    expect(confirmSuspicion(suspicion, 'b')).toBe(false);
    expect(confirmSuspicion(suspicion, 'c')).toBe(true);
    expect(confirmSuspicion(suspicion, 'd')).toBe(false);
  });

  test('lasts long enough in a WAN pool for a slow link', () => {
    expect(suspicionEndsMs(raiseSuspicion(wanProfile, 3, 1, 'a', 0))).toBe(30_000);
  });
});

describe('timing that grows with the pool', () => {
  test('exchanges of all become rarer, updates are sent more often', () => {
    expect([2, 32, 33, 65, 1000].map((n) => pushPullIntervalMs(lanProfile, n))).toEqual([
      30_000, 30_000, 60_000, 90_000, 180_000,
    ]);
    expect([1, 9, 10, 99, 1000].map((n) => retransmitLimit(lanProfile, n))).toEqual([4, 4, 8, 8, 16]);
  });
});

describe('health', () => {
  test('stays between well and the ceiling, and stretches time', () => {
    const awareness = new Awareness(8);
    expect(awareness.scale(500)).toBe(500);
    awareness.add(-1);
    expect(awareness.score).toBe(0);
    awareness.add(3);
    expect(awareness.scale(500)).toBe(2000);
    awareness.add(100);
    expect(awareness.score).toBe(7);
  });
});

describe('timers', () => {
  test('run in the order of their times, cancelled ones never', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ atMs: fc.nat(1000), cancelled: fc.boolean() }), { maxLength: 60 }),
        (wanted) => {
          const timers = new Timers();
          const ran: number[] = [];
          for (const { atMs, cancelled } of wanted) {
            const timer = timers.at(atMs, () => ran.push(atMs));
            if (cancelled) timer.run = null;
          }
          const live = wanted.filter(({ cancelled }) => !cancelled).map(({ atMs }) => atMs);
          expect(timers.nextMs).toBe(Math.min(Infinity, ...live));
          timers.runDue(500);
          expect(ran).toEqual(live.filter((atMs) => atMs <= 500).toSorted((a, b) => a - b));
          timers.runDue(1000);
          expect(ran).toEqual(live.toSorted((a, b) => a - b));
          expect(timers.nextMs).toBe(Infinity);
        },
      ),
    );
  });

  test('one that is set by another runs with it when it is due', () => {
    const timers = new Timers();
    const ran: string[] = [];
    timers.at(1, () => {
      ran.push('first');
      timers.at(2, () => ran.push('second'));
      timers.at(9, () => ran.push('later'));
    });
    timers.runDue(5);
    expect(ran).toEqual(['first', 'second']);
  });
});

describe('updates to be spread', () => {
  test('go out least sent first, then newest first, until they were sent often enough', () => {
    const queue = new Broadcasts(100);
    queue.add(update(1));
    queue.add(update(2));
    expect(names(queue.take(1000, 3))).toEqual([2, 1]);
    queue.add(update(3));
    expect(names(queue.take(1000, 3))).toEqual([3, 1, 2]);
    expect(names(queue.take(1000, 3)).toSorted()).toEqual([1, 2, 3]);
    expect(names(queue.take(1000, 3))).toEqual([3]);
    expect(queue.size).toBe(0);
    expect(queue.take(1000, 3)).toEqual([]);
  });

  test('about one member: the newest only', () => {
    const queue = new Broadcasts(100);
    queue.add(update(1));
    queue.add(update(1, { state: 'suspect' }));
    expect(queue.size).toBe(1);
    expect(queue.take(1000, 3).map(({ state }) => state)).toEqual(['suspect']);
  });

  test('fill a message as far as they fit, smaller ones behind larger ones too', () => {
    const queue = new Broadcasts(100);
    for (let n = 1; n <= 30; n++) queue.add(update(n, n % 2 === 0 ? { facts: factsOf(n) } : {}));
    const first = names(queue.take(400, 2));
    const second = names(queue.take(400, 2));
    expect(first.length).toBeGreaterThan(3);
    expect(first.filter((n) => second.includes(n))).toEqual([]);
  });

  test('larger than any message go alone', () => {
    const queue = new Broadcasts(100);
    const tags = Object.fromEntries(Array.from({ length: 30 }, (_, i) => [`tag-${i}`, 'x'.repeat(100)]));
    queue.add(update(1, { facts: factsOf(1, { tags }) }));
    expect(names(queue.take(1000, 2))).toEqual([1]);
  });

  test('beyond the bound drop who was sent most often, and say so', () => {
    const queue = new Broadcasts(3);
    queue.add(update(1));
    queue.take(1000, 9);
    for (const n of [2, 3, 4]) queue.add(update(n));
    expect(queue.size).toBe(3);
    expect(queue.overflowed).toBe(1);
    expect(names(queue.take(1000, 9)).toSorted()).toEqual([2, 3, 4]);
  });

  test('tell when they were sent often enough', () => {
    const queue = new Broadcasts(10);
    let done = 0;
    queue.add(update(1), () => (done += 1));
    queue.take(1000, 2);
    expect(done).toBe(0);
    queue.take(1000, 2);
    expect(done).toBe(1);
  });

  test('count hearing as sending only while there is much to tell', () => {
    const queue = new Broadcasts(1000);
    queue.add(update(1));
    queue.heard(update(1), 1);
    expect(queue.size).toBe(1);
    for (let n = 2; n <= muchNews; n++) queue.add(update(n));
    queue.heard(update(1, { incarnation: 0 }), 1);
    expect(queue.size).toBe(muchNews);
    queue.heard(update(1), 1);
    expect(queue.size).toBe(muchNews - 1);
  });

  test('are each sent exactly as often as asked, whatever comes between', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.nat(20), { maxLength: 40 }), (limit, order) => {
        const queue = new Broadcasts(1000);
        const sent = new Map<number, number>();
        const want = new Map<number, number>();
        let incarnation = 0;
        const take = (): number => {
          const taken = queue.take(150, limit);
          for (const each of taken) {
            sent.set(each.incarnation, (sent.get(each.incarnation) ?? 0) + 1);
          }
          return taken.length;
        };
        for (const n of order) {
          incarnation += 1;
          queue.add(update(n, { incarnation }));
          want.set(n, incarnation);
          take();
        }
        while (take() > 0);
        for (const last of want.values()) expect(sent.get(last)).toBe(limit);
      }),
    );
  });
});
