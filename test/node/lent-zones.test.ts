import { describe, expect, test } from '@jest/globals';
import type { Dot } from '../../src/crdt/dot.ts';
import type { CommandOutcome } from '../../src/state/command.ts';
import { Kind } from '../../src/state/kinds.ts';
import { sourceIndexOf } from '../../src/state/lent.ts';
import { migrationSource, phaseRules } from '../../src/state/migration-rules.ts';
import { phases, type MigrationStep, type Phase, type PhaseRule } from '../../src/state/migration.ts';
import type { MirrorRecord } from '../../src/state/mirror.ts';
import { topic } from '../../src/state/topics.ts';
import { encodeKv } from '../../src/state/values.ts';
import { externalNodes, readGrants, Zones } from '../../src/state/zones.ts';
import { converge, Gateway } from './fleet.ts';
import { bytes, kvOp, put } from './machine.ts';

function fleet(...names: readonly string[]): readonly Gateway[] {
  const gateways = names.map((name) => new Gateway(name));
  gateways[0]?.found();
  converge(gateways);
  return gateways;
}

function ruleOf(at: Gateway, prefix: string, of: PhaseRule['of'] = 'kv'): PhaseRule | undefined {
  return phaseRules(at.store).find((rule) => rule.of === of && rule.prefix === prefix);
}

function step(at: Gateway, phase: Phase, told: readonly Gateway[], change: Partial<MigrationStep> = {}) {
  const { of = 'kv', prefix = 'a/' } = change;
  const command: MigrationStep = {
    ...{ kind: 'migration-step', of, prefix, phase, reason: 'test', overridden: [] },
    expectStep: ruleOf(at, prefix, of)?.step ?? 0,
    fences: told.map(({ replica }) => ({ origin: replica.origin, seq: replica.headSeq })),
    ...change,
  };
  return at.do(command);
}

/** Step by step, everybody told. */
function walk(at: Gateway, to: Phase, told: readonly Gateway[], change: Partial<MigrationStep> = {}): void {
  for (;;) {
    converge(told);
    const from = ruleOf(at, change.prefix ?? 'a/', change.of)?.phase ?? 'passthrough';
    if (from === to) return;
    const way = Math.sign(phases.indexOf(to) - phases.indexOf(from));
    const phase = phases[phases.indexOf(from) + way] as Phase;
    expect(step(at, phase, told, change)).toMatchObject({ kind: 'migration', rule: { phase } });
  }
}

function record(key: string, stamp: number, text: string | null): MirrorRecord {
  const value = text === null ? null : encodeKv({ flags: 0n, lockIndex: 0, session: '', value: bytes(text) });
  return { kind: Kind.kv, key, stamp, born: 1, value, ix: null };
}

function relay(at: Gateway, ...records: readonly MirrorRecord[]): CommandOutcome {
  return at.do({ kind: 'mirror-apply', source: 's', timeline: 1, records, cursors: {} });
}

function zonesOf(at: Gateway): Zones {
  return new Zones(readGrants(at.store));
}

function conflictsOf(at: Gateway): readonly string[] {
  return at.store.setAside('conflicts', 0, 99).map(({ key }) => key);
}

