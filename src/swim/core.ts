import type { Endpoint } from '../wire/endpoint.ts';
import { must } from '../kernel/assert.ts';
import { admission } from './admission.ts';
import { Awareness } from './awareness.ts';
import { Broadcasts } from './broadcasts.ts';
import { Diary } from './diary.ts';
import { Disputes } from './disputes.ts';
import { Distances } from './distances.ts';
import { newCounters, type Lane, type SwimEffect } from './effects.ts';
import { isLive, memberOf, nameKey, sameFacts, type Member, type MemberFacts } from './member.ts';
import { mergeMember, overrides, prunedUpdate, updateOf } from './merge.ts';
import { incarnationMax, updateBytes, type MemberUpdate, type SwimMessage } from './messages.ts';
import { retransmitLimit, type SwimProfile } from './profile.ts';
import { Recollection } from './recollection.ts';
import { Roster } from './roster.ts';
import type { SwimSetup } from './setup.ts';
import { Suspicions } from './suspicions.ts';
import { Timers } from './timers.ts';

/**
 * How an update came: spread by packets (`gossip`), as part of somebody's whole membership (`sync`), or said by the
 * member itself on joining (`direct`).
 */
type Via = 'gossip' | 'sync' | 'direct';

/**
 * What all parts of the machine share: who is there, what is to be spread, what is to be done. Time here is *awake*
 * time: while the process was stopped it stood still, so that no deadline has passed unseen.
 */
export class SwimCore {
  readonly profile: SwimProfile;
  readonly random: () => number;
  readonly refuses: (facts: MemberFacts) => string | undefined;
  readonly roster: Roster;
  readonly timers = new Timers();
  readonly awareness: Awareness;
  readonly broadcasts: Broadcasts;
  readonly distances: Distances;
  readonly counters = newCounters();
  /** Tells this process from another one with its id. */
  readonly run: number;
  readonly selfId: string;
  cluster: string;
  nowMs: number;
  /** How long the process was stopped in all: what awake time is behind the clock. */
  pausedMs = 0;
  /** Saying goodbye, or gone: accusations are not refuted. */
  leaving = false;
  /** Gone: takes no more part. */
  stopped = false;
  readonly recollection: Recollection;
  #seq: number;
  #effects: SwimEffect[] = [];
  readonly #suspicions: Suspicions;
  readonly #diary: Diary;
  readonly #disputes = new Disputes();
  /** Told when somebody says what is not understood here without more: the whole membership is to be compared soon. */
  onNeedSync: () => void = () => {};
  onDisputed: () => void = () => {};
  onGossip: () => void = () => {};
  /** Membership changed. */
  onNews: () => void = () => {};
  /** Who had failed is there again. */
  onReturned: (member: Member) => void = () => {};

  constructor(setup: SwimSetup) {
    const { self, profile, random } = setup;
    this.profile = profile;
    this.random = random;
    this.refuses = setup.refuses ?? (() => undefined);
    this.recollection = new Recollection(setup.known.length === 0);
    this.cluster = setup.cluster;
    this.nowMs = setup.nowMs;
    this.selfId = self.id;
    this.run = this.#randomUint32();
    this.#seq = this.#randomUint32();
    this.roster = new Roster(self.id);
    this.awareness = new Awareness(profile.awarenessMax);
    this.broadcasts = new Broadcasts(profile.broadcastsMax);
    this.distances = new Distances(random);
    this.#suspicions = new Suspicions(profile, this.timers, (id) => this.#suspicionEnded(id));
    this.#diary = new Diary(this.roster, this.timers, self.id, setup.known.length > 0);
    this.#diary.onDue = () => this.flushPersist();
    for (const { facts, state, incarnation, factsIncarnation, goneForMs = 0 } of setup.known) {
      if (facts.id === self.id || this.roster.size >= profile.membersMax) continue;
      const member = memberOf(facts, state === 'suspect' ? 'alive' : state, incarnation, factsIncarnation);
      this.roster.set(member, this.nowMs - goneForMs, random);
    }
    const incarnation = setup.incarnation + 1;
    this.#setSelf(memberOf(self, 'alive', incarnation, incarnation), true);
  }

  get self(): Member {
    return must(this.roster.get(this.selfId));
  }

  /** Living and failed: the pool as its timing sees it. */
  get poolSize(): number {
    return this.roster.liveCount + this.roster.failedCount;
  }

