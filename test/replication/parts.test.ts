import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { OriginId } from '../../src/crdt/dot.ts';
import { Budget } from '../../src/replication/budget.ts';
import { DueQueue } from '../../src/replication/due-queue.ts';
import { hashText, mix } from '../../src/replication/hash.ts';
import { OriginTable } from '../../src/replication/origins.ts';
import { Links } from '../../src/replication/rto.ts';
import { FakeLog } from './fake-log.ts';

describe('what is due', () => {
  test('comes out in the order of its times', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1000)), (times) => {
        const queue = new DueQueue<number>();
        for (const time of times) queue.push(time, time);
        const out: number[] = [];
        for (let item = queue.popDue(2000); item !== undefined; item = queue.popDue(2000)) out.push(item);
        expect(out).toEqual(times.toSorted((a, b) => a - b));
      }),
    );
  });

  test('wakes nobody once it is stale', () => {
    const queue = new DueQueue<string>();
    for (const [atMs, item] of [
      [1, 'stale'],
      [2, 'stale'],
      [3, 'fresh'],
      [4, 'stale'],
    ] as const)
      queue.push(atMs, item);
    queue.skip((item) => item === 'stale');
    expect(queue.nextMs).toBe(3);
    expect(queue.size).toBe(2);
  });

  test('stays until its time', () => {
    const queue = new DueQueue<string>();
    queue.push(10, 'ten');
    expect(queue.popDue(9)).toBeUndefined();
    expect(queue.nextMs).toBe(10);
    expect(queue.popDue(10)).toBe('ten');
    expect(queue.nextMs).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('a budget', () => {
  test('never passes more than its burst and its rate', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(50), fc.integer({ min: 1, max: 2000 }))), (asked) => {
        const budget = new Budget(10_000, 2000, 0);
        let nowMs = 0;
        let passed = 0;
        for (const [waitMs, bytes] of asked) {
          nowMs += waitMs;
          if (budget.take(bytes, nowMs)) passed += bytes;
        }
        expect(passed).toBeLessThanOrEqual(2000 + nowMs * 10 + 1e-6);
      }),
    );
  });

  test('passes what is larger than its burst once it is full, and says when', () => {
    const budget = new Budget(1000, 500, 0);
    expect(budget.take(2000, 0)).toBe(true);
    expect(budget.take(1, 100)).toBe(false);
    expect(budget.take(1, budget.readyMs(1))).toBe(true);
  });
});

describe('waiting for an acknowledgement', () => {
  const peer = { id: 'peer', region: 'north', rttMs: 100 };

  test('follows what was measured, and never goes below a floor', () => {
    const links = new Links();
    const link = links.open('peer');
    expect(links.rtoMs(peer)).toBeGreaterThan(100);
    for (let i = 0; i < 50; i++) links.measured(link, 'north', 80);
    expect(links.rtoMs(peer)).toBeGreaterThanOrEqual(90);
    expect(links.rtoMs(peer)).toBeLessThan(110);
  });

  test('of a peer that is new goes by its region', () => {
    const links = new Links();
    for (let i = 0; i < 50; i++) links.heard('north', 20);
    expect(links.roundTripMs(peer)).toBeCloseTo(20);
    expect(links.rtoMs(peer)).toBeLessThan(60);
    expect(links.rtoMs({ ...peer, region: 'south' })).toBeGreaterThan(100);
  });

  test('a peer that lost twice in a row is avoided for a while, until it answers', () => {
    const links = new Links();
    const link = links.open('peer');
    links.failed(link, 1000);
    expect(link.avoidedUntilMs).toBe(0);
    links.failed(link, 1000);
    expect(link.avoidedUntilMs).toBeGreaterThan(1000);
    links.acknowledged(link);
    expect(link.avoidedUntilMs).toBe(0);
  });
});

describe('the digest of all that was seen', () => {
  const originOf = (i: number): OriginId =>
    hashText(`origin ${i}`).toString(16).replace('-', 'f').padStart(32, '0') as OriginId;

  test('depends on what was seen alone, not on its order', () => {
    const dots = fc.uniqueArray(fc.tuple(fc.nat(5), fc.integer({ min: 1, max: 8 })), {
      selector: ([origin, seq]) => `${origin} ${seq}`,
    });
    fc.assert(
      fc.property(dots, fc.func(fc.nat()), (seen, rank) => {
        const digestOf = (order: readonly (readonly [number, number])[]): number => {
          const log = new FakeLog(originOf(99), '00000000-0000-4000-8000-000000000001');
          const table = new OriginTable(log);
          for (const [origin, seq] of order) {
            log.introduce(originOf(origin), `node ${origin}`);
            log.merge({ origin: originOf(origin), seq, records: [] });
            table.refresh(table.row(originOf(origin)));
          }
          expect(new OriginTable(log).digest).toBe(table.digest);
          return table.digest;
        };
        const shuffled = seen.toSorted((a, b) => rank(...a) - rank(...b));
        expect(digestOf(shuffled)).toBe(digestOf(seen));
        expect(digestOf(seen.slice(1)) === digestOf(seen)).toBe(seen.length === 0);
      }),
      { numRuns: 60 },
    );
  });

  test('hashes spread: every member stands first for about as many', () => {
    const firsts = new Map<number, number>();
    for (let key = 0; key < 5000; key++) {
      let best = 0;
      for (let member = 1; member < 10; member++) {
        const lower =
          mix(hashText(`key ${key}`), hashText(`m${member}`)) >>> 0 <
          mix(hashText(`key ${key}`), hashText(`m${best}`)) >>> 0;
        if (lower) best = member;
      }
      firsts.set(best, (firsts.get(best) ?? 0) + 1);
    }
    for (const count of firsts.values()) expect(Math.abs(count - 500)).toBeLessThan(120);
  });
});
