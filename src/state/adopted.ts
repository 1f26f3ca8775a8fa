import { compareVersions, type Version } from '../crdt/version.ts';
import { checksOfNode, checkValue, getNode, nodeFloorKey, raiseFloor, servicesOfNode } from './catalog.ts';
import { Kind } from './kinds.ts';
import { invalidateSessionsOfCheck, invalidateSessionsOfNode } from './sessions.ts';
import type { ReadView, Row } from './store.ts';
import { catalogKey, keySeparator } from './topics.ts';
import type { WriteScope } from './write-scope.ts';

/**
 * What follows here from a change of the catalog that somebody else decided (a mirrored source, a restored archive):
 * the same as from a registration of our own, so that indexes never fall, watchers wake and sessions end.
 */
export function followCatalogChange(scope: WriteScope, before: Row | undefined, after: Row): void {
  const [node = '', part = ''] = after.key.split(keySeparator);
  raiseFloors(scope, before, after);
  switch (after.kind) {
    case Kind.check:
      if (after.value === null || checkValue(after).status === 'critical') {
        invalidateSessionsOfCheck(scope, node, part);
      }
      return;
    case Kind.node:
      if (after.value !== null) return;
      invalidateSessionsOfNode(scope, node);
      deleteCoordinates(scope, node, after);
      return;
    default:
      return;
  }
}

/** Sets that lose a row to another one keep their index. */
export function raiseFloors(scope: WriteScope, before: Row | undefined, after: Row): void {
  if (before === undefined || after.value === null || before.ix === after.ix) return;
  if (after.kind === Kind.service && before.ix) raiseFloor(scope, before.ix);
  if (after.kind !== Kind.check) return;
  const [node = ''] = after.key.split(keySeparator);
  raiseFloor(scope, before.ix ?? nodeFloorKey(node));
}

/** By whoever owns them, or with the version of the node's own end, as everybody passes it on. */
function deleteCoordinates(scope: WriteScope, node: string, end: Version): void {
  const key = catalogKey(node);
  const own = scope.view.get(Kind.coordinate, key);
  const under = [...scope.view.range(Kind.coordinate, key + keySeparator, key + nextSeparator)];
  for (const row of own === undefined ? under : [own, ...under]) {
    if (row.value === null) continue;
    if (scope.mayWrite(Kind.coordinate, row.key)) scope.delete(Kind.coordinate, row.key);
    else if (compareVersions(end, row) > 0)
      scope.adopt(Kind.coordinate, row.key, end, null, row.ix, row.born);
  }
}

/** The character after the separator: everything of one node lies between the two. */
const nextSeparator = String.fromCharCode(keySeparator.charCodeAt(0) + 1);

/** A live entry of a node that was registered here, above the given term; undefined when there is none. */
export function ownEntryOf(view: ReadView, node: string, aboveTerm: number): Row | undefined {
  if (getNode(view, node) === undefined) return undefined;
  for (const rows of [servicesOfNode(view, node), checksOfNode(view, node)]) {
    for (const row of rows) if (row.value !== null && row.term > aboveTerm) return row;
  }
  return undefined;
}