describe('a zone that is lent to the source', () => {
  test('takes what any gateway passes on, under its term; ordinary writes are refused with the phase', () => {
    const [p, q] = fleet('p', 'q') as [Gateway, Gateway];
    walk(p, 'dual', [p, q]);
    converge([p, q]);
    expect(relay(q, record('a/x', 7, 'source'))).toMatchObject({ applied: 1, conflicts: [] });
    converge([p, q]);
    const row = p.store.get(Kind.kv, 'a/x');
    expect(row).toMatchObject({ stamp: 7, timeline: 1, term: zonesOf(p).lentTerm(Kind.kv, 'a/x') });
    expect(p.text('a/x')).toBe(q.text('a/x'));
    expect(row && sourceIndexOf(zonesOf(p), row)).toBe(7);
    for (const command of [
      put('a/x', '1'),
      { kind: 'kv-delete', key: 'a/x' },
      { kind: 'kv-delete-tree', prefix: '' },
    ] as const) {
      for (const at of [p, q]) {
        expect(at.do(command)).toMatchObject({
          ...{ kind: 'refused', status: 500 },
          message: expect.stringContaining('phase dual: the source Consul decides it'),
        });
      }
    }
    expect(p.do({ kind: 'txn', ops: [kvOp('set', 'b', '1'), kvOp('set', 'a/x', '1')] })).toMatchObject({
      errors: [{ opIndex: 1, what: expect.stringContaining('"a/x" is migrating') }],
    });
    expect(p.do({ kind: 'txn', ops: [kvOp('get', 'a/x', '')] })).toMatchObject({ errors: [] });
    expect(p.do(put('b', '1'))).toMatchObject({ applied: true });
  });

  test('beats whatever was there before, and outside of it a copy stays at term 0', () => {
    const [p] = fleet('p') as [Gateway];
    p.do(put('a/x', 'local'));
    p.do(put('b', 'local'));
    walk(p, 'mirror', [p]);
    const outcome = relay(p, record('a/x', 3, 'source'), record('b', 9, 'source'), record('c', 4, 'source'));
    expect(outcome).toMatchObject({ applied: 2, conflicts: [{ key: 'b' }] });
    expect(p.text('a/x')).toBe('e');
    expect(p.store.get(Kind.kv, 'c')).toMatchObject({ term: 0, stamp: 4 });
    expect(p.store.get(Kind.kv, 'b')?.term).toBeGreaterThan(0);
  });

  test('once taken back takes nothing from a tail that lags behind, nor does it where nothing was held', () => {
    const [p, q] = fleet('p', 'q') as [Gateway, Gateway];
    walk(p, 'local-reads', [p, q]);
    converge([p, q]);
    relay(q, record('a/x', 7, 'source'));
    walk(p, 'cutover', [p, q]);
    expect(relay(p, record('a/x', 8, 'late'), record('a/new', 9, 'late'))).toMatchObject({
      applied: 0,
      conflicts: [{ key: 'a/x' }, { key: 'a/new', held: { term: 0 } }],
    });
    expect(p.do(put('a/x', '1'))).toMatchObject({ applied: true });
    expect(p.store.get(Kind.kv, 'a/new')).toBeUndefined();
  });

  test('once taken back sets aside what a straggler passed on, also where it was taken for right', () => {
    const [p, q, r] = fleet('p', 'q', 'r') as [Gateway, Gateway, Gateway];
    walk(p, 'local-reads', [p, q, r]);
    converge([p, q, r]);
    relay(q, record('a/x', 7, 'source'));
    converge([p, q, r]);
    walk(p, 'cutover', [p]);
    // Neither has heard of it.
    relay(q, record('a/x', 8, 'straggler'), record('a/new', 9, 'straggler'));
    r.pull(q);
    expect(r.text('a/x')).toBe('r');
    p.do(put('a/y', '1'));
    converge([p, q, r]);
    for (const at of [p, q, r]) {
      expect(at.text('a/x')).toBe('e');
      expect(at.text('a/new')).toBeUndefined();
      expect(conflictsOf(at).toSorted()).toEqual(['a/new', 'a/x']);
      expect(at.state()).toEqual(p.state());
    }
  });

  test('lent again: what the source says wins over what was written meanwhile, and stragglers stay aside', () => {
    const [p, q] = fleet('p', 'q') as [Gateway, Gateway];
    walk(p, 'cutover', [p, q]);
    p.do(put('a/x', 'local'));
    converge([p, q]);
    walk(p, 'local-reads', [p, q]);
    converge([p, q]);
    expect(relay(q, record('a/x', 5, 'source'))).toMatchObject({ applied: 1 });
    converge([p, q]);
    expect(p.text('a/x')).toBe('e');
    expect(p.do(put('a/x', 'local'))).toMatchObject({ kind: 'refused' });
  });

  test('stays lent when it is delegated, taken over, or a longer prefix is given away', () => {
    const [p, q] = fleet('p', 'q') as [Gateway, Gateway];
    walk(p, 'mirror', [p, q]);
    relay(p, record('a/x', 5, 'source'));
    converge([p, q]);
    p.do({ kind: 'zone-delegate', prefix: 'a/', toNodeId: q.nodeId });
    converge([p, q]);
    q.do({ kind: 'zone-delegate', prefix: 'a/b/', toNodeId: p.nodeId });
    q.do({ kind: 'zone-takeover', prefix: '', reason: 'test' });
    converge([p, q]);
    const zones = zonesOf(p);
    for (const key of ['a/x', 'a/b/x']) expect(zones.lentTerm(Kind.kv, key)).toBeDefined();
    expect(zones.lentTerm(Kind.kv, 'x')).toBeUndefined();
    // What was passed on before is as good as it was.
    expect(conflictsOf(q)).toEqual([]);
    const row = q.store.get(Kind.kv, 'a/x');
    expect(row && sourceIndexOf(zones, row)).toBe(5);
    expect(step(p, 'dual', [p, q])).toMatchObject({ kind: 'not-owned', owner: q.nodeId });
    expect(step(q, 'dual', [p, q])).toMatchObject({ kind: 'migration' });
  });

  test('is passed on by two gateways at once, and all keep the same of the two dots', () => {
    const [p, q, r] = fleet('p', 'q', 'r') as [Gateway, Gateway, Gateway];
    walk(p, 'mirror', [p, q, r]);
    converge([p, q, r]);
    for (const at of [p, q]) relay(at, record('a/x', 5, 'source'));
    converge([p, q, r]);
    const writers = [p, q, r].map(
      (at) => at.replica.writer(at.store.get(Kind.kv, 'a/x')?.origin ?? 0)?.origin,
    );
    expect(new Set(writers).size).toBe(1);
    expect(p.replica.overwriters(p.replica.origin)).toContain(q.replica.origin);
  });
});

