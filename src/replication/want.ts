import type { OriginId } from '../crdt/dot.ts';
import {
  contiguousHead,
  countSeqs,
  missingRanges,
  type SeqRange,
  type SeqRanges,
} from '../crdt/seq-ranges.ts';
import type { Instant } from '../kernel/instant.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import { DueQueue } from './due-queue.ts';
import type { Intake } from './intake.ts';
import type { ReplicatedLog } from './log.ts';
import { bodyOf, type DotBody } from './body.ts';
import { rangesMax, type WantMessage } from './messages.ts';
import type { OriginTable } from './origins.ts';
import type { Outbox } from './outbox.ts';
import { chunked } from './sizes.ts';
import type { Links } from './rto.ts';
import type { Spread } from './spread.ts';
import type { ReplicationStats } from './stats.ts';
import { contextOf } from './superseded.ts';
import { secondUs, type Stamps } from './stamps.ts';
import type { Topology } from './topology.ts';

/** A hole in an origin's log, or a tail that heads tell of. */
interface Need {
  readonly row: number;
  readonly sinceMs: number;
  dueMs: number;
  attempts: number;
  /** Who showed the hole by a later dot: it has what is missing, most likely. */
  source: Endpoint | undefined;
}

/** So long what is missing may only have been overtaken. */
const reorderMs = 10;
/** A tail that only heads tell of may still be under way down the tree, retransmissions included. */
const tailMs = 150;
/** Members behind their region's first wait for it: it asks over the WAN once for all. */
const behindFirstMs = 250;
const waitMsMax = 5000;
const hopefulAttempts = 20;
/** More than this is not a hole but an absence: that is what syncs are for. */
const wantSeqsMax = 256;
/** So long a neighbour is given to fetch them from afar. */
const absenceMs = 700;
const fewSeqs = 16;
const needsPerTickMax = 64;
const answerBytesMax = 64 * 1024;
const answerDotsMax = 1024;

export interface WantsOptions {
  readonly log: ReplicatedLog;
  readonly origins: OriginTable;
  readonly intake: Intake;
  readonly topology: Topology;
  readonly links: Links;
  readonly outbox: Outbox;
  readonly spread: Spread;
  readonly stamps: Stamps;
  readonly stats: ReplicationStats;
  readonly random: () => number;
  /** Too much is missing to ask for it piece by piece: a sync, with this peer if possible. */
  readonly onAbsence: (peerId: string | undefined, nowMs: number) => void;
  /** A sync is bringing what is missing of this origin. */
  readonly isComing: (origin: OriginId) => boolean;
}

/** Pulls what is missing, hole by hole: at once, from who most likely has it, then from others. */
export class Wants {
  readonly #options: WantsOptions;
  readonly #needs = new Map<number, Need>();
  readonly #due = new DueQueue<number>();
  #othersFetchUntilMs = Number.NEGATIVE_INFINITY;

  constructor(options: WantsOptions) {
    this.#options = options;
  }

  get nextMs(): number {
    this.#due.skip((row, atMs) => (this.#needs.get(row)?.dueMs ?? Number.POSITIVE_INFINITY) > atMs);
    return this.#due.nextMs;
  }

  get size(): number {
    return this.#needs.size;
  }

  *gaps(): Iterable<{ readonly origin: OriginId; readonly sinceMs: number; readonly missing: SeqRanges }> {
    for (const { row, sinceMs } of this.#needs.values()) {
      yield { origin: this.#options.origins.originAt(row), sinceMs, missing: this.#missing(row, true) };
    }
  }

  /** After an origin's head or what was seen of it changed. `source`: who sent a dot behind the hole. */
  check(row: number, whole: number, source: Endpoint | undefined, nowMs: number): void {
    const { origins, log } = this.#options;
    const need = this.#needs.get(row);
    if (whole >= (origins.heads[row] as number)) {
      if (need !== undefined) this.#needs.delete(row);
      return;
    }
    if (origins.originAt(row) === log.origin) return;
    if (need === undefined) {
      const waitMs = source === undefined ? tailMs : reorderMs;
      this.#arm(
        { row, sinceMs: nowMs, dueMs: 0, attempts: 0, source },
        nowMs + waitMs + this.#patience(row, source),
      );
      return;
    }
    if (source === undefined) return;
    need.source = source;
    if (need.attempts === 0 && need.dueMs > nowMs + reorderMs) this.#arm(need, nowMs + reorderMs);
  }

