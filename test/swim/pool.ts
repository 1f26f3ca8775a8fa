import type { OriginId } from '../../src/crdt/dot.ts';
import type { SwimEffect } from '../../src/swim/effects.ts';
import type { MemberFacts, PersistedMember } from '../../src/swim/member.ts';
import { crossesClusters, swimMessage, type SwimMessage } from '../../src/swim/messages.ts';
import { lanProfile, type SwimProfile } from '../../src/swim/profile.ts';
import { Swim } from '../../src/swim/swim.ts';
import { endpointText, type Endpoint } from '../../src/wire/endpoint.ts';
import { fromBytes, toBytes } from '../../src/wire/schema.ts';

/** Mulberry32: small, and the same on every machine. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function idOf(n: number): string {
  return `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
}

export function factsOf(n: number, changes: Partial<MemberFacts> = {}): MemberFacts {
  return {
    name: `node-${n}`,
    id: idOf(n),
    endpoint: { address: `10.0.${n >> 8}.${n & 255}`, port: 8301 },
    datacenter: 'dc1',
    region: 'r1',
    origin: n.toString(16).padStart(32, '0') as OriginId,
    tags: { role: 'consul', dc: 'dc1' },
    protocolMin: 1,
    protocolMax: 1,
    ...changes,
  };
}

type Event = Extract<SwimEffect, { kind: 'event' }>;

export interface Node {
  readonly facts: MemberFacts;
  swim: Swim;
  up: boolean;
  /** Until when it stands still (SIGSTOP); what comes meanwhile waits. */
  stoppedUntilMs: number;
  readonly events: (Event & { readonly atMs: number })[];
  readonly effects: SwimEffect[];
  disk: { incarnation: number; members: Map<string, PersistedMember>; cluster: string };
}

interface Happening {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** Machines on a virtual network and clock. Every message is encoded and decoded on its way. */
export class Pool {
  nowMs = 1000;
  readonly nodes: Node[] = [];
  readonly random: () => number;
  readonly profile: SwimProfile;
  /** One-way delay. */
  delayMs: (from: Node, to: Node) => number = () => 0.5;
  /** Share of packets lost. */
  loss = 0;
  /** Share of packets that come twice. */
  duplicates = 0;
  /** Whether the network carries from one to the other. */
  carries: (from: Node, to: Node, lane: 'packet' | 'stream') => boolean = () => true;
  packets = 0;
  packetBytesMax = 0;
  bytes = 0;
  /** For large pools: messages travel as objects. */
  encoded = true;
  /** Whether effects and events are kept to be looked at. */
  kept = true;
  readonly #places = new Map<string, Node>();
  #queue: Happening[] = [];
  #order = 0;
  #token = 0;

  constructor(seed: number, profile: SwimProfile = lanProfile) {
    this.random = seeded(seed);
    this.profile = profile;
  }

  /** Adds a gateway that was never there before. */
  add(facts: MemberFacts, cluster = ''): Node {
    const disk = { incarnation: 0, members: new Map<string, PersistedMember>(), cluster };
    const node: Node = {
      facts,
      disk,
      swim: this.#machine(facts, disk),
      up: true,
      stoppedUntilMs: 0,
      events: [],
      effects: [],
    };
    this.nodes.push(node);
    this.#places.set(endpointText(facts.endpoint), node);
    this.#settle(node);
    return node;
  }

  /** A pool of `size`, all joined through the first, that has come to rest. */
  static of(size: number, seed: number, profile: SwimProfile = lanProfile): Pool {
    const pool = new Pool(seed, profile);
    pool.add(factsOf(1), 'cafe');
    for (let n = 2; n <= size; n++) pool.join(pool.add(factsOf(n)), pool.nodes[0] as Node);
    pool.run(20_000);
    for (const node of pool.nodes) node.events.length = 0;
    return pool;
  }

  node(n: number): Node {
    return this.nodes[n] as Node;
  }

  join(node: Node, ...to: readonly Node[]): number {
    this.#token += 1;
    node.swim.join(
      to.map((each) => each.swim.self.facts.endpoint),
      this.#token,
      this.nowMs,
    );
    this.#settle(node);
    return this.#token;
  }

  /** Calls something of a machine. */
  tell(node: Node, what: (swim: Swim, nowMs: number) => void): void {
    what(node.swim, this.nowMs);
    this.#settle(node);
  }

  crash(node: Node): void {
    node.up = false;
  }

  /** Starts it again with what is on its disk. */
  restart(node: Node, facts: MemberFacts = node.facts): void {
    node.swim = this.#machine(facts, node.disk);
    node.up = true;
    node.events.length = 0;
    this.#places.set(endpointText(facts.endpoint), node);
    this.#settle(node);
  }

  stopFor(node: Node, durationMs: number): void {
    node.stoppedUntilMs = this.nowMs + durationMs;
    this.#at(node.stoppedUntilMs, () => this.#arm(node));
  }

  run(durationMs: number): void {
    const endMs = this.nowMs + durationMs;
    for (;;) {
      const next = this.#queue[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#pop();
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
    }
    this.nowMs = endMs;
  }

