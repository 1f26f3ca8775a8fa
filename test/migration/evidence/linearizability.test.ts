import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  checkLinearizable,
  gammaOf,
  type KeyOperation,
} from '../../../migration/evidence/linearizability.ts';

function write(version: number, startMs: number, endMs: number, deleted = false): KeyOperation {
  return { kind: 'write', version, deleted, startMs, endMs };
}

function read(version: number | undefined, startMs: number, endMs: number): KeyOperation {
  return { kind: 'read', version, startMs, endMs };
}

describe('a history of one key', () => {
  test('is linearizable when a read shows what was written while it ran or before', () => {
    expect(checkLinearizable([write(1, 0, 10), read(1, 5, 8), read(1, 20, 30)])).toBe('yes');
    expect(checkLinearizable([write(1, 0, 10), write(2, 20, 40), read(1, 25, 26), read(2, 27, 28)])).toBe(
      'yes',
    );
  });

  test('is not when a read shows what was overwritten before it began, or goes back', () => {
    expect(checkLinearizable([write(1, 0, 10), write(2, 20, 30), read(1, 40, 50)])).toBe('no');
    expect(checkLinearizable([read(5, 0, 10), read(4, 20, 30)])).toBe('no');
    expect(checkLinearizable([write(1, 0, 10), write(2, 11, 12, true), read(1, 20, 30)])).toBe('no');
  });

  test('excuses what unseen writers may have done, and writes that may never have happened', () => {
    expect(checkLinearizable([write(1, 0, 10), read(7, 20, 30)])).toBe('yes');
    expect(checkLinearizable([write(1, 0, 10), read(undefined, 20, 30)])).toBe('yes');
    expect(checkLinearizable([write(1, 0, 10), write(2, 12, Infinity), read(1, 20, 30)])).toBe('yes');
    expect(checkLinearizable([write(1, 0, 10), write(2, 12, Infinity), read(2, 20, 30)])).toBe('yes');
  });

  test('is unknown when the search gives up', () => {
    const many = Array.from({ length: 30 }, (_, at) => write(at + 1, 0, 1_000));
    expect(checkLinearizable([...many, read(3, 2_000, 2_001)], { steps: 50 })).toBe('unknown');
  });

  test('made by an atomic register is linearizable and has no Γ; one stale read is found by both', () => {
    const plan = fc.array(fc.record({ write: fc.boolean(), before: fc.nat(9), after: fc.nat(9) }), {
      maxLength: 20,
    });
    fc.assert(
      fc.property(plan, (list) => {
        let version = 0;
        const history = list.map((each, at) => {
          const moment = at * 4;
          if (each.write) version += 1;
          const [start, end] = [moment - each.before, moment + each.after];
          return each.write ? write(version, start, end) : read(version, start, end);
        });
        expect(checkLinearizable(history)).toBe('yes');
        expect(gammaOf(history).violations).toEqual([]);
        const stale = [
          ...history,
          write(100, 1_000, 1_010),
          write(101, 1_020, 1_030),
          read(100, 1_050, 1_060),
        ];
        expect(checkLinearizable(stale)).toBe('no');
        expect(gammaOf(stale).violations).toEqual([10]);
      }),
    );
  });
});