  get nextSeq(): number {
    this.#seq = (this.#seq + 1) >>> 0;
    return this.#seq;
  }

  get retransmitLimit(): number {
    return retransmitLimit(this.profile, this.poolSize);
  }

  get settled(): boolean {
    return this.recollection.settled(this.nowMs);
  }

  effect(effect: SwimEffect): void {
    this.#effects.push(effect);
  }

  takeEffects(): readonly SwimEffect[] {
    const effects = this.#effects;
    if (effects.length > 0) this.#effects = [];
    return effects;
  }

  send(to: Endpoint, lane: Lane, message: SwimMessage): void {
    this.#effects.push({ kind: 'send', to, lane, message });
  }

  broadcast(update: MemberUpdate, done: (() => void) | null = null): void {
    this.broadcasts.add(update, done);
    this.onGossip();
  }

  /** What goes along with a message that has `bytesFree` left; `first` is told in any case. */
  piggyback(bytesFree: number, first: MemberUpdate | null = null): readonly MemberUpdate[] {
    const limit = this.retransmitLimit;
    if (first === null) return this.broadcasts.take(bytesFree, limit);
    return this.broadcasts.take(bytesFree - updateBytes(first), limit, [first]);
  }

  /** What is held of a member, as it is told to others. */
  told(id: string, withFacts: boolean): MemberUpdate | undefined {
    return this.roster.told(id, withFacts, this.selfId, this.nowMs);
  }

  /** What is held here of a member, when that is not what it would like to hear: it then refutes. */
  accusation(id: string): MemberUpdate | null {
    return this.roster.get(id)?.state === 'alive' ? null : (this.told(id, false) ?? null);
  }

  // ---- what others say ----

  apply(update: MemberUpdate, via: Via, sender: string): void {
    if ((update.facts !== null && update.facts.id !== update.id) || update.incarnation >= incarnationMax) {
      this.counters.malformed += 1;
      return;
    }
    if (update.id === this.selfId) return this.#aboutSelf(update);
    const pruned = this.roster.pruned().get(update.id);
    const current = this.roster.get(update.id);
    if (update.state === 'pruned') {
      const news =
        pruned === undefined
          ? current === undefined || overrides(update, current)
          : update.incarnation > pruned.incarnation;
      if (news) {
        this.#prune(update.id, update.incarnation, update.ageMs, via !== 'sync' || this.settled);
      } else this.counters.staleUpdates += 1;
      return;
    }
    if (pruned !== undefined && pruned.incarnation >= update.incarnation) {
      this.counters.staleUpdates += 1;
      return;
    }
    const merged = mergeMember(current, update);
    if (merged === undefined) {
      this.counters.unknownUpdates += 1;
      this.onNeedSync();
      return;
    }
    if (merged === current) return this.#noNews(current, update, via);
    if (current === undefined && !this.#mayEnter(merged, update.ageMs)) return;
    if (!this.#mayHaveName(merged, current)) return;
    // Whom another counts as failed may have lost touch with that one only: it gets the time to say that it lives
    // (memberlist does so too). What is kept of the last run, though, is older than what others say.
    const lost = merged.state === 'failed' && current !== undefined && isLive(current);
    if (lost && via === 'sync' && this.settled) {
      return this.apply({ ...update, state: 'suspect', by: sender }, 'gossip', sender);
    }
    this.counters.appliedUpdates += 1;
    this.roster.unprune(update.id);
    const spread = via !== 'sync' || this.settled;
    this.#store(merged, current, {
      by: update.by ?? sender,
      ageMs: update.ageMs,
      spread,
      withFacts: current === undefined || merged.facts !== current.facts,
    });
    if (merged.factsIncarnation < update.factsIncarnation) this.onNeedSync();
  }

  /** Somebody lacks a member that this one kept from its last run: all may have forgotten it. */
  doubt(id: string): void {
    const member = this.roster.get(id);
    if (member === undefined || id === this.selfId) return;
    if (isLive(member)) this.recollection.doubt(id);
    else this.forget(member);
  }

  /** This member itself saw no answer. */
  suspect(id: string, incarnation: number): void {
    const member = this.roster.get(id);
    if (member === undefined || member.incarnation !== incarnation || !isLive(member)) return;
    const raised = memberOf(member.facts, 'suspect', incarnation, member.factsIncarnation);
    this.apply(updateOf(raised, false, this.selfId, 0), 'gossip', this.selfId);
  }

