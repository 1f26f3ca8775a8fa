/** A minute, in pieces. Guess. */
const windowMs = 60_000;
const piecesMax = 60;

/**
 * How many keys more were deleted than came within the last minute, over all leaves: a source that is wiped passes leaf
 * by leaf where these are small, and a queue whose keys come and go must not look like one.
 */
export class NetLoss {
  readonly #monoMs: () => number;
  #pieces: { readonly fromMs: number; loss: number }[] = [];

  constructor(monoMs: () => number) {
    this.#monoMs = monoMs;
  }

  add(loss: number): void {
    if (loss === 0) return;
    const now = this.#monoMs();
    const last = this.#pieces.at(-1);
    if (last !== undefined && now - last.fromMs < windowMs / piecesMax) last.loss += loss;
    else this.#pieces.push({ fromMs: now, loss });
    this.#pieces = this.#pieces.filter(({ fromMs }) => now - fromMs < windowMs);
  }

  /** With so many more. Keys that came before others went do not pay for those. */
  with(more: number): number {
    const now = this.#monoMs();
    let sum = 0;
    for (const { fromMs, loss } of this.#pieces) if (now - fromMs < windowMs) sum = Math.max(0, sum + loss);
    return Math.max(0, sum + more);
  }

  /** Somebody said that they are meant. */
  forgive(): void {
    this.#pieces = [];
  }
}
