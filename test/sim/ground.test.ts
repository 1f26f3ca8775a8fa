import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { must } from '../../src/kernel/assert.ts';
import { MemoryStore } from '../../src/io/memory-store.ts';
import { Kind } from '../../src/state/kinds.ts';
import { rowOf } from '../support/store-model.ts';
import { cities, oneWayMs, type City } from './lib/cities.ts';
import { NodeClock } from './lib/clock.ts';
import { Disk, readers, writers } from './lib/disk.ts';
import { EventQueue } from './lib/event-queue.ts';
import { Network, type Host, type Lane } from './lib/network.ts';
import { Rng } from './lib/rng.ts';

// What the simulator stands on: chance, time, network and disk. Were they wrong, its verdicts would be, too.

describe('chance', () => {
  test('one seed always draws the same, another one something else', () => {
    const draw = (seed: string): readonly number[] => {
      const rng = new Rng(seed);
      return Array.from({ length: 20 }, () => rng.uint32());
    };
    expect(draw('1')).toEqual(draw('1'));
    expect(draw('1')).not.toEqual(draw('2'));
  });

  test('a part has a stream of its own, however much is drawn elsewhere', () => {
    const a = new Rng('seed');
    const b = new Rng('seed');
    for (let i = 0; i < 7; i++) b.float();
    expect(a.split('network').uint32()).toBe(b.split('network').uint32());
    expect(a.split('network').uint32()).not.toBe(a.split('clients').uint32());
  });

  test('draws are even', () => {
    const rng = new Rng('even');
    const counts = Array.from({ length: 10 }, () => 0);
    for (let i = 0; i < 100_000; i++) {
      const drawn = rng.below(10);
      counts[drawn] = (counts[drawn] ?? 0) + 1;
    }
    expect(Math.min(...counts)).toBeGreaterThan(9500);
    expect(Math.max(...counts)).toBeLessThan(10_500);
    const mean = Array.from({ length: 20_000 }, () => rng.exponential(5)).reduce((a, b) => a + b) / 20_000;
    expect(mean).toBeCloseTo(5, 0);
    expect(rng.shuffled([1, 2, 3, 4, 5]).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5]);
  });
});

test('events happen in the order of time, those of one time in the order in which they were planned', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(20), { maxLength: 200 }), (times) => {
      const queue = new EventQueue();
      const happened: number[] = [];
      times.forEach((at, i) => queue.at(at, () => happened.push(i)));
      queue.runUntil(20);
      const expected = times.map((at, i) => [at, i] as const).toSorted((a, b) => a[0] - b[0] || a[1] - b[1]);
      expect(happened).toEqual(expected.map(([, i]) => i));
    }),
  );
});

test('an event may plan others, also for now', () => {
  const queue = new EventQueue();
  const happened: string[] = [];
  queue.at(5, () => {
    happened.push('first');
    queue.after(0, () => happened.push('at once'));
    queue.at(1, () => happened.push('late'));
    queue.after(1, () => happened.push('later'));
  });
  queue.runUntil(5.5);
  expect([happened, queue.nowMs]).toEqual([['first', 'at once', 'late'], 5.5]);
});

test('a clock that drifts shows its own time, and knows when it will show a time', () => {
  const clock = new NodeClock({ offsetUs: 2_000_000, driftPpm: 100, monoZeroMs: 7 });
  expect(clock.monoMs(10_000)).toBeCloseTo(7 + 10_001);
  expect(clock.trueMs(clock.monoMs(123.4))).toBeCloseTo(123.4);
  const before = clock.wallUs(1000);
  clock.step(-500_000);
  expect(clock.wallUs(1000)).toBe(before - 500_000);
  expect(Number.isSafeInteger(clock.wallUs(1234.567))).toBe(true);
});

test('delays are those of the places: the same both ways, and light is not outrun', () => {
  expect(cities.length).toBeGreaterThanOrEqual(20);
  expect(new Set(cities.map(({ name }) => name)).size).toBe(cities.length);
  const at = (name: string): City => must(cities.find((city) => city.name === name));
  for (const a of cities) for (const b of cities) expect(oneWayMs(a, b)).toBeCloseTo(oneWayMs(b, a));
  // Round trips, measured by many: some 90, 155 and 200 ms.
  expect(2 * oneWayMs(at('frankfurt'), at('ashburn'))).toBeGreaterThan(80);
  expect(2 * oneWayMs(at('frankfurt'), at('ashburn'))).toBeLessThan(100);
  expect(2 * oneWayMs(at('frankfurt'), at('singapore'))).toBeGreaterThan(135);
  expect(2 * oneWayMs(at('frankfurt'), at('singapore'))).toBeLessThan(170);
});

class Listener implements Host {
  readonly index: number;
  readonly region: number;
  run = 1;
  readonly heard: { readonly atMs: number; readonly payload: unknown }[] = [];
  readonly #queue: EventQueue;

  constructor(index: number, region: number, queue: EventQueue) {
    this.index = index;
    this.region = region;
    this.#queue = queue;
  }

