import type { Instant } from '../kernel/instant.ts';
import type { Groups, OwnStamps } from './groups.ts';
import type { ReplicatedLog } from './log.ts';

export const secondUs = 1_000_000;

/** A computed minimum over all members stands for so long. Guess. */
const minimumMs = 1000;

/**
 * For so long after the start nothing is said: membership may not have told of everybody who joined meanwhile, and what
 * those wrote may be missing here.
 */
const settleMs = 20_000;

/**
 * Up to which stamps everything of everybody has been seen: here, and by all. In whole seconds, rounded down. Tombstones
 * below the latter have no use any more.
 */
export class Stamps {
  readonly #log: ReplicatedLog;
  readonly #groups: Groups;
  #seenS = 0;
  #stableS = 0;
  readonly #saidFromMs: number;
  #atMs = Number.NEGATIVE_INFINITY;
  /** The highest that `seenS` ever was, in earlier runs too. */
  #safeS: number;

  constructor(log: ReplicatedLog, groups: Groups, safeStamp: number, nowMs: number) {
    this.#saidFromMs = nowMs + settleMs;
    this.#log = log;
    this.#groups = groups;
    // What was collected here had been seen by all, this gateway among them.
    this.#safeS = Math.floor(Math.max(safeStamp, log.collectedBelow) / secondUs);
  }

  own(now: Instant): OwnStamps {
    return { stampS: Math.floor(this.#log.stampNow(now) / secondUs), seenStampS: this.seenS(now) };
  }

  /**
   * Everything of everybody up to this is here: what this gateway publishes. It falls when a member joins of whom
   * nothing was heard: it may have written with stamps of the past.
   */
  seenS(now: Instant): number {
    this.#compute(now);
    return this.#seenS;
  }

  /**
   * Up to here nothing that a member collected can be missing here: whoever collected no further may send what is
   * missing as dots. To be kept across restarts, when the heads of all others are not known yet.
   */
  safeS(now: Instant): number {
    this.#compute(now);
    return this.#safeS;
  }

  /** All members have seen everything up to this; 0 while somebody has not said. */
  stableS(now: Instant): number {
    this.#compute(now);
    return this.#stableS;
  }

  /** Takes over what the source of whole state had seen. */
  adoptSafeS(stampS: number): void {
    this.#safeS = Math.max(this.#safeS, stampS);
  }

  membersChanged(): void {
    this.#atMs = Number.NEGATIVE_INFINITY;
  }

  #compute(now: Instant): void {
    if (now.monoMs < this.#saidFromMs || now.monoMs - this.#atMs < minimumMs) return;
    this.#atMs = now.monoMs;
    const others = this.#groups.leastOfAll(now.monoMs);
    this.#seenS = Math.min(Math.floor(this.#log.stampNow(now) / secondUs), others.stampS);
    this.#safeS = Math.max(this.#safeS, this.#seenS);
    this.#stableS = Math.min(this.#seenS, others.seenStampS);
  }
}
