import { describe, expect, test } from '@jest/globals';
import { MemoryStore } from '../../src/io/memory-store.ts';
import { Kind } from '../../src/state/kinds.ts';
import { WriteScope } from '../../src/state/write-scope.ts';

const bytes = new Uint8Array([1]);

function scopeOn(store: MemoryStore, highest = 100, nowUs = 50): WriteScope {
  return new WriteScope({ store, origin: 1, headSeq: 10, highest, nowUs, rights: { termOf: () => 3 } });
}

describe('a write scope', () => {
  test('has changed nothing until something was written, and nothing again when that was undone', () => {
    const store = new MemoryStore();
    store.transact(() => {
      const scope = scopeOn(store);
      expect(scope.changed).toBe(false);
      const undone = scope.attempt(() => {
        scope.put(Kind.kv, 'a', bytes);
        scope.put(Kind.agentCheck, 'a', bytes);
        expect(scope.changed).toBe(true);
        return { keep: false, value: 'answer' };
      });
      expect(undone).toBe('answer');
      expect([scope.changed, scope.dots, scope.touched.size]).toEqual([false, 0, 0]);
      scope.put(Kind.agentCheck, 'a', bytes);
      expect([scope.changed, scope.dots, scope.touched.size]).toEqual([true, 0, 0]);
    });
    expect(store.get(Kind.kv, 'a')).toBeUndefined();
  });

  test('keeps what was written before an attempt that is undone', () => {
    const store = new MemoryStore();
    store.transact(() => {
      const scope = scopeOn(store);
      scope.put(Kind.kv, 'kept', bytes);
      scope.attempt(() => {
        scope.put(Kind.kv, 'undone', bytes);
        return { keep: false, value: undefined };
      });
      expect([...scope.touched]).toEqual(['k/kept']);
      expect(scope.dots).toBe(1);
    });
  });

  test('stamps above all that was seen, and shows the index of its stamp', () => {
    expect(scopeOn(new MemoryStore(), 100, 50)).toMatchObject({ stamp: 102, index: 102 });
    expect(scopeOn(new MemoryStore(), 100, 5000)).toMatchObject({ stamp: 5000, index: 5000, nowMs: 5 });
  });

  test('a changed secondary key alone is a change', () => {
    const store = new MemoryStore();
    store.transact(() => scopeOn(store).put(Kind.kv, 'a', bytes, 's1'));
    store.transact(() => {
      const scope = scopeOn(store, 200);
      scope.put(Kind.kv, 'a', bytes, 's1');
      expect(scope.changed).toBe(false);
      scope.put(Kind.kv, 'a', bytes, 's2');
      expect(scope.changed).toBe(true);
    });
  });

  test('a tombstone keeps the secondary key, and deleting again answers that there is nothing', () => {
    const store = new MemoryStore();
    store.transact(() => {
      const scope = scopeOn(store);
      scope.put(Kind.kv, 'a', bytes, 's1');
      expect(scope.delete(Kind.kv, 'a')).toBe(true);
      expect(scope.delete(Kind.kv, 'a')).toBe(false);
      expect(scope.delete(Kind.kv, 'absent')).toBe(false);
    });
    expect(store.get(Kind.kv, 'a')).toMatchObject({ value: null, ix: 's1' });
  });

  test("adopts another writer's version under an index of this gateway, and only a greater one", () => {
    const store = new MemoryStore();
    const version = { term: 0, timeline: 1, stamp: 7 };
    store.transact(() => scopeOn(store).adopt(Kind.kv, 'a', version, bytes, null, 5));
    expect(store.get(Kind.kv, 'a')).toMatchObject({
      ...version,
      born: 5,
      modifyIndex: 102,
      createIndex: 102,
    });
    store.transact(() => {
      const scope = scopeOn(store, 200);
      expect(() => scope.adopt(Kind.kv, 'a', version, bytes, null, 5)).toThrow(
        'a version above the held one',
      );
      scope.adopt(Kind.kv, 'a', { ...version, stamp: 8 }, new Uint8Array([2]), null, 5);
    });
    expect(store.get(Kind.kv, 'a')).toMatchObject({ stamp: 8, createIndex: 102, modifyIndex: 202 });
    // Born anew at the source: another life of the key, so another CreateIndex.
    store.transact(() =>
      scopeOn(store, 300).adopt(Kind.kv, 'a', { ...version, stamp: 12 }, new Uint8Array([2]), null, 11),
    );
    expect(store.get(Kind.kv, 'a')).toMatchObject({ createIndex: 302, modifyIndex: 302 });
  });
});
