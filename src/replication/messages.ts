import { originForm, registersPerDotMax, type OriginId, type ReplicatedRecord } from '../crdt/dot.ts';
import type { SeqRange } from '../crdt/seq-ranges.ts';
import {
  bytes,
  flag,
  hexId,
  list,
  nullable,
  optional,
  struct,
  text,
  uint,
  union,
  type Schema,
} from '../wire/schema.ts';
import type { DotBody, OriginName, OriginRanges, OriginSeen } from './body.ts';
import type { Cursor } from './log.ts';
import type {
  AuditAskMessage,
  AuditHintMessage,
  AuditRow,
  AuditRowsMessage,
  AuditSameMessage,
  LogAskMessage,
  LogTellMessage,
  StatePageMessage,
  StatePullMessage,
  StateRow,
  SyncBusyMessage,
  SyncDoneMessage,
  SyncGroup,
  SyncHintMessage,
  SyncOpenMessage,
  SyncPageMessage,
  SyncPullMessage,
  SyncSameMessage,
  SyncVectorMessage,
} from './sync-messages.ts';

// What gateways of one datacenter say to each other about the log and the state. All of it tolerates loss,
// duplication and reordering: every message says something that is true for good, or asks for something.

/** Logs that one context names at most: owners of zones, past and present. Guess. */
export const contextMax = 256;

/** New dots on their way down the tree of their origin, or dots that were asked for. */
export interface DotsMessage {
  readonly kind: 'dots';
  /** What the acknowledgement repeats, chosen by the sender; 0: none is wanted. */
  readonly tag: number;
  /** The receiver stands at the root of its region for these: it serves the root's children too. */
  readonly lead: boolean;
  readonly origin: OriginId;
  /** Left out (null) where membership tells it: first sendings of a member's own log. */
  readonly nodeId: string | null;
  readonly dots: readonly DotBody[];
  /**
   * Where some are superseded: whoever has all of this has what overwrote them. Before that a
   * superseded dot is not seen: its registers would show what was there before it.
   */
  readonly context: readonly OriginRanges[];
}

export interface AckMessage {
  readonly kind: 'ack';
  /** Hash of the node id of who acknowledges: enough to tell apart those whom one message was sent to. */
  readonly by: number;
  readonly tags: readonly number[];
}

/** Asks at once for dots that a gap shows to be missing; answered with `dots`. */
export interface WantMessage extends OriginRanges {
  readonly kind: 'want';
  readonly by: string;
  /** Nothing older is missing at the asker: who collected tombstones beyond that must not answer with dots. */
  readonly safeStampS: number;
}

export interface Head {
  readonly origin: OriginId;
  /** At the time that `ageMs` tells, this was the highest seq of the origin. */
  readonly head: number;
  /** Seconds of the origin's own stamps at that time, rounded down: every later dot has a stamp above. */
  readonly stampS: number;
  /** Up to this many seconds before `stampS` that gateway had seen everything of everybody. */
  readonly seenLagS: number;
  /** Upper bound by local clocks alone of how long ago that was, when this message was sent. */
  readonly ageMs: number;
}

/** What the sender had of all live members of a region, and what that digests to: see `Groups`. */
export interface GroupClaim {
  /** Hash of the region's name. */
  readonly region: number;
  readonly digest: number;
  readonly ageMs: number;
  /** All with stamps up to this second is in it. */
  readonly stampS: number;
  /** Up to so many seconds before that, all those members have seen everything of everybody. */
  readonly seenLagS: number;
}

/** A reading of its sender's clock, meaningful to nobody else; the life tells apart the runs of one process. */
export interface Token {
  readonly life: number;
  readonly atMs: number;
}

export interface Echo extends Token {
  /** How long the echoing gateway held the token. */
  readonly heldMs: number;
}

/** Rides on probes, and beats by itself: how far the logs of some origins reached, and how old that news is. */
export interface HeadsMessage {
  readonly kind: 'heads';
  readonly by: string;
  readonly token: Token;
  /** The last token that the receiver of this message gave: bounds how long this message can have travelled. */
  readonly echo: Echo | null;
  readonly claims: readonly GroupClaim[];
  readonly heads: readonly Head[];
}

