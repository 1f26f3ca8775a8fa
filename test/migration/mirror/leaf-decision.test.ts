import { describe, expect, test } from '@jest/globals';
import {
  decideLeaf,
  decideProof,
  type LeafAnswer,
  type LeafDecision,
} from '../../../migration/mirror/leaf-decision.ts';
import { copiedTerm } from '../../../migration/mirror/version.ts';
import type { Held, Listed } from '../../../migration/mirror/registers.ts';

function held(key: string, stamp: number, more: Partial<Held> = {}): Held {
  return {
    key,
    term: 0,
    timeline: 1,
    stamp,
    deleted: false,
    digest: `${key}@${stamp}`,
    storedAt: 0,
    ...more,
  };
}

function item(key: string, stamp: number, digest = `${key}@${stamp}`): Listed {
  return { key, stamp, digest };
}

function answer(items: readonly Listed[], more: Partial<LeafAnswer> = {}): LeafAnswer {
  return {
    timeline: 1,
    askedAt: 1,
    index: 100,
    knownLeader: true,
    filtered: false,
    indexIsTable: false,
    items,
    ...more,
  };
}

function decide(registers: readonly Held[], of: LeafAnswer, proveEveryAbsence = false): LeafDecision {
  return decideLeaf({ timeline: 1, termOf: copiedTerm, held: registers, answer: of, proveEveryAbsence });
}

describe('the decision about one leaf', () => {
  test('new and newer keys are upserted, equal ones stay', () => {
    expect(
      decide([held('a', 5), held('b', 6)], answer([item('a', 5), item('b', 9), item('c', 7)])),
    ).toMatchObject({
      kind: 'plan',
      upserts: ['b', 'c'],
      unchanged: ['a'],
      tombstones: [],
      proofs: [],
    });
  });

  test('an absent key is a tombstone at the index of the list when that is not below the held stamp', () => {
    expect(decide([held('a', 100)], answer([]))).toMatchObject({ tombstones: [{ key: 'a', stamp: 100 }] });
  });

  test('an absent key whose held stamp is above the index needs a point read', () => {
    expect(decide([held('a', 101)], answer([]))).toMatchObject({ tombstones: [], proofs: ['a'] });
  });

  test('at the empty prefix the same is a fork, because the index is that of the table', () => {
    const decision = decide([held('a', 101)], answer([], { indexIsTable: true }));
    expect(decision).toMatchObject({ kind: 'fork', evidence: [{ why: 'absent-under-lower-index' }] });
  });

  test.each([
    ['no-index', { index: null }],
    ['no-leader', { knownLeader: false }],
    ['filtered-by-acl', { filtered: true }],
  ] as const)('an answer that cannot be believed deletes nothing and still upserts: %s', (why, trust) => {
    expect(decide([held('a', 5)], answer([item('b', 7)], trust))).toMatchObject({
      kind: 'plan',
      upserts: ['b'],
      tombstones: [],
      proofs: [],
      absenceIgnored: why,
    });
  });

  test('with ACLs every absence needs a point read', () => {
    expect(decide([held('a', 5)], answer([]), true)).toMatchObject({ tombstones: [], proofs: ['a'] });
  });

  test('a tombstone is neither deleted again nor revived by an older entry', () => {
    expect(decide([held('a', 50, { deleted: true })], answer([]))).toMatchObject({
      tombstones: [],
      proofs: [],
    });
    const late = answer([item('a', 40)], { askedAt: 0 });
    expect(decide([held('a', 50, { deleted: true })], late)).toMatchObject({ upserts: [], unchanged: ['a'] });
  });

  test.each([
    ['lower-index', held('a', 9), item('a', 8)],
    ['same-index-other-bytes', held('a', 9), item('a', 9, 'other')],
    ['same-index-was-deleted', held('a', 9, { deleted: true }), item('a', 9)],
  ] as const)('a source that contradicts itself has forked: %s', (why, register, listed) => {
    expect(decide([register], answer([listed]))).toMatchObject({ kind: 'fork', evidence: [{ why }] });
  });

  test('an answer asked for before the state was stored is no evidence of a fork', () => {
    const early = answer([item('a', 8)], { askedAt: 3 });
    expect(decide([held('a', 9, { storedAt: 3 })], early)).toMatchObject({ kind: 'plan', unchanged: ['a'] });
  });

  test('an answer asked for under an older timeline says nothing', () => {
    expect(decide([], answer([item('a', 1)], { timeline: 0 }))).toEqual({ kind: 'outdated' });
  });

  test('what is held of an older timeline is replaced or deleted, whatever the indexes', () => {
    const old = [held('a', 900, { timeline: 0 }), held('b', 901, { timeline: 0 })];
    expect(decide(old, answer([item('a', 3)], { indexIsTable: true }))).toMatchObject({
      upserts: ['a'],
      tombstones: [{ key: 'b', stamp: 100 }],
    });
  });

  test('what the gateway wrote under its own term is kept, present or absent', () => {
    const own = [held('a', 5, { term: 1 }), held('b', 5, { term: 1 })];
    expect(decide(own, answer([item('a', 900)]))).toMatchObject({
      upserts: [],
      kept: ['a'],
      tombstones: [],
      proofs: [],
    });
  });
});

