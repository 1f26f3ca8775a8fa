import { describe, expect, test } from '@jest/globals';
import {
  evidenceSchema,
  type EvidencePart,
  type EvidenceSnapshot,
  type SweepEvidence,
} from '../../../../migration/evidence/snapshot.ts';
import { ChangedSinceSweep, ofThisHistory } from '../../../../migration/live/control/changed-since.ts';
import { Kind } from '../../../../src/state/kinds.ts';
import { PhaseTable } from '../../../../src/state/migration-rules.ts';
import type { MigrationKind, Phase, PhaseRule } from '../../../../src/state/migration.ts';
import { encodeKv } from '../../../../src/state/values.ts';
import { readGrants, Zones } from '../../../../src/state/zones.ts';
import { StateFixture } from '../../../support/state.ts';

const rule = (prefix: string, phase: Phase = 'local-reads', of: MigrationKind = 'kv'): PhaseRule => ({
  ...{ of, prefix, phase, step: 5, term: 1, sinceMs: 0, byNode: '', reason: '', overridden: [], history: [] },
});
const sweep = (prefix: string, given: Partial<SweepEvidence> = {}): SweepEvidence => ({
  ...{ of: 'kv', prefix, startedMs: 1000, finishedMs: 2000, throughIndex: 100 },
  ...{ compared: 9, matched: 9, transient: 0, persistent: 0, indeterminate: 0, unchecked: 0 },
  ...{ kinds: {}, longestOpenMs: 0, filtered: false, ignored: {}, failure: '' },
  ...given,
});
const evidence = (...sweeps: SweepEvidence[]): EvidenceSnapshot => ({
  schema: evidenceSchema,
  absent: [],
  parts: [{ sweeps } as unknown as EvidencePart],
});

describe('what changed since a sweep', () => {
  const fixture = new StateFixture();
  const mirrored = (key: string, stamp: number, value: string | null = 'v') => ({
    ...{ kind: Kind.kv, key, stamp, born: stamp, ix: null },
    value:
      value === null ? null : encodeKv({ flags: 0n, value: Buffer.from(value), lockIndex: 0, session: '' }),
  });
  const apply = (...records: ReturnType<typeof mirrored>[]): void => {
    fixture.step({ kind: 'mirror-apply', source: 's', timeline: 0, records, cursors: {} });
  };
  let nowMs = 0;
  const counter = (rules: readonly PhaseRule[]): ChangedSinceSweep => {
    const table = new PhaseTable(rules);
    return new ChangedSinceSweep({
      view: fixture.store,
      zones: () => new Zones(readGrants(fixture.store)),
      ruleOf: (key) => table.ofKey(key),
      monoMs: () => (nowMs += 1),
      turn: () => Promise.resolve(),
    });
  };
  const counted = (rules: readonly PhaseRule[], ...sweeps: SweepEvidence[]): Promise<number | null> =>
    counter(rules).count(evidence(...sweeps), rules);

  // More than a page, so that pages have to meet.
  apply(...Array.from({ length: 700 }, (_, i) => mirrored(`app/${i}`, 50)));
  apply(mirrored('app/changed', 101), mirrored('app/gone', 102, null), mirrored('app/as-swept', 100));
  apply(mirrored('app/sub/changed', 150), mirrored('other/changed', 160), mirrored('_gw/term/app/', 170));

  test('is counted by the index that the source gave, deletions too', async () => {
    expect(await counted([rule('app/')], sweep('app/'))).toBe(3);
    expect(await counted([rule('app/')], sweep('app/', { throughIndex: 150 }))).toBe(0);
  });

  test('belongs to the rule that decides it, and what gateways keep for themselves to none', async () => {
    const rules = [rule(''), rule('app/'), rule('app/sub/')];
    expect(await counted(rules, sweep('app/'))).toBe(2);
    expect(await counted(rules, sweep('app/'), sweep('app/sub/'))).toBe(3);
    expect(await counted(rules, sweep(''))).toBe(1);
  });

  test('is what the newest of its sweeps did not see', async () => {
    const newer = sweep('app/', { throughIndex: 101, startedMs: 3000, finishedMs: 4000 });
    expect(await counted([rule('app/')], newer, sweep('app/'))).toBe(2);
  });

  test('is told by this fleet’s clock where this fleet decided', async () => {
    fixture.step({
      ...{ kind: 'kv-put', key: 'here/key', value: Buffer.from('v'), flags: 0n, mode: { kind: 'plain' } },
    });
    const atMs = fixture.nowUs / 1000;
    expect(await counted([rule('here/', 'cutover')], sweep('here/', { startedMs: atMs - 1 }))).toBe(1);
    expect(await counted([rule('here/', 'cutover')], sweep('here/', { startedMs: atMs + 1 }))).toBe(0);
  });

  test('is not known without a sweep, without an index, and where nobody copies', async () => {
    expect(await counted([rule('app/')])).toBeNull();
    expect(await counted([rule('app/')], sweep('other/'))).toBeNull();
    expect(await counted([rule('app/')], sweep('app/', { throughIndex: 0 }))).toBeNull();
    expect(await counted([rule('app/', 'passthrough')], sweep('app/'))).toBeNull();
  });

  test('is counted again for a new sweep at once, and for the same one not before it cost little', async () => {
    const rules = [rule('fresh/')];
    const counts = counter(rules);
    const first = sweep('fresh/');
    expect(await counts.count(evidence(first), rules)).toBe(0);
    apply(mirrored('fresh/key', 200));
    expect(await counts.count(evidence(first), rules)).toBe(0);
    nowMs += 1000;
    expect(await counts.count(evidence(first), rules)).toBe(1);
    const second = sweep('fresh/', { finishedMs: 9000, throughIndex: 200 });
    expect(await counts.count(evidence(first, second), rules)).toBe(0);
  });

  test('counts from no sweep of a history that was replaced since', () => {
    fixture.step({ kind: 'migration-source', source: { id: 'dc1-0123456789abcdef', timeline: 1 } });
    const replacedMs = fixture.nowUs / 1000;
    const before = sweep('app/', { startedMs: replacedMs - 1 });
    const after = sweep('app/', { startedMs: replacedMs + 1 });
    const left = ofThisHistory(fixture.store, evidence(before, after), 1);
    expect(left.parts.flatMap(({ sweeps }) => sweeps)).toEqual([after]);
    expect(ofThisHistory(fixture.store, evidence(before), 0).parts[0]?.sweeps).toEqual([before]);
  });
});
