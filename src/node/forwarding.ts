import type { Instant } from '../kernel/instant.ts';
import type { Command, CommandOutcome } from '../state/command.ts';
import { isMadeUp } from '../kernel/stamp.ts';
import { matchesIndex } from '../state/kv.ts';
import { Kind } from '../state/kinds.ts';
import type { Refusal } from '../state/outcome.ts';
import type { ReadView } from '../state/store.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import type { AppliedWaiters } from './applied-waiters.ts';
import { isForwardable, type ForwardedCommand } from './command-schema.ts';
import type { Forward, ForwardReply, LogPosition, RpcMessage } from './rpc-messages.ts';

type NotOwned = Extract<Refusal, { kind: 'not-owned' }>;

/** A member as forwarding sees it. */
export interface Owner {
  readonly name: string;
  readonly endpoint: Endpoint;
  readonly reachable: boolean;
}

export interface ForwardingOptions {
  /** Node id of this gateway. */
  readonly nodeId: string;
  readonly view: ReadView;
  readonly waiters: AppliedWaiters;
  /** Where this gateway's own log stands. */
  readonly position: () => LogPosition;
  /** Decides a command here and now. */
  readonly decide: (command: Command) => CommandOutcome;
  readonly owner: (nodeId: string) => Owner | undefined;
  readonly send: (to: Endpoint, message: RpcMessage) => void;
  readonly answer: (token: number, outcome: CommandOutcome) => void;
  /** How long a request waits for an owner (Consul's `rpc_hold_timeout`). */
  readonly holdMs: number;
}

/** Commands that wait for owners elsewhere, at most: one more is refused. */
const pendingMax = 50_000;

/** While who had a zone names who has it now, who does not know of that yet: how long until they are asked again. */
const retryMsMin = 10;
const retryMsMax = 200;

interface Pending {
  readonly token: number;
  readonly command: ForwardedCommand;
  readonly dueMs: number;
  /** Owners that said since the last pause that it is another one. */
  readonly asked: readonly string[];
  readonly pauses: number;
  readonly refusal: NotOwned;
}

interface Later {
  readonly atMs: number;
  readonly pending: Pending;
}

interface Held {
  readonly command: Command;
  readonly dueMs: number;
  readonly done: (outcome: CommandOutcome, now: Instant) => void;
}

/**
 * Writes for keys that this gateway does not own: handed to the owner in one hop, and answered once this gateway has
 * applied the result itself, so that clients read what they wrote where they wrote it. A command is handed on only
 * until an owner took it: whether one that does not answer did it is not known, and is said, never tried again.
 *
 * While a zone is being handed over, writes wait for the new owner to be ready (as Consul's do for an election).
 */
export class Forwarding {
  readonly #options: ForwardingOptions;
  readonly #pending = new Map<number, Pending>();
  /** For an owner that is this gateway, but not ready. */
  #held: Held[] = [];
  /** Whose zone is moving: who had it knows who has it now, who has it does not know yet. */
  #later: Later[] = [];
  #nextId = 1;
  readonly counts = { sent: 0, received: 0, refused: 0, expired: 0, held: 0 };

  constructor(options: ForwardingOptions) {
    this.#options = options;
  }

  get pending(): number {
    return this.#pending.size + this.#held.length + this.#later.length;
  }

