import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  addHistogram,
  addValue,
  emptyHistogram,
  quantile,
  relativeError,
  shareUpTo,
} from '../../../migration/evidence/histogram.ts';

const values = fc.array(fc.double({ min: 0, max: 1e8, noNaN: true }), { minLength: 1, maxLength: 200 });

function of(list: readonly number[]): ReturnType<typeof emptyHistogram> {
  const histogram = emptyHistogram();
  for (const value of list) addValue(histogram, value);
  return histogram;
}

describe('a histogram', () => {
  test('is never more than 2 % off, at any quantile', () => {
    fc.assert(
      fc.property(values, fc.double({ min: 0, max: 1, noNaN: true }), (list, q) => {
        const sorted = list.toSorted((a, b) => a - b);
        const exact = sorted[Math.max(1, Math.ceil(q * sorted.length)) - 1] ?? 0;
        const found = quantile(of(list), q) ?? -1;
        expect(Math.abs(found - exact)).toBeLessThanOrEqual(exact * relativeError * 1.000_001 + 1e-3);
      }),
    );
  });

  test('added up in any order counts what one alone would have counted', () => {
    fc.assert(
      fc.property(values, values, (a, b) => {
        const [ab, ba] = [of(a), of(b)];
        addHistogram(ab, of(b));
        addHistogram(ba, of(a));
        expect(ab.buckets).toEqual(of([...a, ...b]).buckets);
        expect({ ...ab, sum: 0 }).toEqual({ ...ba, sum: 0 });
        expect(ab.count).toBe(a.length + b.length);
      }),
    );
  });

  test('says nothing of nothing', () => {
    expect(quantile(emptyHistogram(), 0.5)).toBeUndefined();
    expect(shareUpTo(emptyHistogram(), 1)).toBeUndefined();
    expect(shareUpTo(of([0, 1, 10, 100]), 12)).toBe(0.75);
  });
});
