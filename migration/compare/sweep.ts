import { compareBytewise } from '../byte-order.ts';
import type { Clock } from '../clock.ts';
import { inOrder } from '../copy/ordered-pipeline.ts';
import { LeafSizer, namesOfReader, planRegions } from '../copy/plan-regions.ts';
import { hasTrueName, isNodeNameMirrored } from '../mirror/key-rules.ts';
import { splitRegions, type Region } from '../mirror/regions.ts';
import type { MirrorKind } from '../mirror/registers.ts';
import { ConnectionError } from '../source/connection.ts';
import type { ConsulReader, SourceSelf } from '../source/consul-reader.ts';
import { catalogSide, kvSide, type SideEntry } from './entries.ts';
import { judgeLook, openSuspect, recheck, type Look, type Suspect } from './recheck.ts';
import { Tally, type Outcome } from './tally.ts';

export type CompareOptions = {
  readonly source: ConsulReader;
  readonly target: ConsulReader;
  readonly targetSelf: SourceSelf;
  readonly prefixes: readonly string[];
  readonly kv: boolean;
  readonly catalog: boolean;
  /** When a difference is looked at again, counted from the first look; empty: it counts at once. */
  readonly recheckDelaysMs: readonly number[];
  /** Keep values in clear, for a report that may show them. */
  readonly reveal: boolean;
  readonly clock: Clock;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: CompareProgress) => void;
  /** Differences beyond this many are counted without a second look: memory stays bounded. */
  readonly suspectsMax?: number;
  readonly leavesAhead?: number;
};

export type CompareProgress = {
  readonly phase: 'kv' | 'catalog' | 'recheck';
  readonly done: number;
  readonly total: number;
  readonly differing: number;
};

export type SideCounts = Record<MirrorKind, number>;

export type SweepResult = {
  readonly tally: Tally;
  readonly seen: { readonly source: SideCounts; readonly target: SideCounts };
  readonly bytes: { readonly source: number; readonly target: number };
  readonly filtered: { readonly source: boolean; readonly target: boolean };
  /** Entries or nodes left out, by the name of the rule. */
  readonly ignored: Readonly<Record<string, number>>;
  readonly leaves: number;
};

type Side = 'source' | 'target';
/** Entries of one side in one leaf, by an id that both sides share. */
type Reading = ReadonlyMap<string, SideEntry>;

/** Where an entry can be read again: a key in its region, or everything of a node. */
type Place =
  | { readonly kind: 'kv'; readonly region: Region }
  | { readonly kind: 'node'; readonly names: Readonly<Record<Side, string>> };

type Open = {
  readonly id: string;
  readonly entry: MirrorKind;
  readonly key: string;
  readonly place: Place;
  suspect: Suspect;
};

const leafBytesAim = 1.5 * 1024 * 1024;
const leafNamesMax = 8192;
/** From this many suspects of one region on, the region is read as a whole. */
const regionReadFrom = 16;

/**
 * Compares two sides leaf by leaf, both ways: each leaf is planned from the names of both. What differs is
 * read once more at the source (source, target, source), then again after the delays.
 */
export class Sweep {
  readonly #options: CompareOptions;
  readonly #tally = new Tally();
  readonly #open = new Map<string, Open>();
  readonly #seen = { source: emptySide(), target: emptySide() };
  readonly #bytes = { source: 0, target: 0 };
  readonly #filtered = { source: false, target: false };
  readonly #ignored: Record<string, number> = {};
  #leaves = 0;
  #done = 0;
  #total = 0;

  constructor(options: CompareOptions) {
    this.#options = options;
  }

