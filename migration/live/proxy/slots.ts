/** A slot, to be given back once; undefined: there is none, and too many wait already or it took too long. */
export type Slot = (() => void) | undefined;

export interface SlotsOptions {
  readonly slotsMax: number;
  readonly waitingMax: number;
  readonly waitMsMax: number;
}

interface Waiting {
  readonly grant: (slot: Slot) => void;
  readonly timer: NodeJS.Timeout;
}

/** Bounds how many requests are under way: first come, first served, and whoever waits too long is told so. */
export class Slots {
  readonly #options: SlotsOptions;
  readonly #waiting = new Set<Waiting>();
  #taken = 0;

  constructor(options: SlotsOptions) {
    this.#options = options;
  }

  get taken(): number {
    return this.#taken;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** A slot at once, or a promise of one. `signal`: nobody wants it any more. */
  take(signal?: AbortSignal): Slot | Promise<Slot> {
    const { slotsMax, waitingMax, waitMsMax } = this.#options;
    if (this.#taken < slotsMax) return this.#slot();
    if (this.#waiting.size >= waitingMax) return undefined;
    return new Promise((resolve) => {
      const give = (slot: Slot): void => {
        clearTimeout(waiting.timer);
        signal?.removeEventListener('abort', giveUp);
        this.#waiting.delete(waiting);
        resolve(slot);
      };
      const giveUp = (): void => give(undefined);
      const waiting: Waiting = { grant: give, timer: setTimeout(giveUp, waitMsMax) };
      this.#waiting.add(waiting);
      signal?.addEventListener('abort', giveUp, { once: true });
    });
  }

  #slot(): () => void {
    this.#taken += 1;
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.#taken -= 1;
      const [next] = this.#waiting;
      next?.grant(this.#slot());
    };
  }
}
