import { describe, expect, test } from '@jest/globals';
import type { OriginId } from '../../src/crdt/dot.ts';
import { Groups, type OwnStamps } from '../../src/replication/groups.ts';
import { OriginTable } from '../../src/replication/origins.ts';
import { FakeLog } from './fake-log.ts';
import { World } from './world.ts';

const originOf = (i: number): OriginId => i.toString(16).padStart(32, '0') as OriginId;
const own: OwnStamps = { stampS: 1000, seenStampS: 900 };

/** What one gateway (its number) has seen of a region of three, and what it can say of it. */
class View {
  readonly log: FakeLog;
  readonly origins: OriginTable;
  readonly groups: Groups;

  constructor(self: number) {
    this.log = new FakeLog(originOf(self), `node-${self}`);
    this.origins = new OriginTable(this.log);
    this.groups = new Groups(this.origins);
    for (const i of [1, 2, 3]) this.groups.enter('north', originOf(i));
    this.groups.setOwn(originOf(self));
  }

  see(i: number, seq: number): void {
    this.log.introduce(originOf(i), `node-${i}`);
    this.log.merge({ origin: originOf(i), seq, records: [] });
    this.origins.refresh(this.origins.row(originOf(i)));
  }

  /** As if its head had come in an entry of its own. */
  proved(i: number, atMs: number): void {
    const row = this.origins.row(originOf(i));
    this.origins.provenAtMs[row] = atMs;
    this.origins.provenStampS[row] = 990;
  }

  ageMs(i: number, nowMs: number): number {
    return nowMs - this.groups.provenAtMs(this.origins.row(originOf(i)));
  }
}

function teller(): View {
  const view = new View(1);
  view.proved(2, 90);
  view.proved(3, 80);
  view.see(2, 1);
  view.see(3, 1);
  return view;
}

describe('a claim about a region', () => {
  test('is as old as what was heard last of its members, and says nothing while one was never heard', () => {
    const view = new View(1);
    view.proved(2, 90);
    expect(view.groups.claim('north', own, 100)).toBeUndefined();
    view.proved(3, 80);
    expect(view.groups.claim('north', own, 5000)).toMatchObject({ ageMs: 4920, stampS: 990 });
  });

  test('proves to who has seen the same that it is as fresh, travel included', () => {
    const claim = teller().groups.claim('north', own, 100);
    const reader = new View(4);
    reader.see(2, 1);
    reader.see(3, 1);
    expect(claim && reader.groups.hear(claim, 30, 1000)).toBe(true);
    expect(reader.ageMs(2, 1000)).toBe(50);
    expect(reader.ageMs(1, 1500)).toBe(550);
  });

  test('proves it too where more was seen meanwhile, and where the rest is still under way', () => {
    const claim = teller().groups.claim('north', own, 100);
    const ahead = new View(4);
    ahead.see(2, 1);
    ahead.see(3, 1);
    ahead.see(3, 2);
    expect(claim && ahead.groups.hear(claim, 30, 1000)).toBe(true);
    expect(ahead.ageMs(3, 1000)).toBe(50);
    const behind = new View(4);
    behind.see(2, 1);
    expect(claim && behind.groups.hear(claim, 30, 1000)).toBe(true);
    expect(behind.ageMs(3, 1000)).toBe(Number.POSITIVE_INFINITY);
    behind.see(3, 1);
    expect(behind.ageMs(3, 1100)).toBe(150);
  });

  test('proves nothing where something is missing, and says so when that lasts', () => {
    const view = teller();
    const reader = new View(4);
    reader.see(2, 1);
    let differs = false;
    for (let nowMs = 1000; nowMs < 30_000; nowMs += 1000) {
      const claim = view.groups.claim('north', own, nowMs);
      if (claim !== undefined && !reader.groups.hear(claim, 30, nowMs)) differs = true;
    }
    expect(differs).toBe(true);
    expect(reader.ageMs(2, 1000)).toBe(Number.POSITIVE_INFINITY);
  });

  test('proves nothing to who sees other members, and keeps what was proved when members change', () => {
    const claim = teller().groups.claim('north', own, 100);
    const reader = new View(4);
    reader.groups.enter('north', originOf(5));
    reader.see(2, 1);
    reader.see(3, 1);
    expect(claim && reader.groups.hear(claim, 30, 1000)).toBe(true);
    expect(reader.ageMs(2, 1000)).toBe(Number.POSITIVE_INFINITY);
    reader.groups.exit('north', originOf(5), false);
    expect(claim && reader.groups.hear(claim, 30, 1000)).toBe(true);
    expect(reader.ageMs(2, 1000)).toBe(50);
    reader.groups.enter('north', originOf(6));
    expect(reader.ageMs(2, 1000)).toBe(50);
    expect(reader.ageMs(6, 1000)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('in a fleet', () => {
  test('everybody knows soon how fresh it is of everybody, at little cost, and all agree on what is stable', () => {
    const world = new World({ seed: 1, regions: [25, 25, 25, 25], loss: 0.02, headsBytes: 300 });
    for (let i = 0; i < 30; i++) world.write(world.at(i * 3), `key-${i}`, new Uint8Array(20).fill(i));
    world.run(15_000);
    const before = world.machines.reduce((sum, { receivedBytes }) => sum + receivedBytes, 0);
    world.run(10_000);
    const received = world.machines.reduce((sum, { receivedBytes }) => sum + receivedBytes, 0) - before;
    expect(received / world.machines.length / 10).toBeLessThan(1200);
    world.run(20_000);
    let oldest = 0;
    for (const reader of world.machines) {
      for (const writer of world.machines) {
        const fresh = reader.replication.freshness(writer.id, world.now(reader));
        oldest = Math.max(oldest, fresh?.ageMs ?? Number.POSITIVE_INFINITY);
      }
    }
    expect(oldest).toBeLessThan(10_000);
    for (const machine of world.machines) {
      const lagS = (world.now().wallUs - machine.replication.stableStamp(world.now(machine))) / 1e6;
      expect(lagS).toBeLessThan(30);
    }
  });
});
