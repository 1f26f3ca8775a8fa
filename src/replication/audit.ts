import type { OriginId } from '../crdt/dot.ts';
import { hasSeq, type SeqRanges } from '../crdt/seq-ranges.ts';
import { compareVersions } from '../crdt/version.ts';
import type { Instant } from '../kernel/instant.ts';
import { compareUtf8 } from '../kernel/utf8-order.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import { hashBytes, hashNumber, hashText, mix } from './hash.ts';
import { startCursor, type Cursor, type DottedRecord, type ReplicatedLog } from './log.ts';
import type { OriginSeen } from './body.ts';
import { auditOriginsMax, rowsMax, unsigned } from './messages.ts';
import type { OriginTable } from './origins.ts';
import type { Outbox } from './outbox.ts';
import { packetBytes } from './sizes.ts';
import type { ReplicationStats } from './stats.ts';
import type { Topology } from './topology.ts';
import { unpackPage } from './transfer.ts';
import type {
  AuditAskMessage,
  AuditHintMessage,
  AuditRow,
  AuditRowsMessage,
  StatePageMessage,
} from './sync-messages.ts';

interface Round {
  readonly id: number;
  readonly peerId: string;
  readonly from: Cursor;
  readonly to: Cursor | undefined;
  readonly dueMs: number;
  /** What tombstones could be gone when it began: of what went since, the other side may still show what they deleted. */
  readonly collectedBelow: number;
  /** A hinted round compares what the other side asked us to look at; it hints nobody in turn. */
  readonly hinted: boolean;
  /** Set once it differs beyond explanation: the page that mends it is joined in this context. */
  repair: ReadonlyMap<OriginId, SeqRanges> | undefined;
}

export interface AuditOptions {
  readonly log: ReplicatedLog;
  readonly origins: OriginTable;
  readonly topology: Topology;
  readonly outbox: Outbox;
  readonly stats: ReplicationStats;
  readonly random: () => number;
  readonly everyMs: number;
  readonly nowMs: number;
}

const runRows = 500;
const runBytesMax = 256 * 1024;
const patienceMs = 5000;

/**
 * Compares a run of registers with some peer, now and then, by digest; tombstones left out, since each gateway collects
 * them in its own time. Runs that differ are compared row by row, and exactly: a difference is a divergence only where
 * the side with the older row had seen the dot of the newer one, so news that is still under way is never mistaken for
 * one, and no quiet moment need be waited for. Of two rows with one version (two wrote where one may) neither is the
 * newer: both sides must have seen both. A divergence is counted and mended by joining both ways.
 */
export class Audit {
  readonly #options: AuditOptions;
  #cursor: Cursor = startCursor;
  #round: Round | undefined;
  #nextId: number;
  #nextRoundMs: number;

  constructor(options: AuditOptions) {
    this.#options = options;
    this.#nextId = Math.floor(options.random() * 0x7fff_ffff);
    this.#nextRoundMs = options.nowMs + options.everyMs * (0.5 + options.random());
  }

  get nextMs(): number {
    return this.#round === undefined ? this.#nextRoundMs : Math.min(this.#round.dueMs, this.#nextRoundMs);
  }

