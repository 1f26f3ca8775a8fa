import { sameEndpoint, type Endpoint } from '../wire/endpoint.ts';
import { Company } from './company.ts';
import type { Coordinate } from './coordinates.ts';
import { SwimCore } from './core.ts';
import type { SwimEffect, SwimStats } from './effects.ts';
import type { Member, MemberFacts } from './member.ts';
import type { MemberUpdate, SwimMessage } from './messages.ts';
import { Prober } from './prober.ts';
import { startReaping } from './reaper.ts';
import type { SwimSetup } from './setup.ts';
import { Syncer } from './syncer.ts';
import type { Timer } from './timers.ts';

/** A call that comes later than its time by more than this was kept waiting: the process was stopped, or choked. */
const latenessMs = 150;
/** After such a stop the world may have changed: it is asked. */
const longPauseMs = 3000;

/**
 * Membership of one pool, as one member runs it: SWIM (Das et al., 2002) with Serf's goodbyes and Lifeguard. A
 * machine: calls and messages in, effects out; it has no clock, no socket and no chance of its own. All times are
 * monotonic milliseconds of one clock and never fall.
 */
export class Swim {
  readonly #core: SwimCore;
  readonly #prober: Prober;
  readonly #syncer: Syncer;
  readonly #company: Company;
  #gossipTimer: Timer | null = null;
  /** Who waits for the goodbye. */
  #leaving: number[] = [];
  /** Not again before this. */
  #gossipMs = -Infinity;

  constructor(setup: SwimSetup) {
    const core = new SwimCore(setup);
    this.#core = core;
    this.#prober = new Prober(core);
    this.#syncer = new Syncer(core, this.#prober);
    this.#company = new Company(core, this.#syncer);
    core.onGossip = () => this.#armGossip();
    core.onNeedSync = () => this.#company.soon(1000);
    core.onDisputed = () => this.#company.soon(1000);
    core.onReturned = ({ facts }) => this.#company.welcome(facts.endpoint);
    core.onNews = () => this.#company.verify();
    this.#company.onStandDown = () => this.#leave(null);
    this.#prober.start();
    this.#company.start();
    startReaping(core);
    this.#armGossip();
  }

