import { describe, expect, test } from '@jest/globals';
import { Kind } from '../../src/state/kinds.ts';
import type { Row } from '../../src/state/store.ts';
import { catalogKey, touchedTopics } from '../../src/state/topics.ts';
import { encodeValue } from '../../src/state/values.ts';
import { check } from '../node/machine.ts';
import { rowOf } from '../support/store-model.ts';

function touched(before: Row | undefined, after: Row): readonly string[] {
  const topics = new Set<string>();
  touchedTopics(before, after, topics);
  return [...topics].toSorted();
}

function checkRow(status: string, ix: string | null): Row {
  const value = encodeValue(check('N1', 'c', status));
  return rowOf({ kind: Kind.check, key: catalogKey('N1', 'c'), value, ix });
}

describe('what a change touches', () => {
  test('of a key: that key', () => {
    expect(touched(undefined, rowOf({ key: 'A/b' }))).toEqual(['k/A/b']);
  });

  test('of a node: the set of nodes, itself, and what its services show of it, by its lower-case name', () => {
    const row = rowOf({ kind: Kind.node, key: catalogKey('N1') });
    expect(touched(undefined, row)).toEqual(['node-level/n1', 'node/n1', 'nodes']);
  });

  test('of a service that is renamed: the old name and the new one', () => {
    const key = catalogKey('n1', 'Id');
    const before = rowOf({ kind: Kind.service, key, ix: 'old' });
    expect(touched(before, rowOf({ kind: Kind.service, key, ix: 'new' }))).toEqual([
      'node/n1',
      'service/new',
      'service/old',
      'services',
    ]);
  });

  test('of a check: the status it had and the one it has, and its service or all services of its node', () => {
    expect(touched(checkRow('passing', null), checkRow('critical', 'web'))).toEqual([
      'checks',
      'checks/critical',
      'checks/passing',
      'node-level/n1',
      'node/n1',
      'service/web',
    ]);
  });

  test('of a check that goes away: the status that it had', () => {
    const gone = { ...checkRow('warning', null), value: null };
    expect(touched(checkRow('warning', null), gone)).toContain('checks/warning');
  });

  test('of a session: all of them, itself, and those of its node', () => {
    const row = rowOf({ kind: Kind.session, key: 'id', ix: 'n1' });
    expect(touched(undefined, row)).toEqual(['session/id', 'sessions', 'sessions-of/n1']);
  });

  test('of what only this gateway keeps for itself: nothing', () => {
    for (const kind of [Kind.lockDelay, Kind.serviceFloor, Kind.agentService, Kind.agentCheck, Kind.mirror]) {
      expect(touched(undefined, rowOf({ kind, key: 'x' }))).toEqual([]);
    }
  });
});