  async run(): Promise<SweepResult> {
    if (this.#options.kv) await this.#sweepKv();
    if (this.#options.catalog) await this.#sweepCatalog();
    await this.#recheckAll();
    return {
      tally: this.#tally,
      seen: this.#seen,
      bytes: this.#bytes,
      filtered: this.#filtered,
      ignored: this.#ignored,
      leaves: this.#leaves,
    };
  }

  async #sweepKv(): Promise<void> {
    const { source, target, prefixes } = this.#options;
    const sizer = new LeafSizer(leafBytesAim, leafNamesMax);
    const sides = [namesOfReader(source), namesOfReader(target)];
    for (const prefix of prefixes) {
      const regions = planRegions(prefix, sides, sizer.namesMax, (count) => (this.#total += count));
      await this.#sweepRegions(regions, sizer);
    }
  }

  async #sweepRegions(regions: AsyncIterable<Region> | Iterable<Region>, sizer: LeafSizer): Promise<void> {
    const leavesAhead = this.#options.leavesAhead ?? 4;
    const read = async (
      region: Region,
    ): Promise<{ region: Region; source: Reading | null; target: Reading | null }> => {
      if (!hasTrueName(region.prefix)) return { region, source: null, target: null };
      const source = await this.#readRegion('source', region, sizer);
      const target = source === null ? null : await this.#readRegion('target', region, sizer);
      return { region, source, target };
    };
    for await (const { region, source, target } of inOrder(regions, leavesAhead, read)) {
      this.#stopIfAborted();
      if (!hasTrueName(region.prefix)) {
        await this.#judgeNameless(region);
        continue;
      }
      if (source === null || target === null) {
        const single = [{ prefix: region.names[0] ?? region.prefix, tree: false, names: region.names }];
        const pieces = splitRegions(region.prefix, region.names, () => Math.ceil(region.names.length / 4));
        await this.#sweepRegions(region.names.length <= 1 ? single : pieces, sizer);
        continue;
      }
      await this.#judgeLeaf({ kind: 'kv', region }, source, target, async () => {
        const again = await this.#readRegion('source', region, sizer);
        return again ?? source;
      });
      this.#done += region.names.length;
      this.#progress('kv');
    }
  }

