import { describe, expect, test } from '@jest/globals';
import { Kind } from '../../src/state/kinds.ts';
import { decodeKv, type SessionValue } from '../../src/state/values.ts';
import { converge, Gateway } from './fleet.ts';
import { check, health, put, register } from './machine.ts';

const session = '00000000-0000-4000-8000-000000000001';
const other = '00000000-0000-4000-8000-000000000002';

function sessionOf(gateway: Gateway, fields: Partial<SessionValue> = {}): SessionValue {
  return {
    ...{ id: session, name: '', node: gateway.name, lockDelayNs: 15e9, behavior: 'release', ttl: '' },
    ...{ nodeChecks: ['serfHealth'], serviceChecks: [] },
    ...fields,
  };
}

/** `a` owns the keys, `b` makes the session, `c` owns the keys under `c/`. */
function fleet(fields: Partial<SessionValue> = {}): readonly [Gateway, Gateway, Gateway] {
  const all = ['a', 'b', 'c'].map((name) => new Gateway(name)) as [Gateway, Gateway, Gateway];
  const [a, b, c] = all;
  a.found();
  a.do({ kind: 'zone-delegate', prefix: 'c/', toNodeId: c.nodeId });
  converge(all);
  for (const each of all) {
    const { node, ...command } = register(each.name);
    each.do({ ...command, node: { ...node, id: each.nodeId } });
  }
  converge(all);
  for (const each of all) for (const { name } of all) each.do(health(name, 'passing'));
  expect(b.do({ kind: 'session-create', session: sessionOf(b, fields) })).toMatchObject({ kind: 'session' });
  converge(all);
  return all;
}

function acquire(at: Gateway, key: string, id = session): unknown {
  return at.do(put(key, 'v', { kind: 'acquire', session: id }));
}

function holder(at: Gateway, key: string): string | undefined {
  const row = at.store.get(Kind.kv, key);
  return row?.value ? decodeKv(row.value).session : undefined;
}

const granted = { kind: 'kv', applied: true };
const denied = { kind: 'kv', applied: false };

