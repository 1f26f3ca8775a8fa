import { setMaxListeners } from 'node:events';
import { isOwnKey, ownKeys } from '../dual/fence.ts';
import type { PhaseRule } from '../../../src/state/migration.ts';
import { Kind } from '../../../src/state/kinds.ts';
import { mirrorState, type MirrorRecord } from '../../../src/state/mirror.ts';
import { breakerFloor, tripsBreaker } from '../../mirror/breaker.ts';
import { splitRegions } from '../../mirror/regions.ts';
import { sortedUnique } from '../../byte-order.ts';
import { untilCaughtUp } from './backlog.ts';
import { compareNow } from './compare-now.ts';
import { Committer, Outdated } from './committer.ts';
import type { TailDeps } from './deps.ts';
import { HeldCache } from './held-cache.ts';
import { decodeKvCursor, encodeKvCursor, noCounts, type TailCounts } from './kv-cursor.ts';
import type { Leaf } from './leaf.ts';
import { doubtOf } from './doubts.ts';
import { Discovery, type DiscoveryHost } from './discovery.ts';
import { LeafPlanner } from './leaf-planner.ts';
import { LeafTable, type Place } from './leaf-table.ts';
import { runLeaf, type LeafHost } from './leaf-loop.ts';
import { NetLoss } from './net-loss.ts';
import { recordsOf, type LeafLook } from './turn.ts';
import { describe, isAborted, orAborted } from './trouble.ts';

/** A leaf that changed within this time is one that changes. Guess. */
const busyMs = 5000;

/** The part of the event loop's time that looking at leaves may take. Guess. */
const lookingShare = 0.4;

/** What it costs to look at a name, milliseconds, and the part of the time that this may take. Guesses. */
const probeMsPerName = 0.0015;
const probingShare = 0.1;

/** The live mirror of one rule's keys. */
export class KvRule implements LeafHost, DiscoveryHost {
  readonly rule: PhaseRule;
  readonly deps: TailDeps;
  readonly counts: TailCounts;
  readonly table: LeafTable;
  readonly planner: LeafPlanner;
  readonly #commits: Committer;
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();
  readonly #loops = new Map<Leaf, Promise<void>>();
  readonly #losses: NetLoss;
  /** What was found when the rule was planned, or lately; undefined: not yet. */
  namesTotal: number | undefined;
  verifiedThroughIndex = 0;
  problem: string | undefined;
  paceMs: number;
  coldMs: number;
  #mark: { readonly index: number; readonly atMs: number } | undefined;
  #cursorAtMs = 0;
  #latencyMs = 0;
  #toldDoubt: string | undefined;
  #assignedAtMs = Number.NEGATIVE_INFINITY;
  readonly #discovery: Discovery;

