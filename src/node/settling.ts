import type { Instant } from '../kernel/instant.ts';
import type { Command } from '../state/command.ts';
import { isReadOnly } from '../state/txn.ts';

/** Nobody was heard of for so long: nobody is there. */
const silenceMsMax = 1000;
/** Others are there, but some do not answer, or none has what is asked for. */
const settleMsMax = 5000;

export interface SettlingOptions {
  /** No other gateway was known to live when this one stopped. */
  readonly alone: boolean;
  readonly startMs: number;
  /** Everybody who seems to live told how far this gateway's log goes. */
  readonly isKnown: () => boolean;
  /** Somebody who seems to live did not. */
  readonly isDoubtful: () => boolean;
}

/** `doubtful`: numbers of the log may be used up that this gateway does not know of. */
export type SettlingEnd = 'settled' | 'doubtful';

/**
 * The first moments of a gateway that had peers before: until all of them have told how far this gateway's log
 * goes, it logs nothing. Its database may be a restored backup, and the next number of its log used up by a life that others
 * remember; two entries of one number would never be told apart again. One alone need not
 * know: what was written last may have come to one member only. Who does not answer probes either is not waited for;
 * where somebody else does not answer in time, this gateway must go on under a new origin.
 */
export class Settling {
  readonly #options: SettlingOptions;
  #over: boolean;
  #heard = false;
  #catchingUp: { readonly dueMs: number; readonly isDone: () => boolean } | undefined;

  constructor(options: SettlingOptions) {
    this.#options = options;
    this.#over = options.alone;
  }

  /** Whether it may log, as of the last look. */
  get isOver(): boolean {
    return this.#over;
  }

  /** When to look again; Infinity once it is over. */
  get nextMs(): number {
    if (this.#over) return Infinity;
    if (this.#catchingUp !== undefined) return this.#catchingUp.dueMs;
    return this.#options.startMs + (this.#heard ? settleMsMax : silenceMsMax);
  }

  /**
   * At the end of a batch, once it is known whether others said that a backup was restored: answers how it ended, if
   * it did so now.
   */
  look({ monoMs }: Instant): SettlingEnd | undefined {
    if (this.#over) return undefined;
    const { isKnown, isDoubtful } = this.#options;
    const isLate = monoMs >= this.nextMs;
    if (!isLate && !(this.#catchingUp?.isDone ?? isKnown)()) return undefined;
    const isNew = this.#catchingUp === undefined;
    this.#over = true;
    return isNew && isLate && this.#heard && isDoubtful() ? 'doubtful' : 'settled';
  }

  /** Somebody said something. */
  heard(): void {
    this.#heard = true;
  }

  /**
   * It is a restored backup: what it logged after that must come back to it first, as far as somebody has it. There
   * it may have given zones away.
   */
  catchUp({ monoMs }: Instant, isDone: () => boolean): void {
    this.#over = false;
    this.#catchingUp = { dueMs: monoMs + settleMsMax, isDone };
  }
}

/** Whether a command puts an entry into the log, as far as can be seen from it. */
export function isLogged(command: Command): boolean {
  switch (command.kind) {
    case 'local':
    case 'member-health':
    case 'collect-tombstones':
      return false;
    case 'txn':
      return !isReadOnly(command);
    default:
      return true;
  }
}
