import type { Brand } from '../kernel/brand.ts';

/** Who put a change into the gossip log: 128 random bits, 32 hex digits, kept in the database. */
export type OriginId = Brand<string, 'OriginId'>;

/** One entry of an origin's log. `seq` is dense from 1, so a hole is a loss that can be seen. */
export interface Dot {
  readonly origin: OriginId;
  readonly seq: number;
}

/** A dot carries 1 to this many registers, applied by every replica all at once (Consul's txn limit). */
export const registersPerDotMax = 128;

export function isOriginId(text: string): text is OriginId {
  return /^[0-9a-f]{32}$/.test(text);
}
