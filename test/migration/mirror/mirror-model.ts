import {
  decideLeaf,
  decideProof,
  type LeafAnswer,
  type PointAnswer,
} from '../../../migration/mirror/leaf-decision.ts';
import { compareVersions } from '../../../migration/mirror/version.ts';
import type { Held } from '../../../migration/mirror/registers.ts';
import { ConsulModel } from './consul-model.ts';

/** Which of the rules a mirror keeps; everything but `full` is known to be wrong. */
export type RuleSet =
  | 'full'
  | 'no-proof'
  | 'no-fork-test'
  | 'no-equal-index-clause'
  | 'as-consul-replicate'
  /** Only the version guard: deletes what is absent from any list, whatever its index, and tells no fork. */
  | 'delete-on-any-absence'
  /** Goes on mirroring under its old term when authority has moved here. */
  | 'mirrors-after-cutover'
  /** Lends under the term of before when authority moves back. */
  | 'no-new-term'
  /** Takes what a gateway passed on that has not heard that authority moved. */
  | 'no-fence';

/** What may befall the source's history. */
export type Disaster = 'none' | 'live-restore' | 'rebuild';

type Message =
  | { kind: 'list'; prefix: string; timeline: number; askedAt: number; answer: LeafAnswer | null }
  | { kind: 'get'; key: string; timeline: number; askedAt: number; answer: PointAnswer | null }
  | { kind: 'relay'; key: string; timeline: number; stamp: number; value: string | null; term: number };

export const modelKeys = ['a/1', 'a/2', 'a/3', 'b/1', 'b/2', 'c'] as const;
const leaves = ['a/', 'b/', 'c'] as const;
const values = ['x', 'y', 'z'] as const;

/**
 * One history: a hostile scheduler runs direct writes, relayed writes, tree deletes, reaping and disasters
 * on the source while lists, point reads and relays are served early and delivered late, out of order or
 * never. Each step is one number, so that a failing history shrinks. With `moves` authority goes over to the owner here
 * and back: meanwhile the owner writes, its writes are copied to the source (or lost on the way back), others write at
 * the source directly, and what was under way before arrives.
 */
export class MirrorModel {
  readonly consul = new ConsulModel();
  /** Deletes of what the source has just as it was held here. */
  wrongfulDeletes = 0;
  readonly #rules: RuleSet;
  readonly #disaster: Disaster;
  readonly #held = new Map<string, Held>();
  readonly #lastIndex = new Map<string, number>();
  #timeline = 1;
  #counter = 1;
  #stores = 0;
  #inFlight: Message[] = [];
  readonly #kinds: number;
  /** Of the zone: rises whenever authority moves. */
  #term = 1;
  #lent = true;
  #clock = 1_000_000;
  /** What is right while authority is here. */
  #truth = new Map<string, string>();
  /** Writes of the owner that are not at the source yet, in their order. */
  #reverse: { readonly key: string; readonly value: string | null }[] = [];

  constructor(rules: RuleSet, disaster: Disaster, moves = false) {
    this.#rules = rules;
    this.#disaster = disaster;
    this.#kinds = moves ? 22 : 16;
  }

