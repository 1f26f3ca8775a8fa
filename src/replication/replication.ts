import type { Dot, OriginId } from '../crdt/dot.ts';
import { contiguousHead, countSeqs, type SeqRange } from '../crdt/seq-ranges.ts';
import type { Instant } from '../kernel/instant.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import { Acks } from './acks.ts';
import { Audit } from './audit.ts';
import { Beats } from './beats.ts';
import { Groups } from './groups.ts';
import { Heads } from './heads.ts';
import { Inquiry } from './inquiry.ts';
import { Intake, type Taken } from './intake.ts';
import { LogTalk } from './log-talk.ts';
import type { ReplicatedLog } from './log.ts';
import type { DotsMessage, HeadsMessage, ReplicationMessage } from './messages.ts';
import { defaultTiming, type ReplicationOptions } from './options.ts';
import { OriginTable } from './origins.ts';
import { Outbox, type ReplicationEffect } from './outbox.ts';
import { OwnLog } from './own-log.ts';
import { returnedMs, Reunion } from './reunion.ts';
import { Links } from './rto.ts';
import { claimBytes, headBytes, headsHeaderBytes, packetBytes } from './sizes.ts';
import { Spread } from './spread.ts';
import { secondUs, Stamps } from './stamps.ts';
import { noStats, type Gap, type ReplicationNeeds } from './stats.ts';
import { Sync } from './sync.ts';
import { SyncServer } from './sync-server.ts';
import { Topology, type Peer } from './topology.ts';
import { Wants } from './want.ts';
import { contextOf } from './superseded.ts';

/** What waits for a zone's term, or for clocks to agree, is tried again without being told that it can be. */
const deferredEveryMs = 30_000;

/** Room of a beat beside claims: some heads, owners of zones first. */
const beatBytes = headsHeaderBytes + 3 * headBytes;
/** A member tells its hub of itself alone. */
const reportBytes = headsHeaderBytes + headBytes;

/** A difference that lasts is looked into by a sync, but not more often than this. */
const compareEveryMs = 10_000;

/**
 * Moves the log of every gateway to every other: a machine without I/O. Messages and time in, effects out; what it
 * does to the state it does through the log, inside the caller's transaction, and its effects may be released only
 * once that is on disk. Who does what: `Topology` says who hands whose changes to whom, `Spread` hands them on and
 * repeats what was lost, `Wants` pulls what a gap shows, `Heads` tells how far logs reached and how fresh that is,
 * `Sync` compares and fetches, and `Audit` compares the state itself.
 */
export class Replication {
  readonly #log: ReplicatedLog;
  #ownOrigin: OriginId;
  readonly #stats = noStats();
  readonly #topology: Topology;
  readonly #origins: OriginTable;
  readonly #links = new Links();
  readonly #outbox: Outbox;
  readonly #acks: Acks;
  readonly #intake: Intake;
  readonly #groups: Groups;
  readonly #stamps: Stamps;
  readonly #heads: Heads;
  readonly #beats: Beats;
  readonly #spread: Spread;
  readonly #wants: Wants;
  readonly #sync: Sync;
  readonly #server: SyncServer;
  readonly #audit: Audit;
  readonly #reunion: Reunion;
  readonly #own: OwnLog;
  readonly #inquiry: Inquiry;
  readonly #logTalk: LogTalk;
  #joined = false;
  #comparedMs = Number.NEGATIVE_INFINITY;
  #deferredDueMs = Number.POSITIVE_INFINITY;

