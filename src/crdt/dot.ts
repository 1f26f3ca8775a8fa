import type { Brand } from '../kernel/brand.ts';
import type { VersionedValue } from './merge.ts';

/** Who put a change into the gossip log: 128 random bits, 32 hex digits, kept in the database. */
export type OriginId = Brand<string, 'OriginId'>;

/**
 * A dot is one entry of an origin's log: (origin, seq), with seq dense from 1, so that a hole is a loss that can be
 * seen. It carries 1 to this many registers, applied by every replica all at once (Consul's txn limit).
 */
export const registersPerDotMax = 128;

export const originForm = /^[0-9a-f]{32}$/;

export function isOriginId(text: string): text is OriginId {
  return originForm.test(text);
}

/** A register as it travels: what every replica holds of it. */
export interface ReplicatedRecord extends VersionedValue {
  /** Number of its kind; a replica that does not know it keeps it all the same. */
  readonly kind: number;
  readonly key: string;
  /** Stamp of the first write of this life of the register. */
  readonly born: number;
  /** Secondary key. */
  readonly ix: string | null;
}

/**
 * One entry of an origin's log as it travels. Without records it is *superseded*: everything it wrote was overwritten
 * by other dots since, and only its number is left to be known.
 */
export interface Dot {
  readonly origin: OriginId;
  readonly seq: number;
  readonly records: readonly ReplicatedRecord[];
  /** How many registers it had, where that is more than there are left: the others were overwritten since. */
  readonly size?: number;
}