describe('a step of a migration', () => {
  test('is one phase either way, and to passthrough from wherever the source decides', () => {
    const [p] = fleet('p') as [Gateway];
    expect(step(p, 'dual', [p])).toMatchObject({ kind: 'refused', status: 409 });
    walk(p, 'shadow', [p]);
    expect(step(p, 'shadow', [p])).toMatchObject({ kind: 'refused', message: /already/ });
    expect(step(p, 'cutover', [p])).toMatchObject({ kind: 'refused', status: 409 });
    expect(step(p, 'passthrough', [p])).toMatchObject({ rule: { phase: 'passthrough', step: 4 } });
    expect(zonesOf(p).get('a/')?.value.lent).toBe(true);
    walk(p, 'cutover', [p]);
    expect(step(p, 'passthrough', [p])).toMatchObject({ kind: 'refused' });
    walk(p, 'final', [p]);
    expect(step(p, 'cutover', [])).toMatchObject({ kind: 'migration' });
    expect(
      ruleOf(p, 'a/')
        ?.history.map(({ phase }) => phase)
        .slice(0, 3),
    ).toEqual(['final', 'cutover', 'local-reads']);
  });

  test('is refused where somebody else was faster, and wakes who looks at rules', () => {
    const [p] = fleet('p') as [Gateway];
    walk(p, 'mirror', [p]);
    expect(step(p, 'dual', [p], { expectStep: 0 })).toMatchObject({ kind: 'refused', status: 409 });
    p.replica.takeTouched();
    step(p, 'dual', [p]);
    expect([...p.replica.takeTouched()]).toContain(topic.migration);
  });

  test('that moves authority needs the fences of all who are told, the own one among them, and all of their logs', () => {
    const [p, q] = fleet('p', 'q') as [Gateway, Gateway];
    walk(p, 'local-reads', [p, q]);
    converge([p, q]);
    relay(q, record('a/x', 7, 'source'));
    expect(step(p, 'cutover', [q])).toMatchObject({ kind: 'refused', status: 409 });
    expect(step(p, 'cutover', [p, q])).toMatchObject({ kind: 'refused', status: 409 });
    p.pull(q);
    expect(step(p, 'cutover', [p, q])).toMatchObject({ kind: 'migration' });
    // The owner serves at once.
    expect(p.do(put('a/x', '1'))).toMatchObject({ applied: true });
    expect(step(p, 'local-reads', [])).toMatchObject({ kind: 'refused', status: 409 });
    expect(step(p, 'local-reads', [p, q])).toMatchObject({ kind: 'migration' });
  });

  test('takes zones below along, unless another gateway has them or a rule of their own says otherwise', () => {
    const [p, q] = fleet('p', 'q') as [Gateway, Gateway];
    p.do({ kind: 'zone-delegate', prefix: 'a/b/', toNodeId: q.nodeId });
    converge([p, q]);
    expect(step(p, 'mirror', [p, q])).toMatchObject({ kind: 'refused', message: /a\/b\// });
    expect(step(q, 'passthrough', [p, q], { prefix: 'a/b/' })).toMatchObject({ kind: 'migration' });
    converge([p, q]);
    walk(p, 'mirror', [p, q]);
    converge([p, q]);
    expect(zonesOf(q).lentTerm(Kind.kv, 'a/x')).toBeDefined();
    expect(zonesOf(q).lentTerm(Kind.kv, 'a/b/x')).toBeUndefined();
    walk(q, 'mirror', [p, q], { prefix: 'a/b/' });
    expect(zonesOf(q).lentTerm(Kind.kv, 'a/b/x')).toBeDefined();
    // Back with its owner the zone goes with the rule above, once its own is gone.
    q.do({ kind: 'zone-delegate', prefix: 'a/b/', toNodeId: p.nodeId });
    walk(p, 'passthrough', [p, q], { prefix: 'a/b/' });
    walk(p, 'passthrough', [p, q]);
    const forget = { kind: 'migration-forget', of: 'kv', prefix: 'a/b/' } as const;
    expect(p.do({ ...forget, expectStep: 1 })).toMatchObject({ kind: 'refused', status: 409 });
    expect(p.do({ ...forget, expectStep: ruleOf(p, 'a/b/')?.step ?? 0 })).toEqual({ kind: 'migration' });
    walk(p, 'cutover', [p, q]);
    expect(zonesOf(p).lentTerm(Kind.kv, 'a/b/x')).toBeUndefined();
    expect(
      p.do({ kind: 'migration-forget', of: 'kv', prefix: 'a/', expectStep: ruleOf(p, 'a/')?.step ?? 0 }),
    ).toMatchObject({ kind: 'refused', status: 409 });
  });

  test('makes a rule within another one begin in its phase, in a zone of its own', () => {
    const [p] = fleet('p') as [Gateway];
    walk(p, 'dual', [p], { prefix: '' });
    expect(step(p, 'cutover', [p])).toMatchObject({ kind: 'refused' });
    expect(step(p, 'dual', [p])).toMatchObject({ rule: { phase: 'dual', step: 1 } });
    expect(zonesOf(p).get('a/')?.value).toMatchObject({ lent: true });
    walk(p, 'cutover', [p]);
    expect(zonesOf(p).lentTerm(Kind.kv, 'a/x')).toBeUndefined();
    expect(zonesOf(p).lentTerm(Kind.kv, 'x')).toBeDefined();
    expect(p.do(put('a/x', '1'))).toMatchObject({ applied: true });
    expect(p.do(put('x', '1'))).toMatchObject({ kind: 'refused' });
  });

  test('of all keys leaves the catalog alone, and the other way round', () => {
    const [p] = fleet('p') as [Gateway];
    walk(p, 'mirror', [p], { prefix: '' });
    const node = { id: '', node: 'web', address: '10.0.0.1', taggedAddresses: null, meta: null };
    const register = { kind: 'catalog-register', node, skipNodeUpdate: false, checks: [] } as const;
    expect(p.do(register)).toEqual({ kind: 'catalog' });
    walk(p, 'dual', [p], { of: 'catalog', prefix: '' });
    expect(zonesOf(p).get(externalNodes)?.value.lent).toBe(true);
    expect(p.do(register)).toMatchObject({ kind: 'refused', message: /phase dual/ });
    expect(p.do({ ...register, node: { ...node, node: 'p' } })).toEqual({ kind: 'catalog' });
    expect(step(p, 'mirror', [p], { of: 'catalog', prefix: 'a' })).toMatchObject({
      kind: 'refused',
      status: 400,
    });
    walk(p, 'cutover', [p], { of: 'catalog', prefix: '' });
    expect(p.do(register)).toEqual({ kind: 'catalog' });
  });
});

describe('the source of a migration', () => {
  test('never goes back to an older timeline, nor do its records', () => {
    const [p] = fleet('p') as [Gateway];
    const set = (id: string, timeline: number): CommandOutcome =>
      p.do({ kind: 'migration-source', source: { id, timeline } });
    expect(set('s', 2)).toEqual({ kind: 'migration' });
    expect(set('s', 1)).toMatchObject({ kind: 'refused', status: 409 });
    expect(set('t', 2)).toMatchObject({ kind: 'refused', status: 409 });
    expect(migrationSource(p.store)).toEqual({ id: 's', timeline: 2 });
    expect(relay(p, record('a/x', 7, 'old'))).toMatchObject({ kind: 'refused', status: 409 });
  });

  test('and the rules reach everybody, from their owners only', () => {
    const [p, q] = fleet('p', 'q') as [Gateway, Gateway];
    expect(q.do({ kind: 'migration-source', source: { id: 's', timeline: 1 } })).toMatchObject({
      kind: 'not-owned',
      owner: p.nodeId,
    });
    walk(p, 'mirror', [p, q]);
    converge([p, q]);
    expect(phaseRules(q.store)).toEqual(phaseRules(p.store));
    // Also where everything else is lent, a rule is its owner's.
    const [dot] = p.dotsFor(new Gateway('r')) as [Dot];
    const { origin } = q.replica;
    const rule = dot.records.find(({ kind }) => kind === Kind.migration);
    const forged: Dot = { origin, seq: 1, records: [{ ...rule, stamp: (rule?.stamp ?? 0) + 1 } as never] };
    p.merge(forged, q);
    expect(p.store.setAside('quarantine', 0, 9)).toMatchObject([{ why: 'stranger', kind: Kind.migration }]);
  });
});
