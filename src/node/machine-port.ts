import type { OriginId } from '../crdt/dot.ts';
import type { Instant } from '../kernel/instant.ts';
import type { Command, CommandOutcome } from '../state/command.ts';
import type { JoinFailure, SwimEffect } from '../swim/effects.ts';
import type { MemberFacts, PersistedMember } from '../swim/member.ts';
import type { SwimProfile } from '../swim/profile.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import type { CallResult } from './calls.ts';
import type { Confirmation } from './confirming.ts';
import type { Message } from './message.ts';
import type { Replica } from './replica.ts';
import type { CallService } from './rpc-messages.ts';

/** `packet` may be lost, doubled and reordered; `stream` is in order while its connection lives, and lost after. */
export type Lane = 'packet' | 'stream';

/** The gateways of one datacenter are a pool (Consul's LAN pool); datacenters meet in a second one. */
export type Pool = 'lan' | 'wan';

/** Something became of a member. */
export type MemberChange = Extract<SwimEffect, { readonly kind: 'event' }>;

/** Members to be kept for the next start. */
export type PersistMembers = Extract<SwimEffect, { readonly kind: 'persist' }>;

export interface MachineOptions {
  readonly replica: Replica;
  /** What this gateway says of itself; its origin is the replica's. */
  readonly self: Omit<MemberFacts, 'origin'>;
  /** 16 hex digits; empty while it belongs to no cluster. */
  readonly cluster: string;
  /** As last persisted; 0 for a new gateway. */
  readonly incarnation: number;
  /** Members as last persisted: whom to look for first. */
  readonly known: readonly PersistedMember[];
  readonly profile: SwimProfile;
  /** The pool of all datacenters, where this gateway takes part in it. */
  readonly wan?: { readonly name: string; readonly endpoint: Endpoint; readonly profile: SwimProfile };
  readonly random: () => number;
  readonly now: Instant;
  /** How long a request waits for an owner elsewhere. */
  readonly holdMs: number;
  /** A fresh origin id, when the present one turns out to be used up by a life that was restored away. */
  readonly newOrigin: () => OriginId;
  /** What a change of membership means for the state: serfHealth and the catalog. */
  readonly reactions?: (change: MemberChange) => readonly Command[];
  /** Keeps members for the next start; called inside the batch's transaction. */
  readonly persist: (members: PersistMembers) => void;
  /** Why a gateway is not let into this pool; undefined: it is. */
  readonly refuses?: (facts: MemberFacts) => string | undefined;
}

/** What goes into a gateway's machine. `token` is the caller's, for the effect that answers it. */
export type Input =
  | { readonly kind: 'command'; readonly token: number; readonly command: Command }
  | {
      readonly kind: 'received';
      readonly pool: Pool;
      readonly from: Endpoint;
      readonly cluster: string;
      readonly messages: readonly Message[];
    }
  | { readonly kind: 'tick' }
  /** A message over the stream could not be delivered: nobody listens there, say. */
  | { readonly kind: 'lost'; readonly pool: Pool; readonly to: Endpoint; readonly reason: string }
  /** Catch up with the owners of these zones' keys; all keys and the catalog for `''` as a prefix. */
  | { readonly kind: 'confirm'; readonly token: number; readonly scope: ConfirmScope }
  | {
      readonly kind: 'join';
      readonly token: number;
      readonly pool: Pool;
      readonly endpoints: readonly Endpoint[];
    }
  | { readonly kind: 'leave'; readonly token: number }
  | { readonly kind: 'force-leave'; readonly token: number; readonly name: string; readonly prune: boolean }
  | { readonly kind: 'update-self'; readonly tags: Readonly<Record<string, string>> }
  | {
      readonly kind: 'call';
      readonly token: number;
      readonly pool: Pool;
      /** Node id of a member. */
      readonly to: string;
      readonly service: CallService;
      readonly body: Uint8Array;
      readonly waitMs: number;
    }
  | {
      readonly kind: 'call-answer';
      readonly pool: Pool;
      readonly to: Endpoint;
      readonly id: number;
      readonly result: CallResult;
    };

export type ConfirmScope =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'prefix'; readonly prefix: string }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'sessions' };

/** What comes out of it, to be done once the transaction of its inputs is on disk. */
export type Effect =
  | {
      readonly kind: 'send';
      readonly pool: Pool;
      readonly to: Endpoint;
      readonly lane: Lane;
      /** Large and in no hurry: must not delay the rest. */
      readonly bulk: boolean;
      readonly message: Message;
    }
  | { readonly kind: 'answer'; readonly token: number; readonly outcome: CommandOutcome }
  | { readonly kind: 'confirmed'; readonly token: number; readonly confirmation: Confirmation }
  | {
      readonly kind: 'joined';
      readonly token: number;
      /** How many answered and let this gateway in. */
      readonly count: number;
      readonly failures: readonly JoinFailure[];
    }
  | { readonly kind: 'left'; readonly token: number }
  | { readonly kind: 'force-left'; readonly token: number; readonly result: 'done' | 'unknown' }
  | { readonly kind: 'member'; readonly pool: Pool; readonly change: MemberChange }
  /** Another gateway has our name, or does not let us in. */
  | (Extract<SwimEffect, { readonly kind: 'conflict' | 'refused' }> & { readonly pool: Pool })
  | { readonly kind: 'cluster'; readonly id: string }
  /** Another gateway asks the process around this machine: answer with `call-answer`. */
  | {
      readonly kind: 'called';
      readonly pool: Pool;
      readonly to: Endpoint;
      readonly from: string;
      readonly id: number;
      readonly service: CallService;
      readonly body: Uint8Array;
    }
  | { readonly kind: 'call-result'; readonly token: number; readonly result: CallResult }
  /** For the log. */
  | {
      readonly kind: 'notice';
      readonly level: 'info' | 'warn' | 'error';
      readonly text: string;
      readonly facts: Readonly<Record<string, string | number>>;
    };