export type ReplicationMessage =
  | DotsMessage
  | AckMessage
  | WantMessage
  | HeadsMessage
  | SyncOpenMessage
  | SyncSameMessage
  | SyncBusyMessage
  | SyncVectorMessage
  | SyncPullMessage
  | SyncPageMessage
  | SyncDoneMessage
  | SyncHintMessage
  | StatePullMessage
  | StatePageMessage
  | AuditAskMessage
  | AuditRowsMessage
  | AuditSameMessage
  | AuditHintMessage
  | LogAskMessage
  | LogTellMessage;

const nodeId = hexId(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/);
const originId = hexId<OriginId>(originForm);
const seq = uint();
const uint16 = uint(0xffff);
const uint32 = uint(0xffff_ffff);
/** Consul's largest value is 512 KiB by default, and can be configured to more. */
const valueBytesMax = 64 * 1024 * 1024;
const keyCharsMax = 64 * 1024;

/** Bounds that senders keep to and receivers check. */
export const dotsPerMessageMax = 4096;
export const rangesMax = 1024;
export const headsMax = 64;
export const claimsMax = 64;
export const tagsMax = 256;
export const bucketCount = 64;
export const originsMax = 1 << 16;
export const rowsMax = 4096;
export const auditOriginsMax = 128;

/** Signed 32-bit hashes travel as unsigned. */
export const unsigned = (hash: number): number => hash >>> 0;

const record: Schema<ReplicatedRecord> = struct<ReplicatedRecord>({
  kind: uint16,
  key: text(keyCharsMax),
  term: uint(),
  timeline: uint(),
  stamp: uint(),
  value: nullable(bytes(valueBytesMax)),
  born: uint(),
  ix: nullable(text(keyCharsMax)),
});
const bodyFields = struct<Required<DotBody>>({
  seq,
  records: list(record, registersPerDotMax),
  size: optional(uint(registersPerDotMax), 0),
});
const body: Schema<DotBody> = {
  pack: ({ seq: number, records, size = 0 }) => bodyFields.pack({ seq: number, records, size }),
  unpack: (raw, at) => {
    const { seq: number, records, size } = bodyFields.unpack(raw, at);
    const isPartial = records.length > 0 && size > records.length;
    return { seq: number, records, ...(isPartial && { size }) };
  },
};
const originName = struct<OriginName>({ origin: originId, nodeId });
const cursor = struct<Cursor>({ kind: uint16, key: text(keyCharsMax) });

const stateRow = struct<StateRow>({
  at: uint(2 * rowsMax),
  seq,
  kind: uint16,
  key: text(keyCharsMax),
  term: uint(),
  timeline: uint(),
  stamp: uint(),
  value: nullable(bytes(valueBytesMax)),
  born: uint(),
  ix: nullable(text(keyCharsMax)),
  beside: optional(uint(registersPerDotMax), 0),
});

/** A run with its ends the right way round; as two numbers. */
const range: Schema<SeqRange> = {
  pack: ({ from, to }) => [from, to - from],
  unpack: (raw, at) => {
    const pair = list(seq, 2).unpack(raw, at);
    const from = seq.unpack(pair[0], at);
    return { from, to: seq.unpack(from + seq.unpack(pair[1], at), at) };
  },
};
const ranges = list(range, rangesMax);
const originSeen = struct<OriginSeen>({ origin: originId, nodeId, seen: ranges });
const originRanges = struct<OriginRanges>({ origin: originId, ranges });

