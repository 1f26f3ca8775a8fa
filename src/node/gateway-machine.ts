import { unreachable } from '../kernel/assert.ts';
import type { Instant } from '../kernel/instant.ts';
import type { ReplicationEffect } from '../replication/outbox.ts';
import { Replication } from '../replication/replication.ts';
import type { Peer } from '../replication/topology.ts';
import type { Command, CommandOutcome } from '../state/command.ts';
import { topic } from '../state/topics.ts';
import { isLive, type Member } from '../swim/member.ts';
import type { SwimEffect } from '../swim/effects.ts';
import { crossesClusters, type SwimMessage } from '../swim/messages.ts';
import { Swim } from '../swim/swim.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import type { Calls, CallResult } from './calls.ts';
import type { Owner } from './forwarding.ts';
import type { Effect, Input, Lane, MachineOptions, MemberChange, Pool } from './machine-port.ts';
import type { Message } from './message.ts';
import { Questions } from './questions.ts';
import { Rebirth } from './rebirth.ts';
import type { Replica } from './replica.ts';
import { isLogged, Settling } from './settling.ts';
import { WanPool, wanOptions } from './wan-pool.ts';

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
  readonly questions: Questions;
  /** The pool of all datacenters; undefined where this gateway takes no part in it. */
  readonly wan: WanPool | undefined;
  readonly #options: MachineOptions;
  #cluster: string;
  #effects: Effect[] = [];
  #touched = new Set<string>();
  /** Own dots up to this one were handed to replication. */
  #spreadTo: number;
  #now: Instant;
  #foreign = 0;
  #safeStampDueMs: number;
  readonly #settling: Settling;
  readonly #rebirth: Rebirth;

  constructor(options: MachineOptions) {
    const { replica, self, cluster, incarnation, known, profile, random, refuses, now, holdMs } = options;
    this.#options = options;
    this.replica = replica;
    this.#cluster = cluster;
    this.#now = now;
    this.#spreadTo = replica.headSeq;
    this.#settling = new Settling({
      alone: !known.some(isLive),
      startMs: now.monoMs,
      // Of those who do not answer probes either, no answer is waited for.
      isKnown: () => this.replication.isOwnHeadKnown((id) => this.#isAlive(id)),
      isDoubtful: () => this.replication.lacksOwnHeadOf((id) => this.#isAlive(id)),
    });
    replica.quiet = !this.#settling.isOver;
    this.#safeStampDueMs = now.monoMs + safeStampIntervalMs;
    this.swim = new Swim({
      ...{ self: { ...self, origin: replica.origin }, cluster, incarnation, known, profile, random },
      ...(refuses === undefined ? {} : { refuses }),
      nowMs: now.monoMs,
    });
    this.replication = new Replication({
      ...{ log: replica, self: { id: self.id, region: self.region }, random },
      nowMs: now.monoMs,
      safeStamp: Number(replica.getMeta(safeStampName) ?? 0),
      startStamp: replica.stampNow(now),
    });
    this.questions = new Questions({
      ...{ nodeId: self.id, replica, holdMs },
      owner: (nodeId) => this.#owner(nodeId),
      live: () => this.swim.members().flatMap((member) => (isLive(member) ? [member.facts.id] : [])),
      decide: (command) => this.#decide(command),
      send: (to, body) => this.#send(to, 'stream', { family: 'rpc', body }),
      emit: (effect) => this.#effects.push(effect),
    });
    this.wan =
      options.wan === undefined
        ? undefined
        : new WanPool(wanOptions(options, options.wan), (effect) => this.#effects.push(effect));
    this.#rebirth = new Rebirth({
      ...{ replica, replication: this.replication, swim: this.swim, settling: this.#settling },
      newOrigin: options.newOrigin,
      warn: (text, facts) => this.#effects.push({ kind: 'notice', level: 'warn', text, facts }),
    });
    for (const member of this.swim.members()) if (member.facts.id !== self.id) this.#peerChanged(member);
    this.#zonesChanged();
  }

  /** 16 hex digits; empty while this gateway belongs to no cluster. */
  get cluster(): string {
    return this.#cluster;
  }

  get nodeId(): string {
    return this.#options.self.id;
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
      this.questions.nextTickMs,
      this.#settling.nextMs,
      this.wan?.nextTickMs ?? Infinity,
    );
  }

  /** Founds a cluster of this gateway alone, if it belongs to none. */
  found(cluster: string, now: Instant): void {
    this.#now = now;
    this.replica.found(now.wallUs, cluster);
    this.swim.found(this.replica.cluster);
    if (this.#cluster === '') this.#joinCluster(this.replica.cluster);
    this.#zonesChanged();
  }

  step(input: Input, now: Instant): void {
    this.#now = now;
    switch (input.kind) {
      case 'command':
        return this.#command(input.token, input.command);
      case 'received':
        return this.#received(input);
      case 'tick':
        return this.#tick();
      case 'confirm':
        return this.questions.confirm(input.token, input.scope, now);
      case 'join':
        return this.#joinPool(input);
      case 'leave':
        return this.swim.leave(input.token, now.monoMs);
      case 'force-leave': {
        const result = this.swim.forceLeave(input.name, input.prune, now.monoMs);
        // As Consul's, it goes from the pool of all datacenters too.
        this.wan?.swim.forceLeave(`${input.name}.${this.#options.self.datacenter}`, input.prune, now.monoMs);
        this.#effects.push({ kind: 'force-left', token: input.token, result });
        return undefined;
      }
      case 'update-self':
        return this.swim.updateSelf({ ...this.swim.self.facts, tags: input.tags }, now.monoMs);
      case 'lost':
        return this.#poolSwim(input.pool)?.undeliverable(input.to, input.reason, now.monoMs);
      case 'call':
        return this.#call(input);
      case 'call-answer':
        return this.#poolCalls(input.pool)?.reply(input.to, input, input.result);
      default:
        return unreachable(input);
    }
  }

  /** Completes a batch of steps: reactions, and whatever the batch made ready to be sent. Same transaction. */
  endBatch(now: Instant): void {
    this.#now = now;
    for (let round = 0; round < roundsMax; round++) {
      let busy = this.#drainSwim();
      busy = this.wan?.drain() === true || busy;
      // First: where a backup was restored, what was logged just now must not be told under numbers that are used up.
      busy = this.#drainReplication() || busy;
      busy = this.#spread() || busy;
      busy = this.#drainReplication() || busy;
      const touched = this.replica.takeTouched();
      for (const name of touched) this.#touched.add(name);
      if (touched.has(topic.zones)) this.#zonesChanged();
      busy = this.#settle() || busy;
      this.questions.look(now);
      if (!busy && touched.size === 0) break;
    }
    this.#keepSafeStamp();
    this.replica.flush();
  }

  /** What may be logged of its own accord is made up for as soon as anything may. */
  #settle(): boolean {
    const end = this.#settling.look(this.#now);
    if (end === undefined) return false;
    if (end === 'doubtful') {
      this.#rebirth.doubtful(this.#now);
      this.#spreadTo = 0;
    }
    this.replica.quiet = false;
    this.replica.settle(this.#now);
    return true;
  }

  #isAlive(nodeId: string): boolean {
    return this.swim.memberById(nodeId)?.state === 'alive';
  }

  /** How far this replica surely had everything: what the next run on this database may rely on. */
  #keepSafeStamp(): void {
    if (this.#now.monoMs < this.#safeStampDueMs) return;
    this.#safeStampDueMs = this.#now.monoMs + safeStampIntervalMs;
    const stamp = this.replication.safeStamp(this.#now);
    if (stamp > 0) this.replica.setMeta(safeStampName, String(stamp));
  }

  /** Every member that is not forgotten has seen all up to this stamp; undefined: there is nobody else. */
  stableStamp(now: Instant): number | undefined {
    return this.swim.members().length > 1 ? this.replication.stableStamp(now) : undefined;
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

  /** How old the newest proof is that all is here that a gateway wrote; undefined: never since the start. */
  ageMs(nodeId: string, now: Instant): number | undefined {
    return nodeId === this.nodeId ? 0 : this.replication.freshness(nodeId, now)?.ageMs;
  }

  /** Whether a gateway could be asked now. */
  isReachable(nodeId: string): boolean {
    return nodeId === this.nodeId || this.#owner(nodeId)?.reachable === true;
  }

  #command(token: number, command: Command): void {
    const outcome = this.#decide(command);
    if (outcome.kind === 'not-owned') this.questions.forwarding.hand(token, command, outcome, this.#now);
    else this.#effects.push({ kind: 'answer', token, outcome });
  }

  #decide(command: Command): CommandOutcome {
    if (!this.#settling.isOver && isLogged(command)) {
      const reason = 'it has just started, and asks the others first how far its own log goes';
      return { kind: 'not-owned', zone: '', owner: this.nodeId, reason };
    }
    return this.replica.step(command, this.#now.wallUs).outcome;
  }

  #received({ pool, from, cluster, messages }: Extract<Input, { kind: 'received' }>): void {
    if (pool === 'lan') this.#settling.heard();
    const foreign = pool === 'lan' && cluster !== this.#cluster;
    for (const message of messages) {
      if (pool === 'wan') this.wan?.receive(from, message, this.#now);
      // A gateway of another cluster, or of none yet, may ask to join: membership looks at the cluster itself.
      else if (foreign && !(message.family === 'swim' && crossesClusters(message.body))) this.#foreign += 1;
      else this.#deliver(from, message);
    }
  }

  #poolSwim(pool: Pool): Swim | undefined {
    return pool === 'lan' ? this.swim : this.wan?.swim;
  }

  #poolCalls(pool: Pool): Calls | undefined {
    return pool === 'lan' ? this.questions.calls : this.wan?.calls;
  }

  #joinPool({ pool, endpoints, token }: Extract<Input, { kind: 'join' }>): void {
    const swim = this.#poolSwim(pool);
    if (swim !== undefined) return swim.join(endpoints, token, this.#now.monoMs);
    const reason = 'this gateway takes no part in the WAN pool (ports.serf_wan)';
    const failures = endpoints.map((endpoint) => ({ endpoint, reason }));
    this.#effects.push({ kind: 'joined', token, count: 0, failures });
    return undefined;
  }

  #deliver(from: Endpoint, message: Message): void {
    switch (message.family) {
      case 'swim':
        return this.swim.receive(from, message.body, this.#now.monoMs);
      case 'replication':
        return this.replication.receive(from, message.body, this.#now);
      case 'rpc':
        return this.questions.receive(from, message.body, this.#now);
    }
  }

  #tick(): void {
    const now = this.#now;
    this.swim.tick(now.monoMs);
    this.replication.tick(now);
    this.questions.tick(now);
    this.wan?.tick(now);
  }

  #call({ token, pool, to, service, body, waitMs }: Extract<Input, { kind: 'call' }>): void {
    const member = this.#poolSwim(pool)?.memberById(to);
    if (member !== undefined) {
      const { endpoint } = member.facts;
      return this.#poolCalls(pool)?.call(token, endpoint, service, body, waitMs, this.#now);
    }
    const result: CallResult = { ok: false, error: 'not a member now' };
    this.#effects.push({ kind: 'call-result', token, result });
    return undefined;
  }

  #owner(nodeId: string): Owner | undefined {
    const member = this.swim.memberById(nodeId);
    if (member === undefined) return undefined;
    const { name, endpoint } = member.facts;
    return { name, endpoint, reachable: isLive(member) };
  }

  #send(to: Endpoint, lane: Lane, message: Message, bulk = false): void {
    this.#effects.push({ kind: 'send', pool: 'lan', to, lane, bulk, message });
  }

  #drainSwim(): boolean {
    const effects = this.swim.takeEffects();
    for (const effect of effects) this.#onSwim(effect);
    return effects.length > 0;
  }

  #onSwim(effect: SwimEffect): void {
    switch (effect.kind) {
      case 'send':
        this.#send(effect.to, effect.lane, { family: 'swim', body: effect.message });
        if (effect.lane === 'packet') this.#sendHeads(effect.to, effect.message);
        return;
      case 'event':
        this.#memberChanged(effect);
        return;
      case 'persist':
        this.#options.persist(effect);
        return;
      case 'cluster':
        this.#joinCluster(effect.id);
        return;
      case 'join-result': {
        const { token, joined, failures } = effect;
        this.#effects.push({ kind: 'joined', token, count: joined, failures });
        return;
      }
      case 'left':
        this.#effects.push(effect);
        return;
      case 'conflict':
      case 'refused':
        this.#effects.push({ ...effect, pool: 'lan' });
    }
  }

  #memberChanged(change: MemberChange): void {
    this.#effects.push({ kind: 'member', pool: 'lan', change });
    const { event, member } = change;
    if (event === 'suspect' || member.facts.id === this.nodeId) return;
    if (event === 'forgotten') this.replication.forgetPeer(member.facts.id);
    else this.#peerChanged(member);
    for (const command of this.#options.reactions?.(change) ?? []) this.#decide(command);
    this.#prioritise();
  }

  /** Heads ride on the probes that go out anyway. */
  #sendHeads(to: Endpoint, message: SwimMessage): void {
    if (message.kind !== 'ping' && message.kind !== 'ack') return;
    const peer = message.kind === 'ping' ? message.target : this.swim.memberAt(to)?.facts.id;
    if (peer === undefined) return;
    const body = this.replication.headsFor({ id: peer }, headsBytesMax, this.#now);
    if (body !== undefined) this.#send(to, 'packet', { family: 'replication', body });
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
        return this.#send(
          effect.to,
          effect.lane,
          { family: 'replication', body: effect.message },
          effect.bulk,
        );
      case 'behind':
        this.#rebirth.behind(effect.head, this.#now);
        this.#spreadTo = 0;
    }
  }

  #peerChanged(member: Member): void {
    const { id, name, endpoint, region, origin } = member.facts;
    this.replica.introduce(origin, id);
    const rttMs = this.swim.rttMs(id) ?? this.swim.estimateRttMs(id) ?? rttMsUnknown;
    const peer: Peer = { id, name, endpoint, region, origin, live: isLive(member), rttMs };
    this.replication.setPeer(peer, this.#now);
  }

  #zonesChanged(): void {
    this.replication.zonesChanged(this.#now);
    this.#prioritise();
  }

  /** The owners of zones are whom most reads depend on: how fresh they are is told first. */
  #prioritise(): void {
    this.replication.prioritise(new Set(this.replica.zones.map((zone) => zone.ownerId)));
  }
}

/** Of a member that nobody measured yet: it is as far as anything on Earth. */
const rttMsUnknown = 300;

/** Rather seldom: what it saves is whole state instead of a delta after a long absence. */
const safeStampIntervalMs = 30_000;
const safeStampName = 'safe-stamp';

/** Bytes of heads beside one probe: with it in one packet, and little enough that idle gateways stay quiet. */
const headsBytesMax = 500;

const none: readonly Effect[] = [];
const nothing: ReadonlySet<string> = new Set();
