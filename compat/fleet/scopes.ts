import type { ZoneValue } from '../../src/state/values.ts';
import { externalNodes, zoneOf, zonesUnder } from '../../src/state/zones.ts';
import type { ReadScope } from './port.ts';

type Prefixed = Pick<ZoneValue, 'prefix' | 'ownerId' | 'term'>;

/**
 * The zones whose owners decide what a read shows. Of the catalog and of sessions this is the zone of the nodes that
 * no gateway is; each gateway's own part of them is its own, and in no zone.
 */
export function zonesInScope<Z extends Prefixed>(zones: readonly Z[], scope: ReadScope): readonly Z[] {
  switch (scope.kind) {
    case 'key':
      return present(zoneOf(zones, scope.key));
    case 'prefix':
      return zonesUnder(zones, scope.prefix);
    case 'catalog':
    case 'sessions':
      return present(zones.find(({ prefix }) => prefix === externalNodes) ?? zoneOf(zones, ''));
  }
}

/** Whether every gateway of the fleet writes a part of it. */
export function isOfEveryGateway(scope: ReadScope): boolean {
  return scope.kind === 'catalog' || scope.kind === 'sessions';
}

function present<T>(item: T | undefined): readonly T[] {
  return item === undefined ? [] : [item];
}
