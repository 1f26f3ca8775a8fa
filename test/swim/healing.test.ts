import { describe, expect, test } from '@jest/globals';
import { lanProfile } from '../../src/swim/profile.ts';
import { Pool, factsOf } from './pool.ts';

const minuteMs = 60_000;

/** Nothing passes between members before and from `n` on. */
function cut(pool: Pool, n: number): void {
  const side = new Map(pool.nodes.map((node, i) => [node, i < n]));
  pool.carries = (from, to) => side.get(from) === side.get(to);
}

function heal(pool: Pool): void {
  pool.carries = () => true;
}

describe('partitions', () => {
  test.each([
    [3, 1],
    [4, 2],
    [10, 5],
    [24, 8],
  ])(
    'a pool of %i split at %i counts the other side as failed, and is whole within 5 s of healing',
    (size, at) => {
      const pool = Pool.of(size, 100 + size);
      cut(pool, at);
      pool.run(60_000);
      for (const [i, node] of pool.nodes.entries())
        expect(node.swim.liveCount()).toBe(i < at ? at : size - at);
      heal(pool);
      const whole = pool.runUntil(() => pool.nodes.every((node) => node.swim.liveCount() === size), 5000);
      expect(whole).toBe(true);
      pool.run(20_000);
      expect(pool.agreed()).toBe(true);
    },
  );

  test('who cannot send packets but streams is not counted as failed', () => {
    const pool = Pool.of(6, 21);
    pool.carries = (from, to, lane) => lane === 'stream' || from.facts.name !== 'node-3' || to === from;
    pool.run(60_000);
    expect(pool.events('failed')).toEqual([]);
    expect(pool.nodes.reduce((sum, node) => sum + node.swim.stats().streamOnly, 0)).toBeGreaterThan(0);
  });

  test('one broken link between two makes neither fail: others probe for them', () => {
    const pool = Pool.of(6, 22);
    const pair = new Set([pool.node(1), pool.node(2)]);
    pool.carries = (from, to) => !(pair.has(from) && pair.has(to));
    pool.run(120_000);
    expect(pool.events('failed')).toEqual([]);
  });
});

describe('restarts', () => {
  test('a gateway that crashed and comes back finds the others by itself, above its old incarnation', () => {
    const pool = Pool.of(5, 31);
    const node = pool.node(2);
    pool.crash(node);
    pool.run(60_000);
    const before = pool.node(0).swim.memberById(node.facts.id)?.incarnation ?? Infinity;
    pool.restart(node);
    expect(pool.runUntil(() => pool.nodes.every((each) => each.swim.liveCount() === 5), 3000)).toBe(true);
    pool.run(10_000);
    expect(pool.node(0).swim.memberById(node.facts.id)?.incarnation).toBeGreaterThan(before);
    expect(pool.agreed()).toBe(true);
  });

  test('all restarted at once find each other again', () => {
    const pool = Pool.of(6, 32);
    for (const node of pool.nodes) pool.crash(node);
    pool.run(30_000);
    for (const node of pool.nodes) pool.restart(node);
    pool.run(10_000);
    for (const node of pool.nodes) expect(node.swim.liveCount()).toBe(6);
    expect(pool.agreed()).toBe(true);
    expect(pool.events('failed')).toEqual([]);
  });

  test('a restart at another address is one member that moved, whether it was missed or not', () => {
    for (const downMs of [500, 60_000]) {
      const pool = Pool.of(5, 33);
      const node = pool.node(2);
      pool.crash(node);
      pool.run(downMs);
      const moved = factsOf(3, { endpoint: { address: '10.9.9.9', port: 8301 } });
      pool.restart(node, moved);
      pool.run(15_000);
      for (const each of pool.nodes) {
        expect(each.swim.liveCount()).toBe(5);
        expect(each.swim.memberById(moved.id)?.facts.endpoint).toEqual(moved.endpoint);
        expect(each.swim.members()).toHaveLength(5);
      }
    }
  });

  test('a restart with a lost disk but the same id rises above the incarnation that others know', () => {
    const pool = Pool.of(4, 34);
    const node = pool.node(2);
    for (let i = 0; i < 5; i++) {
      pool.tell(node, (swim, nowMs) => swim.updateSelf({ ...node.facts, tags: { round: `${i}` } }, nowMs));
      pool.run(1000);
    }
    const before = pool.node(0).swim.memberById(node.facts.id)?.incarnation ?? Infinity;
    pool.crash(node);
    pool.run(200);
    node.disk = { incarnation: 0, members: new Map(), cluster: '' };
    pool.restart(node);
    pool.join(node, pool.node(0));
    pool.run(10_000);
    expect(pool.agreed()).toBe(true);
    const after = pool.node(0).swim.memberById(node.facts.id);
    expect(after?.incarnation).toBeGreaterThan(before);
    expect(after?.facts.tags).toEqual(node.facts.tags);
  });

  test('who stood alone comes back when the others do, much later', () => {
    const pool = Pool.of(3, 35);
    cut(pool, 1);
    pool.run(20 * minuteMs);
    heal(pool);
    expect(pool.runUntil(() => pool.nodes.every((each) => each.swim.liveCount() === 3), 60_000)).toBe(true);
  });
});