  get nextTickMs(): number {
    let next = Infinity;
    for (const { dueMs } of this.#pending.values()) next = Math.min(next, dueMs);
    for (const { dueMs } of this.#held) next = Math.min(next, dueMs);
    for (const { atMs } of this.#later) next = Math.min(next, atMs);
    return next;
  }

  /** A command from a client of this gateway that was refused here because of who owns its zone. */
  hand(token: number, command: Command, refusal: NotOwned, now: Instant): void {
    const { nodeId, answer, holdMs, view } = this.#options;
    const dueMs = now.monoMs + holdMs;
    if (refusal.owner === '') return answer(token, refusal);
    if (isForwardable(command)) {
      const first = { token, command: exact(view, command), dueMs, asked: [], pauses: 0, refusal };
      return this.#pass(first, now);
    }
    if (refusal.owner !== nodeId) return answer(token, refusal);
    return this.#hold({ command, dueMs, done: (outcome) => answer(token, outcome) }, refusal, now);
  }

  receive(from: Endpoint, message: Forward | ForwardReply, now: Instant): void {
    if (message.kind === 'forward') this.#serve(from, message, now);
    else this.#settle(message, now);
  }

  /** After each batch: what waited for a handoff to complete may go on. */
  look(now: Instant): void {
    if (this.#held.length === 0) return;
    const held = this.#held;
    this.#held = [];
    for (const each of held) {
      const outcome = this.#options.decide(each.command);
      if (outcome.kind === 'not-owned' && outcome.owner === this.#options.nodeId && now.monoMs < each.dueMs) {
        this.#held.push(each);
      } else {
        each.done(outcome, now);
      }
    }
  }

  tick(now: Instant): void {
    for (const [id, pending] of this.#pending) {
      if (now.monoMs < pending.dueMs) continue;
      this.#pending.delete(id);
      this.counts.expired += 1;
      this.#options.answer(pending.token, {
        ...pending.refusal,
        reason: `${this.#name(pending.refusal.owner)} did not answer in time; whether it took the write is not known`,
      });
    }
    const later = this.#later;
    this.#later = [];
    for (const each of later) {
      if (now.monoMs >= each.atMs) this.#pass(each.pending, now);
      else this.#later.push(each);
    }
    this.look(now);
  }

  #send(pending: Pending, now: Instant): void {
    const { owner, send, answer, position, nodeId } = this.#options;
    const to = owner(pending.refusal.owner);
    const reason =
      to === undefined
        ? 'its gateway is not a member now'
        : !to.reachable
          ? `${to.name} is not reachable`
          : this.#pending.size >= pendingMax
            ? 'too many writes wait for other gateways'
            : undefined;
    if (to === undefined || reason !== undefined) {
      this.counts.refused += 1;
      return answer(pending.token, { ...pending.refusal, reason: reason ?? pending.refusal.reason });
    }
    const id = this.#nextId++;
    this.#pending.set(id, pending);
    this.counts.sent += 1;
    const { command } = pending;
    send(to.endpoint, {
      kind: 'forward',
      id,
      from: nodeId,
      after: position(),
      waitMs: Math.max(0, Math.ceil(pending.dueMs - now.monoMs)),
      command,
    });
  }

  #serve(from: Endpoint, { id, after, waitMs, command }: Forward, now: Instant): void {
    const { waiters, decide, send, position, holdMs, nodeId } = this.#options;
    this.counts.received += 1;
    const dueMs = now.monoMs + Math.min(waitMs, holdMs);
    const reply = (outcome: CommandOutcome): void =>
      send(from, { kind: 'forward-reply', id, outcome, position: position() });
    waiters.add(after, dueMs, (reached) => {
      if (!reached) {
        const reason = 'the owner has not seen all that the asking gateway wrote before';
        return reply({ kind: 'not-owned', zone: '', owner: nodeId, reason });
      }
      const outcome = decide(command);
      if (outcome.kind !== 'not-owned' || outcome.owner !== nodeId) return reply(outcome);
      return this.#hold({ command, dueMs, done: reply }, outcome, now);
    });
  }

