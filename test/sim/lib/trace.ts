import { createHash } from 'node:crypto';

/** What happened, as text: kept when somebody wants to read it, and always in a hash, so that runs can be compared. */
export class Trace {
  readonly #hash = createHash('sha256');
  readonly #lines: string[] | undefined;
  #pending = '';

  constructor(keepLines: boolean) {
    this.#lines = keepLines ? [] : undefined;
  }

  /** `text` is asked for only when it is needed. */
  add(atMs: number, text: string): void {
    const line = `${atMs.toFixed(3)} ${text}`;
    this.#lines?.push(line);
    this.#pending += `${line}\n`;
    if (this.#pending.length > 65_536) this.#flush();
  }

  get lines(): readonly string[] {
    return this.#lines ?? [];
  }

  /** To be asked once, at the end. */
  digest(): string {
    this.#flush();
    return this.#hash.digest('hex');
  }

  #flush(): void {
    this.#hash.update(this.#pending);
    this.#pending = '';
  }
}
