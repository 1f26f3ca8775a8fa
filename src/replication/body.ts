import type { OriginId, ReplicatedRecord } from '../crdt/dot.ts';
import type { SeqRange } from '../crdt/seq-ranges.ts';

// What messages are made of.

/** The records of one entry of the log that a message names once. */
export interface DotBody {
  readonly seq: number;
  /** None: superseded. */
  readonly records: readonly ReplicatedRecord[];
  /** How many there were, where that is more: the others were overwritten since. */
  readonly size?: number;
}

/** Whether something that it wrote was overwritten since: all of it (superseded), or some (partial). */
export function isOverwritten({ records, size }: DotBody): boolean {
  return records.length === 0 || size !== undefined;
}

export function bodyOf({ seq, records, size }: DotBody): DotBody {
  return { seq, records, ...(size !== undefined && { size }) };
}

/** An origin and the node id of its writer. */
export interface OriginName {
  readonly origin: OriginId;
  readonly nodeId: string;
}

export interface OriginSeen extends OriginName {
  readonly seen: readonly SeqRange[];
}

export interface OriginRanges {
  readonly origin: OriginId;
  readonly ranges: readonly SeqRange[];
}
