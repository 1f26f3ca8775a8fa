import type { Endpoint } from '../wire/endpoint.ts';
import type { SwimCore } from './core.ts';
import { isLive, type Member } from './member.ts';
import { gossipBytes, pingBytes, type SwimMessage } from './messages.ts';
import type { Timer } from './timers.ts';

type Ack = Extract<SwimMessage, { kind: 'ack' }>;
type Ping = Extract<SwimMessage, { kind: 'ping' }>;
type PingReq = Extract<SwimMessage, { kind: 'ping-req' }>;

interface Probe {
  readonly member: Member;
  readonly sentMs: number;
  /** The core's pauses so far: a round trip during which this process stood still says nothing. */
  readonly pausedMs: number;
  /** `over`: given up; a late answer still tells the distance. `call`: of a failed member, nobody is blamed. */
  phase: 'direct' | 'indirect' | 'over' | 'call';
  helpers: number;
  nacks: number;
  timer: Timer;
}

interface Relay {
  readonly seq: number;
  readonly requester: Endpoint;
  readonly target: string;
}

/** Asked to ping at once, at most. */
const relaysMax = 1024;
const callsMax = 256;
/** How long a late answer is waited for after it was given up. */
const lateMs = 10_000;
/** Somebody never measured may be at the other end of the world: so many times the profile's timeout. */
const strangerFactor = 3;
/** Who failed longer ago than this is called once in a reconnect interval only. */
const recentlyFailedMs = 600_000;

/** Asks one member after another whether it is there (SWIM §3.1, with Lifeguard's nacks and memberlist's stream ping). */
export class Prober {
  readonly #core: SwimCore;
  readonly #probes = new Map<number, Probe>();
  readonly #relays = new Map<number, Relay>();
  /** Since the last probe. */
  #rounds = 0;

  constructor(core: SwimCore) {
    this.#core = core;
  }

