import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Kind } from '../../src/state/kinds.ts';
import { topic } from '../../src/state/topics.ts';
import { converge, Gateway } from './fleet.ts';
import { put } from './machine.ts';

/** Collects every tombstone there is. */
function collect(gateway: Gateway, stableStamp = gateway.nowUs + 1e9): void {
  gateway.do({ kind: 'collect-tombstones', belowIndex: gateway.nowUs + 1e9, stableStamp, limit: 1000 });
}

function allKeys(gateway: Gateway): readonly string[] {
  return [...gateway.store.range(Kind.kv, '', undefined)].map((row) => row.key);
}

describe('joining whole state', () => {
  test('gives a newcomer everything, tombstones included, in pages of any size', () => {
    const a = new Gateway('a').found();
    for (const key of ['k1', 'k2', 'k3']) a.do(put(key, '1'));
    a.do({ kind: 'kv-delete', key: 'k2' });
    for (const rowsMax of [1, 2, 100]) {
      const b = new Gateway('b');
      expect(b.join(a, rowsMax)).toBe(4);
      expect(b.state()).toEqual(a.state());
      expect(b.store.get(Kind.kv, 'k2')?.value).toBeNull();
      // All of it is seen: nothing comes twice.
      expect(a.dotsFor(b)).toEqual([]);
      expect(b.join(a, rowsMax)).toBe(0);
      b.restarted();
      expect(b.replica.originLog(a.replica.origin)?.seen).toEqual([{ from: 1, to: a.replica.headSeq }]);
    }
  });

  test('takes out what was deleted and collected while it was away, and wakes who watches it', () => {
    const a = new Gateway('a').found();
    for (const key of ['stays', 'goes']) a.do(put(key, '1'));
    const b = new Gateway('b');
    b.join(a);
    a.do({ kind: 'kv-delete', key: 'goes' });
    collect(a);
    expect(allKeys(a)).toEqual(['stays']);
    const shown = b.replica.highestIndex;
    b.replica.takeTouched();
    expect(b.join(a)).toBe(1);
    expect(b.replica.takeTouched()).toEqual(new Set([topic.key('goes')]));
    expect(b.store.get(Kind.kv, 'goes')).toMatchObject({ value: null, origin: 0 });
    expect(b.store.get(Kind.kv, 'goes')?.modifyIndex).toBeGreaterThan(shown);
    expect(b.state()).toEqual(a.state());
    // And it does not tell others of that.
    expect(b.replica.page({ kind: 0, key: '' }, 100, 1e6).rows.map((row) => row.key)).toEqual(['stays', '']);
  });

  test('brings nothing back that was deleted, whoever asks whom', () => {
    const a = new Gateway('a').found();
    a.do(put('k', '1'));
    const [b, c] = [new Gateway('b'), new Gateway('c')];
    for (const each of [b, c]) each.join(a);
    a.do({ kind: 'kv-delete', key: 'k' });
    b.pull(a);
    for (const each of [a, b]) collect(each);
    // c was away all the time; its state must not win.
    expect(a.join(c)).toBe(0);
    expect(b.join(c)).toBe(0);
    expect(allKeys(a)).toEqual([]);
    c.join(b);
    expect(c.text('k')).toBeUndefined();
    // Also not by a straggling dot.
    expect(c.pull(a)).toBe(false);
    expect(c.state()).toEqual(a.state());
  });

  test('gives back what a replica lost, and takes nothing from others for it', () => {
    const a = new Gateway('a').found();
    for (const key of ['k1', 'k2']) a.do(put(key, '1'));
    const b = new Gateway('b');
    b.join(a);
    b.transact(() => b.store.remove(Kind.kv, 'k1'));
    expect(a.join(b)).toBe(0);
    expect(a.text('k1')).toBe('1');
    expect(b.join(a)).toBe(1);
    expect(b.state()).toEqual(a.state());
  });

  test('says from where on a log is not enough', () => {
    const a = new Gateway('a').found();
    a.do(put('k', '1'));
    expect(a.replica.collectedBelow).toBe(0);
    a.do({ kind: 'kv-delete', key: 'k' });
    const deleted = a.store.get(Kind.kv, 'k')?.modifyIndex ?? 0;
    // Somebody has not seen the deletion yet.
    collect(a, deleted);
    expect([allKeys(a), a.replica.collectedBelow]).toEqual([['k'], 0]);
    collect(a, deleted + 1);
    expect([allKeys(a), a.replica.collectedBelow]).toEqual([[], deleted + 1]);
    expect(a.restarted().collectedBelow).toBe(deleted + 1);
  });

  test('ends where the log would have ended, whatever was written and collected, and whoever joined whom', () => {
    const ops = fc.array(
      fc.oneof(
        {
          weight: 5,
          arbitrary: fc.record({ op: fc.constant('put' as const), key: fc.nat(5), text: fc.nat(9) }),
        },
        { weight: 3, arbitrary: fc.record({ op: fc.constant('delete' as const), key: fc.nat(5) }) },
        {
          weight: 3,
          arbitrary: fc.record({ op: fc.constant('join' as const), to: fc.nat(2), from: fc.nat(2) }),
        },
        {
          weight: 3,
          arbitrary: fc.record({ op: fc.constant('pull' as const), to: fc.nat(2), from: fc.nat(2) }),
        },
        { weight: 1, arbitrary: fc.record({ op: fc.constant('collect' as const) }) },
      ),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(ops, (list) => {
        const all = ['a', 'b', 'c'].map((name) => new Gateway(name));
        const [a, , away] = all as [Gateway, Gateway, Gateway];
        a.found();
        const model = new Map<string, string>();
        for (const step of list) {
          if (step.op === 'put') {
            a.do(put(`k${step.key}`, String(step.text)));
            model.set(`k${step.key}`, String(step.text));
          } else if (step.op === 'delete') {
            a.do({ kind: 'kv-delete', key: `k${step.key}` });
            model.delete(`k${step.key}`);
          } else if (step.op === 'collect') {
            // Two of them know of everything; the third was forgotten, and so may come by whole state only.
            converge(all.slice(0, 2));
            for (const each of all.slice(0, 2)) collect(each);
          } else if (step.to !== step.from) {
            const [to, from] = [all[step.to], all[step.from]] as [Gateway, Gateway];
            if (step.op === 'join') to.join(from);
            else if (to !== away && from !== away) to.pull(from);
          }
        }
        converge(all.slice(0, 2));
        away.join(a);
        for (const each of all) {
          const held = Object.fromEntries(allKeys(each).map((key) => [key, each.text(key)]));
          const live = Object.fromEntries(Object.entries(held).filter(([, text]) => text !== undefined));
          expect(live).toEqual(Object.fromEntries(model));
        }
      }),
      { numRuns: 150 },
    );
  });
});
