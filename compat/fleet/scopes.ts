import { zoneOf } from '../../src/state/zones.ts';
import type { ZoneValue } from '../../src/state/values.ts';
import type { ReadScope } from './port.ts';

type Prefixed = Pick<ZoneValue, 'prefix' | 'ownerId' | 'term'>;

/**
 * The zones whose owners decide what a read shows. Of the catalog and of sessions this is the root zone (nodes that
 * no gateway is); each gateway's own part of them is its own, and in no zone.
 */
export function zonesInScope<Z extends Prefixed>(zones: readonly Z[], scope: ReadScope): readonly Z[] {
  switch (scope.kind) {
    case 'key':
      return present(longest(zones, scope.key));
    case 'prefix': {
      const { prefix } = scope;
      const below = zones.filter((zone) => zone.prefix.startsWith(prefix) && zone.prefix !== prefix);
      return [...present(longest(zones, prefix)), ...below];
    }
    case 'catalog':
    case 'sessions':
      return present(longest(zones, ''));
  }
}

/** Whether every gateway of the fleet writes a part of it. */
export function isOfEveryGateway(scope: ReadScope): boolean {
  return scope.kind === 'catalog' || scope.kind === 'sessions';
}

function longest<Z extends Prefixed>(zones: readonly Z[], key: string): Z | undefined {
  return zoneOf(zones, key) as Z | undefined;
}

function present<T>(item: T | undefined): readonly T[] {
  return item === undefined ? [] : [item];
}