  step(code: number): void {
    const pick = Math.floor(code / this.#kinds);
    const key = modelKeys[pick % modelKeys.length] ?? 'c';
    const value = values[Math.floor(pick / modelKeys.length) % values.length] ?? 'x';
    switch (code % this.#kinds) {
      case 0:
      case 1:
        this.consul.put(key, value);
        break;
      case 2:
        if (this.consul.table.has(key)) this.consul.delete(key);
        break;
      case 3:
      case 4:
        this.#relay(key, this.consul.put(key, value), value);
        break;
      case 5:
        this.#relay(key, this.consul.delete(key), null);
        break;
      case 6:
        this.consul.deleteTree(['a/', 'b', ''][pick % 3] ?? 'a/');
        break;
      case 7:
        this.consul.reap();
        break;
      case 8:
      case 9:
        this.#askList([...leaves, ''][pick % 4] ?? '');
        break;
      case 10:
      case 11:
        this.#serve(pick);
        break;
      case 12:
      case 13:
        this.#deliver(pick);
        break;
      case 14:
        // Lost: a relay that never arrives, an answer of an election (no index, nothing in it).
        this.#inFlight.splice(pick % Math.max(1, this.#inFlight.length), 1);
        break;
      case 15:
        this.#strike(pick);
        break;
      case 16:
      case 17:
        if (this.#lent) this.#cutOver();
        break;
      case 18:
        if (!this.#lent) this.#lendAgain(pick);
        break;
      case 19:
      case 20:
        if (!this.#lent) this.#writeHere(key, value);
        break;
      default:
        if (!this.#lent) this.#writeHere(key, null);
    }
  }

  /** Only once everything is verified to be here. What is still under way belongs to stragglers. */
  #cutOver(): void {
    this.quiesce(this.#inFlight);
    if (this.divergence().length > 0) return;
    this.#truth = new Map([...this.consul.table].map(([key, { value }]) => [key, value]));
    this.#lent = false;
    this.#term += 1;
  }

  #lendAgain(pick: number): void {
    // What is not copied back is given up: the source is right from here on.
    if (pick % 3 > 0) this.#copyBack(this.#reverse.length);
    this.#reverse = [];
    this.#lent = true;
    this.#term += this.#rules === 'no-new-term' ? -1 : 1;
  }

  #writeHere(key: string, value: string | null): void {
    if (value === null) this.#truth.delete(key);
    else this.#truth.set(key, value);
    this.#clock += 1;
    this.#put({ key, term: this.#term, timeline: 0, stamp: this.#clock }, value);
    this.#reverse.push({ key, value });
    if (this.#reverse.length > 2) this.#copyBack(1);
  }

  #copyBack(count: number): void {
    for (const { key, value } of this.#reverse.splice(0, count)) {
      if (value !== null) this.consul.put(key, value);
      else if (this.consul.table.has(key)) this.consul.delete(key);
    }
  }

  /**
   * No more writes: everything in flight arrives, then the leaves are listed until nothing moves. `later`: what arrives
   * only after that.
   */
  quiesce(later: Message[] = []): void {
    this.#inFlight = this.#inFlight.filter((message) => !later.includes(message));
    this.#listUntilRest();
    this.#inFlight.push(...later);
  }

  #listUntilRest(): void {
    this.#drain();
    for (let round = 0; round < 12; round += 1) {
      const before = this.#stores;
      for (const leaf of leaves) this.#askList(leaf);
      this.#drain();
      if (this.#stores === before) return;
    }
  }

  #drain(): void {
    while (this.#inFlight.length > 0) {
      this.#serve(0, true);
      this.#deliver(0);
    }
  }

  /** Keys at which what is here differs from what decides: the source, or the owner here. */
  divergence(): string[] {
    return modelKeys.filter((key) => {
      const held = this.#held.get(key);
      const right = this.#lent ? this.consul.table.get(key)?.value : this.#truth.get(key);
      return (held === undefined || held.deleted ? null : held.digest) !== (right ?? null);
    });
  }

  #strike(pick: number): void {
    if (pick % 3 === 0) this.consul.save();
    else if (this.#disaster === 'live-restore' && pick % 3 === 1) this.consul.restoreLive();
    else if (this.#disaster === 'rebuild' && pick % 3 === 1) this.consul.rebuild();
  }

  #relay(key: string, stamp: number, value: string | null): void {
    this.#inFlight.push({ kind: 'relay', key, stamp, value, timeline: this.#timeline, term: this.#term });
  }

  #askList(prefix: string): void {
    this.#counter += 1;
    this.#inFlight.push({
      kind: 'list',
      prefix,
      timeline: this.#timeline,
      askedAt: this.#counter,
      answer: null,
    });
  }

  #askProof(key: string): void {
    this.#counter += 1;
    this.#inFlight.push({ kind: 'get', key, timeline: this.#timeline, askedAt: this.#counter, answer: null });
  }

  /** The source answers one question now; the answer may arrive much later. */
  #serve(pick: number, first = false): void {
    const open = this.#inFlight.filter((message) => message.kind !== 'relay' && message.answer === null);
    const message = first ? this.#inFlight[0] : open[pick % Math.max(1, open.length)];
    if (message === undefined || message.kind === 'relay' || message.answer !== null) return;
    const trust = {
      timeline: message.timeline,
      askedAt: message.askedAt,
      knownLeader: true,
      filtered: false,
    };
    if (message.kind === 'list') {
      const { items, index, indexIsTable } = this.consul.list(message.prefix);
      const listed = items.map(([key, entry]) => ({ key, stamp: entry.stamp, digest: entry.value }));
      message.answer = { ...trust, index, indexIsTable, items: listed };
    } else {
      const { entry, index } = this.consul.get(message.key);
      const item = entry === null ? null : { key: message.key, stamp: entry.stamp, digest: entry.value };
      message.answer = { ...trust, index, item };
    }
  }

  #deliver(pick: number): void {
    const ready = this.#inFlight.filter((message) => message.kind === 'relay' || message.answer !== null);
    const message = ready[pick % Math.max(1, ready.length)];
    if (message === undefined) return;
    this.#inFlight = this.#inFlight.filter((other) => other !== message);
    if (message.kind === 'relay') this.#onRelay(message);
    else if (message.kind === 'list' && message.answer !== null) this.#onList(message.prefix, message.answer);
    else if (message.kind === 'get' && message.answer !== null) this.#onProof(message.key, message.answer);
  }

  #onRelay(message: Extract<Message, { kind: 'relay' }>): void {
    if (this.#rules === 'as-consul-replicate' || message.timeline !== this.#timeline) return;
    const held = this.#held.get(message.key);
    const { key, value, stamp, timeline } = message;
    // By a gateway that did not hear that authority moved: over. Or it waited in this one's queue until now.
    const isOver = message.term < this.#term && stamp % 2 === 0;
    if (isOver && this.#rules !== 'no-fence') return;
    if (!isOver && !this.#mirrors()) return;
    const term = isOver ? message.term : this.#lentTerm();
    if (held === undefined || compareVersions({ term, timeline, stamp }, held) > 0) {
      this.#put({ key, term, timeline, stamp }, value);
    }
  }

  #mirrors(): boolean {
    return this.#lent || this.#rules === 'mirrors-after-cutover';
  }

  #lentTerm(): number {
    return this.#lent ? this.#term : this.#term - 1;
  }

  #onList(prefix: string, answer: LeafAnswer): void {
    if (!this.#mirrors()) return;
    if (this.#rules === 'as-consul-replicate') {
      this.#replicate(prefix, answer);
      return;
    }
    const held = [...this.#held.values()].filter((entry) => entry.key.startsWith(prefix));
    const blunted = held.map((entry) => this.#blunt(entry, answer));
    const decision = decideLeaf({
      timeline: this.#timeline,
      termOf: () => this.#lentTerm(),
      held: blunted,
      answer,
      proveEveryAbsence: false,
    });
    if (decision.kind === 'fork') this.#rebase();
    if (decision.kind !== 'plan') return;
    const items = new Map(answer.items.map((item) => [item.key, item]));
    for (const key of decision.upserts)
      this.#store(key, items.get(key)?.stamp ?? 0, items.get(key)?.digest ?? '');
    for (const { key, stamp } of decision.tombstones) this.#store(key, stamp, null);
    for (const key of decision.proofs) {
      if (this.#rules === 'delete-on-any-absence') this.#store(key, answer.index ?? 0, null);
      else if (this.#rules !== 'no-proof') this.#askProof(key);
    }
  }

  #onProof(key: string, answer: PointAnswer): void {
    const stored = this.#held.get(key);
    if (stored === undefined || !this.#mirrors()) return;
    const held = this.#rules === 'no-fork-test' ? { ...stored, storedAt: Infinity } : stored;
    const decision = decideProof(this.#timeline, this.#lentTerm(), held, answer);
    if (decision.kind === 'fork') this.#rebase();
    if (decision.kind === 'tombstone') this.#store(key, decision.stamp, null);
    if (decision.kind === 'upsert' && answer.item !== null)
      this.#store(key, answer.item.stamp, answer.item.digest);
  }

  /** Takes from the production rule what a worse rule set does not have. */
  #blunt(held: Held, answer: LeafAnswer): Held {
    if (this.#rules === 'no-fork-test' || this.#rules === 'delete-on-any-absence') {
      return { ...held, storedAt: Infinity };
    }
    if (this.#rules !== 'no-equal-index-clause') return held;
    const item = answer.items.find((candidate) => candidate.key === held.key);
    return item !== undefined && item.stamp === held.stamp ? { ...held, storedAt: Infinity } : held;
  }

  /** consul-replicate's rule: skip what is not above the last list's index, delete what is absent. */
  #replicate(prefix: string, answer: LeafAnswer): void {
    const last = this.#lastIndex.get(prefix) ?? 0;
    const present = new Set(answer.items.map((item) => item.key));
    for (const item of answer.items) if (item.stamp > last) this.#store(item.key, item.stamp, item.digest);
    for (const held of this.#held.values()) {
      if (held.key.startsWith(prefix) && !held.deleted && !present.has(held.key))
        this.#store(held.key, answer.index ?? 0, null);
    }
    this.#lastIndex.set(prefix, answer.index ?? 0);
  }

  #rebase(): void {
    this.#stores += 1;
    this.#timeline += 1;
    this.#askList('');
  }

  #store(key: string, stamp: number, value: string | null): void {
    const held = this.#held.get(key);
    const there = this.consul.table.get(key);
    if (value === null && there !== undefined && held?.stamp === there.stamp && held.digest === there.value) {
      this.wrongfulDeletes += 1;
    }
    this.#put({ key, term: this.#lentTerm(), timeline: this.#timeline, stamp }, value);
  }

  #put(version: Pick<Held, 'key' | 'term' | 'timeline' | 'stamp'>, value: string | null): void {
    this.#counter += 1;
    this.#stores += 1;
    this.#held.set(version.key, {
      ...version,
      deleted: value === null,
      digest: value ?? '',
      storedAt: this.#counter,
    });
  }
}
