import { describe, expect, test } from '@jest/globals';
import {
  CoordinateClient,
  coordinateOrigin,
  coordinateSchema,
  coordinateSeconds,
} from '../../src/swim/coordinates.ts';
import { fromBytes, toBytes } from '../../src/wire/schema.ts';
import { Pool, factsOf, seeded } from './pool.ts';

/** Places on a plane, with an access link each: round trips in seconds. */
function places(count: number, random: () => number): (a: number, b: number) => number {
  const at = Array.from(
    { length: count },
    () => [random() * 0.2, random() * 0.2, 0.001 + random() * 0.01] as const,
  );
  return (a, b) => {
    const [ax, ay, ah] = at[a] as (typeof at)[number];
    const [bx, by, bh] = at[b] as (typeof at)[number];
    return Math.hypot(ax - bx, ay - by) + ah + bh;
  };
}

describe('network coordinates', () => {
  test('come to estimate a matrix of round trips within a few per cent', () => {
    const random = seeded(1);
    const count = 24;
    const rtt = places(count, random);
    const clients = Array.from({ length: count }, () => new CoordinateClient(random));
    for (let round = 0; round < 600; round++) {
      clients.forEach((client, i) => {
        const j = (i + 1 + Math.floor(random() * (count - 1))) % count;
        const noisy = rtt(i, j) * (1 + 0.02 * random());
        client.measured(`${j}`, (clients[j] as CoordinateClient).coordinate, noisy);
      });
    }
    const errors: number[] = [];
    for (let i = 0; i < count; i++) {
      for (let j = 0; j < i; j++) {
        const [a, b] = [clients[i], clients[j]] as [CoordinateClient, CoordinateClient];
        errors.push(Math.abs(coordinateSeconds(a.coordinate, b.coordinate) - rtt(i, j)) / rtt(i, j));
      }
    }
    errors.sort((a, b) => a - b);
    expect(errors[Math.floor(errors.length / 2)]).toBeLessThan(0.06);
    expect(errors[Math.floor(errors.length * 0.95)]).toBeLessThan(0.25);
    for (const client of clients) expect(client.coordinate.error).toBeLessThan(0.3);
  });

  test('one stray measurement moves nobody far', () => {
    const random = seeded(2);
    const [a, b] = [new CoordinateClient(random), new CoordinateClient(random)];
    for (let i = 0; i < 200; i++) {
      a.measured('b', b.coordinate, 0.05);
      b.measured('a', a.coordinate, 0.05);
    }
    a.measured('b', b.coordinate, 5);
    expect(coordinateSeconds(a.coordinate, b.coordinate)).toBeCloseTo(0.05, 2);
  });

  test('that cannot be, and round trips that cannot be, are refused and change nothing', () => {
    const client = new CoordinateClient(seeded(3));
    const before = client.coordinate;
    const { vec } = coordinateOrigin;
    for (const bad of [
      { ...coordinateOrigin, vec: [1, 2] },
      { ...coordinateOrigin, vec: [Number.NaN, ...vec.slice(1)] },
      { ...coordinateOrigin, height: Infinity },
      { ...coordinateOrigin, error: Number.NaN },
    ]) {
      expect(client.measured('x', bad, 0.1)).toBe(false);
    }
    expect(client.measured('x', coordinateOrigin, -1)).toBe(false);
    expect(client.measured('x', coordinateOrigin, 11)).toBe(false);
    expect(client.measured('x', coordinateOrigin, Number.NaN)).toBe(false);
    expect(client.coordinate).toBe(before);
  });

  test('start again from the origin rather than run off to infinity', () => {
    const client = new CoordinateClient(seeded(4));
    const far = { ...coordinateOrigin, vec: Array.from({ length: 8 }, () => 1e308) };
    for (let i = 0; i < 50; i++) client.measured('x', far, 1);
    expect(client.resets).toBeGreaterThan(0);
    expect(client.coordinate.vec.every(Number.isFinite)).toBe(true);
  });

  test('cross the wire in 44 bytes', () => {
    const place = { vec: [0.1, -0.2, 0, 0, 0, 0, 0, 0.05], error: 0.3, adjustment: -0.001, height: 0.002 };
    const bytes = toBytes(coordinateSchema, place);
    expect(bytes.length).toBe(46);
    const read = fromBytes(coordinateSchema, bytes, 'place');
    read.vec.forEach((value, i) => expect(value).toBeCloseTo(place.vec[i] as number, 6));
    expect(read.error).toBeCloseTo(0.3, 6);
  });

  test('are fed by the probes of a pool: estimates are near what packets take', () => {
    const pool = new Pool(5);
    const rtt = places(10, seeded(6));
    pool.delayMs = (from, to) => (rtt(pool.nodes.indexOf(from), pool.nodes.indexOf(to)) * 1000) / 2;
    const first = pool.add(factsOf(1), 'cafe');
    for (let n = 2; n <= 10; n++) pool.join(pool.add(factsOf(n)), first);
    pool.run(600_000);
    const errors: number[] = [];
    pool.nodes.forEach((node, i) =>
      pool.nodes.forEach((other, j) => {
        if (i === j) return;
        const trueMs = rtt(i, j) * 1000 * 1.05;
        const { id, name } = other.facts;
        errors.push(Math.abs((node.swim.estimateRttMs(id) ?? Infinity) - trueMs) / trueMs);
        expect(Math.abs((node.swim.rttMs(id) ?? Infinity) - trueMs)).toBeLessThan(0.1 * trueMs);
        expect(node.swim.coordinateOf(name)).toBeDefined();
      }),
    );
    errors.sort((a, b) => a - b);
    expect(errors[Math.floor(errors.length / 2)]).toBeLessThan(0.1);
  });
});