export const replicationMessage: Schema<ReplicationMessage> = union<ReplicationMessage>({
  dots: [
    32,
    struct<Omit<DotsMessage, 'kind'>>({
      tag: uint16,
      lead: flag,
      origin: originId,
      nodeId: nullable(nodeId),
      dots: list(body, dotsPerMessageMax),
      context: list(originRanges, contextMax),
    }),
  ],
  ack: [33, struct<Omit<AckMessage, 'kind'>>({ by: uint32, tags: list(uint16, tagsMax) })],
  want: [34, struct<Omit<WantMessage, 'kind'>>({ by: nodeId, origin: originId, ranges, safeStampS: uint32 })],
  heads: [
    35,
    struct<Omit<HeadsMessage, 'kind'>>({
      by: nodeId,
      token: struct<Token>({ life: uint16, atMs: uint() }),
      echo: nullable(struct<Echo>({ life: uint16, atMs: uint(), heldMs: uint() })),
      claims: list(
        struct<GroupClaim>({
          region: uint32,
          digest: uint32,
          ageMs: uint(),
          stampS: uint32,
          seenLagS: uint32,
        }),
        claimsMax,
      ),
      heads: list(
        struct<Head>({ origin: originId, head: seq, stampS: uint32, seenLagS: uint32, ageMs: uint() }),
        headsMax,
      ),
    }),
  ],
  'sync-open': [
    36,
    struct<Omit<SyncOpenMessage, 'kind'>>({ id: uint32, by: nodeId, digests: bytes(bucketCount * 4) }),
  ],
  'sync-same': [37, struct<Omit<SyncSameMessage, 'kind'>>({ id: uint32 })],
  'sync-busy': [38, struct<Omit<SyncBusyMessage, 'kind'>>({ id: uint32, retryMs: uint32 })],
  'sync-vector': [
    39,
    struct<Omit<SyncVectorMessage, 'kind'>>({
      id: uint32,
      by: nodeId,
      collectedBelow: uint(),
      seenStampS: uint32,
      buckets: list(uint(bucketCount - 1), bucketCount),
      seen: list(originSeen, originsMax),
    }),
  ],
  'sync-pull': [
    40,
    struct<Omit<SyncPullMessage, 'kind'>>({ id: uint32, by: nodeId, items: list(originRanges, 256) }),
  ],
  'sync-page': [
    41,
    struct<Omit<SyncPageMessage, 'kind'>>({
      id: uint32,
      whole: flag,
      groups: list(
        struct<SyncGroup>({
          origin: originId,
          nodeId,
          superseded: list(range, dotsPerMessageMax),
          dots: list(body, dotsPerMessageMax),
        }),
        256,
      ),
      context: list(originRanges, contextMax),
    }),
  ],
  'sync-hint': [42, struct<Omit<SyncHintMessage, 'kind'>>({ by: nodeId, digest: uint32, root: nodeId })],
  'state-pull': [43, struct<Omit<StatePullMessage, 'kind'>>({ id: uint32, by: nodeId, from: cursor })],
  'state-page': [
    44,
    struct<Omit<StatePageMessage, 'kind'>>({
      id: uint32,
      from: cursor,
      to: nullable(cursor),
      collectedBelow: uint(),
      origins: list(originName, 2 * rowsMax),
      rows: list(stateRow, rowsMax),
      aside: list(stateRow, rowsMax),
    }),
  ],
  'audit-ask': [
    45,
    struct<Omit<AuditAskMessage, 'kind'>>({
      id: uint32,
      by: nodeId,
      from: cursor,
      to: nullable(cursor),
      rows: uint32,
      digest: uint32,
      origins: list(originId, auditOriginsMax),
    }),
  ],
  'audit-rows': [
    46,
    struct<Omit<AuditRowsMessage, 'kind'>>({
      id: uint32,
      by: nodeId,
      origins: list(originSeen, 2 * auditOriginsMax),
      rows: list(
        struct<AuditRow>({
          kind: uint16,
          key: text(keyCharsMax),
          at: uint(2 * auditOriginsMax),
          seq,
          term: uint(),
          timeline: uint(),
          stamp: uint(),
          hash: uint32,
          live: flag,
        }),
        rowsMax,
      ),
    }),
  ],
  'audit-same': [47, struct<Omit<AuditSameMessage, 'kind'>>({ id: uint32 })],
  'sync-done': [49, struct<Omit<SyncDoneMessage, 'kind'>>({ by: nodeId })],
  'audit-hint': [48, struct<Omit<AuditHintMessage, 'kind'>>({ by: nodeId, from: cursor })],
  'log-ask': [
    50,
    struct<Omit<LogAskMessage, 'kind'>>({ by: nodeId, origin: originId, head: seq, stamp: uint() }),
  ],
  'log-tell': [
    51,
    struct<Omit<LogTellMessage, 'kind'>>({ by: nodeId, origin: originId, head: seq, forked: flag }),
  ],
});
