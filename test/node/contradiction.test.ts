import { expect, test } from '@jest/globals';
import { predates } from '../../src/replication/contradiction.ts';
import { Kind } from '../../src/state/kinds.ts';
import { encodeKv } from '../../src/state/values.ts';
import { Gateway } from './fleet.ts';
import { bytes, put } from './machine.ts';

// Who was away is asked whether it has entries that the asker lost when a backup was restored.

function pair(): readonly [Gateway, Gateway] {
  const a = new Gateway('a').found();
  const b = new Gateway('b');
  while (b.pull(a));
  return [a, b];
}

function asks(by: Gateway, head: number): Parameters<typeof predates>[1] {
  const { origin } = by.replica;
  return { kind: 'log-ask', by: by.nodeId, origin, head, stamp: by.nowUs + 1 };
}

function relay(at: Gateway, key: string, stamp: number): void {
  const value = encodeKv({ flags: 0n, lockIndex: 0, session: '', value: bytes(`${stamp}`) });
  const records = [{ kind: Kind.kv, key, stamp, born: 1, value, ix: null } as const];
  expect(at.do({ kind: 'mirror-apply', source: 's', timeline: 1, records, cursors: {} }).kind).toBe('mirror');
}

test('an entry from before the asker started, above the head that it started with, is one that it lost', () => {
  const [a, b] = pair();
  const { headSeq } = a.replica;
  a.do(put('x', '1'));
  while (b.pull(a));
  expect(predates(b.replica, asks(a, headSeq))).toBe(true);
});

test('what a source decided bears an index and no time: relaying it shows no lost entry', () => {
  const [a, b] = pair();
  const ask = asks(a, a.replica.headSeq + 1);
  const lend = { kind: 'migration-step', of: 'kv', prefix: 'x/', phase: 'mirror', expectStep: 0 } as const;
  expect(a.do({ ...lend, reason: '', overridden: [], fences: [] }).kind).toBe('migration');
  relay(a, 'x/lent', 11);
  relay(a, 'copied', 12);
  while (b.pull(a));
  expect([...b.rows()].filter(({ kind }) => kind === Kind.kv).map(({ stamp }) => stamp)).toEqual([12, 11]);
  expect(predates(b.replica, ask)).toBe(false);
});