  /** Failed becomes left, or is forgotten; of a suspect once it would have failed; who lives stays. */
  forceOut(id: string, prune: boolean): void {
    const member = must(this.roster.get(id));
    if (member.state === 'suspect') {
      this.#suspicions.intend(id, { incarnation: member.incarnation, prune });
    } else if (member.state !== 'alive') this.#out(member, prune);
  }

  forget(member: Member): void {
    const { id } = member.facts;
    this.roster.remove(id);
    this.#suspicions.drop(id);
    this.#suspicions.takeIntent(id);
    this.broadcasts.remove(id);
    this.distances.forget(id);
    this.recollection.trust(id);
    this.soil(id);
    this.effect({ kind: 'event', event: 'forgotten', member, previous: member });
  }

  // ---- itself ----

  updateSelf(facts: MemberFacts): void {
    if (sameFacts(facts, this.self.facts)) return;
    const previous = this.self;
    const incarnation = previous.incarnation + 1;
    const member = memberOf(facts, previous.state, incarnation, incarnation);
    this.#setSelf(member, true);
    this.effect({ kind: 'event', event: 'updated', member, previous });
  }

  /** Says goodbye. */
  leave(done: () => void): void {
    this.leaving = true;
    const { facts, incarnation, factsIncarnation } = this.self;
    const member = memberOf(facts, 'left', incarnation, factsIncarnation);
    this.roster.set(member, this.nowMs, this.random);
    this.broadcast(updateOf(member, false, null, 0), done);
  }

  stop(): void {
    this.stopped = true;
    this.leaving = true;
    this.timers.clear();
    this.flushPersist();
  }

  /** Reports a dispute of a name or an id, once in a while each. */
  conflict(ours: MemberFacts, theirs: MemberFacts): void {
    this.counters.conflicts += 1;
    if (this.#disputes.isNews(ours.id, theirs.id, this.nowMs)) {
      this.effect({ kind: 'conflict', name: ours.name, ours, theirs });
    }
  }

  flushPersist(): void {
    this.effect(this.#diary.flush(this.self, this.nowMs));
  }

  /** Is to be written. */
  soil(id: string): void {
    if (!this.stopped) this.#diary.soil(id, this.nowMs);
  }

  // ---- inside ----

  #setSelf(member: Member, withFacts: boolean): void {
    this.roster.set(member, this.nowMs, this.random);
    // At once: an incarnation that was heard of must never come again with another meaning.
    this.flushPersist();
    this.broadcast(updateOf(member, withFacts, null, 0));
  }

