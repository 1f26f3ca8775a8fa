import { describe, expect, test } from '@jest/globals';
import { loadMembers, memberKeeper, rememberLeaving } from '../../src/io/members-meta.ts';
import { MemoryStore } from '../../src/io/memory-store.ts';
import type { PersistedMember } from '../../src/swim/member.ts';
import { memberView } from '../support/fleet.ts';

function persisted(name: string, over: Partial<PersistedMember> = {}): PersistedMember {
  const { facts } = memberView(name);
  return { facts, state: 'alive', incarnation: 3, factsIncarnation: 1, ...over };
}

function kept(...put: readonly PersistedMember[]): MemoryStore {
  const store = new MemoryStore();
  const keep = memberKeeper(store, loadMembers(store, false));
  store.transact(() => keep({ kind: 'persist', incarnation: 7, put, remove: [] }));
  return store;
}

describe('the members of the last run', () => {
  test('come back as they were, with the own incarnation', () => {
    const members = [persisted('a'), persisted('b', { state: 'suspect', factsIncarnation: 2 })];
    expect(loadMembers(kept(...members), false)).toEqual({ incarnation: 7, members });
  });

  test('are remembered however long one of them is gone, down to fractions of a millisecond', () => {
    const gone = [0, 0.25, 1234.5678].map((goneForMs, i) =>
      persisted(`gone-${i}`, { state: 'failed', goneForMs }),
    );
    const { incarnation, members } = loadMembers(kept(persisted('a'), ...gone), false);
    expect(incarnation).toBe(7);
    expect(members.map(({ facts, state, goneForMs }) => [facts.name, state, goneForMs])).toEqual([
      ['a', 'alive', undefined],
      ['gone-0', 'failed', 1],
      ['gone-1', 'failed', 1],
      ['gone-2', 'failed', 1235],
    ]);
  });

  test('change one by one', () => {
    const store = kept(persisted('a'), persisted('b'));
    const keep = memberKeeper(store, loadMembers(store, false));
    const remove = [persisted('a').facts.id];
    store.transact(() =>
      keep({ kind: 'persist', incarnation: 8, put: [persisted('b', { incarnation: 9 })], remove }),
    );
    const { incarnation, members } = loadMembers(store, false);
    expect([incarnation, members]).toEqual([8, [persisted('b', { incarnation: 9 })]]);
  });

  test('are not looked for by one that left them, unless it is told to', () => {
    const store = kept(persisted('a'));
    store.transact(() => rememberLeaving(store, true));
    expect(loadMembers(store, false)).toEqual({ incarnation: 7, members: [] });
    expect(loadMembers(store, true).members.length).toBe(1);
  });

  test('of a form that is not known are forgotten', () => {
    const store = kept(persisted('a'));
    store.transact(() => store.setMeta('members', 'bm90aGluZw=='));
    expect(loadMembers(store, false)).toEqual({ incarnation: 0, members: [] });
  });
});