  start(): void {
    const core = this.#core;
    core.timers.at(core.nowMs + core.random() * core.profile.probeIntervalMs, () => this.#round());
  }

  #round(): void {
    const core = this.#core;
    core.timers.at(core.nowMs + core.profile.probeIntervalMs, () => this.#round());
    this.#callFailed();
    // Who is not well itself asks less often.
    this.#rounds += 1;
    if (this.#rounds <= core.awareness.score) return;
    this.#rounds = 0;
    const target = core.roster.nextToProbe(core.random);
    if (target !== undefined) this.probe(target);
  }

  probe(member: Member): void {
    const core = this.#core;
    const seq = core.nextSeq;
    core.counters.probes += 1;
    const probe = this.#track(seq, member, 'direct');
    probe.timer = core.timers.at(core.nowMs + this.directTimeoutMs(member.facts.id), () =>
      this.#indirect(seq, probe),
    );
    this.#ping(seq, member, 'packet');
  }

  /** How long a direct answer may take. */
  directTimeoutMs(id: string): number {
    const core = this.#core;
    const { probeTimeoutMs } = core.profile;
    const measured = core.distances.roundTrip(id);
    const estimated = core.distances.estimateMs(id);
    let timeoutMs = probeTimeoutMs * strangerFactor;
    if (measured !== undefined) timeoutMs = measured.smoothedMs + 4 * measured.variationMs + 50;
    else if (estimated !== undefined && core.distances.coordinate.error < 0.5)
      timeoutMs = 2 * estimated + 100;
    return core.awareness.scale(Math.max(probeTimeoutMs, timeoutMs));
  }

  /** Pings a failed member: if it lives, it hears what is thought of it, and refutes. */
  call(member: Member): void {
    const core = this.#core;
    if (this.#probes.size >= callsMax) return;
    const seq = core.nextSeq;
    const probe = this.#track(seq, member, 'call');
    probe.timer = core.timers.at(core.nowMs + lateMs, () => this.#probes.delete(seq));
    this.#ping(seq, member, 'packet');
  }

  /**
   * Each failed member is called about once per probe interval by the pool as a whole: healing is seen at once, at
   * the price of one small packet. Who is alone calls several.
   */
  #callFailed(): void {
    const core = this.#core;
    const { failedCount, liveCount } = core.roster;
    if (failedCount === 0) return;
    const calls = liveCount <= 1 ? 3 : core.random() < failedCount / liveCount ? 1 : 0;
    for (let i = 0; i < calls; i++) {
      const member = core.roster.pickFailed(core.random);
      if (member === undefined) return;
      const goneMs = core.nowMs - (core.roster.goneSinceMs(member.facts.id) ?? 0);
      const share = core.profile.probeIntervalMs / core.profile.reconnectIntervalMs;
      if (goneMs < recentlyFailedMs || core.random() < share) this.call(member);
    }
  }

  #track(seq: number, member: Member, phase: Probe['phase']): Probe {
    const { nowMs: sentMs, pausedMs } = this.#core;
    const probe: Probe = {
      member,
      sentMs,
      pausedMs,
      phase,
      helpers: 0,
      nacks: 0,
      timer: { atMs: 0, run: null },
    };
    this.#probes.set(seq, probe);
    return probe;
  }

  #ping(seq: number, member: Member, lane: 'packet' | 'stream'): void {
    this.ping(seq, member.facts.id, member.facts.endpoint, lane);
  }

  ping(seq: number, target: string, to: Endpoint, lane: 'packet' | 'stream'): void {
    const core = this.#core;
    const updates = core.piggyback(core.profile.packetBytesMax - pingBytes, core.accusation(target));
    core.send(to, lane, {
      kind: 'ping',
      seq,
      sender: core.selfId,
      target,
      stream: lane === 'stream',
      coordinate: core.distances.coordinate,
      updates,
    });
  }

  #indirect(seq: number, probe: Probe): void {
    const core = this.#core;
    const { id, endpoint } = probe.member.facts;
    probe.phase = 'indirect';
    core.counters.indirectProbes += 1;
    const helpers = this.#helpers(id);
    const farMs = Math.max(
      core.distances.ms(id) ?? 0,
      ...helpers.map((each) => core.distances.ms(each.facts.id) ?? 0),
    );
    const { probeTimeoutMs, probeIntervalMs } = core.profile;
    const spentMs = core.nowMs - probe.sentMs;
    // Two trips one after the other, and as much again for one that is lost and sent again by the stream.
    const waitMs = core.awareness.scale(Math.max(probeTimeoutMs, probeIntervalMs - spentMs, 3 * farMs + 100));
    probe.helpers = helpers.length;
    for (const helper of helpers) {
      const nackAfterMs = Math.max(waitMs / 4, 0.8 * waitMs - (core.distances.ms(helper.facts.id) ?? 0));
      core.send(helper.facts.endpoint, 'packet', {
        kind: 'ping-req',
        seq,
        sender: core.selfId,
        target: id,
        endpoint,
        nackAfterMs: Math.round(Math.min(nackAfterMs, 600_000)),
      });
    }
    this.#ping(seq, probe.member, 'stream');
    probe.timer = core.timers.at(core.nowMs + waitMs, () => this.#fail(seq, probe));
  }

  /** Those near this member or on the way, and one by chance, so that they do not all share one path. */
  #helpers(target: string): readonly Member[] {
    const core = this.#core;
    const { indirectProbes } = core.profile;
    const candidates = core.roster.pick(
      4 * indirectProbes,
      (each) => each.state === 'alive' && each.facts.id !== target,
      core.random,
    );
    if (candidates.length <= indirectProbes) return candidates;
    const { region } = core.self.facts;
    const costs = new Map(
      candidates.map((each) => {
        const { id } = each.facts;
        const first = core.distances.ms(id) ?? (each.facts.region === region ? 1 : 1000);
        return [each, first + (core.distances.betweenMs(id, target) ?? 0)] as const;
      }),
    );
    const [byChance, ...others] = candidates as [Member, ...Member[]];
    const near = others.toSorted((a, b) => (costs.get(a) ?? 0) - (costs.get(b) ?? 0));
    return [byChance, ...near.slice(0, indirectProbes - 1)];
  }

