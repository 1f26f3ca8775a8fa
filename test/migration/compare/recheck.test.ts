import { describe, expect, test } from '@jest/globals';
import type { SideEntry } from '../../../migration/compare/entries.ts';
import { upperBound95, wilson95 } from '../../../migration/compare/intervals.ts';
import {
  judgeLook,
  openSuspect,
  recheck,
  resetsMax,
  type Look,
  type RecheckStep,
  type Suspect,
} from '../../../migration/compare/recheck.ts';

const delays = [1000, 5000, 30_000];

function entry(content: string, modifyIndex = 1): SideEntry {
  return {
    kind: 'kv',
    key: 'k',
    content,
    flags: 0n,
    session: '',
    modifyIndex,
    length: content.length,
    fields: null,
    text: null,
  };
}

function look(before: string | null, target: string | null, after = before, index = 1): Look {
  const side = (content: string | null, at: number): SideEntry | undefined =>
    content === null ? undefined : entry(content, at);
  return { before: side(before, index), target: side(target, 1), after: side(after, index) };
}

function again(step: RecheckStep): Suspect {
  if (step.kind !== 'again') throw new Error(`expected another look, not ${step.kind}`);
  return step.suspect;
}

describe('one look', () => {
  test('the target may agree with the source before or after', () => {
    expect(judgeLook(look('a', 'a', 'b'))).toEqual({ kind: 'equal' });
    expect(judgeLook(look('a', 'b', 'b'))).toEqual({ kind: 'equal' });
    expect(judgeLook(look('a', 'c', 'b'))).toEqual({ kind: 'moving' });
    expect(judgeLook(look('a', 'c'))).toEqual({ kind: 'differs', mismatch: 'value' });
    expect(judgeLook(look('a', null))).toEqual({ kind: 'differs', mismatch: 'missing' });
    expect(judgeLook(look(null, 'a'))).toEqual({ kind: 'differs', mismatch: 'extra' });
  });
});

describe('looking again', () => {
  test('a difference that survives 1, 5 and 30 seconds with nothing changing is persistent', () => {
    let suspect = openSuspect(look('a', 'b'), 0, delays);
    expect(suspect.dueMs).toBe(1000);
    suspect = again(recheck(suspect, look('a', 'b'), 1000, delays));
    expect(suspect.dueMs).toBe(5000);
    suspect = again(recheck(suspect, look('a', 'b'), 5000, delays));
    expect(suspect.dueMs).toBe(30_000);
    expect(recheck(suspect, look('a', 'b'), 30_000, delays)).toMatchObject({
      kind: 'persistent',
      openMs: 30_000,
    });
  });

  test('a difference that clears is transient, with how long it was open', () => {
    const suspect = openSuspect(look('a', 'b'), 0, delays);
    expect(recheck(suspect, look('a', 'a'), 1000, delays)).toEqual({ kind: 'transient', openMs: 1000 });
  });

  test('the clock starts anew when either side changes', () => {
    let suspect = openSuspect(look('a', 'b'), 0, delays);
    suspect = again(recheck(suspect, look('a', 'b'), 1000, delays));
    suspect = again(recheck(suspect, look('c', 'b', 'c', 2), 5000, delays));
    expect(suspect).toMatchObject({ round: 0, dueMs: 6000, resets: 1 });
    suspect = again(recheck(suspect, look('c', 'x', 'c', 2), 6000, delays));
    expect(suspect).toMatchObject({ round: 0, dueMs: 7000, resets: 2 });
  });

  test('what never stops changing ends as indeterminate', () => {
    let suspect = openSuspect(look('0', 'x'), 0, delays);
    for (let at = 1; at <= resetsMax; at += 1) {
      suspect = again(recheck(suspect, look(`${at}`, 'x', `${at}`, at + 1), at * 1000, delays));
    }
    expect(recheck(suspect, look('end', 'x', 'end', 99), 9000, delays)).toMatchObject({
      kind: 'indeterminate',
    });
  });
});

describe('intervals', () => {
  test('zero of n is bounded by 3/n, and nothing of nothing by 1', () => {
    expect(upperBound95(0, 1_000_000)).toBeCloseTo(3e-6);
    expect(upperBound95(0, 0)).toBe(1);
  });

  test("Wilson's interval has its textbook values", () => {
    const [low, high] = wilson95(5, 100);
    expect(low).toBeCloseTo(0.0215, 4);
    expect(high).toBeCloseTo(0.1118, 4);
    expect(wilson95(0, 10)[0]).toBe(0);
    expect(wilson95(10, 10)[1]).toBe(1);
  });
});