  constructor(rule: PhaseRule, deps: TailDeps) {
    this.rule = rule;
    this.deps = deps;
    setMaxListeners(0, this.#stop.signal);
    this.paceMs = deps.limits.hotMinMs;
    this.coldMs = deps.limits.coldPollMs;
    this.table = new LeafTable(rule.prefix);
    this.planner = new LeafPlanner(deps, (key) => this.owns(key), this.signal);
    this.#discovery = new Discovery(this);
    this.#losses = new NetLoss(deps.gateway.monoMs);
    const cursor = this.#storedCursor();
    this.counts = cursor?.counts ?? noCounts();
    if (cursor !== undefined) this.table.restore(cursor.leaves);
    this.#commits = new Committer({
      propose: (command) => {
        if (command.kind === 'mirror-apply') deps.applying(command.records);
        return deps.gateway.propose(command);
      },
      sourceId: () => deps.source().id,
      timeline: deps.timeline,
      cursors: () => this.#cursors(),
      recordsMax: deps.limits.batchRecordsMax,
      bytesMax: deps.limits.batchBytesMax,
      calm: () => untilCaughtUp(deps.gateway, deps.throttles, this.#stop.signal),
    });
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  get leaves(): readonly Leaf[] {
    return this.table.all;
  }

  start(): void {
    void this.#keep(this.#begin());
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    for (const leaf of this.table.all) leaf.interrupt();
    while (this.#running.size > 0) await Promise.all(this.#running);
    await this.#commits.idle();
  }

  /** A key was written here. */
  touched(key: string): void {
    if (!key.startsWith(this.rule.prefix)) return;
    const leaf = this.table.find(key);
    if (leaf !== undefined) leaf.held?.touched(key, this.deps.asks.last);
    else if (this.table.all.length > 0 && this.owns(key)) this.#discovery.stray(key);
  }

  /** Whether a key is this rule's to copy: it is in no rule below this one, and not the migration's own. */
  owns(key: string): boolean {
    if (isOwnKey(key)) return false;
    const rule = this.deps.phases.ofKey(key);
    return rule !== undefined && rule.prefix === this.rule.prefix;
  }

  /** Everything is to be compared anew: in another timeline nothing is known. */
  rebase(): void {
    this.verifiedThroughIndex = 0;
    this.#mark = undefined;
    for (const leaf of this.table.all) {
      Object.assign(leaf, { index: 0, compared: false, comparedAtMs: -1, encoded: undefined });
      leaf.held?.settled.clear();
      leaf.interrupt();
    }
    this.#discovery.now();
  }

  /** Compares leaves below a prefix now; resolves when all that are there were asked for after this call. */
  compareNow(prefix: string, waitMs: number): Promise<{ entries: number; changed: number }> {
    return compareNow(this, this.#discovery, prefix, waitMs);
  }

  /** Lets the breaker's questions below a prefix pass, or forbids what they ask for. */
  answerBreaker(prefix: string, allow: boolean): boolean {
    // What was forbidden may be let through later.
    const asked = this.table.all.filter(
      (leaf) =>
        (leaf.question !== undefined || (allow && leaf.denied.size > 0)) && leaf.prefix.startsWith(prefix),
    );
    for (const leaf of asked) {
      if (allow) {
        leaf.allowed = (leaf.question?.deletes ?? 0) + leaf.denied.size;
        leaf.denied = new Set();
        this.#losses.forgive();
      } else {
        leaf.denied = new Set(leaf.question?.keys ?? []);
      }
      leaf.question = undefined;
      leaf.index = 0;
      leaf.interrupt();
    }
    return asked.length > 0;
  }

  /** Whether so many deletes of a leaf may go ahead without a human's word. */
  mayDelete(leaf: Leaf, deletes: number, creates: number, live: number): boolean {
    const isAllowed = leaf.allowed > 0 && deletes <= leaf.allowed + breakerFloor;
    if (deletes > 0 && !isAllowed) {
      if (tripsBreaker(deletes, live)) return false;
      const rest = this.table.all.reduce((sum, other) => sum + other.items, 0);
      if (tripsBreaker(this.#losses.with(deletes - creates), Math.max(rest, live))) return false;
    }
    // At once: other leaves are weighed before these are gone.
    if (!isAllowed) this.#losses.add(deletes - creates);
    return true;
  }

  async commit(leaf: Leaf, timeline: number, look: LeafLook, index: number): Promise<void> {
    const { upserts, deletes } = look;
    const counted = new Map<string, { readonly bytes: number }>();
    for (const upsert of upserts) if (!upsert.same) counted.set(upsert.entry.key, { bytes: upsert.bytes });
    const records = recordsOf(upserts, deletes);
    const moved = leaf.index !== index || leaf.names !== look.names || !leaf.compared;
    const dueMs = this.deps.gateway.monoMs() - this.#cursorAtMs;
    const { items, bytes, names, kept, skipped, locks } = look;
    const next = { index, items, bytes, names, compared: true, encoded: undefined };
    const apply = (): (() => void) => {
      const { index: wasIndex, items: wasItems, bytes: wasBytes, names: wasNames, compared } = leaf;
      Object.assign(leaf, next);
      return () =>
        Object.assign(leaf, {
          ...{ index: wasIndex, items: wasItems, bytes: wasBytes, names: wasNames, compared },
          encoded: undefined,
        });
    };
    // An index alone is no reason to write: without it the next look costs one answer more.
    if (records.length > 0 || (moved && (dueMs > 10_000 || !leaf.compared))) {
      await this.#commits.add({
        timeline,
        records,
        count: (part, undo) => this.#count(part, counted, undo ? -1 : 1),
        complete: apply,
      });
      this.#cursorAtMs = this.deps.gateway.monoMs();
    } else {
      apply();
    }
    Object.assign(leaf, { kept, skipped, locks, allowed: 0 });
  }

  learn(items: number, bytes: number): void {
    this.planner.learn(items, bytes);
  }

  /** Replaces a leaf by smaller ones. */
  async split(leaf: Leaf, names: readonly string[] | undefined): Promise<void> {
    if (leaf.dead) return;
    const places = names === undefined ? await this.#planned(leaf.prefix) : this.#pieces(leaf.prefix, names);
    const [only] = places;
    if (places.length === 1 && only?.prefix === leaf.prefix && only.tree === leaf.tree) {
      throw new Error(`an answer about ${JSON.stringify(leaf.prefix)} is too large, and cannot be split`);
    }
    this.insert(places, [leaf]);
  }

  #pieces(prefix: string, names: readonly string[]): readonly Place[] {
    const most = Math.min(this.planner.namesMax(), Math.max(1, Math.ceil(names.length / 2)));
    return [...splitRegions(prefix, sortedUnique(names), () => most)];
  }

  insert(places: readonly Place[], insteadOf: readonly Leaf[] = []): void {
    const wasWhole = this.table.isWhole;
    // What they cover was compared as those were that they replace; they are looked at, and counted, at once.
    const compared = insteadOf.length > 0 && insteadOf.every((leaf) => leaf.compared);
    let items = insteadOf.reduce((sum, leaf) => sum + leaf.items, 0);
    for (const leaf of this.table.insert(places, insteadOf)) {
      Object.assign(leaf, { compared, items });
      items = 0;
      this.#follow(leaf, insteadOf);
    }
    this.assignHot();
    if (wasWhole) this.#discovery.now();
  }

  counted(names: number): void {
    this.namesTotal = names;
  }

  async #begin(): Promise<void> {
    if (this.table.all.length === 0) {
      let tries = 0;
      for (;;) {
        try {
          await orAborted(this.deps.held(), this.signal);
          const places = await this.#planned(this.rule.prefix);
          this.insert(places.length === 0 ? [{ prefix: this.rule.prefix, tree: true }] : places);
          break;
        } catch (error) {
          if (isAborted(error, this.signal)) return;
          this.problem = describe(error);
          await this.#backoff(tries);
          tries += 1;
        }
        if (this.signal.aborted) return;
      }
    } else {
      this.namesTotal = this.table.all.reduce((sum, leaf) => sum + leaf.items, 0);
      this.assignHot();
      for (const leaf of this.table.all) this.#follow(leaf, []);
    }
    this.problem = undefined;
    void this.#keep(this.#discovery.run());
  }

  async #planned(prefix: string): Promise<readonly Place[]> {
    const { places, total } = await this.planner.plan(prefix);
    if (prefix === this.rule.prefix) this.namesTotal = total;
    return places;
  }