  constructor(options: ReplicationOptions) {
    const { log, self, random, nowMs } = options;
    const timing = { ...defaultTiming, ...options.timing };
    const stats = this.#stats;
    const links = this.#links;
    this.#log = log;
    this.#ownOrigin = log.origin;
    const topology = (this.#topology = new Topology(self));
    const origins = (this.#origins = new OriginTable(log));
    const outbox = (this.#outbox = new Outbox(nowMs));
    const own = (this.#own = new OwnLog(log, origins, outbox, options.startStamp ?? 0));
    const intake = (this.#intake = new Intake(log, origins, stats));
    const spread = (this.#spread = new Spread(topology, links, outbox, stats, random));
    const inquiry = (this.#inquiry = new Inquiry(own, topology, links, outbox, nowMs));
    this.#acks = new Acks(outbox, self.id);
    const groups = (this.#groups = new Groups(origins));
    groups.enter(self.region, log.origin);
    groups.setOwn(log.origin);
    const stamps = (this.#stamps = new Stamps(log, groups, options.safeStamp ?? 0, nowMs));
    this.#heads = new Heads({ log, origins, topology, groups, stamps, random, nowMs });
    this.#beats = new Beats(topology, random, nowMs);
    this.#server = new SyncServer(log, origins, outbox, stamps);
    this.#sync = new Sync({
      log,
      origins,
      intake,
      topology,
      links,
      outbox,
      stamps,
      stats,
      random,
      timing: { everyMs: timing.syncEveryMs },
      nowMs,
      onTaken: (taken, now) => this.#settle(taken, undefined, now),
      onFew: (origin, writerId, dots, atMs) => spread.forward(origin, writerId, dots, false, atMs),
      onOwnHead: (head) => own.check(head),
    });
    const wants = (this.#wants = new Wants({
      log,
      origins,
      intake,
      topology,
      links,
      outbox,
      spread,
      stamps,
      stats,
      random,
      onAbsence: (peerId, atMs) => this.#sync.plan(peerId, atMs),
      isComing: (origin) => this.#sync.isComing(origin),
    }));
    this.#logTalk = new LogTalk({ log, topology, origins, outbox, own, inquiry, wants, stats });
    this.#reunion = new Reunion(topology, this.#sync, this.#wants, random);
    this.#audit = new Audit({
      log,
      origins,
      topology,
      outbox,
      stats,
      random,
      everyMs: timing.auditEveryMs,
      nowMs,
    });
  }

  /** All members but this one, live or not, that are not forgotten. */
  setPeers(peers: readonly Peer[], now: Instant): void {
    const kept = new Set<string>();
    for (const peer of peers) {
      kept.add(peer.id);
      this.setPeer(peer, now);
    }
    for (const id of this.#topology.peers.keys()) if (!kept.has(id)) this.forgetPeer(id);
  }

  /** As `setPeers`, of one member: for callers that know what changed. */
  setPeer(peer: Peer, now: Instant): void {
    const held = this.#topology.peer(peer.id);
    if (held === peer) return;
    this.#topology.set(peer);
    if (held?.live !== peer.live || held.origin !== peer.origin || held.region !== peer.region) {
      if (held !== undefined) this.#groups.exit(held.region, held.origin, false);
      if (peer.live) this.#groups.enter(peer.region, peer.origin);
      else this.#groups.exit(peer.region, peer.origin, true);
      this.#stamps.membersChanged();
    }
    if (!peer.live || held?.live === true) return;
    if (!this.#joined) {
      // With somebody, after all that membership tells at once: what was missed while this gateway was down.
      this.#joined = true;
      this.#sync.plan(undefined, now.monoMs + returnedMs);
    }
    this.#inquiry.lives(peer.id, held === undefined, now.monoMs);
    if (held !== undefined) this.#reunion.returned(peer, now.monoMs);
  }

  forgetPeer(id: string): void {
    const held = this.#topology.peer(id);
    if (held === undefined) return;
    this.#topology.delete(id);
    this.#links.forget(id);
    this.#inquiry.forget(id);
    this.#groups.exit(held.region, held.origin, false);
    this.#stamps.membersChanged();
  }

  /**
   * This gateway goes on under another origin: its log so far is somebody else's now, and what others have of it, up to
   * this seq at least, is missing here.
   */
  reminted(knownHead: number, now: Instant): void {
    const { origin } = this.#log;
    const row = this.#origins.row(this.#ownOrigin);
    const { region } = this.#topology.self;
    this.#groups.exit(region, this.#ownOrigin, false);
    this.#groups.enter(region, origin);
    this.#groups.setOwn(origin);
    this.#ownOrigin = origin;
    this.#origins.learnHead(row, knownHead);
    this.#settle({ row, whole: this.#origins.refresh(row) }, undefined, now);
  }

  /** Dots of this gateway's own log, oldest first, or their range: written in this very step. */
  committed(dots: readonly Dot[] | SeqRange, now: Instant): void {
    const { origin } = this.#log;
    this.#origins.refresh(this.#origins.row(origin));
    const read = 'from' in dots ? this.#own.read(dots) : dots;
    if (read.length > 0) this.#spread.own(origin, read, contextOf(this.#log, origin, read), now.monoMs);
  }

  /** Node ids of the owners of zones: what most clients ask about is told of first, and so the freshest. */
  prioritise(nodeIds: Iterable<string>): void {
    this.#heads.prioritise(nodeIds);
  }

  /** A zone's term became known: what waited for it is merged. */
  zonesChanged(now: Instant): void {
    this.#deferredDueMs = Number.POSITIVE_INFINITY;
    for (const taken of this.#intake.retryDeferred(now)) this.#settle(taken, undefined, now);
    this.#settleSuperseded(now);
    this.#wants.hurry(now.monoMs);
  }

  receive(from: Endpoint, message: ReplicationMessage, now: Instant): void {
    const nowMs = now.monoMs;
    switch (message.kind) {
      case 'dots':
        return this.#dots(from, message, now);
      case 'ack':
        return this.#spread.acknowledged(message.by, message.tags, nowMs);
      case 'want':
        return this.#wants.answer(message, from, nowMs);
      case 'heads':
        return this.#hear(message, now);
      case 'sync-open':
        return this.#server.open(message, from, now);
      case 'sync-same':
        return this.#sync.same(message.id, nowMs);
      case 'sync-busy':
        return this.#sync.busy(message, nowMs);
      case 'sync-vector':
        return this.#sync.vector(message, now);
      case 'sync-pull':
        return this.#server.pull(message, from, now);
      case 'sync-page':
        return this.#sync.page(message, now);
      case 'sync-done':
        return this.#server.release(message.by);
      case 'sync-hint':
        return this.#sync.hinted(message, nowMs);
      case 'state-pull':
        return this.#server.statePull(message, from, now);
      case 'state-page':
        if (!this.#sync.statePage(message, now)) this.#audit.repair(message, now);
        return;
      case 'audit-ask':
        return this.#audit.asked(message, from);
      case 'audit-rows':
        return this.#audit.compare(message, nowMs);
      case 'audit-same':
        return this.#audit.same(message.id);
      case 'log-ask':
        return this.#logTalk.answer(from, message, this.headKnown(message.origin));
      case 'log-tell':
        return this.#logTalk.told(message, now);
      case 'audit-hint':
        return this.#audit.hinted(message, nowMs);
    }
  }

  /** When `tick` has something to do next, by the monotonic clock. */
  get nextTickMs(): number {
    return Math.min(
      this.#acks.nextMs,
      this.#spread.nextMs,
      this.#wants.nextMs,
      this.#sync.nextMs,
      this.#audit.nextMs,
      this.#reunion.nextMs,
      this.#outbox.nextMs,
      this.#deferredDueMs,
      this.#beats.nextMs,
      this.#inquiry.nextMs,
    );
  }

  tick(now: Instant): void {
    const nowMs = now.monoMs;
    this.#outbox.flush(nowMs);
    this.#spread.tick(nowMs);
    this.#wants.tick(now);
    if (nowMs >= this.#deferredDueMs) this.zonesChanged(now);
    this.#settleSuperseded(now);
    this.#reunion.tick(nowMs);
    this.#sync.tick(now);
    this.#inquiry.tick(nowMs);
    this.#audit.tick(now);
    this.#beat(now);
    this.#acks.tick(nowMs);
  }

  /** What to append to a probe or its answer that goes to this peer; undefined when there is no room. */
  headsFor(peer: { readonly id: string }, bytesMax: number, now: Instant): HeadsMessage | undefined {
    return this.#heads.compose(peer.id, bytesMax, now);
  }

  /** How old the newest proof is that all that a gateway had written is here; undefined: there is none yet. */
  freshness(of: OriginId | string, now: Instant): { readonly ageMs: number } | undefined {
    const { self } = this.#topology;
    const origin = of === self.id ? this.#log.origin : (this.#topology.peer(of)?.origin ?? (of as OriginId));
    const ageMs = this.#heads.ageMs(origin, now.monoMs);
    return ageMs === undefined ? undefined : { ageMs };
  }

  /** Whether all of an origin's log up to this seq has been applied here. */
  seenUpTo(origin: OriginId, seq: number): boolean {
    return contiguousHead(this.#log.originLog(origin)?.seen ?? []) >= seq;
  }

  /** Everything with a stamp up to this has been seen by every member that is not forgotten; 0: not known. */
  stableStamp(now: Instant): number {
    return this.#stamps.stableS(now) * secondUs;
  }

  /** To be kept (at leisure) and given to the next run on this database; see `ReplicationOptions`. */
  safeStamp(now: Instant): number {
    return this.#stamps.safeS(now) * secondUs;
  }

  /** Whether this gateway is the one of its region that meets another region's after a partition. */
  isBridgeTo(region: string): boolean {
    const { self } = this.#topology;
    return this.#topology.bridges(self.region, region)[0] === self.id;
  }

  /** Whether what was seen here was compared with somebody's, and all of these told how far they know the own log. */
  isOwnHeadKnown(matters: (nodeId: string) => boolean): boolean {
    return this.#sync.compared && this.#inquiry.isComplete(matters);
  }

  /** Whether one of these did not tell how far it knows the own log. */
  lacksOwnHeadOf(matters: (nodeId: string) => boolean): boolean {
    return this.#inquiry.lacks(matters);
  }

  /** Of all that was seen: equal digests, equal sets of dots. */
  get digest(): number {
    return this.#origins.digest;
  }

  /** For status and metrics. Its cost is that of the gaps, not of the members. */
  needs(now: Instant): ReplicationNeeds {
    const gaps: Gap[] = [];
    for (const { origin, sinceMs, missing } of this.#wants.gaps()) {
      const head = missing.at(-1)?.to ?? 0;
      gaps.push({ origin, head, missing: countSeqs(missing), forMs: now.monoMs - sinceMs });
    }
    return {
      gaps,
      deferredDots: this.#intake.deferredDots,
      unacked: this.#spread.unacked,
      queues: {
        write: this.#outbox.queued('write'),
        repair: this.#outbox.queued('repair'),
        resync: this.#outbox.queued('resync'),
      },
      syncWith: this.#sync.session?.peerId,
      serving: this.#server.serving,
      stats: this.#stats,
    };
  }

  /** Highest seq that is known of an origin, here or elsewhere. */
  headKnown(origin: OriginId): number {
    const row = this.#origins.find(origin);
    return row === undefined ? 0 : (this.#origins.heads[row] as number);
  }

  takeEffects(): readonly ReplicationEffect[] {
    return this.#outbox.take();
  }

  #dots(from: Endpoint, message: DotsMessage, now: Instant): void {
    const { origin, dots } = message;
    if (origin === this.#log.origin) {
      this.#own.check(dots.reduce((head, { seq }) => Math.max(head, seq), 0));
      if (message.tag !== 0) this.#acks.owe(from, message.tag, now.monoMs);
      return;
    }
    const writerId = this.#writer(message);
    if (writerId === undefined) {
      this.#stats.unnamed += 1;
      return;
    }
    this.#logTalk.checkContents(origin, writerId, dots);
    const taken = this.#intake.take(origin, dots, message.context, now);
    if (message.tag !== 0) this.#acks.owe(from, message.tag, now.monoMs);
    else this.#stats.repaired += taken.fresh.length;
    // In place of the region's relay, which most likely lacks them: also what came here another way just before.
    const standsIn = message.lead && !this.#topology.isFirst(origin, writerId);
    const handed = { dots: standsIn ? dots : taken.fresh, context: message.context };
    if (handed.dots.length > 0) this.#spread.forward(origin, writerId, handed, message.lead, now.monoMs);
    this.#settle(taken, from, now);
    this.#settleSuperseded(now);
  }

  /** Superseded dots of which by now all is here that overwrote them. */
  #settleSuperseded(now: Instant): void {
    for (const settled of this.#intake.settle(now)) this.#settle(settled, undefined, now);
  }

  #writer({ origin, nodeId }: DotsMessage): string | undefined {
    const known = this.#log.originLog(origin)?.nodeId;
    if (known !== undefined) return known;
    const writerId = nodeId ?? this.#topology.writerOf(origin)?.id;
    if (writerId !== undefined) this.#log.introduce(origin, writerId);
    return writerId;
  }

  #hear(message: HeadsMessage, now: Instant): void {
    this.#own.checkLife(message.heads);
    const heard = this.#heads.receive(message, now, (head) => this.#own.check(head));
    const { lacking, differs, roundTripMs } = heard;
    const region = this.#topology.peer(message.by)?.region;
    if (region !== undefined && roundTripMs !== undefined) this.#links.heard(region, roundTripMs);
    if (differs && now.monoMs >= this.#comparedMs + compareEveryMs) {
      this.#comparedMs = now.monoMs;
      this.#sync.plan(message.by, now.monoMs);
    }
    for (const row of lacking) {
      this.#wants.check(row, contiguousHead(this.#origins.seen(row)), undefined, now.monoMs);
    }
  }

  #beat(now: Instant): void {
    for (const { to, regions } of this.#beats.due(now)) {
      const peer = this.#topology.peer(to);
      const bytesMax = regions.length === 0 ? reportBytes : beatBytes + regions.length * claimBytes;
      const message = peer && this.#heads.compose(to, Math.min(packetBytes, bytesMax), now, regions);
      if (peer !== undefined && message !== undefined) {
        this.#outbox.sendNow(peer.endpoint, 'packet', message);
      }
    }
  }

  #settle({ row, whole }: Pick<Taken, 'row' | 'whole'>, source: Endpoint | undefined, now: Instant): void {
    this.#heads.reached(row, whole);
    if (this.#deferredDueMs === Number.POSITIVE_INFINITY && this.#intake.deferredOrigins > 0) {
      this.#deferredDueMs = now.monoMs + deferredEveryMs;
    }
    this.#wants.check(row, whole, source, now.monoMs);
  }
}
