import type { OriginId } from '../crdt/dot.ts';
import { contiguousHead, headOf } from '../crdt/seq-ranges.ts';
import type { Instant } from '../kernel/instant.ts';
import type { Groups } from './groups.ts';
import type { ReplicatedLog } from './log.ts';
import {
  claimsMax,
  headsMax,
  originsMax,
  type GroupClaim,
  type Head,
  type HeadsMessage,
  type Token,
} from './messages.ts';
import type { OriginTable } from './origins.ts';
import { claimBytes, headBytes, headsHeaderBytes } from './sizes.ts';
import type { Stamps } from './stamps.ts';
import type { Topology } from './topology.ts';

interface HeldToken extends Token {
  readonly receivedMs: number;
}

/** A head that was not reached yet when it was heard of. */
interface Awaited {
  readonly head: number;
  readonly atMs: number;
  readonly stampS: number;
}

/** Clocks of two machines may run apart by this share: far above what quartz does. */
const driftMax = 0.0005;
const tokensMax = 256;
const recentMax = 64;
/** Among many, claims do what heads one by one cannot: a few of these are enough then. */
const fewOrigins = 64;
const headsAmongMany = 6;
/** Of the room on a probe, claims take so much. */
const claimsShare = 0.35;
const claimsAtOnceMax = 4;

/**
 * Freshness, proved by local clocks alone. An entry says "at most `ageMs` ago, this was the head of that log". Who
 * receives it adds how long the message can have travelled: not a guess from earlier round trips, since a packet may
 * lie in the buffer of a stopped process for a minute, but what an echoed reading of one's own clock proves (as in
 * Cristian, 1989). An entry without such a bound still shows what is missing; it proves nothing about age.
 */
export class Heads {
  readonly #log: ReplicatedLog;
  readonly #origins: OriginTable;
  readonly #topology: Topology;
  readonly #groups: Groups;
  readonly #stamps: Stamps;
  readonly #life: number;
  readonly #startMs: number;
  readonly #tokens = new Map<string, HeldToken>();
  readonly #awaited = new Map<number, Awaited>();
  /** Rows with the latest news, round and round. */
  readonly #recent = new Int32Array(recentMax).fill(-1);
  #recentAt = 0;
  #turn = 0;
  /** Node ids. */
  #priority: readonly string[] = [];
  #priorityTurn = 0;
  #regionTurn = 0;

  constructor(options: {
    readonly log: ReplicatedLog;
    readonly origins: OriginTable;
    readonly topology: Topology;
    readonly groups: Groups;
    readonly stamps: Stamps;
    readonly random: () => number;
    readonly nowMs: number;
  }) {
    this.#log = options.log;
    this.#origins = options.origins;
    this.#topology = options.topology;
    this.#groups = options.groups;
    this.#stamps = options.stamps;
    this.#life = Math.floor(options.random() * 0x1_0000);
    this.#startMs = options.nowMs;
  }

  /** Owners of zones: what most clients ask about. */
  prioritise(nodeIds: Iterable<string>): void {
    this.#priority = [...nodeIds];
  }

