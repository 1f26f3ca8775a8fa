import { compareBytewise } from '../../byte-order.ts';
import { hasTrueName } from '../../mirror/key-rules.ts';
import { Leaf } from './leaf.ts';

/** Where a leaf is: `tree` all keys with the prefix, else the one key. */
export interface Place {
  readonly prefix: string;
  readonly tree: boolean;
}

/** The leaves of one rule: disjoint, in bytewise order, each as wide as its neighbours let it be. */
export class LeafTable {
  #leaves: Leaf[] = [];
  readonly #prefix: string;

  constructor(rulePrefix: string) {
    this.#prefix = rulePrefix;
  }

  get all(): readonly Leaf[] {
    return this.#leaves;
  }

  /** Whether one leaf covers everything, so that no key can be in none. */
  get isWhole(): boolean {
    const [only] = this.#leaves;
    return this.#leaves.length === 1 && only !== undefined && only.tree && only.prefix === this.#prefix;
  }

  find(key: string): Leaf | undefined {
    let low = 0;
    let high = this.#leaves.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareBytewise((this.#leaves[middle] as Leaf).prefix, key) <= 0) low = middle + 1;
      else high = middle;
    }
    const leaf = this.#leaves[low - 1];
    return leaf?.covers(key) === true ? leaf : undefined;
  }

  /**
   * Puts leaves in at these places, in place of those that they are pieces of, or that are pieces of them. Those that are new are answered. Places
   * that no request can name are left out.
   */
  insert(places: readonly Place[], insteadOf: readonly Leaf[] = []): readonly Leaf[] {
    for (const leaf of insteadOf) this.remove(leaf);
    const made = places.filter(({ prefix }) => hasTrueName(prefix)).map((place) => ({ place, leaf: place }));
    const all: Place[] = [...this.#leaves, ...made.map(({ place }) => place)].toSorted(byPlace);
    const added = new Set<Place>(made.map(({ place }) => place));
    const leaves: Leaf[] = [];
    const news: Leaf[] = [];
    all.forEach((place, at) => {
      if (!added.has(place)) {
        leaves.push(place as Leaf);
        return;
      }
      const prefix = place.tree
        ? widened(this.#prefix, all[at - 1]?.prefix, place.prefix, all[at + 1]?.prefix)
        : place.prefix;
      const leaf = new Leaf(prefix, place.tree);
      leaves.push(leaf);
      news.push(leaf);
    });
    this.#leaves = leaves;
    return news;
  }

  /** Takes leaves as they are, from a cursor. */
  restore(leaves: readonly Leaf[]): void {
    this.#leaves = leaves.toSorted(byPlace);
  }

  remove(leaf: Leaf): void {
    leaf.dead = true;
    this.#leaves = this.#leaves.filter((other) => other !== leaf);
    leaf.interrupt();
  }
}

function byPlace(a: Place, b: Place): number {
  return compareBytewise(a.prefix, b.prefix) || Number(a.tree) - Number(b.tree);
}

/** As short as it can be without covering a neighbour: keys that come later then most often have a leaf already. */
function widened(
  least: string,
  before: string | undefined,
  prefix: string,
  after: string | undefined,
): string {
  const apart = Math.max(
    before === undefined ? -1 : shared(before, prefix),
    after === undefined ? -1 : shared(prefix, after),
  );
  let length = Math.max(least.length, apart + 1);
  if (length >= prefix.length) return prefix;
  // Never between the halves of a surrogate pair.
  const last = prefix.charCodeAt(length - 1);
  if (length > 0 && last >= 0xd800 && last <= 0xdbff) length += 1;
  return prefix.slice(0, length);
}

function shared(a: string, b: string): number {
  let length = 0;
  while (length < a.length && length < b.length && a[length] === b[length]) length += 1;
  return length;
}
