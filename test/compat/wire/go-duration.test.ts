import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { formatGoDuration, parseGoDuration } from '../../../compat/wire/go-duration.ts';

const ms = 1e6;
const second = 1e9;
const minute = 60 * second;
const hour = 60 * minute;

// What Go 1.22 answers: the cases of its own documentation and of its behaviour at the edges.
const durations: readonly (readonly [string, number])[] = [
  ['0', 0],
  ['-0', 0],
  ['+0', 0],
  ['0s', 0],
  ['-0s', 0],
  ['5s', 5 * second],
  ['30s', 30 * second],
  ['1478s', 1478 * second],
  ['-5s', -5 * second],
  ['+5s', 5 * second],
  ['5.0s', 5 * second],
  ['5.6s', 5 * second + 600 * ms],
  ['5.s', 5 * second],
  ['.5s', 500 * ms],
  ['1.004s', second + 4 * ms],
  ['1.0040s', second + 4 * ms],
  ['100.00100s', 100 * second + ms],
  ['10ns', 10],
  ['11us', 11e3],
  ['12µs', 12e3],
  ['12μs', 12e3],
  ['13ms', 13 * ms],
  ['14s', 14 * second],
  ['15m', 15 * minute],
  ['16h', 16 * hour],
  ['3h30m', 3 * hour + 30 * minute],
  ['10.5s4m', 4 * minute + 10 * second + 500 * ms],
  ['-2m3.4s', -(2 * minute + 3 * second + 400 * ms)],
  ['1h2m3s4ms5us6ns', hour + 2 * minute + 3 * second + 4 * ms + 5e3 + 6],
  ['39h9m14.425s', 39 * hour + 9 * minute + 14 * second + 425 * ms],
  ['52763797000ns', 52763797000],
  ['0.3333333333333333333h', 20 * minute],
  ['0.100000000000000000000h', 6 * minute],
  ['0.830103483285477580700h', 49 * minute + 48 * second + 372539827],
  ['0.9999999999s', 999999999],
  ['1.9ns', 1],
  ['4.35s', 4 * second + 350 * ms],
  ['2.01s', 2 * second + 10 * ms],
];

const refusals: readonly (readonly [string, string])[] = [
  ['', 'time: invalid duration ""'],
  ['3', 'time: missing unit in duration "3"'],
  ['10', 'time: missing unit in duration "10"'],
  ['1.5', 'time: missing unit in duration "1.5"'],
  ['1s2', 'time: missing unit in duration "1s2"'],
  ['-', 'time: invalid duration "-"'],
  ['s', 'time: invalid duration "s"'],
  ['.', 'time: invalid duration "."'],
  ['-.', 'time: invalid duration "-."'],
  ['.s', 'time: invalid duration ".s"'],
  ['+.s', 'time: invalid duration "+.s"'],
  ['+-5s', 'time: invalid duration "+-5s"'],
  ['1d', 'time: unknown unit "d" in duration "1d"'],
  ['1 s', 'time: unknown unit " s" in duration "1 s"'],
  ['1S', 'time: unknown unit "S" in duration "1S"'],
  ['1constructor', 'time: unknown unit "constructor" in duration "1constructor"'],
  ['foo', 'time: invalid duration "foo"'],
  ['a"b\\', String.raw`time: invalid duration "a\"b\\"`],
  ['\ufffd', String.raw`time: invalid duration "\xef\xbf\xbd"`],
  ['1é\n', String.raw`time: unknown unit "\xc3\xa9\x0a" in duration "1\xc3\xa9\x0a"`],
  ['9223372036854775810ns', 'time: invalid duration "9223372036854775810ns"'],
  ['9223372036854776us', 'time: invalid duration "9223372036854776us"'],
  ['3000000h', 'time: invalid duration "3000000h"'],
];

const rendered: readonly (readonly [number, string])[] = [
  [0, '0s'],
  [1, '1ns'],
  [-1, '-1ns'],
  [1100, '1.1µs'],
  [2200 * 1000, '2.2ms'],
  [3300 * ms, '3.3s'],
  [15 * second, '15s'],
  [90 * second, '1m30s'],
  [4 * minute + 5 * second, '4m5s'],
  [4 * minute + 5 * second + ms, '4m5.001s'],
  [5 * hour + 6 * minute + 7 * second + ms, '5h6m7.001s'],
  [8 * minute + 1, '8m0.000000001s'],
  [24 * hour, '24h0m0s'],
  [-90 * second, '-1m30s'],
];

describe("Go's durations", () => {
  test.each(durations)('%j is %d ns', (text, ns) => {
    expect(parseGoDuration(text)).toEqual({ ok: true, value: ns });
  });

  test.each(refusals)('%j is refused with: %s', (text, error) => {
    expect(parseGoDuration(text)).toEqual({ ok: false, error });
  });

  test.each(rendered)('%d ns is written %s', (ns, text) => {
    expect(formatGoDuration(ns)).toBe(text);
  });

  test('what is written reads back as the same', () => {
    fc.assert(
      fc.property(fc.integer({ min: -100 * 24 * hour, max: 100 * 24 * hour }), (ns) => {
        expect(parseGoDuration(formatGoDuration(ns))).toEqual({ ok: true, value: ns });
      }),
    );
  });
});
