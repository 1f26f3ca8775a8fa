import { prefixEnd } from '../../../src/kernel/utf8-order.ts';
import { Kind } from '../../../src/state/kinds.ts';
import { LeafSizer, planRegions, type NameSource } from '../../copy/plan-regions.ts';
import { hasTrueName } from '../../mirror/key-rules.ts';
import { splitRegions, type Region } from '../../mirror/regions.ts';
import { isOwnKey, ownKeys } from '../dual/fence.ts';
import type { TailDeps } from './deps.ts';
import type { Place } from './leaf-table.ts';

/** Entries that are looked at to learn how large they are, and names beyond which it is not worth the memory. */
const sampleSize = 32;
const namesResizedMax = 400_000;

/** Names of keys that are read here before others have their turn. */
const heldNamesAtOnce = 5000;

/** Divides keys into leaves, by the names on both sides: what only one of them has is looked at, too. */
export class LeafPlanner {
  readonly #deps: TailDeps;
  readonly #owns: (key: string) => boolean;
  readonly #sizer: LeafSizer;
  readonly #signal: AbortSignal;
  #isSized = false;

  constructor(deps: TailDeps, owns: (key: string) => boolean, signal: AbortSignal) {
    this.#deps = deps;
    this.#owns = owns;
    this.#signal = signal;
    this.#sizer = new LeafSizer(deps.limits.leafBytesAim, deps.limits.leafNamesMax);
  }

  get namesMax(): () => number {
    return this.#sizer.namesMax;
  }

  learn(items: number, bytes: number): void {
    this.#sizer.learn(items, bytes);
  }

  /** Regions of what either side has below a prefix, and how many names that are. */
  async plan(prefix: string): Promise<{ readonly places: readonly Place[]; readonly total: number }> {
    const regions: Region[] = [];
    let total = 0;
    const count = (many: number): number => (total += many);
    for await (const region of this.regions(prefix, count)) regions.push(region);
    return { places: await this.#resized(prefix, regions, total), total };
  }

  /** Piece by piece, with the names of each. */
  regions(
    prefix: string,
    count: (names: number) => void = () => undefined,
  ): AsyncGenerator<Region, void, undefined> {
    return planRegions(prefix, [this.#namesThere(), this.#namesHere()], this.#sizer.namesMax, count);
  }

  /** Regions were planned for entries of a usual size: a few are looked at, and where they differ all is cut anew. */
  async #resized(prefix: string, regions: readonly Region[], total: number): Promise<readonly Place[]> {
    if (this.#isSized || regions.length < 2 || total > namesResizedMax) return regions;
    const names = regions.flatMap((region) => region.names);
    const step = Math.max(1, Math.floor(names.length / sampleSize));
    const sample = names.filter((name, at) => at % step === 0 && hasTrueName(name)).slice(0, sampleSize);
    for (const read of await this.#deps.reader.getAll(sample, { signal: this.#signal })) {
      const entry = read.kind === 'read' ? read.entry : null;
      if (entry !== null) this.learn(1, entry.key.length + entry.text.length + entryOverhead);
    }
    this.#isSized = true;
    return [...splitRegions(prefix, names, this.#sizer.namesMax)];
  }

  #namesThere(): NameSource {
    const ask = async (below: string, separator: string | undefined): Promise<readonly string[] | null> => {
      const answer = await this.#deps.reader.keys(below, separator, { signal: this.#signal });
      return answer.kind === 'too-large' ? null : answer.names.filter((name) => this.#mayOwn(name));
    };
    return { names: (below) => ask(below, undefined), children: (below) => ask(below, '/') };
  }

  /** As `owns`, for a name that may stand for many below it. */
  #mayOwn(name: string): boolean {
    return this.#owns(name) || (name.endsWith('/') && (name === ownKeys || !isOwnKey(name)));
  }

  #namesHere(): NameSource {
    return {
      names: (below) => this.#heldNames(below),
      children: async (below) => {
        const names = (await this.#heldNames(below)).map((name) => {
          const slash = name.indexOf('/', below.length);
          return slash === -1 ? name : name.slice(0, slash + 1);
        });
        return [...new Set(names)];
      },
    };
  }

  async #heldNames(prefix: string): Promise<readonly string[]> {
    const { view } = this.#deps.gateway;
    const to = prefixEnd(prefix);
    const names: string[] = [];
    for (let from = prefix; ;) {
      let seen = 0;
      for (const row of view.rangeKeys(Kind.kv, from, to)) {
        seen += 1;
        if (row.live && this.#owns(row.key)) names.push(row.key);
        from = `${row.key}\0`;
        if (seen === heldNamesAtOnce) break;
      }
      if (seen < heldNamesAtOnce) return names;
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }
}

/** Bytes of an entry in a list beside its key and its value. */
const entryOverhead = 150;