  receive(_from: unknown, payload: unknown): void {
    this.heard.push({ atMs: this.#queue.nowMs, payload });
  }
}

function twoHosts(seed = 'net') {
  const queue = new EventQueue();
  const network = new Network(queue, new Rng(seed), cities.slice(0, 3));
  const [a, b] = [new Listener(0, 0, queue), new Listener(1, 1, queue)];
  const places = [
    { address: '10.0.0.1', port: 1 },
    { address: '10.0.0.2', port: 1 },
  ] as const;
  network.attach(places[0], a);
  network.attach(places[1], b);
  const send = (lane: Lane, payload: unknown): void =>
    network.send(a, places[0], places[1], lane, 100, payload);
  const heard = (): readonly unknown[] => b.heard.map(({ payload }) => payload);
  return { queue, network, a, b, places, send, heard };
}

describe('the network', () => {
  test('a datagram arrives after the delay, what is sent to nobody is gone', () => {
    const { queue, network, a, b, places, send } = twoHosts();
    send('packet', 'x');
    network.send(a, places[0], { address: '10.9.9.9', port: 1 }, 'packet', 100, 'y');
    queue.runUntil(1000);
    expect(b.heard).toEqual([{ atMs: network.delayMs(0, 1), payload: 'x' }]);
    expect(network.trafficOf(b)).toMatchObject({ receivedBytes: 128, datagrams: 1 });
  });

  test('datagrams are lost, doubled and reordered as told; what flows over a connection is not', () => {
    const { queue, network, send, heard, b } = twoHosts();
    Object.assign(network.faults, {
      loss: 0.2,
      duplication: 0.2,
      reordering: 0.5,
      reorderMs: 50,
      jitterMs: 5,
    });
    for (let i = 0; i < 500; i++) send('packet', i);
    queue.runUntil(10_000);
    const numbers = heard() as number[];
    expect(new Set(numbers).size).toBeGreaterThan(350);
    expect(new Set(numbers).size).toBeLessThan(450);
    expect(numbers.length).toBeGreaterThan(new Set(numbers).size + 50);
    expect(numbers).not.toEqual(numbers.toSorted((x, y) => x - y));
    b.heard.length = 0;
    for (let i = 0; i < 500; i++) send('stream', i);
    queue.runUntil(100_000);
    expect(heard()).toEqual(Array.from({ length: 500 }, (_, i) => i));
  });

  test('to connect takes a round trip, once', () => {
    const { queue, network, send, b } = twoHosts();
    const delay = network.delayMs(0, 1);
    send('stream', 1);
    queue.runUntil(1000);
    send('stream', 2);
    queue.runUntil(2000);
    expect(b.heard.map(({ atMs }) => atMs)).toEqual([3 * delay, 1000 + delay]);
  });

  test('a cut in one direction loses what is under way, and ends connections', () => {
    const { queue, network, a, send, heard } = twoHosts();
    send('stream', 'before');
    queue.runUntil(500);
    send('stream', 'under way');
    const heal = network.cut((from) => from === a);
    queue.runUntil(1000);
    heal();
    send('stream', 'after');
    send('packet', 'after too');
    queue.runUntil(5000);
    expect(heard()).toEqual(['before', 'after too', 'after']);
  });

  test('what is under way to a process that was started again does not reach the new one', () => {
    const { queue, b, send, heard } = twoHosts();
    send('packet', 1);
    send('stream', 2);
    b.run += 1;
    queue.runUntil(1000);
    expect(heard()).toEqual([]);
  });
});

describe('the disk', () => {
  const put = (disk: Disk, key: string, stamp: number): void =>
    disk.put(rowOf({ key, stamp, modifyIndex: stamp, createIndex: stamp }));

  test('every method of a store is known: to read, or to change, and then in backups', () => {
    const names = Object.getOwnPropertyNames(MemoryStore.prototype);
    expect(names.filter((name) => !readers.has(name) && !writers.includes(name))).toEqual([]);
  });

  test('what dies before it is committed leaves nothing', () => {
    const disk = new Disk(true);
    disk.transact(() => put(disk, 'a', 1));
    expect(() =>
      disk.transact(() => {
        put(disk, 'b', 2);
        throw new Error('died');
      }),
    ).toThrow('died');
    expect(disk.get(Kind.kv, 'b')).toBeUndefined();
    expect(disk.restoredTo(disk.mark).get(Kind.kv, 'b')).toBeUndefined();
  });

  test('a backup has what was committed until then, without what was undone', () => {
    const disk = new Disk(true);
    disk.transact(() => {
      put(disk, 'a', 1);
      disk.attempt(() => {
        put(disk, 'undone', 1);
        return { keep: false, value: undefined };
      });
    });
    const { mark } = disk;
    disk.transact(() => put(disk, 'a', 2));
    const restored = disk.restoredTo(mark);
    expect(restored.get(Kind.kv, 'a')?.stamp).toBe(1);
    expect(restored.get(Kind.kv, 'undone')).toBeUndefined();
    expect(disk.get(Kind.kv, 'a')?.stamp).toBe(2);
  });

  test('observers see what was committed, with what was there before', () => {
    const disk = new Disk(false);
    const seen: unknown[] = [];
    disk.onCommit = (changes) => seen.push(changes.map(({ before, after }) => [before?.stamp, after.stamp]));
    disk.transact(() => put(disk, 'a', 1));
    disk.transact(() => {
      put(disk, 'a', 2);
      put(disk, 'a', 3);
    });
    expect(seen).toEqual([
      [[undefined, 1]],
      [
        [1, 2],
        [2, 3],
      ],
    ]);
  });
});
