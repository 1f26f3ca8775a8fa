import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { judge, type Content, type Known, type There } from '../../../../migration/live/reverse/verdict.ts';

const text = (value: string): Content => ({ value: Buffer.from(value), flags: 0n });
const at = (value: string, modifyIndex: number): There => ({ ...text(value), modifyIndex });
const known = (more: Partial<Known> = {}): Known => ({
  ...{ baseline: 100, mirrored: undefined, untouched: false },
  ...more,
});

describe('a key that is to be copied back', () => {
  test('overwrites what the source had when the authority moved', () => {
    expect(judge(text('new'), at('old', 99), known())).toEqual({ kind: 'write', index: 99 });
  });

  test('overwrites what was copied there before', () => {
    expect(judge(text('new'), at('old', 140), known({ mirrored: 140 }))).toEqual({
      kind: 'write',
      index: 140,
    });
  });

  test('is made where it is not', () => {
    expect(judge(text('new'), null, known())).toEqual({ kind: 'write', index: 0 });
  });

  test('is removed where it is gone here', () => {
    expect(judge(null, at('old', 99), known())).toEqual({ kind: 'delete', index: 99 });
  });

  test.each([
    ['changed', text('new'), at('theirs', 150), known({ mirrored: 140 })],
    ['changed', text('new'), at('theirs', 150), known({ untouched: true })],
    ['created', null, at('theirs', 150), known()],
    ['created', null, at('theirs', 150), known({ mirrored: 0 })],
    ['deleted', text('new'), null, known({ mirrored: 140 })],
    ['deleted', text('old'), null, known({ untouched: true })],
  ])('is left alone where somebody %s it there', (why, here, there, facts) => {
    expect(judge(here, there, facts)).toEqual({ kind: 'bypass', why });
  });

  const content = fc.option(
    fc.constantFrom('a', 'b').map((value) => text(value)),
    { nil: null },
  );
  const there = fc.option(
    fc.record({ value: fc.constantFrom('a', 'b'), index: fc.integer({ min: 1, max: 200 }) }),
    { nil: null },
  );
  const facts = fc.record({
    baseline: fc.integer({ min: 0, max: 200 }),
    mirrored: fc.option(fc.integer({ min: 0, max: 200 }), { nil: undefined }),
    untouched: fc.boolean(),
  });

  test('never replaces a write that is not known, and never asks for one that changes nothing', () => {
    fc.assert(
      fc.property(content, there, facts, (here, found, about) => {
        const theirs = found === null ? null : at(found.value, found.index);
        const verdict = judge(here, theirs, about);
        const equal =
          (here === null && theirs === null) ||
          (here !== null && theirs !== null && Buffer.compare(here.value, theirs.value) === 0);
        expect(verdict.kind === 'same').toBe(equal);
        if (verdict.kind !== 'write' && verdict.kind !== 'delete') return;
        expect(verdict.index).toBe(theirs?.modifyIndex ?? 0);
        if (theirs === null) return;
        expect(about.mirrored === undefined ? theirs.modifyIndex <= about.baseline : true).toBe(true);
        expect(about.mirrored === undefined || theirs.modifyIndex === about.mirrored).toBe(true);
      }),
    );
  });
});
