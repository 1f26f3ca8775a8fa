import {
  decideLeaf,
  decideProof,
  type LeafAnswer,
  type PointAnswer,
} from '../../../migration/mirror/leaf-decision.ts';
import { copiedTerm } from '../../../migration/mirror/version.ts';
import type { Held } from '../../../migration/mirror/registers.ts';
import { ConsulModel } from './consul-model.ts';

/** Which of the rules a mirror keeps; everything but `full` is known to be wrong. */
export type RuleSet = 'full' | 'no-proof' | 'no-fork-test' | 'no-equal-index-clause' | 'as-consul-replicate';

/** What may befall the source's history. */
export type Disaster = 'none' | 'live-restore' | 'rebuild';

type Message =
  | { kind: 'list'; prefix: string; timeline: number; askedAt: number; answer: LeafAnswer | null }
  | { kind: 'get'; key: string; timeline: number; askedAt: number; answer: PointAnswer | null }
  | { kind: 'relay'; key: string; timeline: number; stamp: number; value: string | null };

export const modelKeys = ['a/1', 'a/2', 'a/3', 'b/1', 'b/2', 'c'] as const;
const leaves = ['a/', 'b/', 'c'] as const;
const values = ['x', 'y', 'z'] as const;

/**
 * One history: a hostile scheduler runs direct writes, relayed writes, tree deletes, reaping and disasters
 * on the source while lists, point reads and relays are served early and delivered late, out of order or
 * never. Each step is one number, so that a failing history shrinks.
 */
export class MirrorModel {
  readonly consul = new ConsulModel();
  readonly #rules: RuleSet;
  readonly #disaster: Disaster;
  readonly #held = new Map<string, Held>();
  readonly #lastIndex = new Map<string, number>();
  #timeline = 1;
  #counter = 1;
  #stores = 0;
  #inFlight: Message[] = [];

  constructor(rules: RuleSet, disaster: Disaster) {
    this.#rules = rules;
    this.#disaster = disaster;
  }

  step(code: number): void {
    const pick = Math.floor(code / 16);
    const key = modelKeys[pick % modelKeys.length] ?? 'c';
    const value = values[Math.floor(pick / modelKeys.length) % values.length] ?? 'x';
    switch (code % 16) {
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
      default:
        this.#strike(pick);
    }
  }

  /** No more writes: everything in flight arrives, then the leaves are listed until nothing moves. */
  quiesce(): void {
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

  /** Keys at which the mirror and the source differ. */
  divergence(): string[] {
    return modelKeys.filter((key) => {
      const held = this.#held.get(key);
      return (
        (held === undefined || held.deleted ? null : held.digest) !==
        (this.consul.table.get(key)?.value ?? null)
      );
    });
  }

  #strike(pick: number): void {
    if (pick % 3 === 0) this.consul.save();
    else if (this.#disaster === 'live-restore' && pick % 3 === 1) this.consul.restoreLive();
    else if (this.#disaster === 'rebuild' && pick % 3 === 1) this.consul.rebuild();
  }

  #relay(key: string, stamp: number, value: string | null): void {
    this.#inFlight.push({ kind: 'relay', key, stamp, value, timeline: this.#timeline });
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
    if (held !== undefined && held.timeline === this.#timeline && held.stamp >= message.stamp) return;
    this.#store(message.key, message.stamp, message.value);
  }

  #onList(prefix: string, answer: LeafAnswer): void {
    if (this.#rules === 'as-consul-replicate') {
      this.#replicate(prefix, answer);
      return;
    }
    const held = [...this.#held.values()].filter((entry) => entry.key.startsWith(prefix));
    const blunted = held.map((entry) => this.#blunt(entry, answer));
    const decision = decideLeaf({
      timeline: this.#timeline,
      termOf: copiedTerm,
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
    if (this.#rules !== 'no-proof') for (const key of decision.proofs) this.#askProof(key);
  }

  #onProof(key: string, answer: PointAnswer): void {
    const stored = this.#held.get(key);
    if (stored === undefined) return;
    const held = this.#rules === 'no-fork-test' ? { ...stored, storedAt: Infinity } : stored;
    const decision = decideProof(this.#timeline, 0, held, answer);
    if (decision.kind === 'fork') this.#rebase();
    if (decision.kind === 'tombstone') this.#store(key, decision.stamp, null);
    if (decision.kind === 'upsert' && answer.item !== null)
      this.#store(key, answer.item.stamp, answer.item.digest);
  }

  /** Takes from the production rule what a worse rule set does not have. */
  #blunt(held: Held, answer: LeafAnswer): Held {
    if (this.#rules === 'no-fork-test') return { ...held, storedAt: Infinity };
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
    this.#counter += 1;
    this.#stores += 1;
    this.#held.set(key, {
      key,
      term: 0,
      timeline: this.#timeline,
      stamp,
      deleted: value === null,
      digest: value ?? '',
      storedAt: this.#counter,
    });
  }
}
