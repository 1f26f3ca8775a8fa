import type { Instant } from '../kernel/instant.ts';
import type { Effect, Input } from '../node/machine-port.ts';
import type { Command, CommandOutcome } from '../state/command.ts';
import type { Store } from '../state/store.ts';

/** Called once per commit, after it is durable and after its writers were answered. */
export type CommitListener = (touched: ReadonlySet<string>) => void;

/** The machine that the loop drives: `GatewayMachine`. */
export interface DriveMachine {
  step(input: Input, now: Instant): void;
  endBatch(now: Instant): void;
  takeEffects(): readonly Effect[];
  takeTouched(): ReadonlySet<string>;
  readonly nextTickMs: number;
}

/** An effect that answers the token of an input. */
export type Answer = Extract<Effect, { readonly token: number }>;

/** An effect that is the adapters' to carry out: messages to send, calls to answer, things to log. */
export type Outward = Exclude<Effect, Answer>;

export interface DriveLoopOptions {
  readonly machine: DriveMachine;
  readonly store: Store;
  readonly now: () => Instant;
  /** Called for each effect that nobody's token asked for, once what it follows from is durable. */
  readonly onEffect?: (effect: Outward) => void;
  /** After the effects of a batch: what was queued for the network may go. */
  readonly onBatch?: () => void;
  /** Inputs in one transaction at most: bounds how long a commit holds the loop. Guess. */
  readonly batchMax?: number;
  /** The store failed: nothing of the batch was applied or answered. The process must stop. */
  readonly onFatal: (error: unknown) => void;
  /**
   * A `done` or a listener threw. Everybody else was answered and notified all the same. Without it the error is
   * thrown again in a turn of its own.
   */
  readonly onDefect?: (error: unknown) => void;
}

/** An input that is answered. */
export type Question = Extract<Input, { readonly token: number }>;
type WithoutToken<T> = T extends unknown ? Omit<T, 'token'> : never;

/** Longest delay of one timer: a due time further away is looked at again then. */
const tickMsMax = 60_000;

/**
 * The one loop through which state changes: drain what came in meanwhile (commands of clients, messages of other
 * gateways, the clock), step the machine with each, commit them together (this is the group commit), and only then
 * answer, send and notify. So acknowledged means on disk, and nothing is told to others that a crash could take back.
 */
export class DriveLoop {
  readonly #options: DriveLoopOptions;
  readonly #listeners = new Set<CommitListener>();
  readonly #asked = new Map<number, (answer: Answer) => void>();
  #queue: Input[] = [];
  #nextToken = 1;
  #scheduled = false;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;
  #armedForMs = Infinity;
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
    this.ask({ kind: 'command', command }, (answer) => {
      if (answer.kind === 'answer') done(answer.outcome);
    });
  }

  /** Queues a question to the machine; `done` gets its answer once what it follows from is durable. */
  ask(question: WithoutToken<Question>, done: (answer: Answer) => void): void {
    if (this.#stopped) return;
    const token = this.#nextToken++;
    this.#asked.set(token, done);
    this.input({ ...question, token });
  }

  /** Queues an input that nobody waits for. */
  input(input: Input): void {
    if (this.#stopped) return;
    this.#queue.push(input);
    this.#schedule();
  }

  onCommit(listener: CommitListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Lets time pass for the machine from now on. */
  start(): void {
    this.input({ kind: 'tick' });
  }

  /** Commits what is queued, then takes no more. */
  stop(): void {
    while (this.#queue.length > 0 && !this.#stopped) this.#drain();
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // After this round of I/O callbacks: every request that was read in it joins the same commit.
    setImmediate(() => this.#drain());
  }

  #drain(): void {
    this.#scheduled = false;
    if (this.#stopped || this.#queue.length === 0) return;
    const batchMax = this.#options.batchMax ?? 1024;
    const batch = this.#queue.length <= batchMax ? this.#queue : this.#queue.slice(0, batchMax);
    this.#queue = this.#queue.length <= batchMax ? [] : this.#queue.slice(batchMax);
    if (!this.#commit(batch)) return;
    const { machine, onEffect, onBatch } = this.#options;
    for (const effect of machine.takeEffects()) {
      if (isAnswer(effect)) this.#answer(effect);
      else this.#isolated(() => onEffect?.(effect));
    }
    const touched = machine.takeTouched();
    if (touched.size > 0) for (const listener of this.#listeners) this.#isolated(() => listener(touched));
    onBatch?.();
    this.#arm();
    if (this.#queue.length > 0) this.#schedule();
  }

  #answer(effect: Answer): void {
    const done = this.#asked.get(effect.token);
    this.#asked.delete(effect.token);
    if (done !== undefined) this.#isolated(() => done(effect));
  }

  /** One real timer, for the machine's next tick. */
  #arm(): void {
    const { machine, now } = this.#options;
    const nextMs = machine.nextTickMs;
    if (this.#stopped || nextMs >= this.#armedForMs) return;
    clearTimeout(this.#timer);
    this.#armedForMs = nextMs;
    // Rounded up: a timer that comes early finds nothing to do and is set again.
    const delayMs = Math.min(Math.max(Math.ceil(nextMs - now().monoMs), 0), tickMsMax);
    this.#timer = setTimeout(() => {
      this.#armedForMs = Infinity;
      this.input({ kind: 'tick' });
    }, delayMs);
    this.#timer.unref();
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

  #commit(batch: readonly Input[]): boolean {
    const { machine, store, now } = this.#options;
    try {
      store.transact(() => {
        for (const input of batch) machine.step(input, now());
        machine.endBatch(now());
      });
      const commands = batch.reduce((sum, input) => sum + Number(input.kind === 'command'), 0);
      this.#commands += commands;
      // What came from others, or from the clock, says nothing of how well clients share commits.
      if (commands > 0) this.#commits += 1;
      return true;
    } catch (error) {
      this.#stopped = true;
      this.#options.onFatal(error);
      return false;
    }
  }
}

function isAnswer(effect: Effect): effect is Answer {
  return 'token' in effect;
}
