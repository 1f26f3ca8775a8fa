/** How long a gateway remembers what it wrote at the source. Longer than the tail is ever late without being paused. */
const rememberedMs = 120_000;
/** Guesses. */
const keysMax = 100_000;
const writesPerKeyMax = 16;
const treesMax = 1000;

/** One write at the source, as its index says. */
export interface OwnWrite {
  readonly index: number;
  readonly deleted: boolean;
}

interface Remembered extends OwnWrite {
  readonly atMs: number;
}

/** What this gateway wrote at the source, or found there as what became of a write of its own, in the last minutes. */
export class OwnWrites {
  readonly #monoMs: () => number;
  /** The key that was written last is the last. */
  readonly #keys = new Map<string, readonly Remembered[]>();
  #trees: readonly (Remembered & { readonly prefix: string })[] = [];

  constructor(monoMs: () => number) {
    this.#monoMs = monoMs;
  }

  note(key: string, { index, deleted }: OwnWrite): void {
    const atMs = this.#monoMs();
    const before = this.#keys.get(key) ?? [];
    this.#keys.delete(key);
    this.#keys.set(key, [...before.slice(1 - writesPerKeyMax), { index, deleted, atMs }]);
    for (const [oldest, writes] of this.#keys) {
      const lastMs = writes.at(-1)?.atMs ?? 0;
      if (this.#keys.size <= keysMax && atMs - lastMs < rememberedMs) break;
      this.#keys.delete(oldest);
    }
  }

  noteTree(prefix: string, index: number): void {
    const atMs = this.#monoMs();
    const recent = this.#trees.filter((tree) => atMs - tree.atMs < rememberedMs).slice(1 - treesMax);
    this.#trees = [...recent, { prefix, index, deleted: true, atMs }];
  }

  /** The newest write of a key that is not newer than an index. */
  latest(key: string, index: number): OwnWrite | undefined {
    let latest: OwnWrite | undefined;
    const look = (write: OwnWrite): void => {
      if (write.index <= index && write.index > (latest?.index ?? 0)) latest = write;
    };
    for (const tree of this.#trees) if (key.startsWith(tree.prefix)) look(tree);
    // A key may be written again in the transaction that deletes the tree.
    for (const write of this.#keys.get(key) ?? [])
      if (write.index === latest?.index) latest = write;
      else look(write);
    return latest === undefined ? undefined : { index: latest.index, deleted: latest.deleted };
  }
}
