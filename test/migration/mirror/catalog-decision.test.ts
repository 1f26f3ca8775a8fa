import { describe, expect, test } from '@jest/globals';
import { agreeOnCatalog, lookAtCatalog } from '../../../migration/mirror/catalog-decision.ts';
import type { Held } from '../../../migration/mirror/registers.ts';

function held(key: string, stamp: number, more: Partial<Held> = {}): Held {
  return { key, term: 0, timeline: 1, stamp, deleted: false, digest: key, storedAt: 0, ...more };
}

function item(key: string, stamp: number, digest = key): { key: string; stamp: number; digest: string } {
  return { key, stamp, digest };
}

describe('the decision about catalog entries', () => {
  test('a lower index under the same bytes is no change: servers of old versions number anew at a restart', () => {
    expect(lookAtCatalog(1, 0, [held('n', 9)], [item('n', 4)])).toMatchObject({
      unchanged: ['n'],
      suspects: [],
    });
  });

  test('nothing is deleted on one reading, and on two when both miss it', () => {
    const registers = [held('n', 9)];
    const first = lookAtCatalog(1, 0, registers, []);
    expect(first.absent).toEqual(['n']);
    const back = agreeOnCatalog(1, 0, registers, first, { items: [item('n', 9)], index: 20 });
    expect(back).toMatchObject({ kind: 'plan', tombstones: [] });
    const gone = agreeOnCatalog(1, 0, registers, first, { items: [], index: 20 });
    expect(gone).toMatchObject({ kind: 'plan', tombstones: [{ key: 'n', stamp: 20 }] });
  });

  test('without a believable index nothing is deleted', () => {
    const registers = [held('n', 9)];
    const first = lookAtCatalog(1, 0, registers, []);
    expect(agreeOnCatalog(1, 0, registers, first, { items: [], index: null })).toMatchObject({
      tombstones: [],
    });
  });

  test('a contradiction counts as a fork only when both readings show it', () => {
    const registers = [held('n', 9)];
    const other = [item('n', 7, 'other')];
    const first = lookAtCatalog(1, 0, registers, other);
    expect(agreeOnCatalog(1, 0, registers, first, { items: other, index: 20 })).toMatchObject({
      kind: 'fork',
      evidence: [{ why: 'lower-index' }],
    });
    const newer = { items: [item('n', 21, 'other')], index: 21 };
    expect(agreeOnCatalog(1, 0, registers, first, newer)).toMatchObject({
      kind: 'plan',
      look: { upserts: ['n'] },
    });
  });

  test('an index below what is held of an absent entry is a fork', () => {
    const registers = [held('n', 9)];
    const first = lookAtCatalog(1, 0, registers, []);
    expect(agreeOnCatalog(1, 0, registers, first, { items: [], index: 8 })).toMatchObject({ kind: 'fork' });
  });

  test('what the gateway wrote itself is kept', () => {
    const own = [held('n', 9, { term: 2 })];
    expect(lookAtCatalog(1, 0, own, [item('n', 99, 'other')])).toMatchObject({ kept: ['n'], upserts: [] });
    expect(lookAtCatalog(1, 0, own, []).absent).toEqual([]);
  });

  test('in a zone that is lent whatever is of an earlier term gives way, and nothing of a later one', () => {
    const earlier = [{ ...held('n', 99), term: 6 }];
    expect(lookAtCatalog(1, 7, earlier, [item('n', 4)])).toMatchObject({ upserts: ['n'], suspects: [] });
    const gone = agreeOnCatalog(1, 7, earlier, lookAtCatalog(1, 7, earlier, []), { items: [], index: 20 });
    expect(gone).toMatchObject({ kind: 'plan', tombstones: [{ key: 'n', stamp: 20 }] });
    const later = [{ ...held('n', 1), term: 8 }];
    expect(lookAtCatalog(1, 7, later, [item('n', 4)])).toMatchObject({ kept: ['n'], upserts: [] });
    expect(lookAtCatalog(1, 7, later, []).absent).toEqual([]);
  });
});
