/** Reasons why the tail is slower than it could be, each for as long as it was last heard of. */
export class Throttles {
  readonly #until = new Map<string, number>();
  readonly #monoMs: () => number;

  constructor(monoMs: () => number) {
    this.#monoMs = monoMs;
  }

  /** `reason` is for people, and from a small set; it is shown for `ms`. */
  note(reason: string, ms: number): void {
    const until = this.#monoMs() + ms;
    this.#until.set(reason, Math.max(until, this.#until.get(reason) ?? 0));
  }

  list(): readonly string[] {
    const now = this.#monoMs();
    for (const [reason, until] of this.#until) if (until <= now) this.#until.delete(reason);
    return [...this.#until.keys()].toSorted();
  }
}
