import { isReplicated } from './kinds.ts';
import { mirrorTerm } from './mirror.ts';
import { sourceTimelineOfOwn } from './own-node.ts';
import type { Row } from './store.ts';
import { lends, type Zones } from './zones.ts';

/**
 * The ModifyIndex that the source gave a row; undefined where it was not the source that wrote it. Of a row from before
 * the source's history was replaced (`Row.timeline` is below the source's) it means nothing any more.
 */
export function sourceIndexOf(
  zones: Zones,
  row: Pick<Row, 'kind' | 'key' | 'term' | 'timeline' | 'stamp'>,
): number | undefined {
  if (row.stamp === 0 || !isReplicated(row.kind)) return undefined;
  if (row.term === mirrorTerm || sourceTimelineOfOwn(row) !== undefined) return row.stamp;
  const grant = zones.ofRegister(row.kind, row.key)?.chain.find(({ term }) => term === row.term);
  return grant !== undefined && lends(grant, row.kind) ? row.stamp : undefined;
}
