import { describe, expect, test } from '@jest/globals';
import { contiguousHead } from '../../src/crdt/seq-ranges.ts';
import { World, type Machine } from './world.ts';

const value = new Uint8Array(40).fill(7);

/** When each dot of each machine was written, so that claims can be held against the truth. */
class Truth {
  readonly #world: World;
  readonly #writes = new Map<Machine, { readonly atMs: number; readonly stamp: number }[]>();

  constructor(world: World) {
    this.#world = world;
  }

  write(machine: Machine, key: string): void {
    if (!machine.up || machine.paused) return;
    this.#world.write(machine, key, value);
    const writes = this.#writes.get(machine) ?? [];
    writes.push({ atMs: this.#world.nowMs, stamp: machine.log.get(key)?.stamp ?? 0 });
    this.#writes.set(machine, writes);
  }

  /** No machine may claim to have had all of an origin at a time when it lacks something written before. */
  checkAges(): number {
    let oldest = 0;
    for (const reader of this.#world.machines) {
      if (!reader.up || reader.paused) continue;
      for (const writer of this.#world.machines) {
        if (writer === reader) continue;
        const ageMs = reader.replication.freshness(writer.id, this.#world.now(reader))?.ageMs;
        if (ageMs === undefined) continue;
        oldest = Math.max(oldest, ageMs);
        const byThen = this.#world.nowMs - ageMs;
        const written = (this.#writes.get(writer) ?? []).filter(({ atMs }) => atMs < byThen).length;
        const here = contiguousHead(reader.log.originLog(writer.log.origin)?.seen ?? []);
        if (here < written) {
          throw new Error(`${reader.index} claims ${ageMs} ms of ${writer.index}: ${here} of ${written}`);
        }
      }
    }
    return oldest;
  }

  checkStable(): number {
    let highest = 0;
    for (const judge of this.#world.machines) {
      if (!judge.up || judge.paused) continue;
      const stable = judge.replication.stableStamp(this.#world.now(judge));
      highest = Math.max(highest, stable);
      for (const writer of this.#world.machines) {
        const below = (this.#writes.get(writer) ?? []).filter(({ stamp }) => stamp <= stable).length;
        for (const member of this.#world.machines) {
          const here = contiguousHead(member.log.originLog(writer.log.origin)?.seen ?? []);
          if (here < below)
            throw new Error(`${judge.index}: stable, but ${member.index} lacks ${writer.index}`);
        }
      }
    }
    return highest;
  }
}

describe('freshness', () => {
  test.each([1, 2, 3, 4])(
    'is never claimed better than it is, whatever the network does (seed %i)',
    (seed) => {
      const world = new World({
        seed,
        regions: [2, 5],
        loss: 0.15,
        jitterMs: 400,
        duplication: 0.1,
        noticeMs: 2000,
      });
      const truth = new Truth(world);
      for (let round = 0; round < 400; round++) {
        const machine = world.at(Math.floor(world.random() * 7));
        const dice = world.random();
        if (dice < 0.02) machine.paused = true;
        else if (dice < 0.05) for (const each of world.machines) each.paused = false;
        else if (dice < 0.06) world.partition((a, b) => a.region !== b.region);
        else if (dice < 0.08) world.heal();
        else if (dice < 0.09 && machine.up) world.crash(machine);
        else if (dice < 0.13) for (const each of world.machines) if (!each.up) world.restart(each);
        truth.write(machine, `key-${round}`);
        world.run(150 * world.random());
        if (round % 3 > 0) continue;
        expect(truth.checkAges()).toBeGreaterThanOrEqual(0);
        truth.checkStable();
      }
      for (const each of world.machines) {
        each.paused = false;
        if (!each.up) world.restart(each);
      }
      world.heal();
      for (let i = 0; i < 40; i++) {
        truth.write(world.at(i % 7), `late-${i}`);
        world.run(1500);
        truth.checkAges();
        truth.checkStable();
      }
      expect(truth.checkStable()).toBeGreaterThan(0);
    },
  );

  test('is bounded while links work, also under steady writes', () => {
    const world = new World({ seed: 5, regions: [3, 3], jitterMs: 2 });
    const truth = new Truth(world);
    world.run(10_000);
    for (let i = 0; i < 300; i++) {
      truth.write(world.at(i % 6), `key-${i}`);
      world.run(30);
      expect(truth.checkAges()).toBeLessThan(6000);
    }
    for (const reader of world.machines) {
      for (const writer of world.machines) {
        expect(reader.replication.freshness(writer.id, world.now(reader))).toBeDefined();
      }
    }
  });

  test('of who cannot be heard only grows', () => {
    const world = new World({ seed: 6, regions: [2, 2] });
    world.run(10_000);
    world.partition((a, b) => a.region !== b.region);
    world.run(30_000);
    const ageMs = world.at(0).replication.freshness(world.at(3).id, world.now(world.at(0)))?.ageMs;
    expect(ageMs).toBeGreaterThanOrEqual(30_000);
  });

  test('is unknown until something proves it', () => {
    const world = new World({ seed: 7, regions: [2] });
    expect(world.at(0).replication.freshness(world.at(1).id, world.now(world.at(0)))).toBeUndefined();
    expect(world.at(0).replication.freshness(world.at(0).id, world.now(world.at(0)))).toEqual({ ageMs: 0 });
  });
});

describe('the stable stamp', () => {
  test('rises with time while all are there, and stands still for one that is away until it is forgotten', () => {
    const world = new World({ seed: 8, regions: [3, 3] });
    const truth = new Truth(world);
    const judge = world.at(0);
    truth.write(judge, 'key');
    world.run(30_000);
    const early = truth.checkStable();
    expect(early).toBeGreaterThan(judge.log.get('key')?.stamp ?? Infinity);
    const gone = world.at(5);
    world.crash(gone);
    world.run(30_000);
    const stuck = judge.replication.stableStamp(world.now(judge));
    world.run(60_000);
    expect(judge.replication.stableStamp(world.now(judge))).toBe(stuck);
    world.forget(gone);
    world.run(30_000);
    expect(judge.replication.stableStamp(world.now(judge))).toBeGreaterThan(stuck);
  });
});

describe('a tail that was lost', () => {
  test('is found by heads alone, and pulled', () => {
    const world = new World({ seed: 9, regions: [3, 3] });
    world.run(5000);
    const writer = world.at(0);
    // Written, but nothing of it ever sent: as when everything was lost.
    const now = world.now(writer);
    writer.log.write([{ key: 'tail', value }], now);
    writer.replication.committed([], now);
    expect(world.runUntil(() => world.alike(), 15_000)).toBeDefined();
    expect(world.at(4).log.get('tail')).toBeDefined();
  });
});
