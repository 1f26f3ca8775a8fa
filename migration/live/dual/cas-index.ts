import { Kind } from '../../../src/state/kinds.ts';
import { mirrorTerm } from '../../../src/state/mirror.ts';
import type { ReadView } from '../../../src/state/store.ts';

/**
 * The source's ModifyIndex where a client names the index that this gateway showed for it; any other index as it is.
 * `term`: of the rule that the key is under, while the source decides: what is held under it carries the source's index.
 */
export function sourceIndexOf(view: ReadView, key: string, index: bigint, term: number): bigint {
  const row = view.get(Kind.kv, key);
  if (row === undefined || row.value === null || BigInt(row.modifyIndex) !== index) return index;
  return row.term === term || row.term === mirrorTerm ? BigInt(row.stamp) : index;
}
