import { describe, expect, test } from '@jest/globals';
import { differenceInterval, rateInterval, seededChance } from '../../../migration/evidence/statistics.ts';

describe('the interval of a rate', () => {
  test('of nothing found is three over n, and of nothing looked at says nothing', () => {
    expect(rateInterval(0, 1_000_000, [], 1)).toMatchObject({ low: 0, high: 3e-6, method: 'rule-of-three' });
    expect(rateInterval(0, 0, [], 1)).toMatchObject({ low: 0, high: 1, method: 'none' });
  });

  test('is Wilson’s when every hit has a key of its own, and wider when one key has them all', () => {
    const apart = rateInterval(
      100,
      10_000,
      Array.from({ length: 100 }, () => ({ hits: 1, keys: 1 })),
      7,
    );
    const one = rateInterval(100, 10_000, [{ hits: 100, keys: 1 }], 7);
    expect(one.method).toBe('bootstrap-by-key');
    expect(one.high).toBeGreaterThanOrEqual(0.03);
    expect(one.low).toBe(0);
    expect(apart.high).toBeLessThan(0.013);
    expect(rateInterval(100, 10_000, [{ hits: 100, keys: 1 }], 7)).toEqual(one);
  });

  test('holds the true rate about 95 times in a hundred, clustered or not', () => {
    const chance = seededChance(42);
    for (const hitsPerKey of [1, 20]) {
      let held = 0;
      for (let run = 0; run < 120; run += 1) {
        // 2000 keys of 20 reads; one key in 50 differs, at `hitsPerKey` of its reads.
        const bad = Array.from({ length: 2_000 }, () => chance() < 0.02).filter(Boolean).length;
        const clusters = Array.from({ length: bad }, () => ({ hits: hitsPerKey, keys: 1 }));
        const { low, high } = rateInterval(bad * hitsPerKey, 40_000, clusters, run);
        if (low <= 0.001 * hitsPerKey && 0.001 * hitsPerKey <= high) held += 1;
      }
      expect(held).toBeGreaterThanOrEqual(107);
    }
  });

  test('of a difference holds zero for equal rates and not for far ones', () => {
    const [a, b, c] = [
      rateInterval(10, 10_000, [], 1),
      rateInterval(12, 10_000, [], 1),
      rateInterval(100, 10_000, [], 1),
    ];
    const [low, high] = differenceInterval(a, b);
    expect(low).toBeLessThan(0);
    expect(high).toBeGreaterThan(0);
    expect(differenceInterval(a, c)[0]).toBeGreaterThan(0);
  });
});
