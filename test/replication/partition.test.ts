import { describe, expect, test } from '@jest/globals';
import { World, type Machine } from './world.ts';

const value = (i: number, bytes = 100): Uint8Array => new Uint8Array(bytes).fill(i & 255);

function writeMany(world: World, machine: Machine, prefix: string, count: number): void {
  for (let i = 0; i < count; i += 50) {
    world.step(machine, (now) => {
      const dots = Array.from({ length: Math.min(50, count - i) }, (_, j) =>
        machine.log.write([{ key: `${prefix}-${i + j}`, value: value(i + j) }], now),
      );
      machine.replication.committed(dots, now);
    });
    world.run(5);
  }
}

describe('after a partition', () => {
  test('of three gateways with 10,000 changes on each side, all are equal within five seconds', () => {
    const world = new World({ seed: 1, regions: [1, 1, 1], wanMs: () => 100, noticeMs: 1000 });
    world.run(3000);
    world.partition((a, b) => (a.region === 0) !== (b.region === 0));
    world.run(2000);
    writeMany(world, world.at(0), 'a', 10_000);
    writeMany(world, world.at(1), 'b', 10_000);
    world.run(1000);
    world.heal();
    const tookMs = world.runUntil(() => world.alike(), 10_000, 100);
    expect(tookMs).toBeLessThan(5000);
    expect(world.at(2).log.state().size).toBe(20_000);
  });

  test.each([1, 2])('regions fetch over the WAN about once what they then share inside (seed %i)', (seed) => {
    const world = new World({ seed, regions: [8, 8, 8], wanMs: () => 60, noticeMs: 1000, loss: 0.02 });
    world.run(3000);
    world.partition((a, b) => (a.region === 0) !== (b.region === 0));
    world.run(2000);
    writeMany(world, world.at(0), 'a', 1000);
    writeMany(world, world.at(9), 'b', 1000);
    world.run(1000);
    let wanBytes = 0;
    world.onSent = (from, to, bytes) => {
      if (from.region !== to.region) wanBytes += bytes;
    };
    world.heal();
    const tookMs = world.runUntil(() => world.alike(), 20_000, 100);
    expect(tookMs).toBeLessThan(5000);
    // One side's changes cross to the other two regions, and theirs to one: a little more than three times 1,000.
    expect(wanBytes / (1000 * 160)).toBeLessThan(6);
  });

  test('a gateway that was down comes back to all that it missed, and brings what it alone had', () => {
    const world = new World({ seed: 3, regions: [3, 3], noticeMs: 1000 });
    world.run(3000);
    const away = world.at(4);
    world.partition((a, b) => a === away || b === away);
    world.run(2000);
    writeMany(world, world.at(0), 'missed', 500);
    writeMany(world, away, 'alone', 500);
    world.crash(away);
    world.run(2000);
    world.partition(() => false);
    world.restart(away);
    expect(world.runUntil(() => world.alike(), 8000, 50)).toBeDefined();
    expect(away.log.state().size).toBe(1000);
  });

  test('the dead are not waited for: bridges that are gone are stood in for', () => {
    const world = new World({ seed: 4, regions: [4, 4], noticeMs: 500 });
    world.run(3000);
    world.partition((a, b) => a.region !== b.region);
    world.run(1000);
    writeMany(world, world.at(0), 'a', 1500);
    // Silent for everybody, though membership goes on believing in it.
    const bridge = world.inRegion(1).find(({ replication }) => replication.isBridgeTo('r0'));
    expect(bridge).toBeDefined();
    if (bridge !== undefined) bridge.paused = true;
    world.heal();
    const rest = world.machines.filter((machine) => machine !== bridge);
    expect(world.runUntil(() => world.alike(rest), 10_000, 100)).toBeDefined();
  });
});
