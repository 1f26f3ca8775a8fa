import type { EvidencePart } from '../../evidence/snapshot.ts';
import type { PartLog } from '../gateway-port.ts';
import type { EvidenceStore } from './evidence-file.ts';
import { parsePart } from './part-form.ts';

/** What outlives a gateway: its evidence, and the secret under which it is shown. */
export interface Kept {
  readonly part: EvidencePart | undefined;
  readonly secret: Buffer | undefined;
}

export async function readKept(store: EvidenceStore | undefined, log: PartLog): Promise<Kept> {
  try {
    const text = await store?.load();
    if (text === undefined) return { part: undefined, secret: undefined };
    const { secret, part } = JSON.parse(text) as { secret?: unknown; part?: unknown };
    const isSecret = typeof secret === 'string' && /^[0-9a-f]{64}$/.test(secret);
    return { part: parsePart(part), secret: isSecret ? Buffer.from(secret, 'hex') : undefined };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    log.warn({ why }, 'the evidence of before could not be read: a new one begins');
    return { part: undefined, secret: undefined };
  }
}

export async function keep(
  store: EvidenceStore | undefined,
  secret: Buffer,
  part: EvidencePart,
  log: PartLog,
): Promise<void> {
  try {
    await store?.save(JSON.stringify({ secret: secret.toString('hex'), part }));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    log.warn({ why }, 'evidence could not be written down');
  }
}