describe('an old disk', () => {
  const quick = { ...lanProfile, reconnectTimeoutMs: 10 * minuteMs, tombstoneMs: 10 * minuteMs };

  test('does not bring back whom all others have forgotten', () => {
    const pool = Pool.of(6, 51, quick);
    const [sleeper, ...gone] = [pool.node(1), pool.node(2), pool.node(3)];
    pool.crash(sleeper);
    pool.run(1000);
    for (const node of gone) pool.crash(node);
    pool.run(13 * minuteMs);
    expect(pool.node(0).swim.members()).toHaveLength(3);
    for (const node of pool.nodes) node.events.length = 0;
    pool.restart(sleeper);
    expect(sleeper.swim.members()).toHaveLength(6);
    pool.run(120_000);
    for (const node of pool.nodes.filter(({ up }) => up)) expect(node.swim.members()).toHaveLength(4);
    const others = pool.nodes.filter((node) => node !== sleeper).flatMap(({ events }) => events);
    expect(new Set(others.map(({ member }) => member.facts.name))).toEqual(new Set(['node-2']));
    expect(pool.agreed()).toBe(true);
  });

  test('of the last one standing still finds those who started before it', () => {
    const pool = Pool.of(4, 52);
    for (const node of pool.nodes) pool.crash(node);
    pool.run(10_000);
    for (const node of pool.nodes.toReversed()) {
      pool.restart(node);
      pool.run(90_000);
    }
    pool.run(20_000);
    for (const node of pool.nodes) expect(node.swim.liveCount()).toBe(4);
    expect(pool.agreed()).toBe(true);
  });

  test('holds whom it met first at once: killed a moment later, it looks for them', () => {
    const pool = Pool.of(3, 54);
    const node = pool.add(factsOf(9));
    pool.join(node, pool.node(0));
    pool.runUntil(() => node.swim.liveCount() === 4, 1000);
    pool.run(5);
    expect(node.disk.members.size).toBeGreaterThan(0);
    pool.crash(node);
    pool.restart(node);
    expect(pool.runUntil(() => node.swim.liveCount() === 4, 2000)).toBe(true);
  });

  test('holds what the machine knew: members with their states, and an incarnation that was never used', () => {
    const pool = Pool.of(4, 53);
    pool.crash(pool.node(3));
    pool.run(60_000);
    const { disk, swim } = pool.node(0);
    expect(disk.incarnation).toBe(swim.self.incarnation);
    expect([...disk.members.values()].map(({ facts, state }) => `${facts.name} ${state}`).toSorted()).toEqual(
      ['node-2 alive', 'node-3 alive', 'node-4 failed'],
    );
  });
});

describe('standing still', () => {
  test('a process stopped for a while suspects nobody when it wakes', () => {
    for (const stopMs of [3000, 30_000, 300_000]) {
      const pool = Pool.of(8, 41);
      const sleeper = pool.node(3);
      pool.stopFor(sleeper, stopMs);
      pool.run(stopMs + 15_000);
      expect(pool.events('suspect', 'failed').filter((event) => event.startsWith('node-4 sees'))).toEqual([]);
      for (const node of pool.nodes) expect(node.swim.liveCount()).toBe(8);
      expect(sleeper.swim.stats().pauses).toBeGreaterThan(0);
    }
  });

  test("a stop of a moment is nobody's failure", () => {
    const pool = Pool.of(8, 42);
    for (let i = 0; i < 20; i++) {
      pool.stopFor(pool.node(i % 8), 1500);
      pool.run(4000);
    }
    expect(pool.events('failed')).toEqual([]);
  });

  test('who does not get answers doubts itself, and is well again with the network', () => {
    const pool = Pool.of(8, 43);
    const deaf = pool.node(3);
    pool.carries = (_from, to) => to !== deaf;
    pool.run(8000);
    expect(deaf.swim.stats().health).toBeGreaterThan(0);
    heal(pool);
    pool.run(60_000);
    expect(deaf.swim.stats().health).toBe(0);
    for (const node of pool.nodes) expect(node.swim.liveCount()).toBe(8);
  });
});