  /** Runs until it holds; false when it does not within the time. */
  runUntil(holds: () => boolean, limitMs: number): boolean {
    const endMs = this.nowMs + limitMs;
    while (!holds()) {
      if (this.nowMs >= endMs) return false;
      this.run(20);
    }
    return true;
  }

  /** How each sees each, of those up: `A:alive …`. */
  views(): readonly string[] {
    return this.nodes
      .filter((node) => node.up)
      .map((node) =>
        node.swim
          .members()
          .map((m) => `${m.facts.name}:${m.state}:${m.incarnation}`)
          .join(' '),
      );
  }

  agreed(): boolean {
    const up = this.nodes.filter((node) => node.up);
    return new Set(up.map((node) => node.swim.digest())).size === 1;
  }

  stateOf(seenBy: Node, of: Node): string | undefined {
    return seenBy.swim.memberById(of.facts.id)?.state;
  }

  events(...kinds: readonly Event['event'][]): readonly string[] {
    return this.nodes.flatMap((node) =>
      node.events
        .filter(({ event }) => kinds.includes(event))
        .map(({ event, member }) => `${node.facts.name} sees ${member.facts.name} ${event}`),
    );
  }

  #machine(self: MemberFacts, disk: Node['disk']): Swim {
    return new Swim({
      self,
      incarnation: disk.incarnation,
      known: [...disk.members.values()],
      cluster: disk.cluster,
      profile: this.profile,
      random: this.random,
      nowMs: this.nowMs,
    });
  }

  #settle(node: Node): void {
    for (const effect of node.swim.takeEffects()) {
      if (this.kept) node.effects.push(effect);
      if (effect.kind === 'send') this.#send(node, effect.to, effect.lane, effect.message);
      else if (effect.kind === 'event') {
        if (this.kept) node.events.push({ ...effect, atMs: this.nowMs });
      } else if (effect.kind === 'cluster') node.disk.cluster = effect.id;
      else if (effect.kind === 'persist') {
        node.disk.incarnation = effect.incarnation;
        for (const id of effect.remove) node.disk.members.delete(id);
        for (const member of effect.put) node.disk.members.set(member.facts.id, member);
      }
    }
    this.#arm(node);
  }

  #arm(node: Node): void {
    const { swim } = node;
    const dueMs = Math.max(swim.nextTickMs, node.stoppedUntilMs, this.nowMs);
    if (dueMs === Infinity) return;
    this.#at(dueMs, () => {
      if (!node.up || node.swim !== swim || swim.nextTickMs > this.nowMs) return;
      if (node.stoppedUntilMs > this.nowMs) return;
      swim.tick(this.nowMs);
      this.#settle(node);
    });
  }

  #send(from: Node, to: Endpoint, lane: 'packet' | 'stream', message: SwimMessage): void {
    const bytes = this.encoded ? toBytes(swimMessage, message) : message;
    if (bytes instanceof Uint8Array) this.bytes += bytes.length;
    if (lane === 'packet') {
      this.packets += 1;
      if (bytes instanceof Uint8Array) this.packetBytesMax = Math.max(this.packetBytesMax, bytes.length);
      if (this.random() < this.loss) return;
    }
    const target = this.#places.get(endpointText(to));
    if (!target?.up || !this.carries(from, target, lane)) return;
    const { cluster } = from.disk;
    const source = from.swim.self.facts.endpoint;
    const copies = lane === 'packet' && this.random() < this.duplicates ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const delayMs = this.delayMs(from, target) * (1 + 0.1 * this.random()) * (lane === 'stream' ? 2 : 1);
      this.#deliver(this.nowMs + delayMs, source, cluster, target, bytes);
    }
  }

  #deliver(
    atMs: number,
    from: Endpoint,
    cluster: string,
    target: Node,
    sent: Uint8Array | SwimMessage,
  ): void {
    this.#at(atMs, () => {
      if (!target.up) return;
      if (target.stoppedUntilMs > this.nowMs) {
        this.#deliver(target.stoppedUntilMs + 0.01, from, cluster, target, sent);
        return;
      }
      const message = sent instanceof Uint8Array ? fromBytes(swimMessage, sent, 'message') : sent;
      if (cluster !== target.disk.cluster && !crossesClusters(message)) return;
      target.swim.receive(from, message, this.nowMs);
      this.#settle(target);
    });
  }

  #at(atMs: number, run: () => void): void {
    this.#order += 1;
    const happening: Happening = { atMs, order: this.#order, run };
    const queue = this.#queue;
    let i = queue.push(happening) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (before(queue[parent] as Happening, happening)) break;
      queue[i] = queue[parent] as Happening;
      i = parent;
    }
    queue[i] = happening;
  }

  #pop(): void {
    const queue = this.#queue;
    const last = queue.pop() as Happening;
    if (queue.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= queue.length) break;
      if (child + 1 < queue.length && before(queue[child + 1] as Happening, queue[child] as Happening))
        child += 1;
      if (before(last, queue[child] as Happening)) break;
      queue[i] = queue[child] as Happening;
      i = child;
    }
    queue[i] = last;
  }
}

function before(a: Happening, b: Happening): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}
