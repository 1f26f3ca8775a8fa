import { describe, expect, test } from '@jest/globals';
import { World } from './world.ts';

const value = (i: number, bytes = 100): Uint8Array => new Uint8Array(bytes).fill(i & 255);

describe('under a flood', () => {
  test('what waits stays bounded, what is dropped is still needed, and all are equal in the end', () => {
    const world = new World({ seed: 1, regions: [2, 2], loss: 0.02, noticeMs: 100_000 });
    world.run(2000);
    const writer = world.at(0);
    // One neighbour answers nothing, and membership does not know yet.
    world.at(1).paused = true;
    let mostBytes = 0;
    for (let i = 0; i < 400; i++) {
      world.step(writer, (now) => {
        const dots = Array.from({ length: 20 }, (_, j) =>
          writer.log.write([{ key: `key-${(i * 20 + j) % 3000}`, value: value(i, 8000) }], now),
        );
        writer.replication.committed(dots, now);
      });
      world.run(5);
      const { queues, unacked } = writer.replication.needs(world.now(writer));
      mostBytes = Math.max(mostBytes, queues.write.bytes + unacked.bytes);
    }
    expect(mostBytes).toBeLessThan(48 << 20);
    world.at(1).paused = false;
    expect(world.runUntil(() => world.alike(), 30_000, 200)).toBeDefined();
    expect(writer.replication.needs(world.now(writer)).unacked).toEqual({ messages: 0, bytes: 0 });
  });

  test('a gateway serves a few that lack something at once, and all get their turn', () => {
    const world = new World({ seed: 2, regions: [12], noticeMs: 500 });
    world.run(1000);
    const source = world.at(0);
    world.partition((a, b) => a === source || b === source);
    world.run(1000);
    for (let i = 0; i < 2000; i++) world.write(source, `key-${i}`, value(i));
    world.heal();
    let most = 0;
    world.onReceived = () => {
      most = Math.max(most, source.replication.needs(world.now(source)).serving);
    };
    expect(world.runUntil(() => world.alike(), 10_000, 100)).toBeDefined();
    expect(most).toBeLessThanOrEqual(3);
  });
});
