import { describe, expect, test } from '@jest/globals';
import type { CatalogRegister } from '../../src/state/catalog.ts';
import { Kind, ownNodeTerm } from '../../src/state/kinds.ts';
import { externalNodes } from '../../src/state/zones.ts';
import { converge, Gateway } from './fleet.ts';
import { check, health, kvOp, put, register } from './machine.ts';

/** The founder and two others, who know of each other as members do: each has registered its own node. */
function fleet(): readonly [Gateway, Gateway, Gateway] {
  const all = ['a', 'b', 'c'].map((name) => new Gateway(name)) as [Gateway, Gateway, Gateway];
  all[0].found();
  converge(all);
  for (const each of all) each.do(ownNode(each));
  converge(all);
  for (const each of all) for (const { name } of all) each.do(health(name, 'passing'));
  return all;
}

function ownNode({ name, nodeId }: Gateway, checks: CatalogRegister['checks'] = []): CatalogRegister {
  const { node, ...command } = register(name, checks);
  return { ...command, node: { ...node, id: nodeId } };
}

function delegate(from: Gateway, prefix: string, to: Gateway): void {
  expect(from.do({ kind: 'zone-delegate', prefix, toNodeId: to.nodeId })).toMatchObject({ kind: 'zone' });
}

describe('a delegation', () => {
  test('ends the writes of the old owner at once, and starts those of the new one when it has all of its log', () => {
    const [a, b] = fleet();
    a.do(put('eu/k', '1'));
    delegate(a, 'eu/', b);
    expect(a.do(put('eu/k', '2'))).toEqual({
      kind: 'not-owned',
      zone: 'eu/',
      owner: b.nodeId,
      reason: 'owned by another gateway',
    });
    const [grant, before] = a.dotsFor(b);
    b.merge(grant ?? never(), a);
    const [zone] = b.replica.zones.filter(({ prefix }) => prefix === 'eu/');
    expect(b.replica.zoneReady(zone ?? never())).toBe(false);
    expect(b.replica.zoneAwaits(zone ?? never())).toEqual([a.replica.origin]);
    expect(b.do(put('eu/k', '2'))).toEqual({
      kind: 'not-owned',
      zone: 'eu/',
      owner: b.nodeId,
      reason: 'handoff in progress',
    });
    b.merge(before ?? never(), a);
    expect(b.replica.zoneReady(zone ?? never())).toBe(true);
    expect(b.do(put('eu/k', '2'))).toMatchObject({ kind: 'kv', applied: true });
    a.pull(b);
    expect(a.text('eu/k')).toBe('2');
    // Everything else stays the founder's.
    expect(a.do(put('us/k', '1'))).toMatchObject({ kind: 'kv', applied: true });
    expect(b.do(put('us/k', '1'))).toMatchObject({ kind: 'not-owned', zone: '', owner: a.nodeId });
  });

  test('says who made it, when and why, and is refused to who does not own the zone', () => {
    const [a, b, c] = fleet();
    a.do({ kind: 'zone-delegate', prefix: 'eu/', toNodeId: b.nodeId, reason: 'closer to its writers' });
    const [, zone] = a.replica.zones;
    expect(zone).toMatchObject({
      prefix: 'eu/',
      ownerId: b.nodeId,
      cause: 'delegated',
      byNode: a.nodeId,
      atMs: Math.floor(a.nowUs / 1000),
      reason: 'closer to its writers',
      basis: { prefix: '', term: 1 },
    });
    c.pull(a);
    expect(c.do({ kind: 'zone-delegate', prefix: 'eu/x/', toNodeId: c.nodeId })).toMatchObject({
      kind: 'not-owned',
      owner: b.nodeId,
    });
    // To oneself what one has already is nothing.
    expect(a.do({ kind: 'zone-delegate', prefix: '', toNodeId: a.nodeId })).toEqual({ kind: 'zone' });
  });

  test('by a rule happens once, and leaves a zone that is there as it is', () => {
    const [a, b, c] = fleet();
    expect(a.do({ kind: 'zone-place', prefix: 'eu/', toNodeId: b.nodeId })).toMatchObject({
      kind: 'zone',
      row: { key: expect.stringContaining('eu/') as unknown },
    });
    expect(a.do({ kind: 'zone-place', prefix: 'eu/', toNodeId: c.nodeId })).toEqual({ kind: 'zone' });
    expect(a.replica.zones.map(({ prefix, ownerId }) => [prefix, ownerId])).toEqual([
      ['', a.nodeId],
      ['eu/', b.nodeId],
    ]);
  });

  test('a write that arrives before the grant that it is under waits for it', () => {
    const [a, b, c] = fleet();
    delegate(a, 'eu/', b);
    b.pull(a);
    b.do(put('eu/k', '1'));
    const [write] = b.dotsFor(c).filter(({ origin }) => origin === b.replica.origin);
    expect(c.merge(write ?? never(), b)).toBe('deferred');
    expect(c.replica.counts.deferred).toBe(1);
    c.pull(a);
    expect(c.merge(write ?? never(), b)).toBe('applied');
    expect(c.text('eu/k')).toBe('1');
  });
});

