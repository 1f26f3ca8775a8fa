import { updateBytes, type MemberUpdate } from './messages.ts';

/** So many updates at once are better compared than told. */
export const muchNews = 64;

interface Broadcast {
  readonly update: MemberUpdate;
  readonly bytes: number;
  sent: number;
  /** Called once it was sent often enough. */
  readonly done: (() => void) | null;
  dropped: boolean;
}

/**
 * Updates waiting to be spread, one per member: a newer one takes the place of an older. Handed out least sent first,
 * then newest first (as memberlist's TransmitLimitedQueue), each until it was sent as often as the pool's size asks.
 */
export class Broadcasts {
  readonly #max: number;
  readonly #byId = new Map<string, Broadcast>();
  /** By how often they were sent; in each, oldest first. Dropped ones are skipped when they come up. */
  readonly #tiers: Broadcast[][] = [];
  /** How many were dropped because the queue was full. */
  overflowed = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#byId.size;
  }

  add(update: MemberUpdate, done: (() => void) | null = null): void {
    this.remove(update.id);
    const item: Broadcast = { update, bytes: updateBytes(update), sent: 0, done, dropped: false };
    this.#byId.set(update.id, item);
    this.#tier(0).push(item);
    if (this.#byId.size > this.#max) this.#overflow();
  }

  remove(id: string): void {
    const known = this.#byId.get(id);
    if (known === undefined) return;
    known.dropped = true;
    this.#byId.delete(id);
  }

  /**
   * Somebody else spreads the same. While there is much to tell, that is as good as having sent it once: it halves
   * what a pool spends on news that nearly all have (feedback, in the words of Demers et al., 1987), and what it
   * misses is found by comparing. A single piece of news is told as often as it should.
   */
  heard({ id, incarnation, state }: MemberUpdate, limit: number): void {
    if (this.#byId.size < muchNews) return;
    const item = this.#byId.get(id);
    if (item?.update.incarnation !== incarnation || item.update.state !== state || item.done !== null) return;
    // It stays in the tier that it is in, and is counted when its turn comes.
    item.sent += 1;
    if (item.sent >= limit) this.remove(id);
  }

  /** A random other knows all of this: what was sent at all has got around, but for what comparing will find. */
  calm(): void {
    for (const { update, sent, done } of [...this.#byId.values()])
      if (sent > 0 && done === null) this.remove(update.id);
  }

  /**
   * Takes what fits into `bytesMax`, counting each as sent once; sent `limit` times it is done. An update that is
   * larger than that goes alone: its message then has to travel by stream.
   */
  take(bytesMax: number, limit: number, into: MemberUpdate[] = []): MemberUpdate[] {
    if (this.#byId.size === 0) return into;
    let bytesLeft = bytesMax;
    // A few that do not fit are passed over for smaller ones behind them, not all of a long queue.
    let passedOver = 0;
    const taken: Broadcast[] = [];
    for (const tier of this.#tiers) {
      const kept: Broadcast[] = [];
      while (bytesLeft > 0 && passedOver < 32) {
        const item = tier.pop();
        if (item === undefined) break;
        if (item.dropped) continue;
        const fits = item.bytes <= bytesLeft || (into.length === 0 && bytesLeft === bytesMax);
        if (fits) {
          bytesLeft -= item.bytes;
          into.push(item.update);
          taken.push(item);
        } else {
          passedOver += 1;
          kept.push(item);
        }
      }
      tier.push(...kept.toReversed());
    }
    for (const item of taken) this.#count(item, limit);
    return into;
  }

  #count(item: Broadcast, limit: number): void {
    item.sent += 1;
    if (item.sent < limit) {
      this.#tier(item.sent).push(item);
      return;
    }
    this.#byId.delete(item.update.id);
    item.done?.();
  }

  #tier(sent: number): Broadcast[] {
    while (this.#tiers.length <= sent) this.#tiers.push([]);
    return this.#tiers[sent] as Broadcast[];
  }

  #overflow(): void {
    for (const tier of this.#tiers.toReversed()) {
      const at = tier.findIndex((item) => !item.dropped);
      if (at < 0) {
        tier.length = 0;
        continue;
      }
      const [oldest] = tier.splice(0, at + 1).slice(-1);
      if (oldest !== undefined) this.remove(oldest.update.id);
      this.overflowed += 1;
      return;
    }
  }
}
