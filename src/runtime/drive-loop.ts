import type { Replica, Step } from '../node/replica.ts';
import type { Command, CommandOutcome } from '../state/command.ts';
import type { Store } from '../state/store.ts';

/** Called once per commit, after it is durable and after its writers were answered. */
export type CommitListener = (touched: ReadonlySet<string>) => void;

export interface DriveLoopOptions {
  readonly replica: Replica;
  readonly store: Store;
  readonly nowUs: () => number;
  /** Commands in one transaction at most: bounds how long a commit holds the loop. Guess. */
  readonly batchMax?: number;
  /** The store failed: nothing of the batch was applied or answered. The process must stop. */
  readonly onFatal: (error: unknown) => void;
  /**
   * A `done` or a listener threw. Everybody else was answered and notified all the same. Without it the error is
   * thrown again in a turn of its own.
   */
  readonly onDefect?: (error: unknown) => void;
}

interface Pending {
  readonly command: Command;
  readonly done: (outcome: CommandOutcome) => void;
}

/**
 * The one loop through which state changes: drain the commands that came in meanwhile, step each, commit them
 * together (this is the group commit), and only then answer and notify. So acknowledged means on disk.
 */
export class DriveLoop {
  readonly #options: DriveLoopOptions;
  readonly #listeners = new Set<CommitListener>();
  #queue: Pending[] = [];
  #scheduled = false;
  #stopped = false;
  #commits = 0;
  #commands = 0;

  constructor(options: DriveLoopOptions) {
    this.#options = options;
  }

  get stats(): { readonly commits: number; readonly commands: number; readonly queued: number } {
    return { commits: this.#commits, commands: this.#commands, queued: this.#queue.length };
  }

  /** Queues a command; `done` gets its outcome once it is durable. */
  propose(command: Command, done: (outcome: CommandOutcome) => void): void {
    if (this.#stopped) return;
    this.#queue.push({ command, done });
    if (this.#scheduled) return;
    this.#scheduled = true;
    // After this round of I/O callbacks: every request that was read in it joins the same commit.
    setImmediate(() => this.#drain());
  }

  onCommit(listener: CommitListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Commits what is queued, then takes no more. */
  stop(): void {
    while (this.#queue.length > 0 && !this.#stopped) this.#drain();
    this.#stopped = true;
  }

  #drain(): void {
    this.#scheduled = false;
    if (this.#stopped || this.#queue.length === 0) return;
    const batchMax = this.#options.batchMax ?? 1024;
    const batch = this.#queue.length <= batchMax ? this.#queue : this.#queue.slice(0, batchMax);
    this.#queue = this.#queue.length <= batchMax ? [] : this.#queue.slice(batchMax);
    const steps = this.#commit(batch);
    if (steps === undefined) return;
    const touched = new Set<string>();
    batch.forEach((pending, i) => {
      const step = steps[i] as Step;
      for (const topic of step.touched) touched.add(topic);
      this.#isolated(() => pending.done(step.outcome));
    });
    if (touched.size > 0) for (const listener of this.#listeners) this.#isolated(() => listener(touched));
    if (this.#queue.length > 0 && !this.#scheduled) {
      this.#scheduled = true;
      setImmediate(() => this.#drain());
    }
  }

  /** The batch is committed: one answer that fails must not cost the others theirs. */
  #isolated(work: () => void): void {
    try {
      work();
    } catch (error) {
      const { onDefect } = this.#options;
      if (onDefect !== undefined) onDefect(error);
      else
        setImmediate(() => {
          throw error;
        });
    }
  }

  #commit(batch: readonly Pending[]): readonly Step[] | undefined {
    const { replica, store, nowUs } = this.#options;
    try {
      const steps = store.transact(() => batch.map((pending) => replica.step(pending.command, nowUs())));
      this.#commits += 1;
      this.#commands += batch.length;
      return steps;
    } catch (error) {
      this.#stopped = true;
      this.#options.onFatal(error);
      return undefined;
    }
  }
}