  get slowMs(): number {
    return this.#latencyMs > this.deps.limits.sourceLatencyMsMax ? this.#latencyMs : 0;
  }

  answered(tookMs: number): void {
    this.#latencyMs = this.#latencyMs * 0.7 + tookMs * 0.3;
    if (this.slowMs > 0) this.deps.throttles.note('the source answers slowly', 5000);
  }

  isBusy(leaf: Leaf): boolean {
    return this.deps.gateway.monoMs() - leaf.changedAtMs < busyMs;
  }

  /** What the source's answers leave open; undefined: nothing. */
  get doubt(): string | undefined {
    return doubtOf(this.table.all);
  }

  /** Regular work: what is compared through which index, and who waits for changes. */
  async tick(): Promise<void> {
    this.#tellDoubt();
    this.assignHot();
    this.#discovery.join();
    const leaves = this.table.all;
    const { gateway, reader, limits } = this.deps;
    // All leaves that change take turns within a part of the time: the rest is the gateway's.
    const busy = leaves.filter((leaf) => this.isBusy(leaf));
    const costMs = busy.reduce((sum, leaf) => sum + leaf.costMs, 0);
    const bytes = busy.reduce((sum, leaf) => sum + leaf.answerBytes, 0);
    const sharedMs = Math.max(costMs / lookingShare, (1000 * bytes) / limits.bytesPerSecondMax);
    this.paceMs = Math.max(this.slowMs, limits.hotMinMs, Math.min(limits.coldPollMs, sharedMs));
    const cold = leaves.reduce((sum, leaf) => sum + (leaf.hot ? 0 : leaf.items), 0);
    const probesMs = (cold * probeMsPerName) / probingShare;
    this.coldMs = Math.max(limits.coldPollMs, Math.min(limits.waitMs, probesMs));
    if (this.#mark === undefined) {
      const atMs = gateway.monoMs();
      const read = await reader.get(`${this.rule.prefix}${ownKeys}absent`, { signal: this.signal });
      if (read.kind === 'read' && read.meta.index !== null) this.#mark = { index: read.meta.index, atMs };
      return;
    }
    const { index, atMs } = this.#mark;
    const namesToo = this.table.isWhole || this.#discovery.askedAtMs >= atMs;
    if (leaves.length === 0 || !namesToo || leaves.some((leaf) => leaf.comparedAtMs < atMs)) return;
    this.verifiedThroughIndex = index;
    this.#mark = undefined;
  }

