import type { AbsenceIgnored } from '../../mirror/leaf-decision.ts';
import type { KnownList } from '../../source/known-list.ts';
import type { HeldCache } from './held-cache.ts';

/** A question of the mass-delete breaker. */
export interface BreakerQuestion {
  readonly where: string;
  readonly deletes: number;
  readonly live: number;
  readonly examples: readonly string[];
  readonly keys: readonly string[];
  readonly sinceMs: number;
}

/** One piece of a rule's keys, which one answer of the source covers: all with the prefix, or the one key. */
export class Leaf {
  readonly prefix: string;
  readonly tree: boolean;
  /** The source's index as of the last answer that was compared; 0: the next one is asked for at once. */
  index = 0;
  items = 0;
  /** Of values. */
  bytes = 0;
  /** Of the names that the last answer had. */
  names = '';
  kept = 0;
  skipped = 0;
  /** Keys that the last answer did not have, and that are not proved to be deleted; and those kept by a human's order. */
  unproved = 0;
  forbidden = 0;
  /** Why the last answer's silence about a key says nothing; null: it does. */
  absenceIgnored: AbsenceIgnored | null = null;
  locks: readonly string[] = [];
  /** Everything was compared at least once in this timeline, by this process or one before it. */
  compared = false;
  /** When the last answer that was compared in full was asked for, monotonic milliseconds; -1: not by this process. */
  comparedAtMs = -1;
  /** When the source was last heard of this leaf. */
  heardAtMs = 0;
  /** Of the last answer, as it came. */
  answerBytes = 0;
  /** When the last one was asked for. */
  askedAtMs = 0;
  /** When the last answer came. */
  arrivedAtMs = 0;
  /** Since when a change is known, or possible, that is not here yet. */
  pendingSinceMs: number | undefined;
  /** Recent changes, fading. */
  score = 0;
  hot = false;
  /** When it last changed, monotonic milliseconds. */
  changedAtMs = Number.NEGATIVE_INFINITY;
  /** What it costs to look at it: to parse and to compare. */
  costMs = 0;
  problem: string | undefined;
  question: BreakerQuestion | undefined;
  /** Deletes that a human let through, and those that a human forbade. */
  allowed = 0;
  denied: ReadonlySet<string> = new Set();
  dead = false;
  /** As it stands in the cursor. */
  encoded: string | undefined;
  held: HeldCache | undefined;
  /** The last answer, of a leaf that is looked at often. */
  known: KnownList | undefined;
  /** Ends the question that is under way, so that another one is asked. */
  interrupt: () => void = () => undefined;

  constructor(prefix: string, tree: boolean) {
    this.prefix = prefix;
    this.tree = tree;
  }

  covers(key: string): boolean {
    return this.tree ? key.startsWith(this.prefix) : key === this.prefix;
  }

  get name(): string {
    return this.tree ? `${this.prefix}*` : this.prefix;
  }
}
