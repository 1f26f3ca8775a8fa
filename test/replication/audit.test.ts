import { describe, expect, test } from '@jest/globals';
import { World } from './world.ts';

const value = (i: number): Uint8Array => new Uint8Array(40).fill(i & 255);

describe('the audit', () => {
  test('finds what nobody logged, and mends it', () => {
    const world = new World({ seed: 1, regions: [2, 2], timing: { auditEveryMs: 2000 }, encode: true });
    world.run(1000);
    for (let i = 0; i < 1200; i++) world.write(world.at(i % 4), `key-${i}`, value(i));
    world.run(3000);
    expect(world.alike()).toBe(true);
    world.at(2).log.lose('key-7');
    world.at(2).log.lose('key-1100');
    expect(world.at(0).replication.digest).toBe(world.at(2).replication.digest);
    expect(world.alike()).toBe(false);
    expect(world.runUntil(() => world.alike(), 60_000, 200)).toBeDefined();
    const counted = world.machines.map(({ replication }) => replication.needs(world.now()).stats);
    expect(counted.reduce((sum, { divergences }) => sum + divergences, 0)).toBeGreaterThanOrEqual(1);
    expect(counted.reduce((sum, { divergencesRepaired }) => sum + divergencesRepaired, 0)).toBe(2);
  });

  test('takes nothing that is under way, or was collected, for a divergence', () => {
    const world = new World({
      ...{ seed: 2, regions: [2, 2], timing: { auditEveryMs: 300 }, loss: 0.05, jitterMs: 50 },
    });
    world.run(15_000);
    for (let i = 0; i < 400; i++) {
      const machine = world.at(i % 4);
      world.write(machine, `key-${Math.floor(world.random() * 60)}`, world.random() < 0.3 ? null : value(i));
      world.run(60);
      if (i % 40 === 0) machine.log.collect(machine.replication.stableStamp(world.now(machine)));
    }
    for (const { replication } of world.machines) {
      const { stats } = replication.needs(world.now());
      expect(stats.audits).toBeGreaterThan(20);
      expect(stats.divergences).toBe(0);
    }
  });
});
