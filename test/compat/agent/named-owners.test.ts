import { expect, test } from '@jest/globals';
import { namedOwners } from '../../../compat/agent/named-owners.ts';
import type { CommandOutcome } from '../../../src/state/command.ts';
import { FakeFleet, memberView, nodeIdOf } from '../../support/fleet.ts';

test('a refusal names the owner, also one that came later; who is no member keeps the id', () => {
  const fleet = new FakeFleet('a');
  let outcome: CommandOutcome = { kind: 'kv', applied: true };
  const propose = namedOwners(fleet, (_command, done) => done(outcome));
  const shown = (): CommandOutcome => {
    let got: CommandOutcome | undefined;
    propose({ kind: 'kv-delete', key: 'k' }, (answer) => {
      got = answer;
    });
    return got as CommandOutcome;
  };
  expect(shown()).toBe(outcome);
  outcome = { kind: 'not-owned', zone: '', owner: nodeIdOf('b'), reason: 'away' };
  expect(shown()).toEqual({ ...outcome, owner: nodeIdOf('b') });
  fleet.lan.push(memberView('b'));
  fleet.change('b', {});
  expect(shown()).toEqual({ ...outcome, owner: 'b' });
});
