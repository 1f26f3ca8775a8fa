import type { OriginId } from '../crdt/dot.ts';
import { countSeqs, missingRanges } from '../crdt/seq-ranges.ts';
import type { Instant } from '../kernel/instant.ts';
import type { Intake, Taken } from './intake.ts';
import type { ReplicatedLog } from './log.ts';
import type { OriginRanges } from './body.ts';
import type { DotsMessage } from './messages.ts';
import type { OriginTable } from './origins.ts';
import type { Outbox } from './outbox.ts';
import type { Links } from './rto.ts';
import type { ReplicationStats } from './stats.ts';
import { countItems } from './sync-server.ts';
import { secondUs, type Stamps } from './stamps.ts';
import type { Topology } from './topology.ts';
import { Walk } from './transfer.ts';
import { Differences } from './differences.ts';
import { Wishes } from './wishes.ts';
import type {
  StatePageMessage,
  SyncBusyMessage,
  SyncHintMessage,
  SyncPageMessage,
  SyncVectorMessage,
} from './sync-messages.ts';

interface Pull {
  readonly items: readonly OriginRanges[];
  dueMs: number;
  tries: number;
}

interface Session {
  readonly id: number;
  readonly peerId: string;
  readonly root: string | undefined;
  stage: 'opening' | 'pulling' | 'walking';
  /** When an opening or a walk without an answer is repeated, or has failed. */
  dueMs: number;
  tries: number;
  readonly origins: Set<OriginId>;
  queue: OriginRanges[];
  readonly pulls: Map<number, Pull>;
  walk: Walk | undefined;
  dots: number;
  /** The peer lacked something, going by its vector. */
  peerLacks: boolean;
}

export interface SyncTiming {
  /** A sync with somebody is opened about so often; when nothing differs it costs two packets. */
  readonly everyMs: number;
}

export interface SyncOptions {
  readonly log: ReplicatedLog;
  readonly origins: OriginTable;
  readonly intake: Intake;
  readonly topology: Topology;
  readonly links: Links;
  readonly outbox: Outbox;
  readonly stamps: Stamps;
  readonly stats: ReplicationStats;
  readonly random: () => number;
  readonly timing: SyncTiming;
  readonly nowMs: number;
  /** After dots were merged, or ranges became known. */
  readonly onTaken: (taken: Pick<Taken, 'row' | 'whole'>, now: Instant) => void;
  /** Few dots came: most likely they are under way here, and those behind this gateway in the tree wait for them. */
  readonly onFew: (
    origin: OriginId,
    writerId: string,
    few: Pick<DotsMessage, 'dots' | 'context'>,
    nowMs: number,
  ) => void;
  /** A peer knows this much of our own log. */
  readonly onOwnHead: (head: number) => void;
}

const pullsMax = 3;
const triesMax = 3;
/** With hardly anything of others here and so much to fetch, whole state is cheaper than its history. Guess. */
const newcomerDots = 5000;
const farHintMs = 500;
const openSlackMs = 150;
/** Up to so many dots a sync overtook the tree; more were missed. */
const fewDots = 64;

/**
 * Anti-entropy: what one has seen is compared with a peer, and what is missing is fetched from it, newest first, in
 * pages that the asker drives. One session at a time, so no two peers are asked for the same.
 */
export class Sync {
  readonly #options: SyncOptions;
  readonly #differences: Differences;
  readonly #wishes = new Wishes();
  #session: Session | undefined;
  #nextId: number;
  #periodicMs: number;
  #nextMs: number;

  constructor(options: SyncOptions) {
    this.#options = options;
    this.#differences = new Differences(options.origins, options.intake);
    this.#nextId = Math.floor(options.random() * 0x7fff_ffff);
    this.#periodicMs = options.nowMs + options.timing.everyMs * (0.5 + options.random());
    this.#nextMs = this.#periodicMs;
  }

  get nextMs(): number {
    return this.#nextMs;
  }

  get session(): { readonly peerId: string; readonly stage: string; readonly dots: number } | undefined {
    return this.#session;
  }

  /** Whether the present session brings dots of this origin. */
  isComing(origin: OriginId): boolean {
    return this.#session?.stage === 'walking' || this.#session?.origins.has(origin) === true;
  }

