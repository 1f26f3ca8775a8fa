const everyMs = 1000;
const backOffMsMax = 15_000;

/** @typedef {{ readonly kind: 'live' } | { readonly kind: 'waiting', readonly why: string, readonly seconds: number, readonly failures: number } | { readonly kind: 'hidden' }} Connection */

/**
 * Asks again and again: a second after each answer, later and later while there is none, never while nobody looks.
 */
export class Poller {
  /** @type {() => Promise<string | null>} */
  #ask;
  /** @type {(connection: Connection) => void} */
  #tell;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #failures = 0;
  #asking = false;

  /**
   * @param {() => Promise<string | null>} ask answers why there was no answer, or null
   * @param {(connection: Connection) => void} tell
   */
  constructor(ask, tell) {
    this.#ask = ask;
    this.#tell = tell;
  }

  start() {
    document.addEventListener('visibilitychange', () => this.now());
    this.now();
  }

  /** Asks at once, unless it is hidden or an answer is on its way. */
  now() {
    clearTimeout(this.#timer);
    if (document.hidden) return this.#tell({ kind: 'hidden' });
    if (!this.#asking) void this.#round();
    return undefined;
  }

  async #round() {
    this.#asking = true;
    const why = await this.#ask();
    this.#asking = false;
    if (document.hidden) return;
    if (why === null) {
      this.#failures = 0;
      this.#tell({ kind: 'live' });
      this.#timer = setTimeout(() => this.now(), everyMs);
      return;
    }
    this.#failures += 1;
    this.#wait(why, Math.round(Math.min(backOffMsMax, everyMs * 2 ** (this.#failures - 1)) / 1000));
  }

  /**
   * @param {string} why
   * @param {number} seconds
   */
  #wait(why, seconds) {
    if (seconds <= 0) return this.now();
    this.#tell({ kind: 'waiting', why, seconds, failures: this.#failures });
    this.#timer = setTimeout(() => this.#wait(why, seconds - 1), 1000);
    return undefined;
  }
}
