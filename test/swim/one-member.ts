import type { SwimEffect } from '../../src/swim/effects.ts';
import type { PersistedMember } from '../../src/swim/member.ts';
import type { MemberUpdate, SwimMessage } from '../../src/swim/messages.ts';
import { lanProfile } from '../../src/swim/profile.ts';
import type { SwimSetup } from '../../src/swim/setup.ts';
import { Swim } from '../../src/swim/swim.ts';
import { factsOf, idOf, seeded } from './pool.ts';

export type Sent = Extract<SwimEffect, { kind: 'send' }>;

/** One machine (node-1), driven message by message; the others are played by the test. */
export class OneMember {
  readonly swim: Swim;
  nowMs = 1000;
  readonly effects: SwimEffect[] = [];
  sent: Sent[] = [];

  /** Knows node-2 … node-N, all alive at incarnation 1. */
  constructor(members: number, setup: Partial<SwimSetup> = {}) {
    const known: PersistedMember[] = [];
    for (let n = 2; n <= members; n++) {
      known.push({ facts: factsOf(n), state: 'alive', incarnation: 1, factsIncarnation: 1 });
    }
    this.swim = new Swim({
      ...{ self: factsOf(1), incarnation: 0, known, cluster: 'cafe', profile: lanProfile },
      ...{ random: seeded(7), nowMs: this.nowMs, ...setup },
    });
    this.#take();
  }

  /** Ticks whenever it asks for it until then. */
  run(durationMs: number): this {
    const endMs = this.nowMs + durationMs;
    while (this.swim.nextTickMs <= endMs) {
      this.nowMs = Math.max(this.nowMs, this.swim.nextTickMs);
      this.swim.tick(this.nowMs);
      this.#take();
    }
    this.nowMs = endMs;
    return this;
  }

  hear(from: number, message: SwimMessage): this {
    this.swim.receive(factsOf(from).endpoint, message, this.nowMs);
    this.#take();
    return this;
  }

  do(what: (swim: Swim, nowMs: number) => void): this {
    what(this.swim, this.nowMs);
    this.#take();
    return this;
  }

  /** The messages of a kind that were sent since the last look, with where to. */
  take<K extends SwimMessage['kind']>(
    kind: K,
  ): { to: number; lane: string; message: Extract<SwimMessage, { kind: K }> }[] {
    const found = this.sent.filter(({ message }) => message.kind === kind);
    this.sent = this.sent.filter(({ message }) => message.kind !== kind);
    return found.map(({ to, lane, message }) => ({
      to: Number(to.address.split('.').at(-1)),
      lane,
      message: message as Extract<SwimMessage, { kind: K }>,
    }));
  }

  state(n: number): string | undefined {
    return this.swim.memberById(idOf(n))?.state;
  }

  events(): readonly string[] {
    return this.effects.flatMap((effect) =>
      effect.kind === 'event' ? [`${effect.member.facts.name} ${effect.event}`] : [],
    );
  }

  /** Plays the others: whatever is pinged answers at once, but for those left out. */
  answer(...silent: number[]): this {
    for (const { to, message } of this.take('ping'))
      if (!silent.includes(to)) this.hear(to, ack(to, message.seq));
    return this;
  }

  #take(): void {
    const effects = this.swim.takeEffects();
    this.effects.push(...effects);
    for (const effect of effects) if (effect.kind === 'send') this.sent.push(effect);
  }
}

export function ack(
  sender: number,
  seq: number,
  changes: Partial<Extract<SwimMessage, { kind: 'ack' }>> = {},
): SwimMessage {
  return {
    ...{ kind: 'ack', seq, sender: idOf(sender), run: sender, stream: false, relayed: false },
    ...{ coordinate: null, updates: [], ...changes },
  };
}

export function ping(sender: number, updates: readonly MemberUpdate[] = [], target = 1): SwimMessage {
  return {
    ...{ kind: 'ping', seq: 99, sender: idOf(sender), target: idOf(target), stream: false },
    ...{ coordinate: null, updates },
  };
}

export function gossip(sender: number, ...updates: readonly MemberUpdate[]): SwimMessage {
  return { kind: 'gossip', sender: idOf(sender), updates };
}

export function say(
  n: number,
  state: MemberUpdate['state'],
  incarnation: number,
  changes: Partial<MemberUpdate> = {},
): MemberUpdate {
  return {
    ...{ id: idOf(n), state, incarnation, factsIncarnation: 1 },
    ...{ facts: null, by: null, ageMs: 0, ...changes },
  };
}