  /** Regions were cut off from each other: those that meet on behalf of theirs fetch what is missing. */
  othersFetch(nowMs: number): void {
    this.#othersFetchUntilMs = nowMs + 2 * absenceMs;
  }

  /** Zones changed, or somebody new may have it: ask soon again for everything. */
  hurry(nowMs: number): void {
    for (const need of this.#needs.values()) {
      need.attempts = 0;
      if (need.dueMs > nowMs + reorderMs) this.#arm(need, nowMs + reorderMs);
    }
  }

  tick(now: Instant): void {
    const nowMs = now.monoMs;
    for (let asked = 0; asked < needsPerTickMax;) {
      const row = this.#due.popDue(nowMs);
      if (row === undefined) return;
      const need = this.#needs.get(row);
      if (need === undefined || need.dueMs > nowMs) continue;
      asked += 1;
      this.#ask(need, now);
    }
  }

  answer(message: WantMessage, from: Endpoint, nowMs: number): void {
    const { log, outbox, spread, stats } = this.#options;
    const held = log.originLog(message.origin);
    if (held === undefined) return;
    if (message.safeStampS * secondUs < log.collectedBelow) {
      // What it lacks may have been deleted by what is gone from here: it must compare, and take over whole state.
      const { self } = this.#options.topology;
      const digest = this.#options.origins.digest;
      outbox.sendNow(from, 'packet', { kind: 'sync-hint', by: self.id, digest, root: self.id });
      return;
    }
    const dots: DotBody[] = [];
    let room = answerBytesMax;
    // The newest first, as they are read; sent oldest first.
    for (const range of message.ranges.toReversed()) {
      const read = log.read(message.origin, range, answerDotsMax - dots.length, room);
      for (const dot of read) {
        dots.push(bodyOf(dot));
        for (const record of dot.records) room -= record.key.length + (record.value?.length ?? 0);
      }
      if (dots.length >= answerDotsMax || room <= 0) break;
    }
    if (dots.length === 0) return;
    stats.wantsAnswered += 1;
    dots.sort((a, b) => a.seq - b.seq);
    for (const part of chunked(dots)) {
      const reply = {
        kind: 'dots',
        tag: 0,
        lead: false,
        origin: message.origin,
        nodeId: held.nodeId,
        dots: part.dots,
        context: contextOf(log, message.origin, part.dots),
      } as const;
      const bulk = part.lane === 'stream';
      outbox.send(
        'repair',
        { kind: 'send', to: from, lane: part.lane, bulk, message: reply },
        part.bytes,
        nowMs,
      );
    }
    const last = dots.at(-1) as DotBody;
    spread.gave(message.by, message.origin, (dots[0] as DotBody).seq, last.seq, nowMs);
  }

