import type { OriginId } from '../crdt/dot.ts';
import { hashText, mix } from './hash.ts';
import { unsigned, type GroupClaim } from './messages.ts';
import type { OriginTable } from './origins.ts';

/** Digests that a group had lately: news that is a little behind what is here is recognised by them. */
const historyLength = 32;
/** A minimum over a group's members stands for so long. Guess. */
const leastMs = 1000;
/** For so long a claim may wait for what is under way. */
const pendingMs = 10_000;

interface Pending {
  readonly claim: GroupClaim;
  readonly atMs: number;
  readonly heardMs: number;
}

interface Group {
  readonly hash: number;
  /** Origins of the region's live members, by row. */
  readonly rows: number[];
  /** Exclusive ors: of the members' names, and of what was seen of them. */
  members: number;
  seen: number;
  readonly history: Int32Array;
  historyAt: number;
  /** Proofs that hold for all members alike, beside what is proved of each alone. */
  provenAtMs: number;
  provenStampS: number;
  /** Up to here all members had seen everything of everybody, going by who proved the above. */
  seenStampS: number;
  seenStampAtMs: number;
  pending: Pending | undefined;
  leastAtMs: number;
  least: Least;
}

interface Least {
  readonly atMs: number;
  readonly stampS: number;
  readonly seenStampS: number;
}

/** What this gateway says of itself. */
export interface OwnStamps {
  readonly stampS: number;
  readonly seenStampS: number;
}

const never = Number.NEGATIVE_INFINITY;
/** The minimum over nobody. */
const anything: Least = { atMs: Number.POSITIVE_INFINITY, stampS: 0xffff_ffff, seenStampS: 0xffff_ffff };

/**
 * Freshness by the region at once. "What I have seen of the live members of this region digests to D, and I had all
 * that they had written as of `ageMs` ago": whoever has seen the same has it as well, or did a moment ago. So one entry
 * of twenty bytes proves what else would take an entry for every member, and a thousand gateways tell each other about
 * all of them in one packet. It needs no agreement: where views differ, digests do, and what is proved origin by origin
 * goes on standing.
 */
export class Groups {
  readonly #origins: OriginTable;
  readonly #byHash = new Map<number, Group>();
  readonly #groups: Group[] = [];
  /** Number of a row's group, from 1; 0 for origins of nobody who lives. */
  #groupOf = new Uint16Array(16);
  #ownRow = -1;
  /** Rows of members that are away and not forgotten: nothing new is heard of them. */
  readonly #away = new Set<number>();

  constructor(origins: OriginTable) {
    this.#origins = origins;
    origins.onChange = (row, change) => this.#changed(row, change);
  }

  /** Which origin is this gateway's own: what is known of it is always fresh. */
  setOwn(origin: OriginId): void {
    this.#ownRow = this.#origins.row(origin);
  }

