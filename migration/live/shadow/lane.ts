import { setMaxListeners } from 'node:events';
import { fullBucket, takeToken, type TokenBucket } from '../../source/token-bucket.ts';

export interface LaneOptions {
  readonly concurrencyMax: number;
  readonly perSecondMax: number;
  readonly queueMax: number;
  readonly monoMs: () => number;
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
}

/** Where shadow work is done, out of every client's way: so much at once, so much a second, so much waiting. */
export class Lane {
  readonly #options: LaneOptions;
  readonly #stopping = new AbortController();
  readonly #queue: (() => Promise<void>)[] = [];
  #bucket: TokenBucket;
  #running = 0;
  #idle: (() => void)[] = [];

  constructor(options: LaneOptions) {
    // Whatever waits to be looked at again listens for the end.
    setMaxListeners(0, this.#stopping.signal);
    this.#options = options;
    this.#bucket = fullBucket(this.#limits, options.monoMs());
  }

  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  get isFull(): boolean {
    return this.#queue.length >= this.#options.queueMax;
  }

  get running(): number {
    return this.#running;
  }

  /** False: there is no room. Work must not reject. */
  offer(work: () => Promise<void>): boolean {
    if (this.#stopping.signal.aborted || this.isFull) return false;
    this.#queue.push(work);
    this.#next();
    return true;
  }

  /** Before every request to the source. */
  async token(): Promise<void> {
    const taken = takeToken(this.#bucket, this.#limits, this.#options.monoMs());
    this.#bucket = taken.bucket;
    if (taken.waitMs > 0) await this.#options.sleep(taken.waitMs, this.#stopping.signal);
  }

  /** Resolves when nothing waits or runs. */
  async idle(): Promise<void> {
    if (this.#running === 0 && this.#queue.length === 0) return;
    await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** What waits is forgotten, what runs ends early. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#queue.length = 0;
    await this.idle();
  }

  get #limits(): { perSecond: number; burst: number } {
    const { perSecondMax, concurrencyMax } = this.#options;
    return { perSecond: Math.max(0.1, perSecondMax), burst: concurrencyMax };
  }

  #next(): void {
    while (this.#running < this.#options.concurrencyMax) {
      const work = this.#queue.shift();
      if (work === undefined) break;
      this.#running += 1;
      void work().finally(() => {
        this.#running -= 1;
        this.#next();
      });
    }
    if (this.#running > 0 || this.#queue.length > 0) return;
    for (const resolve of this.#idle.splice(0)) resolve();
  }
}