  /** Syncs with a peer (undefined: some neighbour, else anybody) at that time, if not planned sooner. */
  plan(peerId: string | undefined, dueMs: number, root?: string): void {
    const id = peerId ?? this.#somebody();
    if (id === undefined || id === this.#options.topology.self.id) return;
    this.#wishes.add(id, dueMs, root);
    this.#nextMs = Math.min(this.#nextMs, dueMs);
  }

  hinted(message: SyncHintMessage, nowMs: number): void {
    const { origins, topology } = this.#options;
    if (message.digest === origins.digest) return;
    const { region } = topology.self;
    // From afar: a neighbour may be fetching it already, and then hints as well.
    const waits = topology.livingIn(region).length > 1 && topology.peer(message.by)?.region !== region;
    this.plan(message.by, nowMs + (waits ? farHintMs : 0), message.root);
  }

  tick(now: Instant): void {
    const nowMs = now.monoMs;
    if (nowMs < this.#nextMs) return;
    const session = this.#session;
    if (session !== undefined) this.#watch(session, now);
    if (nowMs >= this.#periodicMs) {
      this.#periodicMs = nowMs + this.#options.timing.everyMs * (0.5 + this.#options.random());
      if (this.#wishes.size === 0) this.plan(undefined, nowMs);
    }
    if (this.#session === undefined) this.#startDue(nowMs);
    this.#schedule();
  }

  /** Somebody told all that it had seen, since the start. */
  compared = false;

  same(id: number, nowMs: number): void {
    const session = this.#session;
    if (session?.id !== id || session.stage !== 'opening') return;
    this.compared = true;
    this.#end(nowMs);
  }

  busy({ id, retryMs }: SyncBusyMessage, nowMs: number): void {
    const session = this.#session;
    if (session === undefined) return;
    const again = nowMs + retryMs * (0.5 + this.#options.random());
    const pull = session.pulls.get(id);
    if (pull !== undefined) pull.dueMs = again;
    else if (session.id === id && session.stage === 'opening') {
      this.#session = undefined;
      this.plan(session.peerId, again, session.root);
    } else if (session.stage === 'walking') session.dueMs = again;
    this.#schedule();
  }

  vector(message: SyncVectorMessage, now: Instant): void {
    const session = this.#session;
    if (session === undefined || session.id !== message.id || session.stage !== 'opening') return;
    this.compared = true;
    const { log, origins, stamps } = this.#options;
    const behind = stamps.safeS(now) * secondUs < message.collectedBelow;
    const missing: OriginRanges[] = [];
    let hereSeqs = 0;
    for (const { origin, nodeId, seen } of message.seen) {
      log.introduce(origin, nodeId);
      const row = origins.row(origin);
      const here = origins.seen(row);
      const head = seen.at(-1)?.to ?? 0;
      origins.learnHead(row, head);
      if (missingRanges(here, seen).length > 0) session.peerLacks = true;
      if (origin === log.origin) {
        this.#options.onOwnHead(head);
        continue;
      }
      hereSeqs += countSeqs(here);
      const lacking = this.#differences.lacking({ origin, ranges: seen });
      if (lacking.length > 0) missing.push({ origin, ranges: lacking });
    }
    session.peerLacks ||= this.#differences.hasMore(message);
    const newcomer = countItems(missing) > Math.max(newcomerDots, 4 * hereSeqs);
    if (missing.length > 0 && (behind || newcomer)) {
      session.stage = 'walking';
      session.walk = new Walk(log, this.#differences.contextOf(message), message.seenStampS);
      this.#options.stats.transfers += 1;
      this.#pullPage(session, now.monoMs);
    } else {
      session.stage = 'pulling';
      session.queue = missing;
      for (const { origin } of missing) session.origins.add(origin);
      this.#pump(session, now.monoMs);
    }
    this.#schedule();
  }

  page(message: SyncPageMessage, now: Instant): void {
    const session = this.#session;
    const pull = session?.pulls.get(message.id);
    if (session === undefined || pull === undefined) return;
    session.pulls.delete(message.id);
    const { log, intake, origins, stats } = this.#options;
    const isFew = message.whole && session.dots === 0 && countItems(pull.items) <= fewDots;
    let fresh = 0;
    for (const { origin, nodeId, superseded, dots } of message.groups) {
      if (origin === log.origin) continue;
      log.introduce(origin, nodeId);
      const taken = intake.take(origin, dots, message.context, now);
      fresh += taken.fresh.length;
      if (taken.fresh.length > 0 && isFew) {
        const few = { dots: taken.fresh.toReversed(), context: message.context };
        this.#options.onFew(origin, nodeId, few, now.monoMs);
      }
      const overwritten = missingRanges(superseded, origins.seen(taken.row));
      if (overwritten.length > 0) {
        fresh += countSeqs(overwritten);
        intake.takeSuperseded(origin, overwritten, message.context, now);
      }
      this.#options.onTaken(taken, now);
    }
    for (const taken of intake.settle(now)) this.#options.onTaken(taken, now);
    session.dots += fresh;
    stats.syncDots += fresh;
    if (!message.whole && fresh > 0) {
      session.queue = [...this.#differences.remaining(pull.items), ...session.queue];
    }
    this.#pump(session, now.monoMs);
    this.#schedule();
  }

  statePage(message: StatePageMessage, now: Instant): boolean {
    const session = this.#session;
    const walk = session?.walk;
    if (session === undefined || walk === undefined || message.id !== session.id) return false;
    if (!walk.take(message, now)) return true;
    this.#options.stats.transferRows += message.rows.length;
    if (!walk.finished) this.#pullPage(session, now.monoMs);
    else {
      for (const origin of walk.finish()) {
        const row = this.#options.origins.row(origin);
        const whole = this.#options.origins.refresh(row);
        session.dots += 1;
        this.#options.onTaken({ row, whole }, now);
      }
      this.#options.stamps.adoptSafeS(walk.seenStampS);
      this.#finish(session, now.monoMs);
    }
    this.#schedule();
    return true;
  }

  #pump(session: Session, nowMs: number): void {
    while (session.pulls.size < pullsMax && session.queue.length > 0) {
      const { items, left } = this.#differences.cut(session.queue);
      session.queue = [...left];
      const id = this.#id();
      const pull = { items, dueMs: nowMs, tries: 0 };
      session.pulls.set(id, pull);
      this.#sendPull(session, id, pull, nowMs);
    }
    if (session.stage === 'pulling' && session.pulls.size === 0) this.#finish(session, nowMs);
  }

  #sendPull(session: Session, id: number, pull: Pull, nowMs: number): void {
    const peer = this.#options.topology.peer(session.peerId);
    pull.tries += 1;
    pull.dueMs = nowMs + this.#patienceMs(session.peerId);
    if (peer === undefined || pull.items.length === 0) {
      session.pulls.delete(id);
      return;
    }
    const by = this.#options.topology.self.id;
    const message = { kind: 'sync-pull', id, by, items: pull.items } as const;
    this.#options.outbox.sendNow(peer.endpoint, 'stream', message);
  }

  #pullPage(session: Session, nowMs: number): void {
    const peer = this.#options.topology.peer(session.peerId);
    const { walk } = session;
    session.dueMs = nowMs + this.#patienceMs(session.peerId);
    if (peer === undefined || walk === undefined) return;
    walk.tries += 1;
    const by = this.#options.topology.self.id;
    this.#options.outbox.sendNow(peer.endpoint, 'stream', {
      kind: 'state-pull',
      id: session.id,
      by,
      from: walk.at,
    });
  }

  #patienceMs(peerId: string): number {
    const peer = this.#options.topology.peer(peerId);
    return 600 + 3 * (peer === undefined ? 100 : this.#options.links.roundTripMs(peer));
  }

  /** Repeats what was not answered, and gives up after some times. */
  #watch(session: Session, now: Instant): void {
    const nowMs = now.monoMs;
    const gone = this.#options.topology.peer(session.peerId)?.live !== true;
    if (gone || (session.stage === 'opening' && nowMs >= session.dueMs && session.tries >= triesMax)) {
      this.#fail(session, nowMs);
      return;
    }
    if (session.stage === 'opening' && nowMs >= session.dueMs) this.#sendOpen(session, nowMs);
    if (session.stage === 'walking' && nowMs >= session.dueMs) {
      if ((session.walk?.tries ?? 0) >= triesMax) this.#fail(session, nowMs);
      else this.#pullPage(session, nowMs);
      return;
    }
    for (const [id, pull] of session.pulls) {
      if (nowMs < pull.dueMs) continue;
      if (pull.tries >= triesMax) {
        this.#fail(session, nowMs);
        return;
      }
      this.#sendPull(session, id, pull, nowMs);
    }
    if (session.stage === 'pulling') this.#pump(session, nowMs);
  }

  #startDue(nowMs: number): void {
    const wish = this.#wishes.takeDue(nowMs);
    if (wish === undefined) return;
    const { peerId, root } = wish;
    if (this.#options.topology.peer(peerId)?.live !== true) return;
    const session: Session = {
      id: this.#id(),
      peerId,
      root,
      stage: 'opening',
      dueMs: nowMs,
      tries: 0,
      origins: new Set(),
      queue: [],
      pulls: new Map(),
      walk: undefined,
      dots: 0,
      peerLacks: false,
    };
    this.#session = session;
    this.#options.stats.syncs += 1;
    this.#sendOpen(session, nowMs);
  }

  /** A packet, repeated soon: most often there is nothing to fetch, and nothing to open a stream for. */
  #sendOpen(session: Session, nowMs: number): void {
    const { topology, outbox, origins, links } = this.#options;
    const peer = topology.peer(session.peerId);
    if (peer === undefined) return;
    session.tries += 1;
    session.dueMs = nowMs + openSlackMs + 1.5 * links.roundTripMs(peer);
    const digests = origins.packDigests();
    const { id } = session;
    outbox.sendNow(peer.endpoint, 'packet', { kind: 'sync-open', id, by: topology.self.id, digests });
  }

