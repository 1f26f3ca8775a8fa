import type { OriginId } from '../crdt/dot.ts';
import { DueQueue } from './due-queue.ts';
import { hashText } from './hash.ts';
import type { DotBody, OriginRanges } from './body.ts';
import { unsigned, type DotsMessage } from './messages.ts';
import type { Lane, Outbox } from './outbox.ts';
import type { Links } from './rto.ts';
import { chunked } from './sizes.ts';
import type { ReplicationStats } from './stats.ts';
import type { Topology } from './topology.ts';

interface Tried {
  readonly id: string;
  readonly hash: number;
}

/** One region's relay or one child that a message must reach. */
interface Target {
  /** For a relay, its region: any of its candidates will do. */
  readonly region: string | undefined;
  readonly tried: Tried[];
  attempts: number;
  sentAtMs: number;
  /** When it counts as lost; of several deadlines only this one is true. */
  dueMs: number;
  /** Given another way too: what its acknowledgement takes says nothing of the round trip. */
  blurred: boolean;
  done: boolean;
}

interface Sending {
  readonly message: DotsMessage;
  readonly writerId: string;
  readonly bytes: number;
  readonly lane: Lane;
  readonly targets: Target[];
  open: number;
}

interface Deadline {
  readonly sending: Sending;
  readonly target: Target;
}

/** The first dots of a log carry its writer's name: membership may not have told everybody yet. */
const namedUntilSeq = 16;

const attemptsMax = 6;
/** Unacknowledged bytes to one peer, in all, and sendings: beyond them nothing new is begun. Guesses. */
const windowBytesMax = 4 << 20;
const unackedBytesMax = 32 << 20;
const sendingsMax = 16_384;
const streamExtraMs = 100;
const deadlineStepMs = 5;

/**
 * Hands new dots on, hop by hop, and each hop until it is acknowledged: from the writer to one relay of every other
 * region and to its own region's tree, and from whoever gets a dot first to its children. What is not acknowledged in
 * time goes to the region's standby, or once more to the child and then past it to the child's children. After some
 * tries it is given up: by then membership has named the dead, and the others find the hole by themselves.
 */
export class Spread {
  readonly #topology: Topology;
  readonly #links: Links;
  readonly #outbox: Outbox;
  readonly #stats: ReplicationStats;
  readonly #sendings = new Map<number, Sending>();
  readonly #deadlines = new DueQueue<Deadline>();
  #nextTag: number;
  #unackedBytes = 0;

  constructor(
    topology: Topology,
    links: Links,
    outbox: Outbox,
    stats: ReplicationStats,
    random: () => number,
  ) {
    this.#topology = topology;
    this.#links = links;
    this.#outbox = outbox;
    this.#stats = stats;
    // Not from 1: an acknowledgement of the last run of this process must not meet a tag of this one.
    this.#nextTag = 1 + Math.floor(random() * 0xfffe);
  }

  get nextMs(): number {
    this.#deadlines.skip(({ target }, atMs) => target.done || target.dueMs > atMs);
    return this.#deadlines.nextMs;
  }

