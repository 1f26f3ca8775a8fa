import { commonPrefix, sortedUnique } from '../../byte-order.ts';
import { splitRegions } from '../../mirror/regions.ts';
import type { PhaseRule } from '../../../src/state/migration.ts';
import type { TailDeps } from './deps.ts';
import type { Leaf } from './leaf.ts';
import type { LeafPlanner } from './leaf-planner.ts';
import type { LeafTable, Place } from './leaf-table.ts';
import { describe, isAborted, orAborted } from './trouble.ts';

/** What discovery asks of its rule. */
export interface DiscoveryHost {
  readonly rule: PhaseRule;
  readonly deps: TailDeps;
  readonly signal: AbortSignal;
  readonly table: LeafTable;
  readonly planner: LeafPlanner;
  owns(key: string): boolean;
  insert(places: readonly Place[], insteadOf?: readonly Leaf[]): void;
  /** So many names there are, all of them in leaves. */
  counted(names: number): void;
}

/** Least time between two looks at all names, and the part of the time that they may take at most. Guesses. */
const floorMs = 500;
const share = 1 / 20;

/** New names that get a leaf each; more are divided as a plan does it. */
const singlesMax = 64;

/** Keys in no leaf that are remembered; beyond that the next look at all names here finds them. */
const strayMax = 10_000;

/** Leaves are joined when together they come to this part of what one may hold. */
const joinBelow = 1 / 4;

/**
 * Finds keys that no leaf covers: all names are watched, no more often than costs a twentieth of the time. Where one
 * leaf covers everything there is nothing to be found.
 */
export class Discovery {
  /** When the last look at all names was asked for, monotonic milliseconds; -1: there was none. */
  askedAtMs = -1;
  readonly #host: DiscoveryHost;
  /** Keys that are held here and in no leaf. */
  readonly #strays = new Set<string>();
  #wake: () => void = () => undefined;

  constructor(host: DiscoveryHost) {
    this.#host = host;
  }

  /** Looks at all names at once, whatever it costs. */
  now(): void {
    this.#wake();
  }

  /** A key was written here that is in no leaf. */
  stray(key: string): void {
    if (this.#strays.size < strayMax) this.#strays.add(key);
  }

  async run(): Promise<void> {
    const { deps, table, signal } = this.#host;
    const { gateway, limits } = deps;
    let index = 0;
    let tries = 0;
    while (!signal.aborted) {
      const wake = new AbortController();
      this.#wake = () => {
        index = 0;
        wake.abort();
      };
      const either = AbortSignal.any([signal, wake.signal]);
      if (table.isWhole) {
        await gateway.clock.sleep(limits.waitMs, either);
        continue;
      }
      await orAborted(deps.held(), signal);
      try {
        const startMs = gateway.monoMs();
        const looked = await this.#look(index, either);
        index = looked.index;
        this.askedAtMs = startMs;
        tries = 0;
        await gateway.clock.sleep(Math.max(floorMs, looked.costMs / share), either);
      } catch (error) {
        if (isAborted(error, signal)) return;
        if (wake.signal.aborted) continue;
        deps.throttles.note(describe(error), 5000);
        const span = Math.min(5000, 100 * 2 ** Math.min(tries, 10));
        tries += 1;
        await gateway.clock.sleep(span / 2 + (span / 2) * gateway.random(), either);
      }
    }
  }

  async #look(
    after: number,
    signal: AbortSignal,
  ): Promise<{ readonly index: number; readonly costMs: number }> {
    const { deps, rule, planner } = this.#host;
    const { gateway, reader, limits } = deps;
    const askedMs = gateway.monoMs();
    const waiting = { index: after, waitMs: limits.waitMs };
    const answer = await reader.keys(rule.prefix, undefined, { waiting, signal });
    const arrivedMs = gateway.monoMs();
    if (answer.kind === 'keys') {
      const names = answer.names.filter((name) => this.#host.owns(name));
      this.#host.counted(names.length);
      this.#cover(names);
      const index = answer.meta.index === null || answer.meta.index < after ? 0 : answer.meta.index;
      return { index, costMs: gateway.monoMs() - (after === 0 ? askedMs : arrivedMs) };
    }
    // Too many for one answer: piece by piece, without waiting.
    let total = 0;
    for await (const { names } of planner.regions(rule.prefix)) {
      total += names.length;
      this.#cover(names);
    }
    this.#host.counted(total);
    return { index: 0, costMs: gateway.monoMs() - askedMs };
  }

  #cover(names: readonly string[]): void {
    const { table } = this.#host;
    const found = names.filter((name) => table.find(name) === undefined);
    for (const key of this.#strays) if (table.find(key) === undefined) found.push(key);
    this.#strays.clear();
    if (found.length === 0) return;
    const uncovered = sortedUnique(found);
    this.#host.insert(
      uncovered.length <= singlesMax ? this.#singles(uncovered) : [...this.#grouped(uncovered)],
    );
  }

  /** Each as its own tree, where it stands above nothing that has a leaf or gets one. */
  #singles(names: readonly string[]): readonly Place[] {
    const leaves = this.#host.table.all;
    return names.map((prefix) => {
      const isAbove = (other: string): boolean => other !== prefix && other.startsWith(prefix);
      const tree = !names.some(isAbove) && !leaves.some((leaf) => isAbove(leaf.prefix));
      return { prefix, tree };
    });
  }

  /** Divided as a plan does it, where no leaf lies between them. */
  *#grouped(names: readonly string[]): Generator<Place, void, undefined> {
    const { rule, planner, table } = this.#host;
    for (const region of splitRegions(rule.prefix, names, planner.namesMax)) {
      const prefix = commonPrefix(region.names);
      const isFree = !table.all.some(
        (leaf) => leaf.prefix.startsWith(prefix) || prefix.startsWith(leaf.prefix),
      );
      if (isFree && region.tree) yield { prefix, tree: true };
      else if (region.names.length <= singlesMax) yield* this.#singles(region.names);
      else for (const name of region.names) yield { prefix: name, tree: false };
    }
  }

  /** Joins neighbours that have become small; one group at a time. */
  join(): void {
    const { table, rule, deps } = this.#host;
    const { leafNamesMax, leafBytesAim } = deps.limits;
    const leaves = table.all;
    for (let at = 0; at + 1 < leaves.length; at += 1) {
      const [first, second] = [leaves[at] as Leaf, leaves[at + 1] as Leaf];
      if (first.items + second.items > leafNamesMax * joinBelow) continue;
      const prefix = commonPrefix([first.prefix, second.prefix]);
      if (!prefix.startsWith(rule.prefix)) continue;
      const group = leaves.filter((leaf) => leaf.prefix.startsWith(prefix));
      const isQuiet = group.every((leaf) => leaf.compared && leaf.index > 0 && leaf.question === undefined);
      const items = group.reduce((sum, leaf) => sum + leaf.items, 0);
      const bytes = group.reduce((sum, leaf) => sum + leaf.bytes, 0);
      if (!isQuiet || items > leafNamesMax * joinBelow || bytes > leafBytesAim * joinBelow) continue;
      this.#host.insert([{ prefix, tree: true }], group);
      return;
    }
  }
}
