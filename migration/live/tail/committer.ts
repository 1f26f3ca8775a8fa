import type { MirrorApplied, MirrorRecord } from '../../../src/state/mirror.ts';
import type { CommandOutcome, Command } from '../../../src/state/command.ts';

/** The timeline that a batch was decided in is over: what it says must be asked for again. */
export class Outdated extends Error {
  override readonly name = 'Outdated';
}

/** One look's work: its records are committed in order, and with the last of them what is known then. */
export interface Job {
  readonly timeline: number;
  readonly records: readonly MirrorRecord[];
  /** How each record is counted, by its place. */
  readonly count: (records: readonly MirrorRecord[], undo: boolean) => void;
  /** Called before the batch with the last record: what it changes is committed with it. Answers how to undo it. */
  readonly complete: () => () => void;
}

export interface CommitterOptions {
  readonly propose: (command: Command) => Promise<CommandOutcome>;
  readonly sourceId: () => string;
  readonly timeline: () => number;
  /** The cursors as they are now. */
  readonly cursors: () => Readonly<Record<string, string>>;
  readonly recordsMax: number;
  readonly bytesMax: number;
  /** Resolves when the next batch may be made; undefined: it may. */
  readonly calm: () => Promise<void> | undefined;
}

interface Waiting {
  readonly job: Job;
  done: number;
  readonly end: (error?: unknown) => void;
  readonly total: { applied: number; unchanged: number; older: number; conflicts: number };
}

/**
 * Commits what leaves found, several at a time, one batch after the other: the records and the cursor that says how far
 * they go are one commit, so that place and counts are exact after any crash.
 */
export class Committer {
  readonly #options: CommitterOptions;
  readonly #queue: Waiting[] = [];
  #running: Promise<void> | undefined;

  constructor(options: CommitterOptions) {
    this.#options = options;
  }

  /** Resolves when all of it is durable. Rejects with `Outdated`, or an Error for people: then nothing counts of it. */
  add(job: Job): Promise<void> {
    return new Promise((resolve, reject) => {
      const total = { applied: 0, unchanged: 0, older: 0, conflicts: 0 };
      this.#queue.push({
        job,
        done: 0,
        total,
        end: (error) => (error === undefined ? resolve() : reject(error)),
      });
      this.#running ??= this.#run().finally(() => (this.#running = undefined));
    });
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #run(): Promise<void> {
    for (;;) {
      await this.#options.calm();
      const timeline = this.#options.timeline();
      for (const stale of this.#take((waiting) => waiting.job.timeline !== timeline))
        stale.end(new Outdated());
      if (this.#queue.length === 0) return;
      await this.#batch(timeline);
    }
  }

  async #batch(timeline: number): Promise<void> {
    const { recordsMax, bytesMax } = this.#options;
    const records: MirrorRecord[] = [];
    const undo: (() => void)[] = [];
    const full: Waiting[] = [];
    const begun: Waiting[] = [];
    let bytes = 0;
    for (const waiting of this.#queue) {
      const { job } = waiting;
      const from = waiting.done;
      let to = from;
      while (
        to < job.records.length &&
        records.length < recordsMax &&
        (bytes < bytesMax || records.length === 0)
      ) {
        const record = job.records[to] as MirrorRecord;
        records.push(record);
        bytes += 100 + record.key.length + (record.value?.length ?? 0);
        to += 1;
      }
      if (to > from) {
        const part = job.records.slice(from, to);
        job.count(part, false);
        undo.push(
          () => job.count(part, true),
          () => (waiting.done = from),
        );
        begun.push(waiting);
      }
      waiting.done = to;
      if (to < job.records.length) break;
      undo.push(job.complete());
      full.push(waiting);
    }
    try {
      await this.#apply(timeline, records);
    } catch (error) {
      for (const step of undo.toReversed()) step();
      const failed = new Set([...full, ...begun]);
      for (const waiting of this.#take((each) => failed.has(each))) waiting.end(error);
      return;
    }
    const done = new Set(full);
    for (const waiting of this.#take((each) => done.has(each))) waiting.end();
  }

  #take(isWanted: (waiting: Waiting) => boolean): readonly Waiting[] {
    const taken = this.#queue.filter(isWanted);
    if (taken.length > 0) {
      const rest = this.#queue.filter((waiting) => !taken.includes(waiting));
      this.#queue.splice(0, this.#queue.length, ...rest);
    }
    return taken;
  }

  async #apply(timeline: number, records: readonly MirrorRecord[]): Promise<MirrorApplied> {
    const source = this.#options.sourceId();
    const cursors = this.#options.cursors();
    const outcome = await this.#options.propose({ kind: 'mirror-apply', source, timeline, records, cursors });
    if (outcome.kind === 'mirror') return outcome;
    if (outcome.kind === 'refused' && outcome.message.includes('timeline'))
      throw new Outdated(outcome.message);
    throw new Error('message' in outcome ? outcome.message : `not taken: ${outcome.kind}`);
  }
}
