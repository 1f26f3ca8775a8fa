import { describe, expect, test } from '@jest/globals';
import type { OriginId, ReplicatedRecord } from '../../src/crdt/dot.ts';
import { forwardedCommand, isForwardable } from '../../src/node/command-schema.ts';
import { forwardedOutcome } from '../../src/node/outcome-schema.ts';
import type { CommandOutcome } from '../../src/state/command.ts';
import { Kind } from '../../src/state/kinds.ts';
import type { MigrationCommand, MigrationStep, PhaseRule } from '../../src/state/migration.ts';
import { encodeValue } from '../../src/state/values.ts';
import { recordProblem } from '../../src/state/well-formed.ts';
import { fromBytes, toBytes } from '../../src/wire/schema.ts';
import { originOf } from './fleet.ts';

const rule: PhaseRule = {
  ...{ of: 'kv', prefix: 'a/', phase: 'dual', step: 3, term: 2 ** 40, sinceMs: 1_700_000_000_000 },
  ...{ byNode: 'id-of-p', reason: 'because', overridden: ['gate'] },
  history: [
    { phase: 'mirror', step: 2, sinceMs: 1_700_000_000_000, byNode: 'id-of-p', reason: '', overridden: [] },
  ],
};

function record(value: object): ReplicatedRecord {
  const version = { term: 1, timeline: 0, stamp: 1, born: 1 };
  return { kind: Kind.migration, key: 'kv/a/', ix: null, value: encodeValue(value), ...version };
}

describe('a migration on the wire', () => {
  test.each<MigrationCommand>([
    {
      ...{ kind: 'migration-step', of: 'kv', prefix: 'a/', phase: 'cutover', expectStep: 5 },
      ...{ reason: 'now', overridden: ['persistent'] },
      fences: [{ origin: originOf('p', 0), seq: 12 }],
    },
    { kind: 'migration-forget', of: 'catalog', prefix: '', expectStep: 2 },
    { kind: 'migration-source', source: { id: 'dc1:abc', timeline: 3 } },
  ])('$kind comes to the owner as it was sent', (command) => {
    expect(isForwardable(command)).toBe(true);
    expect(fromBytes(forwardedCommand, toBytes(forwardedCommand, command), 'command')).toEqual(command);
  });

  test.each<CommandOutcome>([{ kind: 'migration', rule }, { kind: 'migration' }])(
    'an outcome comes back as it was',
    (outcome) => {
      expect(fromBytes(forwardedOutcome, toBytes(forwardedOutcome, outcome), 'outcome')).toEqual(outcome);
    },
  );

  test('a fence of what is no log, and an unknown phase, are malformed', () => {
    const step: MigrationStep = {
      ...{ kind: 'migration-step', of: 'kv', prefix: '', phase: 'dual', expectStep: 0, reason: '' },
      ...{ overridden: [], fences: [] },
    };
    const fences = [{ origin: 'abcd' as OriginId, seq: 1 }];
    const raw = toBytes(forwardedCommand, { ...step, fences });
    expect(() => fromBytes(forwardedCommand, raw, 'command')).toThrow('not an id');
    const odd = toBytes(forwardedCommand, { ...step, phase: 'later' as never });
    expect(() => fromBytes(forwardedCommand, odd, 'command')).toThrow('phase');
  });
});

describe('a register of a migration', () => {
  test('is a whole rule or the source, else nobody takes it over', () => {
    expect(recordProblem(record(rule))).toBeUndefined();
    expect(recordProblem(record({ id: 's', timeline: 0 }))).toBeUndefined();
    for (const value of [
      { ...rule, phase: 'later' },
      { ...rule, history: [{}] },
      { ...rule, term: -1 },
      { id: 's', timeline: -1 },
      [],
    ]) {
      expect(recordProblem(record(value))).toContain('the value');
    }
  });
});
