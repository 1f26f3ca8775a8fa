import { describe, expect, test } from '@jest/globals';
import { MemoryTarget } from '../../../migration/target/memory-target.ts';
import { FakeConsul } from '../fake-consul.ts';
import { copy } from '../support.ts';

/** A source and a target that has copied it. */
async function copied(keys: readonly string[]): Promise<{ source: FakeConsul; target: MemoryTarget }> {
  const source = new FakeConsul();
  for (const key of keys) source.set(key, 'v');
  const target = new MemoryTarget();
  await copy(source, target);
  return { source, target };
}

describe('the guards of a copy', () => {
  test.each([
    ['an answer without an index', { index: null }],
    ['an answer without a leader', { knownLeader: false }],
    ['an answer shortened by ACLs', { filtered: true }],
  ])('%s deletes nothing', async (_what, meta) => {
    const { source, target } = await copied(['a', 'b']);
    source.delete('a');
    source.meta = meta;
    const summary = await copy(source, target);
    expect(summary.counts.kv.deleted).toBe(0);
    expect(target.liveKeys('kv')).toEqual(['a', 'b']);
  });

  test('an empty answer to a list deletes nothing that a point read still finds', async () => {
    const { source, target } = await copied(['p/a', 'p/b', 'q']);
    const all = new Map(source.entries);
    // The list shows nothing and an old index; the keys are there.
    source.beforeRead = (what) => {
      if (what === 'list') source.entries.clear();
      else for (const [key, entry] of all) source.entries.set(key, entry);
    };
    const list = source.list;
    const old = Object.assign(source, {
      list: async (prefix: string) => {
        const answer = await list(prefix);
        return answer.kind === 'list'
          ? { ...answer, indexIsTable: false, meta: { ...answer.meta, index: 1 } }
          : answer;
      },
    });
    const summary = await copy(old, target);
    expect(summary.counts.kv).toMatchObject({ deleted: 0, withheld: 0, unchanged: 3 });
    expect(target.liveKeys('kv')).toEqual(['p/a', 'p/b', 'q']);
  });

  test('a key that the token may not read is kept', async () => {
    const { source, target } = await copied(['a', 'b']);
    source.delete('a');
    source.selfAnswer = { ...source.selfAnswer, aclsEnabled: true };
    const get = source.get;
    Object.assign(source, { get: (key: string) => (key === 'a' ? { kind: 'denied' } : get(key)) });
    const summary = await copy(source, target);
    expect(summary.counts.kv).toMatchObject({ deleted: 0, withheld: 1 });
    expect(target.liveKeys('kv')).toEqual(['a', 'b']);
  });

  test('with ACLs on, every delete is proved by a point read', async () => {
    const { source, target } = await copied(['a', 'b']);
    source.delete('a');
    const before = source.gets;
    await copy(source, target, { tokenGiven: true });
    expect(source.gets).toBe(before + 1);
    expect(target.liveKeys('kv')).toEqual(['b']);
  });

  test('a value written at the gateway under its own term is kept and listed', async () => {
    const { source, target } = await copied(['a', 'b']);
    target.plant('kv', { key: 'a', term: 1, timeline: 0, stamp: 5, deleted: false, digest: 'own' });
    source.set('a', 'from consul');
    const summary = await copy(source, target);
    expect(summary.counts.kv).toMatchObject({ kept: 1, copied: 0 });
    expect(target.version('kv', 'a')).toMatchObject({ term: 1, digest: 'own' });
    expect(summary.notices).toEqual([expect.objectContaining({ code: 'written-here', examples: ['a'] })]);
  });

  test('a source that goes on contradicting itself stops the copy instead of rebasing for ever', async () => {
    const { source, target } = await copied(['a', 'b']);
    const entry = source.entries.get('a');
    let turn = 0;
    source.beforeRead = (what) => {
      if (what === 'list' && entry !== undefined) {
        turn += 1;
        source.entries.set('a', { ...entry, value: Buffer.from(`turn ${turn}`) });
      }
    };
    // The rebase applies what it reads; the run after it sees other bytes under the same index once more.
    expect((await copy(source, target)).timeline).toBe(2);
    expect((await copy(source, target)).timeline).toBe(3);
  });

  test('another cluster under the same gateway is refused, with the flag that says it is the same one', async () => {
    const { source, target } = await copied(['a']);
    const other = Object.assign(new MemoryTarget(), {
      state: async (id: string) => ({
        ...(await target.state(id)),
        timeline: 0,
        cursors: {},
        otherSources: ['dc1-old'],
      }),
    });
    await expect(copy(source, other)).rejects.toThrow('--source-id dc1-old');
  });

  test('interrupted, it commits what it has settled and says so', async () => {
    const source = new FakeConsul();
    for (let at = 0; at < 3000; at += 1) source.set(`k${String(at).padStart(4, '0')}`, 'v');
    const target = new MemoryTarget();
    const abort = new AbortController();
    const first = await copy(source, target, {
      signal: abort.signal,
      onProgress: ({ done }) => (done > 1000 ? abort.abort() : undefined),
    });
    expect(first.end).toBe('interrupted');
    const there = target.liveKeys('kv').length;
    expect(there).toBe(first.counts.kv.copied);
    expect(there).toBeGreaterThan(1000);
    expect(there).toBeLessThan(3000);
    const second = await copy(source, target);
    expect(second).toMatchObject({ end: 'done', resumed: true });
    expect(second.counts.kv).toMatchObject({ copied: 3000, unchanged: 0 });
  });
});
