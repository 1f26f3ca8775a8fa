import type { Brand } from '../kernel/brand.ts';

/** Who put a change into the gossip log: 128 random bits, 32 hex digits, kept in the database. */
export type OriginId = Brand<string, 'OriginId'>;

/**
 * A dot is one entry of an origin's log: (origin, seq), with seq dense from 1, so that a hole is a loss that can be
 * seen. It carries 1 to this many registers, applied by every replica all at once (Consul's txn limit).
 */
export const registersPerDotMax = 128;

export function isOriginId(text: string): text is OriginId {
  return /^[0-9a-f]{32}$/.test(text);
}