  get unacked(): { readonly messages: number; readonly bytes: number } {
    return { messages: this.#sendings.size, bytes: this.#unackedBytes };
  }

  /** Dots of this gateway's own log, oldest first. */
  own(origin: OriginId, dots: readonly DotBody[], context: readonly OriginRanges[], nowMs: number): void {
    const { self } = this.#topology;
    const regions: string[] = [];
    for (const region of this.#topology.regions()) if (region !== self.region) regions.push(region);
    const children = this.#topology.childrenOf(origin, self.id, self.id, true);
    for (const { dots: part, bytes, lane } of chunked(dots)) {
      const nodeId = (part[0]?.seq ?? 0) <= namedUntilSeq ? self.id : null;
      const message = { kind: 'dots', tag: 0, origin, nodeId, dots: part, context } as const;
      this.#begin({ ...message, lead: true }, self.id, bytes, lane, regions, [], nowMs);
      this.#begin({ ...message, lead: false }, self.id, bytes, lane, [], children, nowMs);
    }
  }

  /** Dots that were new here, to this gateway's children in the tree of their origin. */
  forward(
    origin: OriginId,
    writerId: string,
    { dots, context }: Pick<DotsMessage, 'dots' | 'context'>,
    lead: boolean,
    nowMs: number,
  ): void {
    const children = this.#topology.childrenOf(origin, writerId, this.#topology.self.id, lead);
    if (children.length === 0) return;
    const known = this.#topology.peer(writerId)?.origin === origin;
    for (const { dots: part, bytes, lane } of chunked(dots)) {
      const nodeId = known && (part[0]?.seq ?? 0) > namedUntilSeq ? null : writerId;
      const message = { kind: 'dots', tag: 0, lead: false, origin, nodeId, dots: part, context } as const;
      this.#begin(message, writerId, bytes, lane, [], children, nowMs);
    }
  }

  acknowledged(by: number, tags: readonly number[], nowMs: number): void {
    for (const tag of tags) {
      const sending = this.#sendings.get(tag);
      if (sending === undefined) continue;
      for (const target of sending.targets) {
        if (target.done) continue;
        const who = target.tried.find((tried) => tried.hash === by);
        if (who === undefined) continue;
        const link = this.#links.open(who.id);
        if (target.attempts === 1 && sending.lane === 'packet' && !target.blurred) {
          this.#links.measured(link, this.#topology.peer(who.id)?.region, nowMs - target.sentAtMs);
        }
        this.#links.acknowledged(link);
        this.#close(sending, target);
      }
    }
  }

  /** Dots were given to a peer another way just now: no need to send them once more at once. */
  gave(id: string, origin: OriginId, from: number, to: number, nowMs: number): void {
    const link = this.#links.get(id);
    if (link === undefined || link.unackedBytes === 0) return;
    for (const sending of this.#sendings.values()) {
      const first = sending.message.dots[0];
      if (sending.message.origin !== origin || first === undefined || first.seq < from || first.seq > to)
        continue;
      for (const target of sending.targets) {
        if (target.done || target.tried.at(-1)?.id !== id) continue;
        target.blurred = true;
        this.#arm(sending, target, id, nowMs);
      }
    }
  }

  tick(nowMs: number): void {
    for (;;) {
      const due = this.#deadlines.popDue(nowMs);
      if (due === undefined) return;
      if (!due.target.done && due.target.dueMs <= nowMs) this.#overdue(due.sending, due.target, nowMs);
    }
  }

  #begin(
    template: DotsMessage,
    writerId: string,
    bytes: number,
    lane: Lane,
    regions: readonly string[],
    children: readonly string[],
    nowMs: number,
  ): void {
    if (regions.length + children.length === 0) return;
    if (this.#sendings.size >= sendingsMax || this.#unackedBytes > unackedBytesMax) {
      this.#stats.abandoned += regions.length + children.length;
      return;
    }
    const message = { ...template, tag: this.#tag() };
    const sending: Sending = { message, writerId, bytes, lane, targets: [], open: 0 };
    this.#sendings.set(message.tag, sending);
    for (const region of regions) this.#aim(sending, region, undefined, nowMs);
    for (const child of children) {
      this.#aim(sending, undefined, child, nowMs);
      // It did not answer lately: those behind it need not wait until that is certain.
      if (this.#avoided(child, nowMs)) this.#passBy(sending, child, nowMs);
    }
    if (sending.open === 0) this.#sendings.delete(message.tag);
  }

  #aim(sending: Sending, region: string | undefined, child: string | undefined, nowMs: number): void {
    const target: Target = {
      region,
      tried: [],
      attempts: 0,
      sentAtMs: nowMs,
      dueMs: nowMs,
      blurred: false,
      done: false,
    };
    const candidates = region === undefined ? [child as string] : this.#candidates(sending, region);
    const id =
      candidates.find((each) => this.#open(each) && !this.#avoided(each, nowMs)) ??
      candidates.find((each) => this.#open(each));
    if (id === undefined) {
      this.#stats.abandoned += 1;
      return;
    }
    sending.targets.push(target);
    sending.open += 1;
    this.#send(sending, target, id, nowMs);
  }

  #candidates(sending: Sending, region: string): readonly string[] {
    return this.#topology.relays(sending.message.origin, region);
  }

  #avoided(id: string, nowMs: number): boolean {
    return (this.#links.get(id)?.avoidedUntilMs ?? 0) > nowMs;
  }

  #open(id: string): boolean {
    return (this.#links.get(id)?.unackedBytes ?? 0) < windowBytesMax;
  }

  #send(sending: Sending, target: Target, id: string, nowMs: number): void {
    const peer = this.#topology.peer(id);
    if (peer === undefined) {
      this.#close(sending, target);
      return;
    }
    const link = this.#links.open(id);
    target.attempts += 1;
    if (target.attempts > 1) this.#stats.retransmissions += 1;
    else this.#stats.sentDots += sending.message.dots.length;
    if (!target.tried.some((tried) => tried.id === id)) {
      target.tried.push({ id, hash: unsigned(hashText(id)) });
      link.unackedBytes += sending.bytes;
      this.#unackedBytes += sending.bytes;
    }
    const message =
      target.attempts === 1 ? sending.message : { ...sending.message, nodeId: sending.writerId };
    const effect = {
      kind: 'send',
      to: peer.endpoint,
      lane: sending.lane,
      bulk: sending.lane === 'stream',
      message,
    } as const;
    this.#outbox.send('write', effect, sending.bytes, nowMs);
    target.sentAtMs = nowMs;
    this.#arm(sending, target, id, nowMs);
  }

  #arm(sending: Sending, target: Target, id: string, nowMs: number): void {
    const peer = this.#topology.peer(id);
    const baseMs = peer === undefined ? 100 : this.#links.rtoMs(peer);
    const extraMs = sending.lane === 'stream' ? streamExtraMs + 2 * baseMs : 0;
    const waitMs = (baseMs + extraMs) * 1.5 ** (target.attempts - 1) + this.#outbox.delayMs('write');
    // Rounded up, so that many losses wake the machine once.
    target.dueMs = Math.ceil((nowMs + waitMs) / deadlineStepMs) * deadlineStepMs;
    this.#deadlines.push(target.dueMs, { sending, target });
  }

  #overdue(sending: Sending, target: Target, nowMs: number): void {
    const last = target.tried.at(-1)?.id ?? '';
    this.#links.failed(this.#links.open(last), nowMs);
    if (target.attempts >= attemptsMax) {
      this.#stats.abandoned += 1;
      this.#close(sending, target);
      return;
    }
    if (target.region !== undefined) {
      const candidates = this.#candidates(sending, target.region);
      const others = candidates.filter((id) => id !== last);
      const next =
        others.find((id) => !target.tried.some((tried) => tried.id === id)) ?? others[0] ?? candidates[0];
      if (next === undefined) this.#close(sending, target);
      else this.#send(sending, target, next, nowMs);
      return;
    }
    const live = this.#topology.peer(last)?.live === true;
    if (!live || target.attempts === 2) this.#passBy(sending, last, nowMs);
    if (live) this.#send(sending, target, last, nowMs);
    else this.#close(sending, target);
  }

  /** Serves the children of a child that does not answer. */
  #passBy(sending: Sending, id: string, nowMs: number): void {
    const { origin } = sending.message;
    for (const child of this.#topology.childrenOf(origin, sending.writerId, id, false)) {
      const known = sending.targets.some(({ tried }) => tried.some((each) => each.id === child));
      if (!known && child !== this.#topology.self.id) this.#aim(sending, undefined, child, nowMs);
    }
  }

  #close(sending: Sending, target: Target): void {
    if (target.done) return;
    target.done = true;
    for (const { id } of target.tried) {
      const link = this.#links.get(id);
      if (link !== undefined) link.unackedBytes = Math.max(0, link.unackedBytes - sending.bytes);
      this.#unackedBytes -= sending.bytes;
    }
    sending.open -= 1;
    if (sending.open === 0) this.#sendings.delete(sending.message.tag);
  }

  #tag(): number {
    do this.#nextTag = this.#nextTag >= 0xffff ? 1 : this.#nextTag + 1;
    while (this.#sendings.has(this.#nextTag));
    return this.#nextTag;
  }
}
