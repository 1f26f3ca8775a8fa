import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { MemoryStore } from '../../src/io/memory-store.ts';
import { Kind } from '../../src/state/kinds.ts';
import { SessionTimers } from '../../src/state/session-timers.ts';
import { topic } from '../../src/state/topics.ts';
import { encodeValue, type SessionValue } from '../../src/state/values.ts';

const ttlMsOf = (ttl: string): number => Number(ttl);

function put(store: MemoryStore, id: string, ttl: string, alive = true, origin = 1): readonly string[] {
  const session: SessionValue = {
    id,
    name: '',
    node: 'n',
    lockDelayNs: 0,
    behavior: 'release',
    ttl,
    nodeChecks: [],
    serviceChecks: null,
  };
  const value = alive ? encodeValue(session) : null;
  store.transact(() =>
    store.put({
      kind: Kind.session,
      key: id,
      value,
      ix: 'n',
      term: 1,
      timeline: 0,
      stamp: 1,
      born: 1,
      origin,
      seq: 1,
      createIndex: 1,
      modifyIndex: 1,
      beside: 0,
    }),
  );
  return [topic.session(id)];
}

describe('session timers', () => {
  test('a session expires after twice its TTL, once', () => {
    const store = new MemoryStore();
    const timers = new SessionTimers({ ttlMsOf, isOwn: (row) => row.origin === 1 });
    timers.onCommit(put(store, 'a', '100'), store, 1000);
    expect(timers.nextDueMs).toBe(1200);
    expect(timers.due(1199)).toEqual([]);
    expect(timers.due(1200)).toEqual(['a']);
    expect(timers.due(9999)).toEqual([]);
    expect(timers.nextDueMs).toBeUndefined();
  });

  test('a renewal gives the whole time again', () => {
    const store = new MemoryStore();
    const timers = new SessionTimers({ ttlMsOf, isOwn: (row) => row.origin === 1 });
    timers.onCommit(put(store, 'a', '100'), store, 0);
    expect(timers.renew('a', 150)).toBe(true);
    expect(timers.due(200)).toEqual([]);
    expect(timers.nextDueMs).toBe(350);
    expect(timers.due(350)).toEqual(['a']);
    expect(timers.renew('a', 351)).toBe(false);
  });

  test('sessions without a TTL, and those of other gateways, never expire here', () => {
    const store = new MemoryStore();
    const timers = new SessionTimers({ ttlMsOf, isOwn: (row) => row.origin === 1 });
    timers.onCommit([...put(store, 'none', '0'), ...put(store, 'other', '10', true, 2)], store, 0);
    expect(timers.size).toBe(0);
    expect(timers.renew('other', 1)).toBe(false);
  });

  test('a restart gives every session its whole time, and skips ended ones', () => {
    const store = new MemoryStore();
    put(store, 'a', '100');
    put(store, 'b', '50', false);
    const timers = new SessionTimers({ ttlMsOf, isOwn: (row) => row.origin === 1 });
    timers.restore(store, 5000);
    expect(timers.size).toBe(1);
    expect(timers.due(5199)).toEqual([]);
    expect(timers.due(5200)).toEqual(['a']);
  });

  test('whatever happens, a session expires exactly when its last deadline has passed', () => {
    const action = fc.oneof(
      fc.record({
        kind: fc.constant('create' as const),
        id: fc.nat(5),
        ttl: fc.integer({ min: 1, max: 40 }),
      }),
      fc.record({ kind: fc.constant('renew' as const), id: fc.nat(5) }),
      fc.record({ kind: fc.constant('destroy' as const), id: fc.nat(5) }),
      fc.record({ kind: fc.constant('tick' as const), ms: fc.integer({ min: 0, max: 60 }) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 80 }), (actions) => {
        const store = new MemoryStore();
        const timers = new SessionTimers({ ttlMsOf, isOwn: (row) => row.origin === 1 });
        const model = new Map<string, { ttl: number; deadline: number }>();
        const problems: boolean[] = [];
        let now = 0;
        let minted = 0;
        const names = new Map<number, string>();
        for (const step of actions) {
          const id = step.kind === 'tick' ? '' : (names.get(step.id) ?? '');
          if (step.kind === 'create') {
            const fresh = `s${(minted += 1)}`;
            names.set(step.id, fresh);
            timers.onCommit(put(store, fresh, String(step.ttl)), store, now);
            model.set(fresh, { ttl: step.ttl, deadline: now + 2 * step.ttl });
          } else if (step.kind === 'renew') {
            const held = model.get(id);
            problems.push(timers.renew(id, now) !== (held !== undefined));
            if (held !== undefined) held.deadline = now + 2 * held.ttl;
          } else if (step.kind === 'destroy') {
            if (id !== '') timers.onCommit(put(store, id, '1', false), store, now);
            model.delete(id);
          } else {
            now += step.ms;
            const next = timers.nextDueMs;
            const first = Math.min(...[...model.values()].map(({ deadline }) => deadline));
            problems.push(model.size === 0 ? next !== undefined : next === undefined || next > first);
            const expired = [...model].filter(([, { deadline }]) => deadline <= now).map(([name]) => name);
            problems.push([...timers.due(now)].toSorted().join() !== expired.toSorted().join());
            for (const name of expired) model.delete(name);
          }
          problems.push(timers.size !== model.size);
        }
        expect(problems).not.toContain(true);
      }),
    );
  });
});
