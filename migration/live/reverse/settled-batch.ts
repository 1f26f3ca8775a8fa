import type { SourceAsker } from '../proxy/source-client.ts';
import { readKey, type KeyReading } from '../dual/read-key.ts';
import { keepMirrored, type Batch, type Change } from './ledger.ts';
import { progressKey } from './source-io.ts';

/**
 * A crash, or an answer that did not come, left a transaction that may have been done: what is to be remembered of its
 * keys. The progress key was written with them, so its value tells.
 * @throws Error when the source cannot be asked
 */
export async function settled(
  source: SourceAsker,
  token: string,
  nodeName: string,
  batch: Batch,
): Promise<readonly Change[]> {
  const progress = await read(source, token, progressKey(nodeName));
  if (progress.kind !== 'entry' || Buffer.from(progress.entry.value).toString() !== batch.id) return [];
  const { modifyIndex } = progress.entry;
  const changes: Change[] = [];
  for (const key of batch.keys) {
    // oxlint-disable-next-line no-await-in-loop -- after trouble only
    const reading = await read(source, token, key);
    const index = reading.kind === 'entry' ? reading.entry.modifyIndex : 0;
    // One that is later is somebody else's, and judged as such.
    changes.push(keepMirrored(key, Math.min(index, modifyIndex)));
  }
  return changes;
}

async function read(
  source: SourceAsker,
  token: string,
  key: string,
): Promise<Exclude<KeyReading, { readonly kind: 'trouble' }>> {
  const reading = await readKey(source, token, key);
  if (reading.kind === 'trouble') throw new Error(reading.why);
  return reading;
}
