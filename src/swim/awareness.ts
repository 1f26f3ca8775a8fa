/**
 * Lifeguard's local health multiplier: who does not get answers that it should get (nacks of its helpers too), or has
 * to refute, is probably the slow one itself, and then waits longer before it blames others. 0 is healthy.
 */
export class Awareness {
  readonly #max: number;
  #score = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get score(): number {
    return this.#score;
  }

  add(delta: number): void {
    this.#score = Math.min(this.#max - 1, Math.max(0, this.#score + delta));
  }

  scale(durationMs: number): number {
    return durationMs * (this.#score + 1);
  }
}