  #fail(seq: number, probe: Probe): void {
    const core = this.#core;
    const { member, helpers, nacks } = probe;
    core.counters.probeFailures += 1;
    core.awareness.add(helpers > 0 ? Math.max(0, helpers - nacks) : 1);
    this.#late(seq, probe);
    core.suspect(member.facts.id, member.incarnation);
  }

  // ---- what comes ----

  onPing(from: Endpoint, { seq, sender, target, stream, coordinate }: Ping): void {
    const core = this.#core;
    if (target !== core.selfId) {
      core.counters.malformed += 1;
      return;
    }
    if (core.roster.get(sender) !== undefined) core.distances.learn(sender, coordinate);
    const updates = core.piggyback(core.profile.packetBytesMax - pingBytes, core.accusation(sender));
    core.send(from, stream ? 'stream' : 'packet', {
      kind: 'ack',
      seq,
      sender: core.selfId,
      run: core.run,
      stream,
      relayed: false,
      coordinate: core.distances.coordinate,
      updates,
    });
  }

  onPingReq(from: Endpoint, { seq, target, endpoint, nackAfterMs }: PingReq): void {
    const core = this.#core;
    if (this.#relays.size >= relaysMax) {
      core.counters.dropped += 1;
      return;
    }
    const own = core.nextSeq;
    this.#relays.set(own, { seq, requester: from, target });
    core.timers.at(core.nowMs + nackAfterMs, () => {
      if (!this.#relays.has(own)) return;
      core.send(from, 'packet', { kind: 'nack', seq, sender: core.selfId });
      // What comes late is still handed on.
      core.timers.at(core.nowMs + nackAfterMs, () => this.#relays.delete(own));
    });
    this.ping(own, target, endpoint, 'packet');
  }

  onNack(seq: number): void {
    const probe = this.#probes.get(seq);
    if (probe !== undefined) probe.nacks = Math.min(probe.helpers, probe.nacks + 1);
  }

  onAck(ack: Ack): void {
    const core = this.#core;
    if (core.roster.get(ack.sender) !== undefined) core.distances.learn(ack.sender, ack.coordinate);
    const relay = this.#relays.get(ack.seq);
    if (relay?.target === ack.sender) {
      this.#relays.delete(ack.seq);
      core.send(relay.requester, 'packet', { ...ack, seq: relay.seq, relayed: true, updates: [] });
      return;
    }
    const probe = this.#probes.get(ack.seq);
    if (probe?.member.facts.id !== ack.sender) return;
    const alone = !ack.relayed && !ack.stream && probe.pausedMs === core.pausedMs;
    if (alone) core.distances.measured(ack.sender, core.nowMs - probe.sentMs, ack.coordinate);
    core.recollection.contact(core.nowMs);
    core.recollection.trust(ack.sender);
    if (probe.phase === 'direct' || probe.phase === 'indirect') {
      core.awareness.add(-1);
      if (ack.stream) core.counters.streamOnly += 1;
    }
    probe.timer.run = null;
    // A packet may come twice: the second belongs to no probe. One that comes behind the answer by another way does:
    // it still tells the distance.
    if (!ack.relayed && !ack.stream) this.#probes.delete(ack.seq);
    else this.#late(ack.seq, probe);
  }

  #late(seq: number, probe: Probe): void {
    probe.phase = 'over';
    probe.timer = this.#core.timers.at(this.#core.nowMs + lateMs, () => this.#probes.delete(seq));
  }

  // ---- what is not asked ----

  /** Spreads what waits to be spread to a few by chance, those who failed just now too. False: nobody is there. */
  gossip(): boolean {
    const core = this.#core;
    const { gossipNodes, gossipToDeadMs, packetBytesMax } = core.profile;
    const { roster } = core;
    const wanted = (member: Member): boolean =>
      isLive(member) ||
      (member.state === 'failed' && core.nowMs - (roster.goneSinceMs(member.facts.id) ?? 0) < gossipToDeadMs);
    let told = false;
    for (const member of roster.pick(gossipNodes, wanted, core.random)) {
      const updates = core.piggyback(packetBytesMax - gossipBytes);
      if (updates.length === 0) return true;
      told = true;
      core.send(member.facts.endpoint, 'packet', { kind: 'gossip', sender: core.selfId, updates });
    }
    return told;
  }
}
