import { contiguousHead, noSeqs } from '../crdt/seq-ranges.ts';
import type { Instant } from '../kernel/instant.ts';
import type { Command, CommandOutcome } from '../state/command.ts';
import type { ZoneValue } from '../state/values.ts';
import { externalNodes, zoneOf, zonesUnder } from '../state/zones.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import { AppliedWaiters } from './applied-waiters.ts';
import { Calls } from './calls.ts';
import { Confirming, type ConfirmedZone } from './confirming.ts';
import { Forwarding, type Owner } from './forwarding.ts';
import type { ConfirmScope, Effect } from './machine-port.ts';
import type { Replica } from './replica.ts';
import type { LogPosition, RpcMessage } from './rpc-messages.ts';

export interface QuestionsOptions {
  readonly nodeId: string;
  readonly replica: Replica;
  /** How long a request waits for an owner elsewhere. */
  readonly holdMs: number;
  readonly owner: (nodeId: string) => Owner | undefined;
  /** Node ids of the members that live, this gateway among them. */
  readonly live: () => readonly string[];
  readonly decide: (command: Command) => CommandOutcome;
  readonly send: (to: Endpoint, message: RpcMessage) => void;
  readonly emit: (effect: Effect) => void;
}

/** What gateways of one datacenter ask each other: to decide a write, how far a log goes, and what their processes do. */
export class Questions {
  readonly forwarding: Forwarding;
  readonly confirming: Confirming;
  readonly calls: Calls;
  readonly #options: QuestionsOptions;
  readonly #waiters: AppliedWaiters;

  constructor(options: QuestionsOptions) {
    this.#options = options;
    const { nodeId, replica, holdMs, owner, decide, send, emit } = options;
    this.#waiters = new AppliedWaiters((position) => this.hasUpTo(position));
    const position = (): LogPosition => ({ origin: replica.origin, seq: replica.headSeq });
    const shared = { nodeId, holdMs, owner, send, position, waiters: this.#waiters };
    this.forwarding = new Forwarding({
      ...{ ...shared, view: replica.view, decide },
      answer: (token, outcome) => emit({ kind: 'answer', token, outcome }),
    });
    this.confirming = new Confirming({
      ...shared,
      ownProblem: (prefix) => this.#ownProblem(prefix),
      termOf: (prefix) => this.#zone(prefix)?.term ?? 0,
      hasZone: (prefix, term) => {
        const zone = this.#zone(prefix);
        return zone !== undefined && zone.term >= term && replica.zoneAwaits(zone).length === 0;
      },
    });
    this.calls = new Calls({
      ...{ nodeId, send },
      result: (token, result) => emit({ kind: 'call-result', token, result }),
    });
  }

  get nextTickMs(): number {
    const { forwarding, confirming, calls } = this;
    return Math.min(forwarding.nextTickMs, confirming.nextTickMs, calls.nextTickMs, this.#waiters.nextMs);
  }

  /** Whether this replica has all of an origin's log up to a place. */
  hasUpTo({ origin, seq }: LogPosition): boolean {
    const { replica } = this.#options;
    if (origin === replica.origin) return replica.headSeq >= seq;
    return contiguousHead(replica.originLog(origin)?.seen ?? noSeqs) >= seq;
  }

  receive(from: Endpoint, message: RpcMessage, now: Instant): void {
    switch (message.kind) {
      case 'forward':
      case 'forward-reply':
        return this.forwarding.receive(from, message, now);
      case 'confirm':
      case 'confirm-reply':
        return this.confirming.receive(from, message, now);
      case 'call': {
        const { id, service, body } = message;
        const called = { pool: 'lan', to: from, from: message.from, id, service, body } as const;
        return this.#options.emit({ kind: 'called', ...called });
      }
      case 'call-reply':
        return this.calls.settle(message);
    }
  }

  confirm(token: number, scope: ConfirmScope, now: Instant): void {
    const { emit } = this.#options;
    this.confirming.confirm(
      () => this.#zonesOf(scope),
      now,
      (confirmation) => emit({ kind: 'confirmed', token, confirmation }),
    );
  }

  /** After each batch: who waited for something that came may go on. */
  look(now: Instant): void {
    this.#waiters.look(now.monoMs);
    this.forwarding.look(now);
    this.confirming.look(now);
  }

  tick(now: Instant): void {
    this.forwarding.tick(now);
    this.confirming.tick(now);
    this.calls.tick(now);
  }

  /** The zones whose owners must be asked for a read to be consistent, each with its owner. */
  #zonesOf(scope: ConfirmScope): readonly ConfirmedZone[] {
    const { zones } = this.#options.replica;
    switch (scope.kind) {
      case 'key': {
        const zone = zoneOf(zones, scope.key);
        return zone === undefined ? [] : [zone];
      }
      case 'prefix':
        return zonesUnder(zones, scope.prefix);
      case 'catalog':
      case 'sessions': {
        // Every live gateway writes a part of it, under no zone of its own.
        const external = this.#zone(externalNodes) ?? this.#zone('');
        const own = this.#options.live().map((ownerId) => ({ prefix: noZone, ownerId, term: 0 }));
        return external === undefined ? [] : [external, ...own];
      }
    }
  }

  #zone(prefix: string): ZoneValue | undefined {
    return this.#options.replica.zones.find((zone) => zone.prefix === prefix);
  }

  /** Why this gateway does not decide for a zone now. */
  #ownProblem(prefix: string): string | undefined {
    if (prefix === noZone) return undefined;
    const { replica, nodeId } = this.#options;
    const zone = this.#zone(prefix);
    if (zone?.ownerId !== nodeId) return 'the zone was given to another gateway';
    return replica.zoneReady(zone) ? undefined : 'its handoff to this gateway is in progress';
  }
}

/** Stands for what a gateway writes as its own, its node and its sessions: no key begins like it in any zone's name. */
const noZone = '\u0000own';
