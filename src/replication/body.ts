import type { OriginId, ReplicatedRecord } from '../crdt/dot.ts';
import type { SeqRange } from '../crdt/seq-ranges.ts';

// What messages are made of.

/** The records of one entry of the log that a message names once. */
export interface DotBody {
  readonly seq: number;
  /** None: superseded. */
  readonly records: readonly ReplicatedRecord[];
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