  /**
   * What to tell a peer: this gateway's own head, what it can claim of regions (of those named, else of as many as
   * a share of the room takes, in turn), and heads of others in the room that is left.
   */
  compose(
    peerId: string,
    bytesMax: number,
    now: Instant,
    regions: readonly string[] = this.#someRegions(bytesMax),
  ): HeadsMessage | undefined {
    const own = this.#stamps.own(now);
    const claims: GroupClaim[] = [];
    for (const region of regions.slice(0, claimsMax)) {
      const claim = this.#groups.claim(region, own, now.monoMs);
      if (claim !== undefined) claims.push(claim);
    }
    const left = bytesMax - headsHeaderBytes - claims.length * claimBytes;
    const room = Math.min(
      this.#origins.size > fewOrigins ? headsAmongMany : headsMax,
      Math.floor(left / headBytes),
    );
    if (room < 1) return undefined;
    const held = this.#tokens.get(peerId);
    return {
      kind: 'heads',
      by: this.#topology.self.id,
      token: { life: this.#life, atMs: this.#clock(now.monoMs) },
      echo:
        held === undefined
          ? null
          : { life: held.life, atMs: held.atMs, heldMs: Math.floor(now.monoMs - held.receivedMs) },
      claims,
      heads: this.#choose(room, peerId, now),
    };
  }

  /**
   * Takes in what a peer says; answers the rows whose head is above what is seen here, and whether what it claims of
   * regions goes on differing from what is here, and a round trip where one shows. `ownHead` is called with what it knows of our own log.
   */
  receive(
    message: HeadsMessage,
    now: Instant,
    ownHead: (head: number) => void,
  ): {
    readonly lacking: readonly number[];
    readonly differs: boolean;
    readonly roundTripMs: number | undefined;
  } {
    const roundTripMs = this.#roundTripMs(message, now.monoMs);
    const travelMs = roundTripMs && roundTripMs.tripMs + roundTripMs.sinceMs * driftMax + 1;
    this.#tokens.delete(message.by);
    this.#tokens.set(message.by, { ...message.token, receivedMs: now.monoMs });
    if (this.#tokens.size > tokensMax) {
      for (const oldest of this.#tokens.keys()) {
        this.#tokens.delete(oldest);
        break;
      }
    }
    const lacking: number[] = [];
    for (const entry of message.heads) {
      if (entry.origin === this.#log.origin) {
        ownHead(entry.head);
        continue;
      }
      if (this.#origins.find(entry.origin) === undefined && this.#origins.size >= originsMax) continue;
      if (this.#learn(entry, travelMs, now.monoMs)) lacking.push(this.#origins.row(entry.origin));
    }
    let differs = false;
    if (travelMs !== undefined) {
      for (const claim of message.claims) {
        if (!this.#groups.hear(claim, travelMs, now.monoMs)) differs = true;
      }
    }
    return { lacking, differs, roundTripMs: roundTripMs?.tripMs };
  }

  /** An origin is whole up to here: proofs that waited for it hold now. */
  reached(row: number, whole: number): void {
    const awaited = this.#awaited.get(row);
    if (awaited === undefined || whole < awaited.head) return;
    this.#awaited.delete(row);
    this.#prove(row, awaited);
    // The latest news may be satisfied as well, or is awaited next.
    const { newsHead, newsAtMs, newsStampS } = this.#origins;
    const news = {
      head: newsHead[row] as number,
      atMs: newsAtMs[row] as number,
      stampS: newsStampS[row] as number,
    };
    if (news.atMs > awaited.atMs) this.#await(row, news, whole);
  }

  ageMs(origin: OriginId, nowMs: number): number | undefined {
    if (origin === this.#log.origin) return 0;
    const row = this.#origins.find(origin);
    const atMs = row === undefined ? Number.NEGATIVE_INFINITY : this.#groups.provenAtMs(row);
    return atMs === Number.NEGATIVE_INFINITY ? undefined : Math.max(0, Math.ceil(nowMs - atMs));
  }

  #learn(entry: Head, travelMs: number | undefined, nowMs: number): boolean {
    const origins = this.#origins;
    const row = origins.row(entry.origin);
    const whole = contiguousHead(origins.seen(row));
    origins.learnHead(row, entry.head);
    const atMs = travelMs === undefined ? Number.NEGATIVE_INFINITY : nowMs - entry.ageMs - travelMs;
    if (atMs > (origins.newsAtMs[row] as number)) {
      origins.newsAtMs[row] = atMs;
      origins.newsHead[row] = entry.head;
      origins.newsStampS[row] = entry.stampS;
      origins.seenStampS[row] = Math.max(0, entry.stampS - entry.seenLagS);
      this.#recent[this.#recentAt] = row;
      this.#recentAt = (this.#recentAt + 1) % recentMax;
    }
    this.#await(row, { head: entry.head, atMs, stampS: entry.stampS }, whole);
    return whole < entry.head;
  }

  #await(row: number, news: Awaited, whole: number): void {
    if (whole >= news.head) this.#prove(row, news);
    // An earlier one that is still awaited comes true sooner: under steady writes the latest never would.
    else if (!this.#awaited.has(row)) this.#awaited.set(row, news);
  }

  #prove(row: number, { atMs, stampS }: Awaited): void {
    const { provenAtMs, provenStampS } = this.#origins;
    if (atMs > (provenAtMs[row] as number)) provenAtMs[row] = atMs;
    if (stampS > (provenStampS[row] as number)) provenStampS[row] = stampS;
  }

  /** What an echo tells: the message itself was under way for no longer. Undefined when nothing proves it. */
  #roundTripMs(
    { echo }: HeadsMessage,
    nowMs: number,
  ): { readonly tripMs: number; readonly sinceMs: number } | undefined {
    if (echo === null || echo.life !== this.#life) return undefined;
    const sinceMs = nowMs - this.#startMs - echo.atMs;
    const tripMs = sinceMs - echo.heldMs;
    return tripMs < 0 ? undefined : { tripMs, sinceMs };
  }

  /** Own clock as it travels: whole milliseconds, rounded down (a token that seems older only adds to ages). */
  #clock(monoMs: number): number {
    return Math.max(0, Math.floor(monoMs - this.#startMs));
  }

  #someRegions(bytesMax: number): readonly string[] {
    const regions = [...this.#topology.regions()];
    const count = Math.min(
      regions.length,
      claimsAtOnceMax,
      Math.floor((bytesMax * claimsShare) / claimBytes),
    );
    this.#regionTurn = (this.#regionTurn + count) % regions.length;
    return Array.from(
      { length: count },
      (_, i) => regions[(this.#regionTurn + i) % regions.length] as string,
    );
  }

  /** This gateway's own head, owners of zones, the latest news, and some in turn so that all are told at times. */
  #choose(room: number, peerId: string, now: Instant): readonly Head[] {
    const own = this.#log.origin;
    const { stampS, seenStampS } = this.#stamps.own(now);
    const heads: Head[] = [
      {
        origin: own,
        head: headOf(this.#log.originLog(own)?.seen ?? []),
        stampS,
        seenLagS: Math.max(0, stampS - seenStampS),
        ageMs: 0,
      },
    ];
    const chosen = new Set<number>();
    const theirs = this.#topology.peer(peerId)?.origin;
    if (theirs !== undefined) chosen.add(this.#origins.find(theirs) ?? -1);
    const inTurn = room >= 6 ? 2 : 0;
    const priorityRoom = Math.ceil((room - 1 - inTurn) * 0.75);
    for (let i = 0; i < this.#priority.length && heads.length <= priorityRoom; i++) {
      this.#priorityTurn = (this.#priorityTurn + 1) % this.#priority.length;
      const owner = this.#topology.peer(this.#priority[this.#priorityTurn] as string);
      this.#tell(heads, chosen, owner && this.#origins.find(owner.origin), now.monoMs);
    }
    for (let i = 1; i <= recentMax && heads.length < room - inTurn; i++) {
      const row = this.#recent[(this.#recentAt - i + recentMax) % recentMax] as number;
      if (row < 0) break;
      this.#tell(heads, chosen, row, now.monoMs);
    }
    for (let i = 0; i < 16 && heads.length < room; i++) {
      this.#turn = (this.#turn + 1) % Math.max(1, this.#origins.size);
      this.#tell(heads, chosen, this.#turn, now.monoMs);
    }
    return heads;
  }

  #tell(heads: Head[], chosen: Set<number>, row: number | undefined, nowMs: number): void {
    if (row === undefined || chosen.has(row) || row >= this.#origins.size) return;
    const { newsAtMs, newsHead, newsStampS, seenStampS } = this.#origins;
    const atMs = newsAtMs[row] as number;
    if (atMs === Number.NEGATIVE_INFINITY) return;
    chosen.add(row);
    const stampS = newsStampS[row] as number;
    heads.push({
      origin: this.#origins.originAt(row),
      head: newsHead[row] as number,
      stampS,
      seenLagS: stampS - Math.min(stampS, seenStampS[row] as number),
      ageMs: Math.max(0, Math.ceil(nowMs - atMs)),
    });
  }
}
