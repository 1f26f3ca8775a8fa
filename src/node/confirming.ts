import type { Instant } from '../kernel/instant.ts';
import type { ZoneValue } from '../state/values.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import type { AppliedWaiters } from './applied-waiters.ts';
import type { Owner } from './forwarding.ts';
import type { Confirm, ConfirmReply, LogPosition, RpcMessage } from './rpc-messages.ts';

/** What a consistent read waits for. */
export type Confirmation =
  | { readonly kind: 'confirmed' }
  | { readonly kind: 'unconfirmed'; readonly zone: string; readonly owner: string; readonly reason: string };

export interface ConfirmingOptions {
  readonly nodeId: string;
  readonly waiters: AppliedWaiters;
  readonly position: () => LogPosition;
  readonly owner: (nodeId: string) => Owner | undefined;
  /** Why this gateway does not decide for the zone now; undefined: it does. */
  readonly ownProblem: (prefix: string) => string | undefined;
  readonly send: (to: Endpoint, message: RpcMessage) => void;
  readonly holdMs: number;
}

interface Asked {
  readonly owner: string;
  readonly zones: readonly string[];
  readonly dueMs: number;
  readonly done: (result: Confirmation) => void;
}

/** Questions under way at most: one more is refused. */
const askedMax = 50_000;

const confirmed: Confirmation = { kind: 'confirmed' };

/**
 * Consistent reads from the local replica (as Raft's ReadIndex: Ongaro, 2014, 6.4): the owners of all zones that a
 * read spans say where their logs stand now, and once this replica has all of that, whatever was acknowledged before
 * the question is here. The answer keeps this gateway's own indexes, and a prefix over several zones costs one round
 * trip to the furthest owner.
 */
export class Confirming {
  readonly #options: ConfirmingOptions;
  readonly #asked = new Map<number, Asked>();
  #nextId = 1;
  readonly counts = { asked: 0, served: 0, unconfirmed: 0 };

  constructor(options: ConfirmingOptions) {
    this.#options = options;
  }

  get nextTickMs(): number {
    let next = Infinity;
    for (const { dueMs } of this.#asked.values()) next = Math.min(next, dueMs);
    return next;
  }

  /** Calls `done` once, with the first problem or when all owners are caught up with. */
  confirm(
    zones: readonly Pick<ZoneValue, 'prefix' | 'ownerId'>[],
    now: Instant,
    done: (result: Confirmation) => void,
  ): void {
    const { nodeId, ownProblem, holdMs } = this.#options;
    const byOwner = new Map<string, string[]>();
    for (const { prefix, ownerId } of zones) {
      if (ownerId === nodeId) {
        const reason = ownProblem(prefix);
        if (reason !== undefined) return done(this.#unconfirmed(prefix, nodeId, reason));
        continue;
      }
      const prefixes = byOwner.get(ownerId);
      if (prefixes === undefined) byOwner.set(ownerId, [prefix]);
      else prefixes.push(prefix);
    }
    let open = byOwner.size;
    if (open === 0) return done(confirmed);
    const each = (result: Confirmation): void => {
      if (open <= 0) return;
      open = result.kind === 'confirmed' ? open - 1 : 0;
      if (open === 0) done(result);
    };
    for (const [owner, prefixes] of byOwner) {
      this.#ask({ owner, zones: prefixes, dueMs: now.monoMs + holdMs, done: each });
    }
  }

  receive(from: Endpoint, message: Confirm | ConfirmReply): void {
    if (message.kind === 'confirm') this.#serve(from, message);
    else this.#settle(message);
  }

  tick(now: Instant): void {
    for (const [id, asked] of this.#asked) {
      if (now.monoMs < asked.dueMs) continue;
      this.#asked.delete(id);
      asked.done(this.#unconfirmed(asked.zones[0] ?? '', asked.owner, 'it did not answer in time'));
    }
  }

  #ask(asked: Asked): void {
    const { owner, send, nodeId } = this.#options;
    const to = owner(asked.owner);
    const problem =
      to === undefined
        ? 'its gateway is not a member now'
        : !to.reachable
          ? `${to.name} is not reachable`
          : this.#asked.size >= askedMax
            ? 'too many reads wait for other gateways'
            : undefined;
    if (to === undefined || problem !== undefined) {
      return asked.done(this.#unconfirmed(asked.zones[0] ?? '', asked.owner, problem ?? ''));
    }
    const id = this.#nextId++;
    this.#asked.set(id, asked);
    this.counts.asked += 1;
    return send(to.endpoint, { kind: 'confirm', id, from: nodeId, zones: asked.zones });
  }

  #serve(from: Endpoint, { id, zones }: Confirm): void {
    const { send, position, ownProblem } = this.#options;
    this.counts.served += 1;
    let refused: ConfirmReply['refused'] = null;
    for (const zone of zones) {
      const reason = ownProblem(zone);
      if (reason === undefined) continue;
      refused = { zone, reason };
      break;
    }
    send(from, { kind: 'confirm-reply', id, refused, position: position() });
  }

  #settle({ id, refused, position }: ConfirmReply): void {
    const asked = this.#asked.get(id);
    if (asked === undefined) return;
    this.#asked.delete(id);
    if (refused !== null) return asked.done(this.#unconfirmed(refused.zone, asked.owner, refused.reason));
    this.#options.waiters.add(position, asked.dueMs, (reached) => {
      const late = 'what it has did not arrive here in time';
      asked.done(reached ? confirmed : this.#unconfirmed(asked.zones[0] ?? '', asked.owner, late));
    });
  }

  #unconfirmed(zone: string, ownerId: string, reason: string): Confirmation {
    this.counts.unconfirmed += 1;
    return { kind: 'unconfirmed', zone, owner: this.#options.owner(ownerId)?.name ?? ownerId, reason };
  }
}
