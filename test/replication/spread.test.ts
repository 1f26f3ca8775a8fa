import { describe, expect, test } from '@jest/globals';
import { type Machine, World, type WorldOptions } from './world.ts';

const value = (i: number, bytes = 120): Uint8Array => new Uint8Array(bytes).fill(i & 255);

function scatter(world: World, writes: number, everyMs: number): void {
  for (let i = 0; i < writes; i++) {
    const machine = world.at(Math.floor(world.random() * world.machines.length));
    world.write(machine, `key-${Math.floor(world.random() * writes * 0.7)}`, value(i));
    world.run(everyMs * world.random());
  }
}

const hard: Omit<WorldOptions, 'seed' | 'regions'> = {
  loss: 0.2,
  duplication: 0.1,
  jitterMs: 30,
  encode: true,
};

describe('what is written anywhere', () => {
  test.each([1, 2, 3, 4, 5])(
    'is everywhere in the end, in spite of a network that loses a fifth (seed %i)',
    (seed) => {
      const world = new World({ ...hard, seed, regions: [1, 4, 12] });
      scatter(world, 150, 20);
      expect(world.runUntil(() => world.alike(), 20_000)).toBeDefined();
      for (const { replication } of world.machines) {
        expect(replication.needs(world.now()).gaps).toEqual([]);
      }
    },
  );

  test('is seen in another region after one one-way delay and a hop inside', () => {
    const world = new World({ seed: 1, regions: [3, 3], wanMs: () => 80, lanMs: 0.5 });
    world.run(100);
    world.write(world.at(0), 'key', value(1));
    world.run(81);
    const holders = world.inRegion(1).filter(({ log }) => log.get('key') !== undefined);
    expect(holders).toHaveLength(3);
  });

  test('crosses each link between regions once when nothing is lost', () => {
    const world = new World({ seed: 1, regions: [3, 12, 12] });
    let crossings = 0;
    world.run(100);
    const counted = world.machines.map(({ byKind }) => byKind['dots'] ?? 0);
    world.write(world.at(0), 'key', value(1));
    world.run(500);
    crossings = world.machines.filter(({ byKind }, i) => (byKind['dots'] ?? 0) > (counted[i] ?? 0)).length;
    expect(crossings).toBe(26);
    for (const { replication } of world.machines)
      expect(replication.needs(world.now()).stats.duplicates).toBe(0);
  });

  test('of many registers in one dot arrives whole over the stream', () => {
    const world = new World({ seed: 1, regions: [2, 2], encode: true });
    const machine = world.at(0);
    world.run(100);
    world.step(machine, (now) => {
      const writes = Array.from({ length: 128 }, (_, i) => ({ key: `big-${i}`, value: value(i, 2000) }));
      machine.replication.committed([machine.log.write(writes, now)], now);
    });
    world.run(500);
    expect(world.alike()).toBe(true);
    expect(world.at(3).log.state().size).toBe(128);
  });

  test('goes around a relay and a standby that are dead before membership knows', () => {
    const world = new World({ seed: 3, regions: [2, 12], noticeMs: 60_000, wanMs: () => 30 });
    world.run(2000);
    const writer = world.at(0);
    // Whoever relays for this writer: the one that received the first write.
    world.write(writer, 'first', value(1));
    world.run(33);
    const relays = world.inRegion(1).filter(({ log }) => log.get('first') !== undefined);
    expect(relays.length).toBeGreaterThan(0);
    for (const relay of relays.slice(0, 2)) world.crash(relay);
    world.write(writer, 'second', value(2));
    const rest = world.machines.filter(({ up }) => up);
    const tookMs = world.runUntil(() => rest.every(({ log }) => log.get('second') !== undefined), 2000);
    expect(tookMs).toBeLessThan(700);
  });

  test('reaches those behind a relay that lost it, also when who stands in for that one had it another way', () => {
    const world = new World({ seed: 3, regions: [2, 60], wanMs: () => 30, probeEveryMs: 60_000 });
    const writer = world.at(0);
    const given: Machine[] = [];
    let early = false;
    world.onSent = (from, to, _bytes, message) => {
      if (from !== writer || message.kind !== 'dots' || !message.lead || to.region !== 1) return;
      given.push(to);
      if (!early || to === given[0]) return;
      // As a sync or a neighbour brings it: not as the root's.
      const copy = { ...message, tag: 0, lead: false };
      world.later(1, () => world.step(to, (now) => to.replication.receive(writer.endpoint, copy, now)));
    };
    world.run(100);
    world.write(writer, 'first', value(1));
    world.run(500);
    const [relay] = given;
    world.partition((a, b) => [a, b].includes(writer) && [a, b].some((each) => each === relay));
    early = true;
    world.write(writer, 'second', value(2));
    const everybody = (): boolean => world.inRegion(1).every(({ log }) => log.get('second') !== undefined);
    expect(world.runUntil(everybody, 1000)).toBeDefined();
    expect(new Set(given).size).toBe(2);
  });
});