describe('the decision about a point read', () => {
  const trust = { timeline: 1, askedAt: 1, knownLeader: true, filtered: false };

  test('404 at or above the held stamp is a tombstone there, below it a fork', () => {
    expect(decideProof(1, 0, held('a', 9), { ...trust, index: 12, item: null })).toEqual({
      kind: 'tombstone',
      stamp: 12,
    });
    expect(decideProof(1, 0, held('a', 9), { ...trust, index: 8, item: null })).toMatchObject({
      kind: 'fork',
    });
  });

  test('404 below a stamp that came after the question is asked again', () => {
    const later = held('a', 9, { storedAt: 2 });
    expect(decideProof(1, 0, later, { ...trust, index: 8, item: null })).toEqual({ kind: 'unproved' });
  });

  test('404 without index or leader proves nothing', () => {
    expect(decideProof(1, 0, held('a', 9), { ...trust, index: null, item: null })).toEqual({
      kind: 'unproved',
    });
    expect(decideProof(1, 0, held('a', 9), { ...trust, knownLeader: false, index: 12, item: null })).toEqual({
      kind: 'unproved',
    });
  });

  test('a present key is upserted when newer, left when it is what is held', () => {
    expect(decideProof(1, 0, held('a', 9), { ...trust, index: 12, item: item('a', 12) })).toEqual({
      kind: 'upsert',
    });
    expect(decideProof(1, 0, held('a', 9), { ...trust, index: 9, item: item('a', 9) })).toEqual({
      kind: 'unchanged',
    });
  });
});

describe('in a zone that is lent to the source', () => {
  const term = 7;
  const trust = { timeline: 1, askedAt: 1, knownLeader: true, filtered: false };
  const lent = (heldTerm: number, stamp: number, deleted = false): Held => ({
    ...{ key: 'a', term: heldTerm, timeline: 1, stamp, deleted, digest: 'here', storedAt: 0 },
  });
  const decided = (register: Held, items: readonly Listed[]): unknown =>
    decideLeaf({
      ...{ timeline: 1, termOf: () => term, held: [register], proveEveryAbsence: false },
      answer: { ...trust, index: 20, indexIsTable: true, items },
    });

  test('whatever was written under an earlier term is older, also with a higher stamp', () => {
    expect(decided(lent(6, 9999), [item('a', 5)])).toMatchObject({ kind: 'plan', upserts: ['a'] });
    expect(decided(lent(6, 9999), [])).toMatchObject({
      kind: 'plan',
      tombstones: [{ key: 'a', stamp: 20 }],
      proofs: [],
    });
    expect(decided(lent(6, 9999, true), [])).toMatchObject({ kind: 'plan', tombstones: [] });
    expect(decideProof(1, term, lent(6, 9999), { ...trust, index: 8, item: null })).toEqual({
      kind: 'tombstone',
      stamp: 8,
    });
  });

  test('under the same term versions decide, and contradictions are forks, as in a copy', () => {
    expect(decided(lent(term, 5), [item('a', 6)])).toMatchObject({ upserts: ['a'] });
    expect(decided(lent(term, 9), [item('a', 6)])).toMatchObject({ kind: 'fork' });
    expect(decided(lent(term, 21), [])).toMatchObject({ kind: 'fork' });
  });

  test('what was written under a later term is kept', () => {
    expect(decided(lent(8, 1), [item('a', 6)])).toMatchObject({ kind: 'plan', kept: ['a'], upserts: [] });
    expect(decided(lent(8, 1), [])).toMatchObject({ kind: 'plan', tombstones: [], proofs: [] });
    expect(decideProof(1, term, lent(8, 1), { ...trust, index: 8, item: null })).toEqual({ kind: 'kept' });
  });
});