  #aboutSelf(update: MemberUpdate): void {
    const { self } = this;
    if (this.leaving || update.incarnation < self.incarnation) return;
    const told = update.facts;
    // Facts that this process never said: from a run whose end was lost, or from another process with this id.
    const foreign =
      update.factsIncarnation > self.factsIncarnation ||
      (told !== null && update.factsIncarnation === self.factsIncarnation && !sameFacts(told, self.facts));
    if (update.incarnation === self.incarnation && update.state === 'alive' && !foreign) return;
    if (foreign && told !== null && this.#disputes.persists(this.nowMs)) {
      this.conflict(self.facts, told);
      return this.onDisputed();
    }
    this.counters.refutations += 1;
    if (update.state === 'suspect' || update.state === 'failed') this.awareness.add(1);
    const incarnation = update.incarnation + 1;
    const factsIncarnation = foreign ? incarnation : self.factsIncarnation;
    this.#setSelf(memberOf(self.facts, 'alive', incarnation, factsIncarnation), foreign);
  }

  #noNews(current: Member, update: MemberUpdate, via: Via): void {
    this.counters.staleUpdates += 1;
    if (current.incarnation !== update.incarnation || current.state !== update.state) return;
    if (via === 'gossip') this.broadcasts.heard(update, this.retransmitLimit);
    if (current.state === 'suspect' && update.by !== null) {
      if (this.#suspicions.confirm(update.id, update.by, this.nowMs) && via === 'gossip') {
        this.broadcast(updateOf(current, false, update.by, 0));
      }
    } else if (!isLive(current)) this.roster.age(update.id, this.nowMs - update.ageMs);
  }

  #mayEnter(member: Member, ageMs: number): boolean {
    const answer = admission(this.roster, this.profile, member, ageMs);
    if (answer === 'full') this.counters.dropped += 1;
    return answer === 'welcome' && this.refuses(member.facts) === undefined;
  }

  /** Takes the name from who is gone; false when somebody who lives has it. */
  #mayHaveName(member: Member, current: Member | undefined): boolean {
    if (!isLive(member)) return true;
    const key = nameKey(member.facts);
    if (current !== undefined && isLive(current) && nameKey(current.facts) === key) return true;
    const holder = this.roster.byName(key);
    if (holder === undefined || holder.facts.id === member.facts.id) return true;
    // Having said goodbye, a member still knows itself by its name; who comes after it takes that elsewhere.
    if (holder.facts.id === this.selfId && !isLive(holder)) return false;
    if (isLive(holder)) {
      this.conflict(holder.facts, member.facts);
      if (holder.facts.id === this.selfId) this.onDisputed();
      return false;
    }
    this.#prune(holder.facts.id, holder.incarnation, 0, false);
    return true;
  }

  #out(member: Member, prune: boolean): void {
    const { facts, incarnation, factsIncarnation } = member;
    if (prune) this.#prune(facts.id, incarnation, 0, true);
    else if (member.state !== 'left') {
      const left = memberOf(facts, 'left', incarnation, factsIncarnation);
      this.#store(left, member, { by: this.selfId, ageMs: 0, spread: true, withFacts: false });
    }
  }

  #prune(id: string, incarnation: number, ageMs: number, spread: boolean): void {
    const member = this.roster.get(id);
    if (ageMs >= this.profile.tombstoneMs) return;
    if (member !== undefined) this.forget(member);
    if (this.roster.pruned().size >= this.profile.membersMax) {
      this.counters.dropped += 1;
      return;
    }
    const sinceMs = this.nowMs - ageMs;
    this.roster.prune(id, { incarnation, sinceMs });
    if (spread) this.broadcast(prunedUpdate(id, incarnation, ageMs));
  }

  #store(
    member: Member,
    current: Member | undefined,
    how: {
      readonly by: string;
      readonly ageMs: number;
      readonly spread: boolean;
      readonly withFacts: boolean;
    },
  ): void {
    const { id } = member.facts;
    if (member.state === 'alive' || member.incarnation !== current?.incarnation) this.recollection.trust(id);
    const wasGoneMs = current?.state === member.state ? this.roster.goneSinceMs(id) : undefined;
    this.roster.set(member, wasGoneMs ?? this.nowMs - how.ageMs, this.random);
    if (member.state !== 'suspect' || current?.incarnation !== member.incarnation) this.#suspicions.drop(id);
    if (member.state === 'suspect' && !this.#suspicions.has(id)) {
      this.counters.suspicions += 1;
      this.#suspicions.raise(id, member.incarnation, this.poolSize, how.by, this.nowMs);
    }
    if (how.spread && !this.recollection.doubts(id))
      this.broadcast(updateOf(member, how.withFacts, how.by, how.ageMs));
    const onlySuspected = current !== undefined && isLive(current) && isLive(member);
    if (!onlySuspected || member.facts !== current.facts) this.soil(id);
    this.#tellEvents(member, current);
    this.onNews();
    if (current?.state === 'failed' && member.state === 'alive') this.onReturned(member);
    if (member.state === 'suspect') return;
    const intent = this.#suspicions.takeIntent(id);
    if (intent?.incarnation === member.incarnation && !isLive(member)) this.#out(member, intent.prune);
  }

  #tellEvents(member: Member, current: Member | undefined): void {
    const previous = current === undefined ? {} : { previous: current };
    if (member.state !== current?.state) {
      const event =
        member.state !== 'alive'
          ? member.state
          : current === undefined || current.state === 'left'
            ? 'joined'
            : 'returned';
      if (event === 'failed') this.counters.failures += 1;
      this.effect({ kind: 'event', event, member, ...previous });
    }
    if (current !== undefined && member.facts !== current.facts) {
      this.effect({ kind: 'event', event: 'updated', member, ...previous });
    }
  }

  #suspicionEnded(id: string): void {
    const member = this.roster.get(id);
    if (member?.state !== 'suspect') return;
    if (this.recollection.doubts(id)) return this.forget(member);
    const failed = memberOf(member.facts, 'failed', member.incarnation, member.factsIncarnation);
    this.#store(failed, member, { by: this.selfId, ageMs: 0, spread: true, withFacts: false });
  }

  #randomUint32(): number {
    return Math.floor(this.random() * 2 ** 32);
  }
}