  #ask(need: Need, now: Instant): void {
    const nowMs = now.monoMs;
    const { origins, outbox, topology, stats, isComing, onAbsence, random } = this.#options;
    const origin = origins.originAt(need.row);
    if (isComing(origin)) {
      this.#arm(need, nowMs + 500);
      return;
    }
    const missing = this.#missing(need.row, false);
    if (missing.length === 0) {
      // All that is missing waits for a zone's term.
      if (this.#missing(need.row, true).length === 0) this.#needs.delete(need.row);
      else this.#arm(need, nowMs + waitMsMax);
      return;
    }
    const { to, rttMs, id } = this.#whom(need, origin);
    const backoff = 1.6 ** Math.min(need.attempts, 20);
    // Nobody seems to have it: its writer may have lost its disk. It is still needed, but asked for seldom.
    const capMs = need.attempts < hopefulAttempts ? waitMsMax : 12 * waitMsMax;
    const waitMs = Math.min(capMs, (rttMs * 1.2 + 40) * backoff * (0.9 + 0.2 * random()));
    need.attempts += 1;
    if (countSeqs(missing) > (nowMs < this.#othersFetchUntilMs ? fewSeqs : wantSeqsMax)) {
      const waits = this.#leavesToOthers(need, origin, nowMs);
      onAbsence(waits ? this.#neighbour() : id, nowMs + (waits ? absenceMs : 0));
      this.#arm(need, nowMs + Math.max(2 * absenceMs, waitMs));
      return;
    }
    this.#arm(need, nowMs + waitMs);
    if (to === undefined) return;
    stats.wantsSent += 1;
    // Of very many holes, the newest.
    outbox.sendNow(to, 'packet', {
      kind: 'want',
      by: topology.self.id,
      origin,
      ranges: missing.slice(-Math.min(64, rangesMax)),
      safeStampS: this.#options.stamps.safeS(now),
    });
  }

  /** Who is asked next: who showed the hole, one's parent, a neighbour, the writer, anybody. */
  #whom(need: Need, origin: OriginId): { to: Endpoint | undefined; rttMs: number; id: string | undefined } {
    const { topology, log, links } = this.#options;
    const writerId = log.originLog(origin)?.nodeId ?? topology.writerOf(origin)?.id ?? '';
    const first = topology.isFirst(origin, writerId);
    const writer = topology.peer(writerId)?.live === true ? writerId : undefined;
    const neighbour = this.#neighbour();
    if (need.source !== undefined && need.attempts === 0)
      return { to: need.source, rttMs: 100, id: undefined };
    const attempt = need.attempts - (need.source === undefined ? 0 : 1);
    let id: string | undefined;
    if (first) id = attempt % 3 === 0 ? writer : attempt % 3 === 1 ? this.#anybody() : neighbour;
    else if (attempt === 0) id = topology.parent(origin, writerId);
    else if (attempt % 5 === 3) id = writer;
    else id = attempt % 5 === 0 ? this.#anybody() : neighbour;
    id ??= this.#anybody();
    const peer = id === undefined ? undefined : topology.peer(id);
    if (peer === undefined) return { to: undefined, rttMs: 100, id: undefined };
    return { to: peer.endpoint, rttMs: links.roundTripMs(peer), id };
  }

  /** Whether somebody else of the region gets it first: so that it crosses the WAN once. */
  #leavesToOthers(need: Need, origin: OriginId, nowMs: number): boolean {
    const { topology, log } = this.#options;
    if (need.attempts > 2 || topology.livingIn(topology.self.region).length < 2) return false;
    if (nowMs < this.#othersFetchUntilMs) return true;
    return !topology.isFirst(origin, log.originLog(origin)?.nodeId ?? '');
  }

  #neighbour(): string | undefined {
    const { topology, random } = this.#options;
    const ids = topology.livingIn(topology.self.region);
    const start = Math.floor(random() * ids.length);
    const id = ids[start] === topology.self.id ? ids[(start + 1) % ids.length] : ids[start];
    return id === topology.self.id ? undefined : id;
  }

  #anybody(): string | undefined {
    const { topology, random } = this.#options;
    const regions = [...topology.regions()];
    const ids = topology.livingIn(regions[Math.floor(random() * regions.length)] ?? '');
    const id = ids[Math.floor(random() * ids.length)];
    return id === topology.self.id ? undefined : id;
  }

  #patience(row: number, source: Endpoint | undefined): number {
    if (source !== undefined) return 0;
    const { topology, origins, log } = this.#options;
    const origin = origins.originAt(row);
    const writerId = log.originLog(origin)?.nodeId ?? '';
    return topology.isFirst(origin, writerId) ? 0 : behindFirstMs;
  }

  #missing(row: number, deferredToo: boolean): SeqRanges {
    const { origins, intake } = this.#options;
    const seen = origins.seen(row);
    const wanted: SeqRange[] = [{ from: contiguousHead(seen) + 1, to: origins.heads[row] as number }];
    const missing = missingRanges(wanted, seen);
    return deferredToo ? missing : missingRanges(missing, intake.deferredOf(origins.originAt(row)));
  }

  #arm(need: Need, dueMs: number): void {
    need.dueMs = dueMs;
    this.#needs.set(need.row, need);
    this.#due.push(dueMs, need.row);
  }
}
