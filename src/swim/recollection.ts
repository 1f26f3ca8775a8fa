/** From the first contact on, what others say has had time to arrive after this. */
const settleMs = 5000;

/**
 * How far what this process holds is still what its last run knew: that may be old, is news to nobody, and somebody
 * in it may have been forgotten by all others.
 */
export class Recollection {
  #settledAtMs = Infinity;
  #confirmed: boolean;
  readonly #doubted = new Set<string>();

  /** `empty`: nothing was kept. */
  constructor(empty: boolean) {
    this.#confirmed = empty;
  }

  /** Whether anybody answered since the start. */
  get contacted(): boolean {
    return this.#settledAtMs < Infinity;
  }

  /** Somebody of the pool answered. */
  contact(nowMs: number): void {
    if (!this.contacted) this.#settledAtMs = nowMs + settleMs;
  }

  /** Whether what is held here is the pool's present, as well as anybody knows it. */
  settled(nowMs: number): boolean {
    return nowMs >= this.#settledAtMs;
  }

  /**
   * Whether it may be told as what the pool holds: after it was compared with somebody, or, when all start at once
   * and nobody knows better, after a while.
   */
  confirmed(nowMs: number): boolean {
    return this.#confirmed || this.settled(nowMs);
  }

  confirm(): void {
    this.#confirmed = true;
  }

  /** Somebody lacks this member: it is told to nobody, and forgotten if it does not answer either. */
  doubt(id: string): void {
    this.#doubted.add(id);
  }

  doubts(id: string): boolean {
    return this.#doubted.has(id);
  }

  /** It answered, was heard of, or is forgotten. */
  trust(id: string): void {
    if (this.#doubted.size > 0) this.#doubted.delete(id);
  }
}