  tick(now: Instant): void {
    const nowMs = now.monoMs;
    if (this.#round !== undefined && nowMs >= this.#round.dueMs) this.#round = undefined;
    if (nowMs < this.#nextRoundMs) return;
    const { everyMs, random } = this.#options;
    this.#nextRoundMs = nowMs + everyMs * (0.5 + random());
    if (this.#round !== undefined) return;
    const peerId = this.#somebody();
    if (peerId === undefined) return;
    const next = this.#begin(peerId, this.#cursor, false, nowMs);
    this.#cursor = next ?? startCursor;
  }

  /** Somebody compares a run of its own with ours. */
  asked(message: AuditAskMessage, from: Endpoint): void {
    const { log, outbox, topology } = this.#options;
    const rows = this.#run(message.from, message.to ?? undefined);
    // Too many tombstones between: nothing can be said of it all, and part of it would look like a loss.
    if (rows === undefined || rows.length > rowsMax) return;
    const live = rows.filter(isLive);
    if (live.length === message.rows && digestOf(live) === message.digest) {
      outbox.sendNow(from, 'packet', { kind: 'audit-same', id: message.id });
      return;
    }
    const places = new Map<OriginId, number>();
    const origins: OriginSeen[] = [];
    const place = (origin: OriginId): number => {
      let at = places.get(origin);
      if (at === undefined) {
        const held = log.originLog(origin);
        const told = held !== undefined && origins.length < 2 * auditOriginsMax;
        // One past the end: of more origins than fit it is not told what was seen, and so nothing is concluded.
        at = told ? origins.length : 2 * auditOriginsMax;
        places.set(origin, at);
        if (told) origins.push({ origin, nodeId: held.nodeId, seen: held.seen });
      }
      return at;
    };
    for (const origin of message.origins) if (log.originLog(origin) !== undefined) place(origin);
    const told: AuditRow[] = [];
    for (const row of rows) {
      const at = place(row.origin);
      const { kind, key, seq, term, timeline, stamp } = row;
      const hash = unsigned(hashRow(row));
      told.push({ kind, key, at, seq, term, timeline, stamp, hash, live: isLive(row) });
    }
    outbox.sendNow(from, 'stream', {
      kind: 'audit-rows',
      id: message.id,
      by: topology.self.id,
      origins,
      rows: told,
    });
  }

  same(id: number): void {
    if (this.#round?.id === id) this.#round = undefined;
  }

  /** The peer's side of a run that differs. */
  compare(message: AuditRowsMessage, nowMs: number): void {
    const round = this.#round;
    if (round === undefined || round.id !== message.id) return;
    const { stats, outbox, topology } = this.#options;
    stats.auditsUnequal += 1;
    const diverged = this.#divergences(round, message);
    const peer = topology.peer(round.peerId);
    if (diverged === 0 || peer === undefined) {
      this.#round = undefined;
      return;
    }
    stats.divergences += diverged;
    const context = new Map(message.origins.map(({ origin, seen }) => [origin, seen]));
    this.#round = { ...round, repair: context, dueMs: nowMs + patienceMs };
    const by = topology.self.id;
    outbox.sendNow(peer.endpoint, 'stream', { kind: 'state-pull', id: round.id, by, from: round.from });
    if (!round.hinted) outbox.sendNow(peer.endpoint, 'packet', { kind: 'audit-hint', by, from: round.from });
  }

  hinted(message: AuditHintMessage, nowMs: number): void {
    if (this.#round === undefined) this.#begin(message.by, message.from, true, nowMs);
  }

  /** The page that mends a divergence; false when it is none that was asked for. */
  repair(message: StatePageMessage, now: Instant): boolean {
    const round = this.#round;
    if (round?.repair === undefined || round.id !== message.id) return false;
    this.#round = undefined;
    const page = unpackPage(message);
    if (page === undefined) return true;
    const { log, origins, stats } = this.#options;
    for (const { origin, nodeId } of message.origins) {
      log.introduce(origin, nodeId);
      origins.row(origin);
    }
    stats.divergencesRepaired += log.join(page, round.repair, now);
    return true;
  }

  #begin(peerId: string, from: Cursor, hinted: boolean, nowMs: number): Cursor | undefined {
    const { log, outbox, topology, stats } = this.#options;
    const peer = topology.peer(peerId);
    if (peer?.live !== true) return from;
    const page = log.page(from, runRows, runBytesMax);
    const rows = page.rows.filter(isLive);
    const names = [...new Set(rows.map(({ origin }) => origin))].slice(0, auditOriginsMax);
    this.#nextId = (this.#nextId + 1) % 0xffff_ffff;
    const { to } = page;
    const id = this.#nextId;
    const { collectedBelow } = log;
    const dueMs = nowMs + patienceMs;
    this.#round = { id, peerId, from, to, dueMs, collectedBelow, hinted, repair: undefined };
    stats.audits += 1;
    const small = names.length * 18 + from.key.length + (to?.key.length ?? 0) + 80 < packetBytes;
    outbox.sendNow(peer.endpoint, small ? 'packet' : 'stream', {
      kind: 'audit-ask',
      id,
      by: topology.self.id,
      from,
      to: to ?? null,
      rows: rows.length,
      digest: digestOf(rows),
      origins: names,
    });
    return to;
  }

  /** A run, tombstones included; undefined when it is far longer than a run is. */
  #run(from: Cursor, to: Cursor | undefined): readonly DottedRecord[] | undefined {
    const rows: DottedRecord[] = [];
    let at: Cursor | undefined = from;
    // Our side may hold more between the ends: tombstones, say.
    for (let pages = 0; at !== undefined && pages < 16; pages++) {
      const page = this.#options.log.page(at, runRows, runBytesMax);
      for (const row of page.rows) {
        if (to !== undefined && compareCursors(row, to) >= 0) return rows;
        rows.push(row);
      }
      at = page.to;
      if (rows.length > rowsMax) return undefined;
    }
    return at === undefined ? rows : undefined;
  }

  #divergences(round: Round, message: AuditRowsMessage): number {
    const ours = this.#run(round.from, round.to);
    if (ours === undefined) return 0;
    const theirs = new Map(message.rows.map((row) => [`${row.kind} ${row.key}`, row]));
    const theirSeen = new Map(message.origins.map(({ origin, seen }) => [origin, seen]));
    let diverged = 0;
    for (const row of ours) {
      const name = `${row.kind} ${row.key}`;
      const other = theirs.get(name);
      theirs.delete(name);
      if (other === undefined ? row.value === null : unsigned(hashRow(row)) === other.hash) continue;
      const order = other === undefined ? 1 : compareVersions(row, other);
      // Ours is newer, or only ours is there: explained unless they had seen its dot. Else the other way round.
      const theyHad = order >= 0 && hasSeq(theirSeen.get(row.origin) ?? [], row.seq);
      const weHad = order <= 0 && other !== undefined && this.#hadSeen(message, other);
      diverged += Number(order === 0 ? theyHad && weHad : theyHad || weHad);
    }
    if (this.#options.log.collectedBelow !== round.collectedBelow) return diverged;
    for (const other of theirs.values()) diverged += Number(other.live && this.#hadSeen(message, other));
    return diverged;
  }

  #hadSeen(message: AuditRowsMessage, { at, seq }: AuditRow): boolean {
    const origin = message.origins[at]?.origin;
    const seen = origin === undefined ? undefined : this.#options.log.originLog(origin)?.seen;
    return hasSeq(seen ?? [], seq);
  }

  #somebody(): string | undefined {
    const { topology, random } = this.#options;
    const regions = [...topology.regions()];
    const ids = topology.livingIn(regions[Math.floor(random() * regions.length)] ?? '');
    const start = Math.floor(random() * ids.length);
    const id = ids[start];
    return id === topology.self.id ? ids[(start + 1) % ids.length] : id;
  }
}

export function compareCursors(a: Cursor, b: Cursor): number {
  return a.kind - b.kind || compareUtf8(a.key, b.key);
}

/** Of all that replicas hold alike of a register, its dot left out: a register may come by several. */
function hashRow(row: DottedRecord): number {
  let h = mix(hashText(row.key), row.kind);
  h = hashNumber(hashNumber(hashNumber(hashNumber(h, row.term), row.timeline), row.stamp), row.born);
  h = mix(h, row.ix === null ? 0 : hashText(row.ix));
  return mix(h, row.value === null ? 0 : hashBytes(row.value));
}

function isLive({ value }: DottedRecord): boolean {
  return value !== null;
}

function digestOf(rows: readonly DottedRecord[]): number {
  let h = 0;
  for (const row of rows) h = mix(h, hashRow(row));
  return unsigned(h);
}
