import type { Clock } from '../clock.ts';
import type { ProgressDisplay } from './progress-display.ts';
import type { Environment } from './settings.ts';

/** What a command needs of the process that runs it. */
export type Host = {
  readonly env: Environment;
  readonly clock: Clock;
  /** Aborts when the user interrupts. */
  readonly signal: AbortSignal;
  /** Results. */
  readonly print: (text: string) => void;
  /** Complaints. */
  readonly complain: (text: string) => void;
  readonly progress: ProgressDisplay;
  /** Asks a yes-or-no question; absent where nobody can answer. */
  readonly confirm?: (question: string) => Promise<boolean>;
  /** The command line as it was typed, without node and the program. */
  readonly args: readonly string[];
  readonly version: string;
};

/** 0 done or equal, 1 something to decide or different, 2 usage or I/O, 130 interrupted. 3 and 4 are reserved. */
export type ExitCode = 0 | 1 | 2 | 130;