  #finish(session: Session, nowMs: number): void {
    const { topology, outbox, origins } = this.#options;
    const { self } = topology;
    const peer = topology.peer(session.peerId);
    if (peer !== undefined) outbox.sendNow(peer.endpoint, 'packet', { kind: 'sync-done', by: self.id });
    const hint = { kind: 'sync-hint', by: self.id, digest: origins.digest } as const;
    if (session.peerLacks && peer !== undefined) {
      outbox.sendNow(peer.endpoint, 'packet', { ...hint, root: self.id });
    }
    if (session.dots > 0) {
      // News for the neighbours, down a tree whose root brought it: they fetch it here, not over the WAN.
      const inRegion = session.root !== undefined && topology.livingIn(self.region).includes(session.root);
      const root = inRegion ? session.root : self.id;
      for (const id of topology.childrenOf(`news ${root}`, root, self.id, false)) {
        const child = topology.peer(id);
        if (child !== undefined && id !== session.peerId) {
          outbox.sendNow(child.endpoint, 'packet', { ...hint, root });
        }
      }
    }
    this.#end(nowMs);
  }

  #fail(session: Session, nowMs: number): void {
    this.#options.stats.syncsFailed += 1;
    const peer = this.#options.topology.peer(session.peerId);
    if (peer !== undefined) {
      this.#options.outbox.sendNow(peer.endpoint, 'packet', {
        kind: 'sync-done',
        by: this.#options.topology.self.id,
      });
    }
    this.#end(nowMs);
    this.plan(undefined, nowMs + 300 * (0.5 + this.#options.random()));
  }

  #end(nowMs: number): void {
    this.#session = undefined;
    this.#startDue(nowMs);
    this.#schedule();
  }

  #schedule(): void {
    let next = this.#periodicMs;
    const session = this.#session;
    if (session === undefined) next = Math.min(next, this.#wishes.nextMs);
    else {
      if (session.stage !== 'pulling') next = Math.min(next, session.dueMs);
      for (const { dueMs } of session.pulls.values()) next = Math.min(next, dueMs);
    }
    this.#nextMs = next;
  }

  /** A neighbour mostly, at times anybody: so that regions, too, are compared with each other. */
  #somebody(): string | undefined {
    const { topology, random } = this.#options;
    const { self } = topology;
    const neighbours = topology.livingIn(self.region);
    const regions = [...topology.regions()].filter((region) => region !== self.region);
    const away = neighbours.length < 2 || (regions.length > 0 && random() < 0.2);
    const pool = away ? topology.livingIn(regions[Math.floor(random() * regions.length)] ?? '') : neighbours;
    const start = Math.floor(random() * pool.length);
    const id = pool[start];
    return id === self.id ? pool[(start + 1) % pool.length] : id;
  }

  #id(): number {
    this.#nextId = (this.#nextId + 1) % 0xffff_ffff;
    return this.#nextId;
  }
}