  #tellDoubt(): void {
    const { doubt } = this;
    if ((doubt === undefined) === (this.#toldDoubt === undefined)) return;
    this.#toldDoubt = doubt;
    const { gateway, evidence } = this.deps;
    if (doubt === undefined)
      gateway.log.info({ prefix: this.rule.prefix }, 'the source shows everything again');
    else gateway.log.warn({ prefix: this.rule.prefix }, doubt);
    evidence.mark(doubt === undefined ? 'hidden-over' : 'hidden', doubt ?? this.rule.prefix);
  }

  /** The leaves that change most wait for changes; the others are looked at now and then. */
  assignHot(): void {
    const leaves = this.table.all;
    const most = this.deps.hotMax();
    const isRoomy = leaves.length <= most;
    const now = this.deps.gateway.monoMs();
    if (!isRoomy && now - this.#assignedAtMs < 4 * this.deps.limits.tickMs) return;
    this.#assignedAtMs = now;
    // Who has a place keeps it against one that changes but a little more.
    const rank = (leaf: Leaf): number => (leaf.score + 0.5) * (leaf.hot ? 2 : 1);
    const ranked = isRoomy ? leaves : leaves.toSorted((a, b) => rank(b) - rank(a));
    ranked.forEach((leaf, at) => {
      const isHot = at < most;
      leaf.score *= 0.9;
      if (leaf.hot === isHot) return;
      leaf.hot = isHot;
      // What is not compared yet is under way already.
      if (leaf.index > 0) leaf.interrupt();
    });
  }

  #count(
    part: readonly MirrorRecord[],
    counted: ReadonlyMap<string, { readonly bytes: number }>,
    by: 1 | -1,
  ): void {
    for (const record of part) {
      if (record.value === null) {
        this.counts.deleted += by;
        continue;
      }
      const copied = counted.get(record.key);
      if (copied === undefined) continue;
      this.counts.copied += by;
      this.counts.copiedBytes += by * copied.bytes;
    }
  }

  #cursors(): Readonly<Record<string, string>> {
    const { timeline } = this.deps;
    const cursor = {
      timeline: timeline(),
      term: this.rule.term,
      counts: this.counts,
      leaves: this.table.all,
    };
    return { [this.#cursorName]: encodeKvCursor(cursor) };
  }

  get #cursorName(): string {
    return `tail/${this.rule.prefix}`;
  }

  #storedCursor(): ReturnType<typeof decodeKvCursor> {
    const { gateway, source, timeline } = this.deps;
    const row = gateway.view.get(Kind.mirror, source().id);
    const cursor = decodeKvCursor(mirrorState(row?.value ?? null, source().id).cursors[this.#cursorName]);
    return cursor?.term === this.rule.term && cursor.timeline === timeline() ? cursor : undefined;
  }

  newCache(leaf: Leaf): HeldCache {
    return new HeldCache(this.deps.gateway.view, leaf);
  }

  async #backoff(tries: number): Promise<void> {
    const { gateway } = this.deps;
    const span = Math.min(5000, 100 * 2 ** Math.min(tries, 10));
    await gateway.clock.sleep(span / 2 + (span / 2) * gateway.random(), this.signal);
  }

  /** Once those that it replaces are done: what they have under way would be counted twice. */
  #follow(leaf: Leaf, after: readonly Leaf[]): void {
    const ends = after.flatMap((other) => this.#loops.get(other) ?? []);
    const loop = Promise.all(ends).then(() => runLeaf(this, leaf));
    this.#loops.set(leaf, this.#keep(loop.finally(() => this.#loops.delete(leaf))));
  }

  #keep(work: Promise<void>): Promise<void> {
    const guarded = work
      .catch((error: unknown) => {
        if (isAborted(error, this.signal) || error instanceof Outdated) return;
        this.problem = describe(error);
        this.deps.gateway.log.error({ err: error, prefix: this.rule.prefix }, 'defect in the tail');
      })
      .finally(() => this.#running.delete(guarded));
    this.#running.add(guarded);
    return guarded;
  }
}
