import type { Dot, OriginId } from '../crdt/dot.ts';
import { contiguousHead, noSeqs } from '../crdt/seq-ranges.ts';
import { unreachable } from '../kernel/assert.ts';
import type { Instant } from '../kernel/instant.ts';
import { Replication, type Peer, type ReplicationEffect } from '../replication/replication.ts';
import type { Command, CommandOutcome } from '../state/command.ts';
import { topic } from '../state/topics.ts';
import type { ZoneValue } from '../state/values.ts';
import { zonesOfPrefix } from '../state/zones.ts';
import type { Member } from '../swim/member.ts';
import { Swim, type SwimEffect } from '../swim/swim.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import { AppliedWaiters } from './applied-waiters.ts';
import { Calls } from './calls.ts';
import { Confirming, type Confirmation } from './confirming.ts';
import { Forwarding, type Owner } from './forwarding.ts';
import type { Effect, Input, MachineOptions } from './machine-port.ts';
import type { Message } from './message.ts';
import type { Replica } from './replica.ts';
import type { LogPosition } from './rpc-messages.ts';

/** Rounds of reactions to reactions in one batch: far above what any chain needs, so that none can hold the loop. */
const roundsMax = 16;

/**
 * One gateway: its membership, its replicated state, and its dealings with owners elsewhere. Inputs go in through
 * `step`, inside a transaction of the store that `endBatch` completes; effects come out of `takeEffects` and are
 * released once that transaction is on disk. So nothing is said that a crash could take back.
 */
export class GatewayMachine {
  readonly replica: Replica;
  readonly swim: Swim;
  readonly replication: Replication;
  readonly forwarding: Forwarding;
  readonly confirming: Confirming;
  readonly calls: Calls;
  readonly #options: MachineOptions;
  readonly #waiters: AppliedWaiters;
  #cluster: string;
  #effects: Effect[] = [];
  #touched = new Set<string>();
  /** Own dots up to this one were handed to replication. */
  #spreadTo: number;
  /** Head of the own log when this process started: what a restored backup wrote since is logged again. */
  readonly #startHead: number;
  #now: Instant;
  #foreign = 0;