  enter(region: string, origin: OriginId): void {
    const group = this.#group(region);
    const row = this.#origins.row(origin);
    if (row >= this.#groupOf.length) {
      const grown = new Uint16Array(Math.max(row + 1, this.#groupOf.length * 2));
      grown.set(this.#groupOf);
      this.#groupOf = grown;
    }
    this.#away.delete(row);
    if (this.#groupOf[row] !== 0) return;
    this.#fold(group);
    group.rows.push(row);
    group.members ^= mix(hashText(origin), group.hash);
    group.seen ^= this.#origins.contribution(row);
    this.#groupOf[row] = this.#groups.indexOf(group) + 1;
    this.#remember(group);
  }

  /** `away`: it is a member still. */
  exit(region: string, origin: OriginId, away: boolean): void {
    const group = this.#group(region);
    const row = this.#origins.row(origin);
    if (away) this.#away.add(row);
    else this.#away.delete(row);
    const i = group.rows.indexOf(row);
    if (i < 0) return;
    this.#fold(group);
    const last = group.rows.pop() as number;
    if (i < group.rows.length) group.rows[i] = last;
    group.members ^= mix(hashText(origin), group.hash);
    group.seen ^= this.#origins.contribution(row);
    this.#groupOf[row] = 0;
    this.#remember(group);
  }

  provenAtMs(row: number): number {
    const own = this.#origins.provenAtMs[row] as number;
    return Math.max(own, this.#of(row)?.provenAtMs ?? never);
  }

  provenStampS(row: number): number {
    const own = this.#origins.provenStampS[row] as number;
    return Math.max(own, this.#of(row)?.provenStampS ?? 0);
  }

  seenStampS(row: number): number {
    const group = this.#of(row);
    const older = group === undefined || group.seenStampAtMs <= (this.#origins.newsAtMs[row] as number);
    // The later word counts, also where it is the lower: it falls when somebody joins.
    return older ? (this.#origins.seenStampS[row] as number) : group.seenStampS;
  }

  /** Over all members but this gateway, those that are away included. */
  leastOfAll(nowMs: number): Least {
    let { atMs, stampS, seenStampS } = anything;
    for (const group of this.#groups) {
      const least = this.#least(group, nowMs);
      atMs = Math.min(atMs, least.atMs);
      stampS = Math.min(stampS, least.stampS);
      seenStampS = Math.min(seenStampS, least.seenStampS);
    }
    for (const row of this.#away) {
      atMs = Math.min(atMs, this.provenAtMs(row));
      stampS = Math.min(stampS, this.provenStampS(row));
      seenStampS = Math.min(seenStampS, this.seenStampS(row));
    }
    return { atMs, stampS, seenStampS };
  }

  /** What can be said of a region now; undefined where something of it was never proved. */
  claim(region: string, own: OwnStamps, nowMs: number): GroupClaim | undefined {
    const group = this.#byHash.get(hashText(region));
    if (group === undefined || group.rows.length === 0) return undefined;
    const least = this.#least(group, nowMs);
    if (least.atMs === never) return undefined;
    const isOwn = group.rows.includes(this.#ownRow);
    const atMs = Math.min(nowMs, least.atMs);
    const stampS = isOwn ? Math.min(own.stampS, least.stampS) : least.stampS;
    const seenStampS = isOwn ? Math.min(own.seenStampS, least.seenStampS) : least.seenStampS;
    return {
      region: unsigned(group.hash),
      digest: unsigned(digestOf(group)),
      ageMs: Math.max(0, Math.ceil(nowMs - atMs)),
      stampS,
      seenLagS: Math.max(0, stampS - seenStampS),
    };
  }

  /**
   * Takes in what a peer says of a region, as of `travelMs` ago at most. False: what was seen of it here differs, and
   * has for a while; something that nobody is bringing may be missing.
   */
  hear(claim: GroupClaim, travelMs: number, nowMs: number): boolean {
    const group = this.#byHash.get(claim.region | 0);
    if (group === undefined) return true;
    const heard = { claim, atMs: nowMs - claim.ageMs - travelMs, heardMs: nowMs };
    if (group.history.includes(claim.digest | 0)) {
      prove(group, heard);
      return true;
    }
    const { pending } = group;
    if (pending !== undefined && nowMs - pending.heardMs < pendingMs) return true;
    group.pending = heard;
    return pending === undefined;
  }

  #changed(row: number, change: number): void {
    const group = this.#of(row);
    if (group === undefined) return;
    group.seen ^= change;
    this.#remember(group);
  }

  #remember(group: Group): void {
    const digest = digestOf(group);
    group.historyAt = (group.historyAt + 1) % historyLength;
    group.history[group.historyAt] = digest;
    const { pending } = group;
    if (pending === undefined || (pending.claim.digest | 0) !== digest) return;
    group.pending = undefined;
    prove(group, pending);
  }

  #of(row: number): Group | undefined {
    const number = this.#groupOf[row];
    return number === undefined || number === 0 ? undefined : this.#groups[number - 1];
  }

  #group(region: string): Group {
    const hash = hashText(region);
    let group = this.#byHash.get(hash);
    if (group === undefined) {
      group = {
        ...{ hash, rows: [], members: 0, seen: 0, history: new Int32Array(historyLength), historyAt: 0 },
        ...{ provenAtMs: never, provenStampS: 0, seenStampS: 0, seenStampAtMs: never },
        ...{ pending: undefined, leastAtMs: never, least: anything },
      };
      this.#byHash.set(hash, group);
      this.#groups.push(group);
    }
    return group;
  }

  /** Before its members change: what was proved of all becomes what is proved of each. */
  #fold(group: Group): void {
    const { provenAtMs, provenStampS, seenStampS } = this.#origins;
    for (const row of group.rows) {
      const seenStamp = this.seenStampS(row);
      provenAtMs[row] = Math.max(provenAtMs[row] as number, group.provenAtMs);
      provenStampS[row] = Math.max(provenStampS[row] as number, group.provenStampS);
      seenStampS[row] = seenStamp;
    }
    group.provenAtMs = never;
    group.provenStampS = 0;
    group.seenStampS = 0;
    group.seenStampAtMs = never;
    group.pending = undefined;
    group.leastAtMs = never;
    group.history.fill(0);
  }

  /** Over the members of a group but this gateway. */
  #least(group: Group, nowMs: number): Least {
    if (nowMs - group.leastAtMs < leastMs) return group.least;
    let { atMs, stampS, seenStampS } = anything;
    for (const row of group.rows) {
      if (row === this.#ownRow) continue;
      atMs = Math.min(atMs, this.provenAtMs(row));
      stampS = Math.min(stampS, this.provenStampS(row));
      seenStampS = Math.min(seenStampS, this.seenStampS(row));
    }
    group.leastAtMs = nowMs;
    group.least = { atMs, stampS, seenStampS };
    return group.least;
  }
}

function prove(group: Group, { claim, atMs }: Pending): void {
  if (atMs > group.provenAtMs) group.provenAtMs = atMs;
  if (claim.stampS > group.provenStampS) group.provenStampS = claim.stampS;
  if (atMs > group.seenStampAtMs) {
    group.seenStampAtMs = atMs;
    group.seenStampS = Math.max(0, claim.stampS - claim.seenLagS);
  }
}

/** 0 stands for nothing in histories. */
function digestOf({ members, seen }: Group): number {
  return mix(members, seen) || 1;
}
