import { countSeqs, headOf, type SeqRange, type SeqRanges } from '../crdt/seq-ranges.ts';
import type { Instant } from '../kernel/instant.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import { hashText } from './hash.ts';
import type { DottedRecord, Page, ReplicatedLog } from './log.ts';
import { bodyOf, isOverwritten, type DotBody, type OriginName, type OriginSeen } from './body.ts';
import { dotsPerMessageMax, originsMax, rangesMax, rowsMax } from './messages.ts';
import { bucketOf, type OriginTable } from './origins.ts';
import type { Outbox } from './outbox.ts';
import type { Stamps } from './stamps.ts';
import { bodyBytes, packetBytes, recordBytes } from './sizes.ts';
import { seenOver } from './superseded.ts';
import type {
  StatePageMessage,
  StatePullMessage,
  SyncGroup,
  SyncOpenMessage,
  SyncPullMessage,
  StateRow,
} from './sync-messages.ts';

/** Peers that are served at once (as Corrosion has it), and how long a silent one keeps its place. */
const permits = 3;
const idleMs = 3000;
const pageBytesMax = 256 * 1024;
const busyRetryMs = 80;

/** Answers those who lack something. It keeps nothing of them but their places: they drive. */
export class SyncServer {
  readonly #log: ReplicatedLog;
  readonly #origins: OriginTable;
  readonly #outbox: Outbox;
  readonly #stamps: Stamps;
  /** Who is served, and when it asked last. */
  readonly #served = new Map<string, number>();

  constructor(log: ReplicatedLog, origins: OriginTable, outbox: Outbox, stamps: Stamps) {
    this.#log = log;
    this.#origins = origins;
    this.#outbox = outbox;
    this.#stamps = stamps;
  }

  get serving(): number {
    return this.#served.size;
  }

  open(message: SyncOpenMessage, from: Endpoint, now: Instant): void {
    const { id } = message;
    const buckets = this.#origins.differing(message.digests);
    if (buckets.length === 0) {
      this.#outbox.sendNow(from, 'packet', { kind: 'sync-same', id });
      return;
    }
    if (!this.#admit(message.by, id, from, now.monoMs)) return;
    const wanted = new Set(buckets);
    const seen: OriginSeen[] = [];
    let bytes = 80;
    for (const log of this.#log.origins()) {
      if (log.seen.length === 0 || !wanted.has(bucketOf(hashText(log.origin)))) continue;
      if (seen.length >= originsMax) break;
      // Of very many holes the newest are told: what is not told is not asked for this time.
      const told = log.seen.length > rangesMax ? log.seen.slice(-rangesMax) : log.seen;
      seen.push({ origin: log.origin, nodeId: log.nodeId, seen: told });
      bytes += 40 + 11 * told.length;
    }
    this.#outbox.send(
      'resync',
      {
        kind: 'send',
        to: from,
        lane: bytes > packetBytes ? 'stream' : 'packet',
        bulk: false,
        message: {
          kind: 'sync-vector',
          id,
          by: this.#log.nodeId,
          collectedBelow: this.#log.collectedBelow,
          seenStampS: this.#stamps.safeS(now),
          buckets,
          seen,
        },
      },
      bytes,
      now.monoMs,
    );
  }