describe('a takeover', () => {
  test('is an order with a reason, and none for what one owns', () => {
    const [a, b] = fleet();
    expect(b.do({ kind: 'zone-takeover', prefix: '', reason: ' ' })).toMatchObject({
      kind: 'refused',
      status: 400,
    });
    expect(a.do({ kind: 'zone-takeover', prefix: '', reason: 'x' })).toMatchObject({
      kind: 'refused',
      status: 409,
    });
    expect(new Gateway('new').do({ kind: 'zone-takeover', prefix: '', reason: 'x' })).toMatchObject({
      kind: 'refused',
      status: 409,
    });
  });

  test('serves at once; what the owner wrote meanwhile becomes a conflict everywhere, and can be replayed', () => {
    const [a, b, c] = fleet();
    a.do(put('k', '1'));
    a.do(put('other', '1'));
    converge([a, b, c]);
    // c hears of it, b does not.
    a.do(put('k', 'A'));
    c.pull(a);
    expect(b.do({ kind: 'zone-takeover', prefix: '', reason: 'a is gone' })).toMatchObject({ kind: 'zone' });
    expect(b.do(put('other', '2'))).toMatchObject({ kind: 'kv', applied: true });
    converge([a, b, c]);
    for (const each of [a, b, c]) {
      expect([each.text('k'), each.text('other')]).toEqual(['1', '2']);
      expect(each.store.setAside('conflicts', 0, 9)).toMatchObject([
        {
          why: 'over',
          kind: Kind.kv,
          key: 'k',
          zone: '',
          term: 1,
          origin: a.replica.origin,
          replayed: false,
        },
      ]);
    }
    expect(a.do(put('k', 'x'))).toMatchObject({ kind: 'not-owned', owner: b.nodeId });
    const id = b.store.setAside('conflicts', 0, 1)[0]?.id ?? 0;
    expect(c.do({ kind: 'conflict-replay', id })).toMatchObject({ kind: 'not-owned', owner: b.nodeId });
    expect(b.do({ kind: 'conflict-replay', id })).toEqual({ kind: 'conflict', found: true });
    expect(b.store.setAside('conflicts', 0, 1)).toMatchObject([{ replayed: true }]);
    converge([a, b, c]);
    for (const each of [a, b, c]) expect(each.text('k')).toBe('A');
    expect(b.do({ kind: 'conflict-drop', id })).toEqual({ kind: 'conflict', found: true });
    expect(b.do({ kind: 'conflict-drop', id })).toEqual({ kind: 'conflict', found: false });
    expect(b.store.setAside('conflicts', 0, 9)).toEqual([]);
  });

  test('by two at once on two sides ends with one owner, the same for all', () => {
    const [a, b, c] = fleet();
    b.do({ kind: 'zone-takeover', prefix: '', reason: 'x' });
    c.do({ kind: 'zone-takeover', prefix: '', reason: 'x' });
    b.do(put('k', 'B'));
    c.do(put('k', 'C'));
    converge([a, b, c]);
    const owners = [a, b, c].map((each) => each.replica.zones.map(({ ownerId }) => ownerId));
    expect(new Set(owners.flat()).size).toBe(1);
    const texts = new Set([a, b, c].map((each) => each.text('k')));
    expect(texts.size).toBe(1);
    for (const each of [a, b, c]) expect(each.store.setAsideCount('conflicts').now).toBe(1);
  });

  test('of a zone whose handoff is stuck makes it complete', () => {
    const [a, b] = fleet();
    a.do(put('eu/k', '1'));
    delegate(a, 'eu/', b);
    const [grant] = a.dotsFor(b);
    b.merge(grant ?? never(), a);
    expect(b.do(put('eu/k', '2'))).toMatchObject({ kind: 'not-owned' });
    expect(b.do({ kind: 'zone-takeover', prefix: 'eu/', reason: 'a died on the way' })).toMatchObject({
      kind: 'zone',
    });
    expect(b.do(put('eu/k', '2'))).toMatchObject({ kind: 'kv', applied: true });
    expect(b.restarted().zones.map((zone) => b.replica.zoneReady(zone))).toEqual([false, true]);
  });
});