  /** Names that were listed and cannot be asked for: found nowhere, they are at the source and not here. */
  async #judgeNameless(region: Region): Promise<void> {
    this.#leaves += 1;
    for (const key of region.names) {
      const look = await this.#lookAtKey(key);
      if (isUnfindable(key, look)) {
        this.#seen.source.kv += 1;
        this.#tally.settled('persistent', 'kv', key, missing(this.#options.clock.now()), 0);
      } else if (judgeLook(look).kind === 'equal') this.#tally.matched('kv', key);
      else this.#suspect(`kv ${key}`, 'kv', key, { kind: 'kv', region }, look);
    }
    this.#done += region.names.length;
    this.#progress('kv');
  }

  async #sweepCatalog(): Promise<void> {
    const { source, target, targetSelf } = this.#options;
    const names = new Map<string, Record<Side, string>>();
    const [sourceNodes, targetNodes] = [await source.nodes(), await target.nodes()];
    // A fleet's gateways list themselves as Consul's servers do, and each has a node.
    const gateways = new Set(
      [targetSelf.nodeName, ...(await target.servers()).map(({ node }) => node)].map((name) =>
        name.toLowerCase(),
      ),
    );
    for (const [side, list] of [
      ['source', sourceNodes],
      ['target', targetNodes],
    ] as const) {
      this.#filtered[side] ||= list.meta.filtered;
      for (const name of list.names) {
        const id = name.toLowerCase();
        if (gateways.has(id)) this.#ignore('target-own-node');
        else if (!isNodeNameMirrored(name)) this.#ignore('unnameable-nodes');
        else names.set(id, { source: name, target: name, ...names.get(id), [side]: name });
      }
    }
    this.#total += names.size;
    const ordered = [...names].toSorted(([a], [b]) => compareBytewise(a, b));
    const read = async ([id, own]: [string, Record<Side, string>]): Promise<{
      place: Place & { kind: 'node' };
      source: Reading;
      target: Reading;
      id: string;
    }> => ({
      id,
      place: { kind: 'node', names: own },
      source: await this.#readNode('source', own.source),
      target: await this.#readNode('target', own.target),
    });
    for await (const leaf of inOrder(ordered, this.#options.leavesAhead ?? 4, read)) {
      this.#stopIfAborted();
      await this.#judgeLeaf(leaf.place, leaf.source, leaf.target, () =>
        this.#readNode('source', leaf.place.names.source),
      );
      this.#done += 1;
      this.#progress('catalog');
    }
  }

  /** Settles what is equal, opens a suspect for what is not. */
  async #judgeLeaf(
    place: Place,
    source: Reading,
    target: Reading,
    again: () => Promise<Reading>,
  ): Promise<void> {
    this.#leaves += 1;
    const ids = new Set([...source.keys(), ...target.keys()]);
    this.#count('source', source);
    this.#count('target', target);
    let after: Reading | null = null;
    for (const id of ids) {
      const [before, there] = [source.get(id), target.get(id)];
      const { kind, key } = before ?? there ?? { kind: 'kv', key: id };
      if (judgeLook({ before, target: there, after: before }).kind === 'equal') {
        this.#tally.matched(kind, key);
        continue;
      }
      after ??= await again();
      const look = { before, target: there, after: after.get(id) };
      if (judgeLook(look).kind === 'equal') this.#tally.matched(kind, key);
      else this.#suspect(id, kind, key, place, look);
    }
  }

  #suspect(id: string, entry: MirrorKind, key: string, place: Place, look: Look): void {
    const { clock, recheckDelaysMs, suspectsMax } = this.#options;
    const suspect = openSuspect(look, clock.now(), recheckDelaysMs);
    if (recheckDelaysMs.length === 0) {
      const outcome = judgeLook(look).kind === 'moving' ? 'indeterminate' : 'persistent';
      this.#tally.settled(outcome, entry, key, suspect, 0);
    } else if (this.#open.size >= (suspectsMax ?? 50_000)) {
      this.#tally.settled('unchecked', entry, key, suspect, 0);
    } else {
      this.#open.set(id, { id, entry, key, place, suspect });
    }
  }

  async #recheckAll(): Promise<void> {
    const { clock, signal } = this.#options;
    while (this.#open.size > 0) {
      this.#stopIfAborted();
      const now = clock.now();
      const due = [...this.#open.values()].filter((open) => open.suspect.dueMs <= now);
      if (due.length === 0) {
        const next = Math.min(...[...this.#open.values()].map((open) => open.suspect.dueMs));
        this.#progress('recheck');
        await clock.sleep(next - now, signal);
        continue;
      }
      await this.#recheckDue(due);
      this.#progress('recheck');
    }
  }

  async #recheckDue(due: readonly Open[]): Promise<void> {
    const groups = new Map<Place, Open[]>();
    for (const open of due) {
      const group = groups.get(open.place);
      if (group === undefined) groups.set(open.place, [open]);
      else group.push(open);
    }
    for await (const looks of inOrder(groups, 4, ([place, group]) => this.#lookAgain(place, group))) {
      for (const { open, look } of looks) this.#onLook(open, look);
    }
  }

  async #lookAgain(place: Place, group: readonly Open[]): Promise<{ open: Open; look: Look }[]> {
    if (place.kind === 'kv' && group.length < regionReadFrom) {
      return Promise.all(group.map(async (open) => ({ open, look: await this.#lookAtKey(open.key) })));
    }
    const read = (side: Side): Promise<Reading> =>
      place.kind === 'node' ? this.#readNode(side, place.names[side]) : this.#readWhole(side, place.region);
    const before = await read('source');
    const target = await read('target');
    const after = await read('source');
    return group.map((open) => ({
      open,
      look: { before: before.get(open.id), target: target.get(open.id), after: after.get(open.id) },
    }));
  }

  #onLook(open: Open, look: Look): void {
    const { clock, recheckDelaysMs } = this.#options;
    if (open.entry === 'kv' && isUnfindable(open.key, look)) {
      this.#open.delete(open.id);
      const openMs = clock.now() - open.suspect.openSinceMs;
      this.#tally.settled('persistent', open.entry, open.key, open.suspect, openMs);
      return;
    }
    const step = recheck(open.suspect, look, clock.now(), recheckDelaysMs);
    if (step.kind === 'again') {
      open.suspect = step.suspect;
      return;
    }
    this.#open.delete(open.id);
    const outcome: Outcome = step.kind;
    const suspect = step.kind === 'transient' ? open.suspect : step.suspect;
    this.#tally.settled(outcome, open.entry, open.key, suspect, step.openMs);
  }

  async #lookAtKey(key: string): Promise<Look> {
    const before = await this.#readKey('source', key);
    const target = await this.#readKey('target', key);
    const after = await this.#readKey('source', key);
    return { before, target, after };
  }

  async #readKey(side: Side, key: string): Promise<SideEntry | undefined> {
    const read = await this.#options[side].get(key);
    if (read.kind === 'denied') {
      this.#filtered[side] = true;
      return undefined;
    }
    return read.entry === null ? undefined : kvSide(read.entry, this.#options.reveal);
  }

  /** null: too large for one answer. */
  async #readRegion(side: Side, region: Region, sizer: LeafSizer | null): Promise<Reading | null> {
    const entries = new Map<string, SideEntry>();
    if (!region.tree) {
      const entry = await this.#readKey(side, region.prefix);
      if (entry !== undefined) entries.set(`kv ${entry.key}`, entry);
      return entries;
    }
    const list = await this.#options[side].list(region.prefix);
    if (list.kind === 'too-large') {
      sizer?.learn(region.names.length, 16 * 1024 * 1024);
      return null;
    }
    sizer?.learn(list.entries.length, list.bytes);
    this.#filtered[side] ||= list.meta.filtered;
    for (const entry of list.entries) entries.set(`kv ${entry.key}`, kvSide(entry, this.#options.reveal));
    return entries;
  }

  async #readWhole(side: Side, region: Region): Promise<Reading> {
    const whole = await this.#readRegion(side, region, null);
    if (whole !== null) return whole;
    const entries = new Map<string, SideEntry>();
    for (const key of region.names) {
      const entry = await this.#readKey(side, key);
      if (entry !== undefined) entries.set(`kv ${key}`, entry);
    }
    return entries;
  }

  async #readNode(side: Side, name: string): Promise<Reading> {
    const { reveal } = this.#options;
    const reading = await this.#options[side].node(name);
    this.#filtered[side] ||= reading.servicesMeta.filtered || reading.checksMeta.filtered;
    const entries = new Map<string, SideEntry>();
    const id = name.toLowerCase();
    if (reading.node !== null) entries.set(`node ${id}`, catalogSide('node', id, reading.node, reveal));
    for (const [serviceId, entry] of reading.services) {
      if (side === 'source' && entry.raw['Service'] === 'consul') continue;
      const key = `${id}/${serviceId}`;
      entries.set(`service ${key}`, catalogSide('service', key, entry, reveal));
    }
    for (const [checkId, entry] of reading.checks) {
      if (side === 'source' && entry.raw['ServiceName'] === 'consul') continue;
      const key = `${id}/${checkId}`;
      entries.set(`check ${key}`, catalogSide('check', key, entry, reveal));
    }
    return entries;
  }

  #count(side: Side, reading: Reading): void {
    for (const entry of reading.values()) {
      this.#seen[side][entry.kind] += 1;
      this.#bytes[side] += entry.length;
    }
  }

  #ignore(rule: string): void {
    this.#ignored[rule] = (this.#ignored[rule] ?? 0) + 1;
  }

  #stopIfAborted(): void {
    if (this.#options.signal?.aborted === true) throw new ConnectionError('aborted', 'interrupted');
  }

  #progress(phase: CompareProgress['phase']): void {
    const total = Math.max(this.#total, this.#done);
    this.#options.onProgress?.({ phase, done: this.#done, total, differing: this.#open.size });
  }
}

/** A name that is not the true one, and that no read found: that it differs can no longer be taken back. */
function isUnfindable(key: string, { before, target, after }: Look): boolean {
  return !hasTrueName(key) && before === undefined && target === undefined && after === undefined;
}

function missing(nowMs: number): Suspect {
  const seen = { source: undefined, target: undefined, openSinceMs: nowMs, dueMs: nowMs };
  return { kind: 'missing', ...seen, round: 0, looks: 1, resets: 0 };
}

function emptySide(): SideCounts {
  return { kv: 0, node: 0, service: 0, check: 0 };
}
