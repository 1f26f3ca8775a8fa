import { keyOddities, type KeyOddity } from './key-rules.ts';

/** The flags that Consul's Go client puts on the keys of its Lock and Semaphore recipes. */
export const lockFlag = 0x2ddc_cbc0_58a5_0c18n;
export const semaphoreFlag = 0xe0f6_9a2b_aa41_4de0n;

/** Consul's default `kv_max_value_size`, and the gateway's limit. */
export const valueBytesMax = 512 * 1024;

export type KvFacts = {
  readonly key: string;
  readonly value: Uint8Array;
  readonly flags: bigint;
  /** The session that holds the key; empty when none does. */
  readonly session: string;
};

/** Why a key is named in the summary. */
export type KvRemark =
  | KeyOddity
  | 'held-lock'
  | 'semaphore-with-holders'
  | 'free-lock'
  | 'free-semaphore'
  | 'value-too-large';

export type Screening = {
  /** False: the key stays behind, for the reason in `remarks`. */
  readonly copy: boolean;
  readonly remarks: readonly KvRemark[];
};

const mustStay: ReadonlySet<KvRemark> = new Set([
  'held-lock',
  'semaphore-with-holders',
  'value-too-large',
  'not-utf8',
]);

/**
 * Decides whether one KV entry can be copied. A held lock cannot: the session, its TTL and its lock-delay
 * live in the cluster that made it, and a copied holder would own a lock that nobody can release.
 */
export function screenKv(entry: KvFacts): Screening {
  const remarks: KvRemark[] = [...keyOddities(entry.key)];
  if (entry.session !== '') remarks.push('held-lock');
  else if (entry.flags === lockFlag) remarks.push('free-lock');
  else if (entry.flags === semaphoreFlag) {
    remarks.push(namesHolders(entry.value) ? 'semaphore-with-holders' : 'free-semaphore');
  }
  if (entry.value.length > valueBytesMax) remarks.push('value-too-large');
  return { copy: !remarks.some((remark) => mustStay.has(remark)), remarks };
}

/** A semaphore's `.lock` entry is JSON `{"Limit":n,"Holders":{session:true,…}}`; older clients use an array. */
function namesHolders(value: Uint8Array): boolean {
  try {
    const parsed: unknown = JSON.parse(new TextDecoder().decode(value));
    if (typeof parsed !== 'object' || parsed === null || !('Holders' in parsed)) return false;
    const holders = parsed.Holders;
    return typeof holders === 'object' && holders !== null && Object.keys(holders).length > 0;
  } catch {
    return false;
  }
}
