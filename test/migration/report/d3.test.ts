import { expect, test } from '@jest/globals';
import { scaleLog, scaleUtc } from 'd3-scale';
import { line } from 'd3-shape';

test('d3 loads', () => {
  expect(scaleLog([1, 100], [0, 10])(10)).toBeCloseTo(5);
  expect(line<readonly [number, number]>()([[0, 0], [1, 2]])).toBe('M0,0L1,2');
  expect(scaleUtc([new Date(0), new Date(86400000)], [0, 10]).ticks(4).length).toBe(5);
});
