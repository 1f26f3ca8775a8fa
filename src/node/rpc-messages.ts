import { originForm, type OriginId } from '../crdt/dot.ts';
import { nodeIdForm } from '../swim/member.ts';
import {
  bytes,
  hexId,
  list,
  nullable,
  oneOf,
  struct,
  text,
  uint,
  union,
  type Schema,
} from '../wire/schema.ts';
import type { CommandOutcome } from '../state/command.ts';
import { forwardedOutcome } from './outcome-schema.ts';
import { forwardedCommand, type ForwardedCommand } from './command-schema.ts';

/** A place in an origin's log: who has everything up to it has seen what the sender means. */
export interface LogPosition {
  readonly origin: OriginId;
  readonly seq: number;
}

/** A command handed to the owner of its zone. */
export interface Forward {
  readonly kind: 'forward';
  readonly id: number;
  /** Node id of who asks. */
  readonly from: string;
  /** The owner first waits until it has this: what the asker wrote itself, a session say, comes before. */
  readonly after: LogPosition;
  /** How long the asker waits, from now. */
  readonly waitMs: number;
  readonly command: ForwardedCommand;
}

export interface ForwardReply {
  readonly kind: 'forward-reply';
  readonly id: number;
  readonly outcome: CommandOutcome;
  /** Where the owner's log stands after it: the asker answers its client once it has that itself. */
  readonly position: LogPosition;
}

/** For a consistent read: where do the logs of these zones' owner stand now? */
export interface Confirm {
  readonly kind: 'confirm';
  readonly id: number;
  readonly from: string;
  /** Zones that the asker believes to be this gateway's. */
  readonly zones: readonly string[];
}

export interface ConfirmReply {
  readonly kind: 'confirm-reply';
  readonly id: number;
  /** The first of the zones that is not this gateway's (now), and why. */
  readonly refused: { readonly zone: string; readonly reason: string } | null;
  /** The terms under which it owns the zones, in the order in which they were asked for; empty where it refused. */
  readonly terms: readonly number[];
  readonly position: LogPosition;
}

/** Something asked of another gateway's process, which its adapter answers: keyring operations, user events. */
export interface Call {
  readonly kind: 'call';
  readonly id: number;
  readonly from: string;
  readonly service: CallService;
  readonly body: Uint8Array;
}

export interface CallReply {
  readonly kind: 'call-reply';
  readonly id: number;
  readonly error: string | null;
  readonly body: Uint8Array;
}

export type CallService = 'keyring' | 'event' | 'session' | 'http' | 'migration';

export type RpcMessage = Forward | ForwardReply | Confirm | ConfirmReply | Call | CallReply;

const position: Schema<LogPosition> = struct<LogPosition>({
  origin: hexId<OriginId>(originForm),
  seq: uint(),
});
const id = uint();
const from = hexId(nodeIdForm);
const reason = text(4096);
/** Of one owner that one read spans. */
const zonesMax = 10_000;
/** A forwarded body is bounded by the frame that carries it. */
const body = bytes(16 * 1024 * 1024);

export const rpcVariants = {
  forward: [
    64,
    struct<Omit<Forward, 'kind'>>({
      id,
      from,
      after: position,
      waitMs: uint(24 * 3600 * 1000),
      command: forwardedCommand,
    }),
  ],
  'forward-reply': [65, struct<Omit<ForwardReply, 'kind'>>({ id, outcome: forwardedOutcome, position })],
  confirm: [66, struct<Omit<Confirm, 'kind'>>({ id, from, zones: list(text(64 * 1024), zonesMax) })],
  'confirm-reply': [
    67,
    struct<Omit<ConfirmReply, 'kind'>>({
      id,
      refused: nullable(struct<{ zone: string; reason: string }>({ zone: text(64 * 1024), reason })),
      terms: list(uint(), zonesMax),
      position,
    }),
  ],
  call: [
    68,
    struct<Omit<Call, 'kind'>>({
      id,
      from,
      service: oneOf('keyring', 'event', 'session', 'http', 'migration'),
      body,
    }),
  ],
  'call-reply': [69, struct<Omit<CallReply, 'kind'>>({ id, error: nullable(reason), body })],
} as const;

export const rpcMessage: Schema<RpcMessage> = union<RpcMessage>(rpcVariants);