describe('locks of a session of another gateway', () => {
  test('are decided by the owner of the key, and released by it when the session ends where it was made', () => {
    const [a, b, c] = fleet();
    expect(acquire(a, 'k')).toMatchObject(granted);
    expect(acquire(c, 'c/k')).toMatchObject(granted);
    converge([a, b, c]);
    // Only its maker destroys it.
    expect(a.do({ kind: 'session-destroy', id: session })).toMatchObject({
      kind: 'not-owned',
      owner: b.nodeId,
    });
    b.do({ kind: 'session-destroy', id: session });
    // Not the maker's keys to write.
    expect([holder(b, 'k'), holder(b, 'c/k')]).toEqual([session, session]);
    a.pull(b);
    expect([holder(a, 'k'), holder(a, 'c/k')]).toEqual(['', session]);
    c.pull(b);
    expect(holder(c, 'c/k')).toBe('');
    converge([a, b, c]);
    for (const each of [a, b, c]) expect([holder(each, 'k'), holder(each, 'c/k')]).toEqual(['', '']);
    b.do({ kind: 'session-create', session: sessionOf(b, { id: other }) });
    a.pull(b);
    // The lock-delay runs where the key is.
    expect(acquire(a, 'k', other)).toMatchObject(denied);
    a.nowUs += 16_000_000;
    expect(acquire(a, 'k', other)).toMatchObject(granted);
  });

  test('are deleted where the session says so', () => {
    const [a, b] = fleet({ behavior: 'delete' });
    acquire(a, 'k');
    converge([a, b]);
    b.do({ kind: 'session-destroy', id: session });
    a.pull(b);
    expect(a.store.get(Kind.kv, 'k')?.value).toBeNull();
  });

  test('are released when its node turns critical as the owner sees it; the session stays with its maker', () => {
    const [a, b, c] = fleet();
    acquire(a, 'k');
    converge([a, b, c]);
    a.do(health('b', 'critical'));
    expect(holder(a, 'k')).toBe('');
    expect(a.store.get(Kind.session, session)?.value).not.toBeNull();
    a.nowUs += 16_000_000;
    expect(acquire(a, 'k')).toMatchObject({ kind: 'refused', message: `invalid session "${session}"` });
    a.do(health('b', 'passing'));
    expect(acquire(a, 'k')).toMatchObject(granted);
  });

  test('stay with a session that does not list the health of its node, unless its TTL runs there', () => {
    const [a, b] = fleet({ nodeChecks: [] });
    acquire(a, 'k');
    a.do(health('b', 'critical'));
    expect(holder(a, 'k')).toBe(session);
    const [d, e] = fleet({ nodeChecks: [], ttl: '10s' });
    acquire(d, 'k');
    d.do(health('b', 'critical'));
    expect(holder(d, 'k')).toBe('');
    expect([b.name, e.name]).toEqual(['b', 'b']);
  });

  test('of a session that was never seen here alive are released when it ends', () => {
    const [a, b, c] = fleet();
    acquire(a, 'k');
    const late = new Gateway('late');
    a.do({ kind: 'zone-delegate', prefix: 'k', toNodeId: late.nodeId });
    const dots = a.dotsFor(late);
    for (const dot of dots.toReversed()) if (dot.origin === a.replica.origin) late.merge(dot, a);
    expect(late.store.get(Kind.session, session)).toBeUndefined();
    expect(holder(late, 'k')).toBe(session);
    b.do({ kind: 'session-destroy', id: session });
    for (const dot of b.dotsFor(late)) late.merge(dot, b);
    expect(holder(late, 'k')).toBe('');
    converge([a, b, c, late]);
    expect(a.state()).toEqual(late.state());
  });

  test('are swept by a new owner of the zone, where their session ended meanwhile', () => {
    const [a, b, c] = fleet();
    acquire(a, 'k');
    converge([a, b, c]);
    b.do({ kind: 'session-destroy', id: session });
    // c knows before the owner does, and takes over.
    c.pull(b);
    expect(holder(c, 'k')).toBe(session);
    c.do({ kind: 'zone-takeover', prefix: '', reason: 'a is gone' });
    expect(holder(c, 'k')).toBe('');
    converge([a, b, c]);
    expect(a.state()).toEqual(c.state());
  });
});

describe('a gateway that may be a restored backup', () => {
  test('logs nothing of its own accord before it knows, and makes up for it then, also after a restart', () => {
    for (const restarts of [false, true]) {
      const [a, b] = fleet();
      acquire(a, 'k');
      converge([a, b]);
      b.do({ kind: 'session-destroy', id: session });
      a.replica.quiet = true;
      const { headSeq } = a.replica;
      a.pull(b);
      expect([a.replica.headSeq, holder(a, 'k')]).toEqual([headSeq, session]);
      if (restarts) a.restarted();
      a.replica.quiet = false;
      a.transact((replica) => replica.settle(a.now));
      expect([a.replica.headSeq, holder(a, 'k')]).toEqual([headSeq + 1, '']);
    }
  });
});

describe('sessions on nodes that others own', () => {
  test('are destroyed by their maker when a check of the node that they list turns critical', () => {
    const [a, b] = fleet();
    a.do(register('db', [check('db', 'disk', 'passing')]));
    b.pull(a);
    b.do({ kind: 'session-create', session: sessionOf(b, { id: other, node: 'db', nodeChecks: ['disk'] }) });
    converge([a, b]);
    acquire(a, 'k', other);
    a.do(register('db', [check('db', 'disk', 'critical')]));
    // The owner of the key sees it first.
    expect(holder(a, 'k')).toBe('');
    expect(a.store.get(Kind.session, other)?.value).not.toBeNull();
    b.pull(a);
    expect(b.store.get(Kind.session, other)?.value).toBeNull();
  });

  test('are destroyed by their maker when the node is deregistered', () => {
    const [a, b] = fleet();
    a.do(register('db'));
    b.pull(a);
    b.do({ kind: 'session-create', session: sessionOf(b, { id: other, node: 'db', nodeChecks: [] }) });
    converge([a, b]);
    a.do({ kind: 'catalog-deregister', node: 'db', serviceId: '', checkId: '' });
    b.pull(a);
    expect(b.store.get(Kind.session, other)?.value).toBeNull();
  });
});
