import type { SourceAsker } from '../proxy/source-client.ts';
import { readKey, type KeyReading } from '../dual/read-key.ts';
import { keepMirrored, keepProgress, type Batch, type Change } from './ledger.ts';
import { voidProgress } from './source-io.ts';

/**
 * A crash, or an answer that did not come, left a transaction that may have been done: what is to be remembered of its
 * keys. The progress key was written with them, so its value tells; where it was not done, that key is written now, and
 * the transaction, which asks for the index that it had, can no longer be.
 * @throws Error when the source cannot be asked, or has gone back
 */
export async function settled(
  source: SourceAsker,
  token: string,
  prefix: string,
  progress: { readonly key: string; readonly index: number },
  { id, keys }: Batch,
): Promise<readonly Change[]> {
  const held = await read(source, token, progress.key);
  const [index, value] = held.kind === 'entry' ? [held.entry.modifyIndex, textOf(held.entry.value)] : [0, ''];
  if (value === id) {
    const changes: Change[] = [keepProgress(prefix, index)];
    for (const key of keys) {
      // oxlint-disable-next-line no-await-in-loop -- after trouble only
      const reading = await read(source, token, key);
      const now = reading.kind === 'entry' ? reading.entry.modifyIndex : 0;
      // One that is later is somebody else's, and judged as such.
      changes.push(keepMirrored(key, Math.min(now, index)));
    }
    return changes;
  }
  if (index < progress.index) throw new Error('the source went back while it was asked');
  const at = await voidProgress(source, token, { ...progress, index }, `not ${id}`);
  if (at === undefined) throw new Error('it was being done while it was asked for');
  return [keepProgress(prefix, at)];
}

function textOf(value: Uint8Array): string {
  return Buffer.from(value).toString();
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
