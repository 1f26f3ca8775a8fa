import { renderJson } from '../../compat/wire/go-json.ts';
import { batchBytesMax, type MirrorRecord } from './target.ts';

/** How much of a batch's body records may fill; the rest is for the cursors. */
const recordBytesMax = batchBytesMax - 512 * 1024;

export type BatchFill = { readonly records: number; readonly bytes: number };

/** Upper estimate of a record's bytes in the body of `apply`. */
export function wireBytes(record: MirrorRecord): number {
  const base = 160 + record.key.length * 6;
  if ('deleted' in record) return base;
  if (record.kind === 'kv') return base + Math.ceil(record.value.length / 3) * 4;
  return base + renderJson(record.value).length * 2;
}

export function fitsBatch(fill: BatchFill, record: MirrorRecord, recordsMax: number): boolean {
  if (fill.records === 0) return true;
  return fill.records < recordsMax && fill.bytes + wireBytes(record) <= recordBytesMax;
}
