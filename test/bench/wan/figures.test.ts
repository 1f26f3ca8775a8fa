import { expect, test } from '@jest/globals';
import { figures } from '../../../bench/wan/figures.ts';

test('percentiles are values that occurred, by nearest rank', () => {
  const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
  expect(figures(hundred)).toEqual({ p50: 50, p99: 99 });
  expect(figures([7])).toEqual({ p50: 7, p99: 7 });
  expect(figures([3, 1, 2])).toEqual({ p50: 2, p99: 3 });
  expect(figures([])).toEqual({ p50: Number.NaN, p99: Number.NaN });
});
