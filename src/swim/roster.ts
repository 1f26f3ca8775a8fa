import { compareUtf8 } from '../kernel/utf8-order.ts';
import { isLive, nameKey, type Member } from './member.ts';
import { memberHash, prunedUpdate, updateOf } from './merge.ts';
import type { MemberUpdate } from './messages.ts';

/** A member whom an operator had forgotten, as long as somebody might bring it back. */
export interface Pruned {
  readonly incarnation: number;
  readonly sinceMs: number;
}

/**
 * The members that this one knows, itself included. What is rare is kept aside (who is gone since when, who was
 * pruned), so that a member costs little more than its places in one list and two maps.
 */
export class Roster {
  readonly #selfId: string;
  readonly #byId = new Map<string, Member>();
  /** The member that a name stands for: the living one, if any. */
  readonly #idByName = new Map<string, string>();
  readonly #goneSinceMs = new Map<string, number>();
  readonly #failed = new Set<string>();
  readonly #pruned = new Map<string, Pruned>();
  /** Ids of the others in the order in which they are probed; shuffled every round; may hold some that are no more. */
  #order: string[] = [];
  #at = 0;
  #live = 0;
  #digest = 0;
  #sorted: readonly Member[] | null = null;

  constructor(selfId: string) {
    this.#selfId = selfId;
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Alive or suspect, this one included. */
  get liveCount(): number {
    return this.#live;
  }

  get failedCount(): number {
    return this.#failed.size;
  }

  get digest(): number {
    return this.#digest >>> 0;
  }

  get(id: string): Member | undefined {
    return this.#byId.get(id);
  }

  byName(key: string): Member | undefined {
    const id = this.#idByName.get(key);
    return id === undefined ? undefined : this.#byId.get(id);
  }

  all(): Iterable<Member> {
    return this.#byId.values();
  }

  ids(): Iterable<string> {
    return this.#byId.keys();
  }

  gone(): Iterable<readonly [string, number]> {
    return this.#goneSinceMs;
  }

  goneSinceMs(id: string): number | undefined {
    return this.#goneSinceMs.get(id);
  }

  pruned(): ReadonlyMap<string, Pruned> {
    return this.#pruned;
  }

  /** What is held of a member, as it is told to others; `by`: who vouches for a suspicion. */
  told(id: string, withFacts: boolean, by: string, nowMs: number): MemberUpdate | undefined {
    const member = this.#byId.get(id);
    if (member !== undefined) {
      return updateOf(member, withFacts, by, nowMs - (this.#goneSinceMs.get(id) ?? nowMs));
    }
    const pruned = this.#pruned.get(id);
    return pruned && prunedUpdate(id, pruned.incarnation, nowMs - pruned.sinceMs);
  }

  /** All by name, then id. */
  sorted(): readonly Member[] {
    this.#sorted ??= [...this.#byId.values()].toSorted(
      (a, b) => compareUtf8(a.facts.name, b.facts.name) || compareUtf8(a.facts.id, b.facts.id),
    );
    return this.#sorted;
  }

  /** Adds or replaces. `goneSinceMs` counts for members that are failed or left. */
  set(member: Member, goneSinceMs: number, random: () => number): void {
    const { id } = member.facts;
    const previous = this.#byId.get(id);
    if (previous !== undefined) this.#discount(previous);
    this.#byId.set(id, member);
    this.#sorted = null;
    this.#digest ^= memberHash(id, member.incarnation, member.state, member.factsIncarnation);
    const live = isLive(member);
    if (live) this.#live += 1;
    if (live) this.#goneSinceMs.delete(id);
    else this.#goneSinceMs.set(id, goneSinceMs);
    if (member.state === 'failed') this.#failed.add(id);
    this.#name(member, previous);
    const returned = live && previous !== undefined && !isLive(previous);
    if (id !== this.#selfId && (previous === undefined || returned)) this.#insert(id, random);
  }

  /** Learns that it is gone for longer than was thought here. */
  age(id: string, goneSinceMs: number): void {
    const known = this.#goneSinceMs.get(id);
    if (known !== undefined && goneSinceMs < known) this.#goneSinceMs.set(id, goneSinceMs);
  }

  remove(id: string): void {
    const member = this.#byId.get(id);
    if (member === undefined) return;
    this.#discount(member);
    this.#byId.delete(id);
    this.#goneSinceMs.delete(id);
    this.#sorted = null;
    const key = nameKey(member.facts);
    if (this.#idByName.get(key) === id) this.#idByName.delete(key);
  }

  prune(id: string, pruned: Pruned): void {
    this.remove(id);
    this.unprune(id);
    this.#pruned.set(id, pruned);
    this.#digest ^= memberHash(id, pruned.incarnation, 'pruned', 0);
  }

  unprune(id: string): void {
    const known = this.#pruned.get(id);
    if (known === undefined) return;
    this.#pruned.delete(id);
    this.#digest ^= memberHash(id, known.incarnation, 'pruned', 0);
  }

  /** Round robin over the living others, in another order every round (SWIM §4.3). */
  nextToProbe(random: () => number): Member | undefined {
    for (let rounds = 0; rounds < 2; rounds++) {
      while (this.#at < this.#order.length) {
        const member = this.#byId.get(this.#order[this.#at] as string);
        this.#at += 1;
        if (member !== undefined && isLive(member)) return member;
      }
      this.#shuffle(random);
    }
    return undefined;
  }

  /** Up to `count` others by chance that are `wanted`: a few tries each, never a scan of a large pool. */
  pick(count: number, wanted: (member: Member) => boolean, random: () => number): Member[] {
    const picked: Member[] = [];
    const { length } = this.#order;
    if (length <= 4 * count) {
      const ids = [...this.#order];
      while (picked.length < count && ids.length > 0) {
        const at = Math.floor(random() * ids.length);
        const member = this.#byId.get(ids[at] as string);
        ids[at] = ids.at(-1) as string;
        ids.pop();
        if (member !== undefined && !picked.includes(member) && wanted(member)) picked.push(member);
      }
      return picked;
    }
    for (let tries = 0; tries < 4 * count && picked.length < count; tries++) {
      const member = this.#byId.get(this.#order[Math.floor(random() * length)] as string);
      if (member !== undefined && !picked.includes(member) && wanted(member)) picked.push(member);
    }
    return picked;
  }

  /** One of the failed, by chance. */
  pickFailed(random: () => number): Member | undefined {
    let at = Math.floor(random() * this.#failed.size);
    for (const id of this.#failed) {
      if (at === 0) return this.#byId.get(id);
      at -= 1;
    }
    return undefined;
  }

  #discount(member: Member): void {
    this.#digest ^= memberHash(member.facts.id, member.incarnation, member.state, member.factsIncarnation);
    if (isLive(member)) this.#live -= 1;
    this.#failed.delete(member.facts.id);
  }

  #name(member: Member, previous: Member | undefined): void {
    const { id } = member.facts;
    const key = nameKey(member.facts);
    if (previous !== undefined) {
      const before = nameKey(previous.facts);
      if (before !== key && this.#idByName.get(before) === id) this.#idByName.delete(before);
    }
    const holder = this.byName(key);
    if (holder === undefined || holder.facts.id === id || !isLive(holder)) this.#idByName.set(key, id);
  }

  /** At a random place of what is left of the round, so that the first probe comes after half a round on average. */
  #insert(id: string, random: () => number): void {
    const order = this.#order;
    const at = this.#at + Math.floor(random() * (order.length - this.#at + 1));
    if (at >= order.length) order.push(id);
    else {
      order.push(order[at] as string);
      order[at] = id;
    }
  }

  #shuffle(random: () => number): void {
    const order: string[] = [];
    for (const id of this.#byId.keys()) {
      if (id === this.#selfId) continue;
      const at = Math.floor(random() * (order.length + 1));
      if (at === order.length) order.push(id);
      else {
        order.push(order[at] as string);
        order[at] = id;
      }
    }
    this.#order = order;
    this.#at = 0;
  }
}