describe('commands that span zones', () => {
  test('a tree in zones of several gateways is deleted by none, and both are named', () => {
    const [a, b] = fleet();
    a.do(put('eu/k', '1'));
    delegate(a, 'eu/x/', b);
    expect(a.do({ kind: 'kv-delete-tree', prefix: 'eu/' })).toEqual({
      kind: 'refused',
      status: 409,
      message:
        'the zone "eu/x/" belongs to b (id-of-b), but the zone "" to a (id-of-a): no gateway may do all of it. ' +
        'Do it zone by zone',
    });
    expect(a.text('eu/k')).toBe('1');
    expect(a.do({ kind: 'kv-delete-tree', prefix: 'eu/k' })).toMatchObject({ kind: 'kv' });
    expect(a.do({ kind: 'kv-delete-tree', prefix: 'eu/x/y' })).toMatchObject({
      kind: 'not-owned',
      owner: b.nodeId,
    });
  });

  test('a transaction of several owners fails at the operation that differs, with both named; reads need nobody', () => {
    const [a, b] = fleet();
    delegate(a, 'eu/', b);
    const ops = [kvOp('set', 'k', '1'), kvOp('get', 'eu/k'), kvOp('set', 'eu/k', '1')];
    expect(a.do({ kind: 'txn', ops })).toEqual({
      kind: 'txn',
      results: [],
      errors: [
        {
          opIndex: 1,
          what:
            'key "eu/k" belongs to b (id-of-b), but key "k" to a (id-of-a): ' +
            'a transaction needs all of its keys under one owner',
        },
      ],
    });
    expect(a.text('k')).toBeUndefined();
    expect(a.do({ kind: 'txn', ops: ops.slice(1) })).toMatchObject({ kind: 'not-owned', owner: b.nodeId });
    expect(a.do({ kind: 'txn', ops: [kvOp('get-or-empty', 'eu/k')] })).toMatchObject({
      kind: 'txn',
      errors: [],
    });
    expect(a.do({ kind: 'txn', ops: [kvOp('delete-tree', '')] })).toMatchObject({
      kind: 'txn',
      errors: [{ opIndex: 0 }],
    });
  });
});

describe('nodes', () => {
  test("of gateways are theirs, under a term above every zone's", () => {
    const [a, b] = fleet();
    const row = a.store.get(Kind.node, 'b');
    expect(row).toMatchObject({ term: ownNodeTerm, ix: b.nodeId });
    expect(a.do(register('b'))).toMatchObject({ kind: 'not-owned', zone: 'node b', owner: b.nodeId });
    const gone = { kind: 'catalog-deregister', node: 'b', serviceId: '', checkId: '' } as const;
    expect(a.do(gone)).toMatchObject({ kind: 'not-owned', owner: b.nodeId });
    // Once it is gone, the owner of external nodes may take it out.
    a.do(health('b', 'critical'));
    expect(a.do(gone)).toEqual({ kind: 'catalog' });
    converge([a, b]);
    expect(b.store.get(Kind.node, 'b')?.value).toBeNull();
    // And it comes back by itself.
    expect(b.do(ownNode(b))).toEqual({ kind: 'catalog' });
    a.pull(b);
    expect(a.store.get(Kind.node, 'b')?.value).not.toBeNull();
  });

  test('of nobody are in a zone of their own, which is delegated as any other', () => {
    const [a, b] = fleet();
    expect(b.do(register('db'))).toMatchObject({ kind: 'not-owned', zone: '', owner: a.nodeId });
    expect(a.do(register('db'))).toEqual({ kind: 'catalog' });
    delegate(a, externalNodes, b);
    converge([a, b]);
    expect(a.do(register('db'))).toMatchObject({ kind: 'not-owned', zone: externalNodes, owner: b.nodeId });
    expect(b.do(register('db', [check('db', 'disk', 'passing')]))).toEqual({ kind: 'catalog' });
    // Keys are no part of it, not even those that begin like it.
    expect(a.do(put(`${externalNodes}/k`, '1'))).toMatchObject({ kind: 'kv' });
    expect(a.replica.zones.map(({ prefix }) => prefix)).toEqual(['', externalNodes]);
  });

  test('that become gateways are taken over by them', () => {
    const [a, b] = fleet();
    const d = new Gateway('d');
    a.do(register('d', [check('d', 'disk', 'passing')]));
    converge([a, b, d]);
    d.do(ownNode(d));
    converge([a, b, d]);
    expect(a.store.get(Kind.node, 'd')).toMatchObject({ term: ownNodeTerm, ix: d.nodeId });
    expect(a.do(register('d'))).toMatchObject({ kind: 'not-owned', owner: d.nodeId });
    // What was registered under its name is its own now.
    d.do({ kind: 'catalog-deregister', node: 'd', serviceId: '', checkId: 'disk' });
    converge([a, b, d]);
    expect(a.store.get(Kind.check, 'd\u0001disk')).toMatchObject({ value: null, term: ownNodeTerm });
  });
});

describe('founding', () => {
  test('gives the cluster its id, also to a founder whose database is older than clusters are', () => {
    const store = new Gateway('a').found().store;
    const old = new Gateway('old');
    old.transact((replica) => replica.found(old.nowUs));
    expect(old.replica.cluster).toBe('');
    old.transact((replica) => replica.found(old.nowUs, 'fedcba9876543210'));
    expect(old.replica.cluster).toBe('fedcba9876543210');
    old.transact((replica) => replica.found(old.nowUs, '0000000000000000'));
    expect(old.restarted().cluster).toBe('fedcba9876543210');
    expect(store.getMeta('cluster')).toBe('0123456789abcdef');
  });

  test('gives none to who only joined', () => {
    const [, b] = fleet();
    b.transact((replica) => replica.found(b.nowUs, 'fedcba9876543210'));
    expect(b.replica.cluster).toBe('');
  });
});

function never(): never {
  throw new Error('is there');
}
