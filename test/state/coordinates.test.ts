import { describe, expect, test } from '@jest/globals';
import {
  coordinateOrigin,
  distanceSeconds,
  vivaldiSeconds,
  type Coordinate,
} from '../../src/state/coordinates.ts';

const at = (x: number, more: Partial<Coordinate> = {}): Coordinate => ({
  ...coordinateOrigin,
  vec: [x, 0, 0, 0, 0, 0, 0, 0],
  height: 0,
  ...more,
});

describe('the distance of two coordinates', () => {
  test('is Euclidean, with heights and adjustments on top', () => {
    expect(vivaldiSeconds(at(0.1), at(0.4))).toBeCloseTo(0.3, 9);
    expect(vivaldiSeconds(at(0, { height: 0.001 }), at(0, { height: 0.002 }))).toBeCloseTo(0.003, 9);
    expect(vivaldiSeconds(at(0.1, { adjustment: -0.05 }), at(0.2))).toBeCloseTo(0.05, 9);
  });

  test('leaves adjustments out where they would make it negative', () => {
    expect(vivaldiSeconds(at(0.1, { adjustment: -1 }), at(0.2))).toBeCloseTo(0.1, 9);
  });

  test('is infinite when one of them is unknown, or they share no segment', () => {
    const none = new Map<string, Coordinate>();
    const plain = new Map([['', at(0)]]);
    const inSegment = new Map([['s', at(1)]]);
    const inBoth = new Map([
      ['', at(2)],
      ['s', at(3)],
    ]);
    expect(distanceSeconds(none, plain)).toBe(Number.POSITIVE_INFINITY);
    expect(distanceSeconds(plain, inSegment)).toBe(Number.POSITIVE_INFINITY);
    expect(distanceSeconds(inSegment, inBoth)).toBeCloseTo(2, 9);
    expect(distanceSeconds(inBoth, inBoth)).toBe(0);
  });
});