  /** A message of this pool; `from` is where an answer goes. */
  receive(from: Endpoint, message: SwimMessage, nowMs: number): void {
    this.#advance(nowMs);
    if (this.#core.stopped) return;
    switch (message.kind) {
      case 'ping':
        this.#heard(from, message.sender, message.updates);
        return this.#prober.onPing(from, message);
      case 'ack':
        this.#heard(from, message.sender, message.updates);
        if (!this.#syncer.onAck(message.seq, message.run)) this.#prober.onAck(message);
        return;
      case 'ping-req':
        return this.#prober.onPingReq(from, message);
      case 'nack':
        return this.#prober.onNack(message.seq);
      case 'gossip':
        return this.#heard(from, message.sender, message.updates);
      case 'push-pull':
        return this.#syncer.onPushPull(from, message);
      case 'push-pull-reply':
        return this.#syncer.onReply(message);
      case 'refusal':
        return this.#syncer.onRefusal(message);
      case 'summary':
        return this.#syncer.onSummary(from, message);
      case 'want':
        return this.#syncer.onWant(from, message.ids);
      case 'members':
        return this.#syncer.onMembers(message.sender, message.updates);
    }
  }

  tick(nowMs: number): void {
    this.#advance(nowMs);
    const { timers, roster, stopped } = this.#core;
    if (stopped) return;
    timers.runDue(this.#core.nowMs);
    if (roster.liveCount <= 1 && roster.failedCount > 0) this.#company.reach();
  }

  /** When `tick` is due; Infinity: never. */
  get nextTickMs(): number {
    return this.#core.timers.nextMs + this.#core.pausedMs;
  }

  /** The stream to there could not be opened or broke: who waits for an answer from there is told at once. */
  undeliverable(to: Endpoint, reason: string, nowMs: number): void {
    this.#advance(nowMs);
    this.#syncer.undeliverable(to, reason);
  }

  /** Ends in `join-result` with the same token, within the profile's time for a stream. */
  join(endpoints: readonly Endpoint[], token: number, nowMs: number): void {
    this.#advance(nowMs);
    if (this.#core.stopped) {
      const failures = endpoints.map((endpoint) => ({ endpoint, reason: 'this gateway has left' }));
      this.#core.effect({ kind: 'join-result', token, joined: 0, failures });
    } else this.#company.join(endpoints, token);
  }

  /** Says goodbye; ends in `left` with the same token, and nothing is answered any more. */
  leave(token: number, nowMs: number): void {
    this.#advance(nowMs);
    this.#leave(token);
  }

  /**
   * Who failed becomes left (Serf's RemoveFailedNode), with `prune` is forgotten by all, also when it had left. A
   * suspect becomes so once it would have failed. Who lives stays.
   */
  forceLeave(name: string, prune: boolean, nowMs: number): 'done' | 'unknown' {
    this.#advance(nowMs);
    const member = this.member(name);
    if (member === undefined) return 'unknown';
    this.#core.forceOut(member.facts.id, prune);
    return 'done';
  }

  /** Says something else of itself from now on. The id stays. */
  updateSelf(facts: MemberFacts, nowMs: number): void {
    this.#advance(nowMs);
    if (!this.#core.leaving) this.#core.updateSelf(facts);
  }

  takeEffects(): readonly SwimEffect[] {
    return this.#core.takeEffects();
  }

  // ---- looked at ----

  /** By name. Those that failed or left too, until they are forgotten; the same list while nothing changes. */
  members(): readonly Member[] {
    return this.#core.roster.sorted();
  }

  get self(): Member {
    return this.#core.self;
  }

  /** Alive or suspect, this one included. */
  liveCount(): number {
    return this.#core.roster.liveCount;
  }

  member(name: string): Member | undefined {
    return this.#core.roster.byName(name.toLowerCase());
  }

  memberById(id: string): Member | undefined {
    return this.#core.roster.get(id);
  }

  memberAt(endpoint: Endpoint): Member | undefined {
    for (const member of this.#core.roster.all())
      if (sameEndpoint(member.facts.endpoint, endpoint)) return member;
    return undefined;
  }

  /** This gateway founded a cluster, and takes others into it from now on. No-op when it belongs to one. */
  found(cluster: string): void {
    if (this.#core.cluster === '') this.#core.cluster = cluster;
  }

  /** Empty while it belongs to none. */
  cluster(): string {
    return this.#core.cluster;
  }

  /** Same digest, same membership. */
  digest(): number {
    return this.#core.roster.digest;
  }

  coordinate(): Coordinate {
    return this.#core.distances.coordinate;
  }

  /** The last one heard of, by name. */
  coordinateOf(name: string): Coordinate | undefined {
    const member = this.member(name);
    if (member === undefined) return undefined;
    const { id } = member.facts;
    return id === this.#core.selfId ? this.coordinate() : this.#core.distances.placeOf(id);
  }

  /** Smoothed measured round trip, of those that were probed. */
  rttMs(id: string): number | undefined {
    return this.#core.distances.roundTrip(id)?.smoothedMs;
  }

  /** By coordinates. */
  estimateRttMs(id: string): number | undefined {
    return this.#core.distances.estimateMs(id);
  }

  stats(): SwimStats {
    const { counters, broadcasts, awareness, distances } = this.#core;
    return {
      ...counters,
      dropped: counters.dropped + broadcasts.overflowed,
      coordinatesRejected: distances.rejected,
      coordinateResets: distances.resets,
      queue: broadcasts.size,
      health: awareness.score,
    };
  }

  // ---- inside ----

  /**
   * Takes the time. Called later than was asked for, the process was stopped for the difference: nobody else is to
   * blame for what was not answered meanwhile, so that time does not count.
   */
  #advance(nowMs: number): void {
    const core = this.#core;
    const lateMs = nowMs - this.nextTickMs;
    if (lateMs > latenessMs) {
      core.pausedMs += lateMs;
      core.counters.pauses += 1;
      if (lateMs > longPauseMs) {
        core.awareness.add(1);
        this.#company.soon(100);
      }
    }
    // What is due is due, whatever the sums round to.
    const dueMs = this.nextTickMs <= nowMs ? core.timers.nextMs : -Infinity;
    core.nowMs = Math.max(core.nowMs, nowMs - core.pausedMs, dueMs);
  }

  #heard(from: Endpoint, sender: string, updates: readonly MemberUpdate[]): void {
    const core = this.#core;
    for (const update of updates) core.apply(update, 'gossip', sender);
    if (core.roster.get(sender) !== undefined || core.roster.pruned().has(sender)) return;
    core.counters.unknownUpdates += 1;
    this.#company.meet(from);
  }

  #armGossip(): void {
    const core = this.#core;
    if (this.#gossipTimer !== null || core.stopped) return;
    this.#gossipTimer = core.timers.at(Math.max(core.nowMs, this.#gossipMs), () => {
      this.#gossipTimer = null;
      const { gossipIntervalMs, probeIntervalMs } = core.profile;
      this.#gossipMs = core.nowMs + (this.#prober.gossip() ? gossipIntervalMs : probeIntervalMs);
      if (core.broadcasts.size > 0) this.#armGossip();
    });
  }

  #leave(token: number | null): void {
    const core = this.#core;
    if (token !== null) this.#leaving.push(token);
    const end = (): void => {
      if (!core.stopped) {
        core.stop();
        this.#syncer.abandon('this gateway has left');
      }
      for (const each of this.#leaving.splice(0)) core.effect({ kind: 'left', token: each });
    };
    if (core.stopped) return end();
    if (core.leaving) return;
    const { leaveTimeoutMs, leavePropagateMs } = core.profile;
    core.leave(() => core.timers.at(core.nowMs + leavePropagateMs, end));
    if (core.roster.liveCount === 0) end();
    else core.timers.at(core.nowMs + leaveTimeoutMs, end);
  }
}
