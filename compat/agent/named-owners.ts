import type { FleetPort } from '../fleet/port.ts';
import type { Propose } from './write-metrics.ts';

/**
 * Writes whose refusal names the owner as people know it: state knows gateways by their ids. One that is no member
 * keeps its id.
 */
export function namedOwners(
  fleet: Pick<FleetPort, 'members' | 'onMembersChanged'>,
  propose: Propose,
): Propose {
  let names: ReadonlyMap<string, string> | undefined;
  fleet.onMembersChanged(() => {
    names = undefined;
  });
  const nameOf = (nodeId: string): string => {
    // Kept, because a zone without its owner refuses every write that it gets.
    names ??= new Map(fleet.members('lan').map(({ facts }) => [facts.id, facts.name]));
    return names.get(nodeId) ?? nodeId;
  };
  return (command, done) =>
    propose(command, (outcome) =>
      done(outcome.kind === 'not-owned' ? { ...outcome, owner: nameOf(outcome.owner) } : outcome),
    );
}
