import { MemoryStore } from '../../../src/io/memory-store.ts';
import type { Row } from '../../../src/state/store.ts';

/** Methods of the store that only read, or only bracket. */
export const readers: ReadonlySet<string> = new Set([
  'constructor',
  'get',
  'range',
  'rangeKeys',
  'byIndex',
  'tombstones',
  'tableIndex',
  'headSeq',
  'getMeta',
  'indexed',
  'highestIndex',
  'kinds',
  'byDots',
  'origins',
  'setAside',
  'setAsideByDots',
  'setAsideCount',
  'transact',
  'attempt',
  'close',
]);

/** Methods of the store that change something: what a backup is made of. */
export const writers: readonly string[] = [
  'put',
  'remove',
  'setMeta',
  'putOrigin',
  'putSetAside',
  'markReplayed',
  'removeSetAside',
];

interface Call {
  readonly name: string;
  readonly args: readonly unknown[];
}

/** One register as a committed transaction left it. */
export interface Change {
  readonly before: Row | undefined;
  readonly after: Row;
}

/**
 * What survives of a gateway. What a transaction committed is on disk, whatever happens next; a transaction that
 * throws leaves nothing. It remembers its transactions, so that it can be put back to what it was: a backup.
 */
export class Disk extends MemoryStore {
  readonly #log: Call[] = [];
  readonly #keeps: boolean;
  #changes: Change[] = [];
  #depth = 0;
  /** Called after each commit with what it changed. */
  onCommit: ((changes: readonly Change[]) => void) | undefined;
  /** What the next transaction dies of. */
  failure: Error | undefined;

  /** `keeps`: remember all transactions for backups (which costs memory). */
  constructor(keeps: boolean) {
    super();
    this.#keeps = keeps;
    const methods = this as unknown as Record<string, (...args: unknown[]) => unknown>;
    for (const name of writers) {
      const inner = methods[name]?.bind(this);
      if (inner === undefined) throw new Error(`the store has no ${name}`);
      methods[name] = (...args) => this.#write(name, args, inner);
    }
  }

  override transact<T>(work: () => T): T {
    this.#changes = [];
    const mark = this.#log.length;
    let value: T;
    try {
      value = super.transact(() => {
        const result = work();
        if (this.failure !== undefined) throw this.failure;
        return result;
      });
    } catch (error) {
      this.#log.length = mark;
      this.failure = undefined;
      throw error;
    }
    const changes = this.#changes;
    this.#changes = [];
    if (changes.length > 0) this.onCommit?.(changes);
    return value;
  }

  override attempt<T>(work: () => { readonly keep: boolean; readonly value: T }): T {
    const mark = this.#log.length;
    const changed = this.#changes.length;
    const undo = (): void => {
      this.#log.length = mark;
      this.#changes.length = changed;
    };
    try {
      return super.attempt(() => {
        const outcome = work();
        if (!outcome.keep) undo();
        return outcome;
      });
    } catch (error) {
      undo();
      throw error;
    }
  }

  /** A place to come back to. */
  get mark(): number {
    return this.#log.length;
  }

  /** A disk as this one was then. */
  restoredTo(mark: number): Disk {
    const disk = new Disk(this.#keeps);
    const methods = disk as unknown as Record<string, (...args: readonly unknown[]) => unknown>;
    disk.transact(() => {
      for (const { name, args } of this.#log.slice(0, mark)) methods[name]?.(...args);
    });
    return disk;
  }

  #write(name: string, args: readonly unknown[], inner: (...args: readonly unknown[]) => unknown): unknown {
    if (this.#depth === 0) {
      if (this.#keeps) this.#log.push({ name, args });
      if (name === 'put') {
        const after = args[0] as Row;
        this.#changes.push({ before: this.get(after.kind, after.key), after });
      }
    }
    this.#depth += 1;
    try {
      return inner(...args);
    } finally {
      this.#depth -= 1;
    }
  }
}
