import type { Instant } from '../kernel/instant.ts';
import type { MemberFacts } from '../swim/member.ts';
import type { SwimProfile } from '../swim/profile.ts';
import { Swim } from '../swim/swim.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import { Calls } from './calls.ts';
import type { Effect, MachineOptions } from './machine-port.ts';
import type { Message } from './message.ts';

export interface WanPoolOptions {
  /** As in the datacenter's own pool, but for its name (`node.datacenter`) and endpoint. */
  readonly self: MemberFacts;
  readonly incarnation: number;
  readonly profile: SwimProfile;
  readonly random: () => number;
  readonly now: Instant;
}

/**
 * The pool in which datacenters meet, as Consul's servers do: membership and questions, no state. Its gateways belong
 * to different clusters, so its packets carry none.
 */
export class WanPool {
  readonly swim: Swim;
  readonly calls: Calls;
  readonly #emit: (effect: Effect) => void;

  constructor({ self, incarnation, profile, random, now }: WanPoolOptions, emit: (effect: Effect) => void) {
    this.#emit = emit;
    this.swim = new Swim({ self, incarnation, known: [], cluster: '', profile, random, nowMs: now.monoMs });
    this.calls = new Calls({
      nodeId: self.id,
      send: (to, body) =>
        emit({
          kind: 'send',
          pool: 'wan',
          to,
          lane: 'stream',
          bulk: false,
          message: { family: 'rpc', body },
        }),
      result: (token, result) => emit({ kind: 'call-result', token, result }),
    });
  }

  get nextTickMs(): number {
    return Math.min(this.swim.nextTickMs, this.calls.nextTickMs);
  }

  receive(from: Endpoint, message: Message, now: Instant): void {
    if (message.family === 'swim') return this.swim.receive(from, message.body, now.monoMs);
    if (message.family !== 'rpc') return undefined;
    const { body } = message;
    if (body.kind === 'call-reply') return this.calls.settle(body);
    if (body.kind !== 'call') return undefined;
    const { id, service, body: bytes } = body;
    return this.#emit({ kind: 'called', pool: 'wan', to: from, from: body.from, id, service, body: bytes });
  }

  tick(now: Instant): void {
    this.swim.tick(now.monoMs);
    this.calls.tick(now);
  }

  /** Passes on what membership wants done; answers whether there was anything. */
  drain(): boolean {
    const effects = this.swim.takeEffects();
    for (const effect of effects) {
      switch (effect.kind) {
        case 'send': {
          const { to, lane, message } = effect;
          this.#emit({
            kind: 'send',
            pool: 'wan',
            to,
            lane,
            bulk: false,
            message: { family: 'swim', body: message },
          });
          break;
        }
        case 'event':
          this.#emit({ kind: 'member', pool: 'wan', change: effect });
          break;
        case 'join-result':
          this.#emit({
            kind: 'joined',
            token: effect.token,
            count: effect.joined,
            failures: effect.failures,
          });
          break;
        case 'left':
          this.#emit(effect);
          break;
        case 'conflict':
        case 'refused':
          this.#emit({ ...effect, pool: 'wan' });
          break;
        case 'persist':
        case 'cluster':
          // Other datacenters are joined anew, by configuration or by those who are there.
          break;
      }
    }
    return effects.length > 0;
  }
}

/** This gateway as the WAN pool knows it. */
export function wanOptions(
  { self, replica, incarnation, random, now }: MachineOptions,
  { name, endpoint, profile }: NonNullable<MachineOptions['wan']>,
): WanPoolOptions {
  return { self: { ...self, name, endpoint, origin: replica.origin }, incarnation, profile, random, now };
}
