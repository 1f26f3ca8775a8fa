import type { JsonObject } from '../wire/go-json.ts';

/** What is kept of the values of one series in one interval. */
export class Aggregate {
  readonly #name: string;
  readonly #labels: Readonly<Record<string, string>>;
  #count = 1;
  #sum: number;
  #sumOfSquares: number;
  #min: number;
  #max: number;

  constructor(name: string, labels: Readonly<Record<string, string>>, first: number) {
    this.#name = name;
    this.#labels = labels;
    this.#sum = first;
    this.#sumOfSquares = first * first;
    this.#min = first;
    this.#max = first;
  }

  add(value: number): this {
    this.#count += 1;
    this.#sum += value;
    this.#sumOfSquares += value * value;
    this.#min = Math.min(this.#min, value);
    this.#max = Math.max(this.#max, value);
    return this;
  }

  /** With the names of `/v1/agent/metrics`. */
  render(prefix: string, intervalMs: number): JsonObject {
    return {
      Name: `${prefix}.${this.#name}`,
      Count: this.#count,
      Rate: this.#sum / (intervalMs / 1000),
      Sum: this.#sum,
      Min: this.#min,
      Max: this.#max,
      Mean: this.#sum / this.#count,
      Stddev: this.#stddev(),
      Labels: this.#labels,
    };
  }

  #stddev(): number {
    const variance = this.#count * this.#sumOfSquares - this.#sum * this.#sum;
    if (this.#count < 2 || variance <= 0) return 0;
    return Math.sqrt(variance / (this.#count * (this.#count - 1)));
  }
}
