import { describe, expect, test } from '@jest/globals';
import { Pool, factsOf } from './pool.ts';

describe('coming together', () => {
  test('fresh gateways join through one and all see all, in the cluster of that one', () => {
    const pool = Pool.of(10, 1);
    expect(new Set(pool.views()).size).toBe(1);
    expect(pool.agreed()).toBe(true);
    for (const node of pool.nodes) {
      expect(node.swim.liveCount()).toBe(10);
      expect(node.swim.cluster()).toBe('cafe');
    }
  });

  test('no packet is larger than fits', () => {
    const pool = Pool.of(30, 2);
    expect(pool.packetBytesMax).toBeLessThanOrEqual(1100);
    expect(pool.agreed()).toBe(true);
  });
});

describe('failure', () => {
  test.each([3, 5, 20])('a crash in a pool of %i is seen by all, and nobody else is suspected', (size) => {
    const pool = Pool.of(size, size);
    const gone = pool.node(1);
    pool.crash(gone);
    const others = pool.nodes.filter((node) => node !== gone);
    expect(pool.runUntil(() => others.every((node) => pool.stateOf(node, gone) === 'failed'), 25_000)).toBe(
      true,
    );
    pool.run(5000);
    expect(pool.events('suspect', 'failed').filter((event) => !event.includes('sees node-2 '))).toEqual([]);
    expect(pool.agreed()).toBe(true);
  });

  test('links of 300 ms one way, and a loss of 2 %, make nobody fail', () => {
    const pool = new Pool(7);
    pool.delayMs = (from, to) => (from.facts.region === to.facts.region ? 0.5 : 300);
    pool.loss = 0.02;
    const first = pool.add(factsOf(1), 'cafe');
    for (let n = 2; n <= 12; n++) {
      pool.join(pool.add(factsOf(n, { region: `r${n % 3}` })), first);
    }
    pool.run(300_000);
    expect(pool.events('failed')).toEqual([]);
    expect(pool.agreed()).toBe(true);
  });
});
