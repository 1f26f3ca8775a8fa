import { endpoint, type Endpoint } from '../wire/endpoint.ts';
import { flag, hexId, list, nullable, oneOf, struct, text, toBytes, uint, union } from '../wire/schema.ts';
import { coordinateSchema, type Coordinate } from './coordinates.ts';
import { memberFacts, nodeIdForm, type MemberFacts, type MemberState } from './member.ts';

/** `pruned`: an operator had a member forgotten; kept for a while so that nobody brings it back. */
export type UpdateState = MemberState | 'pruned';

/** What somebody holds of a member. Those without facts are a tenth in size: most changes are of the state only. */
export interface MemberUpdate {
  readonly id: string;
  readonly incarnation: number;
  readonly state: UpdateState;
  /** The incarnation that the sender's facts are of, told or not. */
  readonly factsIncarnation: number;
  readonly facts: MemberFacts | null;
  /** Of a suspicion: who raised or confirms it. */
  readonly by: string | null;
  /** Of who failed, left or was pruned: how long ago, milliseconds. */
  readonly ageMs: number;
}

/** A member's update without facts, as a run of the whole membership lists it. */
export type MemberSummary = Pick<MemberUpdate, 'id' | 'incarnation' | 'state' | 'factsIncarnation'>;

/** Why a push-pull is refused. */
export type RefusalKind = 'cluster' | 'name' | 'id' | 'protocol' | 'full' | 'foreign';

/** Who pushes its membership: what its cluster, its process and it itself are. */
interface Introduction {
  /** Pairs the answer with the question. */
  readonly seq: number;
  /** A random number of the process: tells two processes with one id apart. */
  readonly run: number;
  /** The sender's cluster; empty while it belongs to none. */
  readonly cluster: string;
  readonly incarnation: number;
  readonly factsIncarnation: number;
  readonly facts: MemberFacts;
  /** Of all that the sender holds: equal digests, equal membership. */
  readonly digest: number;
  /** How many members the sender holds, itself included. */
  readonly members: number;
}

export type SwimMessage =
  /** Are you there? Answered by `ack`. `stream`: sent over the stream lane, where the answer goes too. */
  | {
      readonly kind: 'ping';
      readonly seq: number;
      readonly sender: string;
      readonly target: string;
      readonly stream: boolean;
      readonly coordinate: Coordinate | null;
      readonly updates: readonly MemberUpdate[];
    }
  /** `relayed`: handed on by who was asked to ping; then `sender` is who was pinged. */
  | {
      readonly kind: 'ack';
      readonly seq: number;
      readonly sender: string;
      readonly run: number;
      readonly stream: boolean;
      readonly relayed: boolean;
      readonly coordinate: Coordinate | null;
      readonly updates: readonly MemberUpdate[];
    }
  /** Ping for me, and tell me by `nack` after this time if there was no answer yet: then it is not you who is slow. */
  | {
      readonly kind: 'ping-req';
      readonly seq: number;
      readonly sender: string;
      readonly target: string;
      readonly endpoint: Endpoint;
      readonly nackAfterMs: number;
    }
  | { readonly kind: 'nack'; readonly seq: number; readonly sender: string }
  | { readonly kind: 'gossip'; readonly sender: string; readonly updates: readonly MemberUpdate[] }
  /** Over the stream: here I am, compare with me. Answered by `push-pull-reply` or `refusal`, then `summary` or `members`. */
  | ({ readonly kind: 'push-pull' } & Introduction)
  | ({ readonly kind: 'push-pull-reply' } & Introduction)
  | {
      readonly kind: 'refusal';
      readonly seq: number;
      readonly cluster: string;
      readonly reason: RefusalKind;
      readonly text: string;
    }
  /** All that the sender holds with ids from `from` to before `to` (empty: to the end). */
  | {
      readonly kind: 'summary';
      readonly sender: string;
      readonly from: string;
      readonly to: string;
      readonly entries: readonly MemberSummary[];
    }
  | { readonly kind: 'want'; readonly sender: string; readonly ids: readonly string[] }
  | { readonly kind: 'members'; readonly sender: string; readonly updates: readonly MemberUpdate[] };

export type PushPull = Extract<SwimMessage, { kind: 'push-pull' }>;
export type PushPullReply = Extract<SwimMessage, { kind: 'push-pull-reply' }>;

/** Messages that may come from another cluster, or from none: those by which a gateway joins, or is told why not. */
export function crossesClusters({ kind }: SwimMessage): boolean {
  return kind === 'push-pull' || kind === 'push-pull-reply' || kind === 'refusal';
}

const id = hexId(nodeIdForm);
const uint32 = uint(2 ** 32 - 1);
/** Far above any real incarnation, far below where numbers stop being whole. */
export const incarnationMax = 2 ** 48;
const incarnation = uint(incarnationMax);
const ageMs = uint(2 ** 42);
const cluster = text(64);
const state = oneOf<UpdateState>('alive', 'suspect', 'failed', 'left', 'pruned');

const updateFields = { id, incarnation, state, factsIncarnation: incarnation };
const memberUpdate = struct<MemberUpdate>({
  ...updateFields,
  facts: nullable(memberFacts),
  by: nullable(id),
  ageMs,
});

export const updatesMax = 1024;
export const summaryMax = 1024;
const updates = list(memberUpdate, updatesMax);
const coordinate = nullable(coordinateSchema);
const introduction = {
  seq: uint32,
  run: uint32,
  cluster,
  incarnation,
  factsIncarnation: incarnation,
  facts: memberFacts,
  digest: uint32,
  members: uint(2 ** 20),
};

export const swimMessage = union<SwimMessage>({
  ping: [1, struct({ seq: uint32, sender: id, target: id, stream: flag, coordinate, updates })],
  ack: [
    2,
    struct({ seq: uint32, sender: id, run: uint32, stream: flag, relayed: flag, coordinate, updates }),
  ],
  'ping-req': [3, struct({ seq: uint32, sender: id, target: id, endpoint, nackAfterMs: uint(600_000) })],
  nack: [4, struct({ seq: uint32, sender: id })],
  gossip: [5, struct({ sender: id, updates })],
  'push-pull': [6, struct<Introduction>(introduction)],
  'push-pull-reply': [7, struct<Introduction>(introduction)],
  refusal: [
    8,
    struct({
      seq: uint32,
      cluster,
      reason: oneOf<RefusalKind>('cluster', 'name', 'id', 'protocol', 'full', 'foreign'),
      text: text(1024),
    }),
  ],
  summary: [
    9,
    struct({
      sender: id,
      from: text(36),
      to: text(36),
      entries: list(struct<MemberSummary>(updateFields), summaryMax),
    }),
  ],
  want: [10, struct({ sender: id, ids: list(id, summaryMax) })],
  members: [11, struct({ sender: id, updates })],
});

const factsBytes = new WeakMap<MemberFacts, number>();

/** Encoded size of an update, or a little more. */
export function updateBytes({ facts, by }: MemberUpdate): number {
  // Array header, id, incarnation, state, incarnation of the facts, nil, accuser, age.
  const terse = 1 + 18 + 9 + 1 + 9 + 1 + (by === null ? 1 : 18) + 9;
  if (facts === null) return terse;
  let bytes = factsBytes.get(facts);
  if (bytes === undefined) {
    bytes = toBytes(memberFacts, facts).length;
    factsBytes.set(facts, bytes);
  }
  return terse + bytes;
}

/** What a ping or an ack encodes to without updates, or a little more. */
export const pingBytes = 112;
export const gossipBytes = 32;