  #settle({ id, outcome, position }: ForwardReply, now: Instant): void {
    const pending = this.#pending.get(id);
    // An answer that comes after its time, or twice.
    if (pending === undefined) return;
    this.#pending.delete(id);
    const { answer, waiters } = this.#options;
    const moved =
      outcome.kind === 'not-owned' && outcome.owner !== '' && outcome.owner !== pending.refusal.owner;
    if (moved && now.monoMs < pending.dueMs) {
      return this.#passOn(pending, outcome, now);
    }
    waiters.add(position, pending.dueMs, (reached) => {
      if (reached) return answer(pending.token, localised(this.#options.view, outcome));
      this.counts.expired += 1;
      const owner = this.#name(pending.refusal.owner);
      const reason = `${owner} took the write, and it did not arrive here in time: do not repeat it`;
      return answer(pending.token, { ...pending.refusal, reason });
    });
  }

  /** To whom the last answer named as the owner: at once, or where that one named another one before, in a moment. */
  #passOn({ asked, pauses, ...pending }: Pending, refusal: NotOwned, now: Instant): void {
    const all = [...asked, pending.refusal.owner];
    const next = { ...pending, refusal };
    if (!all.includes(refusal.owner)) return this.#pass({ ...next, asked: all, pauses }, now);
    const atMs = now.monoMs + Math.min(retryMsMin * 2 ** pauses, retryMsMax);
    // It says who owns the zone; nobody took the write.
    if (atMs >= pending.dueMs) return this.#options.answer(pending.token, refusal);
    this.#later.push({ atMs, pending: { ...next, asked: [], pauses: pauses + 1 } });
    return undefined;
  }

  #pass(pending: Pending, now: Instant): void {
    const { nodeId, decide, answer } = this.#options;
    if (pending.refusal.owner !== nodeId) return this.#send(pending, now);
    const { token, command, dueMs } = pending;
    const done = (outcome: CommandOutcome, at: Instant): void => {
      if (outcome.kind !== 'not-owned' || outcome.owner === nodeId) return answer(token, outcome);
      // It was given on while it was waited for, or was given to this gateway, which has not heard of it yet.
      return this.#passOn(pending, outcome, at);
    };
    const outcome = decide(command);
    const waits = outcome.kind === 'not-owned' && outcome.owner === nodeId;
    return waits ? this.#hold({ command, dueMs, done }, outcome, now) : done(outcome, now);
  }

  #hold(held: Held, refusal: NotOwned, now: Instant): void {
    if (this.#held.length >= pendingMax) return held.done(refusal, now);
    this.counts.held += 1;
    this.#held.push(held);
  }

  #name(nodeId: string): string {
    return this.#options.owner(nodeId)?.name ?? `node ${nodeId}`;
  }
}

/** No version ever has it. */
const nobodysIndex = 2n ** 64n - 1n;

/**
 * The command with what a client said in this gateway's indexes said in the writers' stamps, which mean the same
 * version on every gateway (design, "The index that clients see").
 */
function exact(view: ReadView, command: ForwardedCommand): ForwardedCommand {
  const stampOf = (kind: Kind, key: string, index: bigint): bigint => {
    const row = view.get(kind, key);
    if (row?.value && index > 0n && matchesIndex(row, index)) return BigInt(row.stamp);
    // Of a version that is no more here: to the owner it could be an index of its own.
    return isMadeUp(index) ? nobodysIndex : index;
  };
  switch (command.kind) {
    case 'kv-put':
      if (command.mode.kind !== 'cas') return command;
      return { ...command, mode: { kind: 'cas', index: stampOf(Kind.kv, command.key, command.mode.index) } };
    case 'kv-delete':
      if (command.cas === undefined) return command;
      return { ...command, cas: stampOf(Kind.kv, command.key, command.cas) };
    case 'txn':
      return {
        ...command,
        ops: command.ops.map((op) =>
          op.kind === 'kv' ? { ...op, index: stampOf(Kind.kv, op.key, op.index) } : op,
        ),
      };
    default:
      return command;
  }
}

/** The outcome with this gateway's own rows in place of the owner's: indexes belong to who shows them. */
function localised(view: ReadView, outcome: CommandOutcome): CommandOutcome {
  if (outcome.kind !== 'txn') return outcome;
  return {
    ...outcome,
    results: outcome.results.map((result) => {
      if (result.kind === 'kv-empty') return result;
      const held = view.get(result.row.kind, result.row.key);
      return held?.value ? { ...result, row: held } : result;
    }),
  };
}