  pull(message: SyncPullMessage, from: Endpoint, now: Instant): void {
    if (!this.#admit(message.by, message.id, from, now.monoMs)) return;
    const groups: SyncGroup[] = [];
    let bytes = 0;
    let dots = 0;
    let whole = true;
    for (const { origin, ranges } of message.items) {
      const held = this.#log.originLog(origin);
      if (held === undefined) continue;
      const bodies: DotBody[] = [];
      const superseded: SeqRange[] = [];
      const head = headOf(held.seen);
      for (const range of ranges.toReversed()) {
        const to = Math.min(range.to, head);
        if (to < range.from) continue;
        if (dots >= dotsPerMessageMax || bytes >= pageBytesMax) {
          whole = false;
          break;
        }
        const read = this.#log.read(
          origin,
          { from: range.from, to },
          dotsPerMessageMax - dots,
          pageBytesMax - bytes,
        );
        for (const dot of read) {
          dots += 1;
          const isLeft = dot.records.length > 0;
          if (isLeft) bodies.push(bodyOf(dot));
          else addNewestFirst(superseded, dot.seq);
          bytes += isLeft ? bodyBytes(dot) : 2;
        }
        const last = read.at(-1);
        // The log counts bytes in its own way, so what it left out is looked for, not calculated.
        if (last !== undefined && hasBelow(held.seen, range.from, last.seq)) {
          whole = false;
          break;
        }
      }
      if (bodies.length + superseded.length > 0) {
        groups.push({ origin, nodeId: held.nodeId, superseded: superseded.toReversed(), dots: bodies });
      }
    }
    const overwritten = groups.flatMap(({ origin, superseded, dots: bodies }) =>
      superseded.length > 0 || bodies.some(isOverwritten) ? [origin] : [],
    );
    const context = overwritten.length > 0 ? seenOver(this.#log, overwritten) : [];
    const small = bytes + 40 * (groups.length + context.length + 1) < packetBytes;
    this.#outbox.send(
      'resync',
      {
        kind: 'send',
        to: from,
        lane: small ? 'packet' : 'stream',
        bulk: true,
        message: { kind: 'sync-page', id: message.id, whole, groups, context },
      },
      bytes,
      now.monoMs,
    );
  }

  statePull(message: StatePullMessage, from: Endpoint, now: Instant): void {
    if (!this.#admit(message.by, message.id, from, now.monoMs)) return;
    const page = this.#log.page(message.from, rowsMax / 2, pageBytesMax);
    const { reply, bytes } = packPage(message.id, page, (origin) => this.#log.originLog(origin)?.nodeId);
    this.#outbox.send(
      'resync',
      { kind: 'send', to: from, lane: 'stream', bulk: true, message: reply },
      bytes,
      now.monoMs,
    );
  }

  #admit(by: string, id: number, from: Endpoint, nowMs: number): boolean {
    if (!this.#served.has(by) && this.#served.size >= permits) {
      for (const [peer, atMs] of this.#served) if (nowMs - atMs > idleMs) this.#served.delete(peer);
    }
    const full = !this.#served.has(by) && this.#served.size >= permits;
    if (full || this.#outbox.queued('resync').bytes > 2 * pageBytesMax) {
      const retryMs = busyRetryMs + Math.ceil(this.#outbox.delayMs('resync'));
      this.#outbox.sendNow(from, 'packet', { kind: 'sync-busy', id, retryMs });
      return false;
    }
    this.#served.set(by, nowMs);
    return true;
  }

  /** Somebody that was served has all: its place is free. */
  release(by: string): void {
    this.#served.delete(by);
  }
}

/** Whether something was seen from `from` up to, not including, `end`. */
function hasBelow(seen: SeqRanges, from: number, end: number): boolean {
  return from < end && seen.some((range) => range.from < end && range.to >= from);
}

function addNewestFirst(ranges: SeqRange[], seq: number): void {
  const last = ranges.at(-1);
  if (last !== undefined && last.from === seq + 1) ranges[ranges.length - 1] = { from: seq, to: last.to };
  else ranges.push({ from: seq, to: seq });
}

function packPage(
  id: number,
  page: Page,
  nodeIdOf: (origin: OriginName['origin']) => string | undefined,
): { readonly reply: StatePageMessage; readonly bytes: number } {
  const places = new Map<string, number>();
  const origins: OriginName[] = [];
  let bytes = 60;
  const pack = ({ origin, ...row }: DottedRecord): StateRow => {
    let at = places.get(origin);
    if (at === undefined) {
      at = origins.length;
      places.set(origin, at);
      origins.push({ origin, nodeId: nodeIdOf(origin) ?? '' });
      bytes += 40;
    }
    bytes += recordBytes(row) + 8;
    return { ...row, at };
  };
  const rows = page.rows.map(pack);
  const aside = (page.aside ?? []).slice(0, rowsMax).map(pack);
  const { from, to, collectedBelow = 0 } = page;
  const reply = {
    kind: 'state-page',
    id,
    from,
    to: to ?? null,
    collectedBelow,
    origins,
    rows,
    aside,
  } as const;
  return { reply, bytes };
}

/** Seqs of several origins. */
export function countItems(items: readonly { readonly ranges: readonly SeqRange[] }[]): number {
  return items.reduce((sum, { ranges }) => sum + countSeqs(ranges), 0);
}