  constructor(options: MachineOptions) {
    const { replica, self, cluster, incarnation, known, profile, random, now, holdMs } = options;
    this.#options = options;
    this.replica = replica;
    this.#cluster = cluster;
    this.#now = now;
    this.#startHead = replica.headSeq;
    this.#spreadTo = replica.headSeq;
    this.swim = new Swim({
      ...{ self: { ...self, origin: replica.origin }, cluster, incarnation, known, profile, random },
      nowMs: now.monoMs,
    });
    this.replication = new Replication({
      ...{ log: replica, self: { id: self.id, region: self.region }, random },
      nowMs: now.monoMs,
    });
    this.#waiters = new AppliedWaiters((position) => this.hasUpTo(position));
    const shared = {
      nodeId: self.id,
      waiters: this.#waiters,
      position: () => this.position,
      owner: (nodeId: string) => this.#owner(nodeId),
      send: (to: Endpoint, message: Message) => this.#send(to, 'stream', message),
      holdMs,
    };
    this.forwarding = new Forwarding({
      ...shared,
      view: replica.view,
      decide: (command) => this.#decide(command),
      answer: (token, outcome) => this.#effects.push({ kind: 'answer', token, outcome }),
    });
    this.confirming = new Confirming({ ...shared, ownProblem: (prefix) => this.#ownProblem(prefix) });
    this.calls = new Calls({
      ...{ nodeId: self.id, send: shared.send },
      result: (token, result) => this.#effects.push({ kind: 'call-result', token, result }),
    });
    this.#peersChanged();
    this.#zonesChanged();
  }

  /** 16 hex digits; empty while this gateway belongs to no cluster. */
  get cluster(): string {
    return this.#cluster;
  }

  /** Where this gateway's own log stands. */
  get position(): LogPosition {
    return { origin: this.replica.origin, seq: this.replica.headSeq };
  }

  /** Messages of other clusters since the start. */
  get foreign(): number {
    return this.#foreign;
  }

  /** When to step a `tick` at the latest, on the monotonic clock. */
  get nextTickMs(): number {
    return Math.min(
      this.swim.nextTickMs,
      this.replication.nextTickMs,
      this.forwarding.nextTickMs,
      this.confirming.nextTickMs,
      this.calls.nextTickMs,
      this.#waiters.nextMs,
    );
  }

  /** Whether this replica has all of an origin's log up to a place. */
  hasUpTo({ origin, seq }: LogPosition): boolean {
    if (origin === this.replica.origin) return this.replica.headSeq >= seq;
    return contiguousHead(this.replica.originLog(origin)?.seen ?? noSeqs) >= seq;
  }

  /** Founds a cluster of this gateway alone, if it belongs to none. */
  found(cluster: string, now: Instant): void {
    this.#now = now;
    this.replica.found(now.wallUs, cluster);
    if (this.#cluster === '') this.#join(cluster);
    this.#zonesChanged();
  }

  step(input: Input, now: Instant): void {
    this.#now = now;
    switch (input.kind) {
      case 'command':
        return this.#command(input.token, input.command);
      case 'received':
        return this.#received(input.from, input.cluster, input.messages);
      case 'tick':
        return this.#tick();
      case 'confirm':
        return this.#confirm(input.token, input.prefixes);
      case 'join':
        return this.swim.join(input.endpoints, input.token, now.monoMs);
      case 'leave':
        return this.swim.leave(input.token, now.monoMs);
      case 'force-leave': {
        const result = this.swim.forceLeave(input.name, input.prune, now.monoMs);
        this.#effects.push({ kind: 'force-left', token: input.token, result });
        return undefined;
      }
      case 'update-self':
        return this.swim.updateSelf({ ...this.swim.self.facts, tags: input.tags }, now.monoMs);
      case 'call':
        return this.#call(input);
      case 'call-answer':
        return this.calls.reply(input.to, input, input.result);
      default:
        return unreachable(input);
    }
  }

  /** Completes a batch of steps: reactions, and whatever the batch made ready to be sent. Same transaction. */
  endBatch(now: Instant): void {
    this.#now = now;
    for (let round = 0; round < roundsMax; round++) {
      let busy = this.#drainSwim();
      busy = this.#spread() || busy;
      busy = this.#drainReplication() || busy;
      const touched = this.replica.takeTouched();
      for (const name of touched) this.#touched.add(name);
      if (touched.has(topic.zones)) this.#zonesChanged();
      this.#waiters.look(now.monoMs);
      this.forwarding.look();
      if (!busy && touched.size === 0) break;
    }
    this.replica.flush();
  }

  takeEffects(): readonly Effect[] {
    if (this.#effects.length === 0) return none;
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  /** Topics whose watchers must look again. */
  takeTouched(): ReadonlySet<string> {
    if (this.#touched.size === 0) return nothing;
    const touched = this.#touched;
    this.#touched = new Set();
    return touched;
  }

  /** How fresh a zone is here: whether its owner can be reached, and how old the newest proof of having all of it is. */
  freshnessOf(ownerId: string): { readonly reachable: boolean; readonly ageMs: number | undefined } {
    if (ownerId === this.#options.self.id) return { reachable: true, ageMs: 0 };
    const owner = this.#owner(ownerId);
    return {
      reachable: owner?.reachable === true,
      ageMs: this.replication.freshness(ownerId, this.#now)?.ageMs,
    };
  }

  #command(token: number, command: Command): void {
    const outcome = this.#decide(command);
    if (outcome.kind === 'not-owned') this.forwarding.hand(token, command, outcome, this.#now);
    else this.#effects.push({ kind: 'answer', token, outcome });
  }

  #decide(command: Command): CommandOutcome {
    return this.replica.step(command, this.#now.wallUs).outcome;
  }

  #received(from: Endpoint, cluster: string, messages: readonly Message[]): void {
    const foreign = cluster !== this.#cluster;
    for (const message of messages) {
      // A gateway of another cluster, or of none yet, may ask to join: membership looks at the cluster itself.
      if (foreign && message.kind !== 'push-pull' && message.kind !== 'push-pull-reply') {
        this.#foreign += 1;
        continue;
      }
      this.#deliver(from, message);
    }
  }

  #deliver(from: Endpoint, message: Message): void {
    switch (message.kind) {
      case 'forward':
      case 'forward-reply':
        return this.forwarding.receive(from, message, this.#now);
      case 'confirm':
      case 'confirm-reply':
        return this.confirming.receive(from, message);
      case 'call': {
        const { id, service, body } = message;
        this.#effects.push({ kind: 'called', to: from, from: message.from, id, service, body });
        return undefined;
      }
      case 'call-reply':
        return this.calls.settle(message);
      default:
        if (isReplication(message)) return this.replication.receive(from, message, this.#now);
        return this.swim.receive(from, message, this.#now.monoMs);
    }
  }

  #tick(): void {
    const now = this.#now;
    this.swim.tick(now.monoMs);
    this.replication.tick(now);
    this.forwarding.tick(now);
    this.confirming.tick(now);
    this.calls.tick(now);
  }

  #call({ token, to, service, body, waitMs }: Extract<Input, { kind: 'call' }>): void {
    const member = this.swim.memberById(to);
    if (member !== undefined)
      return this.calls.call(token, member.facts.endpoint, service, body, waitMs, this.#now);
    const result: CallResult = { ok: false, error: 'not a member now' };
    this.#effects.push({ kind: 'call-result', token, result });
    return undefined;
  }

  #confirm(token: number, scope: ConfirmScope): void {
    const done = (confirmation: Confirmation): void => {
      this.#effects.push({ kind: 'confirmed', token, confirmation });
    };
    const zones = this.#zonesOf(scope);
    if (zones.length === 0) {
      return done({
        kind: 'unconfirmed',
        zone: '',
        owner: '',
        reason: 'no gateway has founded this datacenter',
      });
    }
    return this.confirming.confirm(zones, this.#now, done);
  }

  /** The zones whose owners must be asked for a read to be consistent, each with its owner. */
  #zonesOf(scope: ConfirmScope): readonly Pick<ZoneValue, 'prefix' | 'ownerId'>[] {
    const { zones } = this.replica;
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
        const root = zoneOf(zones, '');
        const members = this.swim.members().filter(isLive);
        return root === undefined
          ? []
          : [root, ...members.map(({ facts }) => ({ prefix: noZone, ownerId: facts.id }))];
      }
    }
  }

  /** Why this gateway does not decide for a zone now. */
  #ownProblem(prefix: string): string | undefined {
    if (prefix === noZone) return undefined;
    const zone = this.replica.zones.find((each) => each.prefix === prefix);
    if (zone?.ownerId !== this.#options.self.id) return 'the zone was given to another gateway';
    return this.replica.zoneReady(zone) ? undefined : 'its handoff to this gateway is in progress';
  }

  #owner(nodeId: string): Owner | undefined {
    const member = this.swim.memberById(nodeId);
    if (member === undefined) return undefined;
    const { name, endpoint } = member.facts;
    return { name, endpoint, reachable: isLive(member) };
  }

  #send(to: Endpoint, lane: Lane, message: Message, bulk = false): void {
    this.#effects.push({ kind: 'send', to, lane, bulk, message });
  }

  #drainSwim(): boolean {
    const effects = this.swim.takeEffects();
    let changed = false;
    for (const effect of effects) changed = this.#onSwim(effect) || changed;
    if (changed) this.#peersChanged();
    return effects.length > 0;
  }

  /** Answers whether membership changed. */
  #onSwim(effect: SwimEffect): boolean {
    switch (effect.kind) {
      case 'send': {
        this.#send(effect.to, effect.lane, effect.message);
        // Heads ride on what goes to a member anyway.
        if (effect.lane === 'packet' && effect.member !== undefined) {
          const heads = this.replication.headsFor(effect.member, this.#now);
          if (heads !== undefined) this.#send(effect.to, 'packet', heads);
        }
        return false;
      }
      case 'event':
        this.#effects.push({ kind: 'member', event: effect });
        for (const command of this.#options.reactions?.(effect, this) ?? []) this.#decide(command);
        return true;
      case 'persist':
        this.replica.setMeta('members', packMembers(effect));
        return false;
      case 'cluster':
        this.#joinCluster(effect.id);
        return false;
      default:
        this.#effects.push(effect);
        return false;
    }
  }

  #joinCluster(id: string): void {
    this.#cluster = id;
    this.replica.setMeta('cluster', id);
    this.#effects.push({ kind: 'cluster', id });
  }

  /** Own dots that were logged since the last time go to everybody. */
  #spread(): boolean {
    const { replica } = this;
    if (replica.headSeq <= this.#spreadTo) return false;
    const range = { from: this.#spreadTo + 1, to: replica.headSeq };
    this.#spreadTo = replica.headSeq;
    this.replication.committed(range, this.#now);
    return true;
  }

  #drainReplication(): boolean {
    const effects = this.replication.takeEffects();
    for (const effect of effects) this.#onReplication(effect);
    return effects.length > 0;
  }

  #onReplication(effect: ReplicationEffect): void {
    switch (effect.kind) {
      case 'send':
        return this.#send(effect.to, effect.lane, effect.message, effect.bulk);
      case 'behind':
        return this.#remint(effect.head);
    }
  }

  /** A peer has more of our own log than we do: this database is a restored backup, and its numbers are used up. */
  #remint(known: number): void {
    const { replica } = this;
    const origin = this.#options.newOrigin();
    this.#notice(
      'warn',
      'this database is older than what it wrote before: a restored backup. Going on under a new origin',
      {
        origin: replica.origin,
        head: replica.headSeq,
        known,
        new_origin: origin,
      },
    );
    replica.remint(origin, this.#startHead);
    this.#spreadTo = 0;
    this.swim.updateSelf({ ...this.swim.self.facts, origin }, this.#now.monoMs);
  }

  #peersChanged(): void {
    const peers: Peer[] = [];
    for (const member of this.swim.members()) {
      const { id, name, endpoint, region, origin } = member.facts;
      if (id === this.#options.self.id) continue;
      this.replica.introduce(origin, id);
      const rttMs = this.swim.rttMs(id) ?? this.swim.estimateRttMs(id);
      peers.push({ id, name, endpoint, region, origin, live: isLive(member), rttMs });
    }
    this.replication.setPeers(peers, this.#now);
  }

  #zonesChanged(): void {
    this.replication.zonesChanged(this.#now);
    this.replication.prioritise(new Set(this.replica.zones.map((zone) => zone.ownerId)));
  }

  #notice(
    level: 'info' | 'warn' | 'error',
    text: string,
    facts: Readonly<Record<string, string | number>>,
  ): void {
    this.#effects.push({ kind: 'notice', level, text, facts });
  }
}

/** Stands for what a gateway writes as its own: its node, its sessions. Below every key's prefix there can be. */
const noZone = '\u0000own';

function isLive(member: Member): boolean {
  return member.state === 'alive' || member.state === 'suspect';
}

const none: readonly Effect[] = [];
const nothing: ReadonlySet<string> = new Set();
