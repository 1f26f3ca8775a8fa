const windowMs = 60_000;
const claimsPerWindow = 5;
const reportsMax = 64;

/** Keeps two that claim the same from answering each other for ever, and from filling the log. */
export class Disputes {
  #claimsMs: number[] = [];
  readonly #reportedMs = new Map<string, number>();

  /**
   * Another process says to be this member. Answered a few times, as it may be the echo of an earlier life; true when
   * it happens too often for that: each answer makes the next.
   */
  persists(nowMs: number): boolean {
    this.#claimsMs = this.#claimsMs.filter((atMs) => nowMs - atMs < windowMs);
    if (this.#claimsMs.length >= claimsPerWindow) return true;
    this.#claimsMs.push(nowMs);
    return false;
  }

  /** Whether a dispute was not reported lately. */
  isNews(ours: string, theirs: string, nowMs: number): boolean {
    const key = `${ours} ${theirs}`;
    if (nowMs - (this.#reportedMs.get(key) ?? -Infinity) < windowMs) return false;
    if (this.#reportedMs.size >= reportsMax) this.#reportedMs.clear();
    this.#reportedMs.set(key, nowMs);
    return true;
  }
}
