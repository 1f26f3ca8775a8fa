import { setMaxListeners } from 'node:events';

// A link that is cut says nothing: who sent a request over it waits for as long as it may. So where no answer comes for a
// while, the address is asked something that is answered at once; where that is not answered either, another one is used.

/** Guess. */
const noticeMsDefault = 750;
/** How long it has to answer the look: twice over the slowest links there are, and a busy machine's pauses. Guess. */
const probeMsMax = 750;
const probeTicks = 10;
/** Of a query that waits for a change nothing is heard in good times, too: so often it is asked whether anybody is there. */
const waitingNoticeMs = 4000;
/** Least and most time until an address in trouble is asked again. */
const againMs = { first: 1000, most: 10_000 };

export interface LivenessOptions {
  readonly count: number;
  readonly monoMs: () => number;
  /** How long nothing may be heard of an address that was asked something before it is looked at. */
  readonly noticeMs?: number | undefined;
  /** Asks it what is answered at once; true: it answers, and knows a leader. */
  readonly probe: (at: number, signal: AbortSignal) => Promise<boolean>;
  /** Told when an address gets into trouble, and out of it. */
  readonly onChange?: (at: number, isInTrouble: boolean) => void;
}

/** A request that is under way. */
export interface Watched {
  /** Aborted when nobody is there, and somebody is at another address; undefined: there is no other. */
  readonly signal: AbortSignal | undefined;
  /** It is under way no more. */
  end(): void;
}

/** With one address. */
const alone: Watched = { signal: undefined, end: () => {} };

interface Address {
  heardMs: number;
  isInTrouble: boolean;
  isProbed: boolean;
  waiting: AbortController;
  tries: number;
  again: NodeJS.Timeout | undefined;
}

/** Which addresses of one source answer. With one address nothing is asked, and none is in trouble. */
export class Liveness {
  readonly #options: LivenessOptions;
  readonly #addresses: readonly Address[];
  readonly #stopping = new AbortController();
  #current = 0;

  constructor(options: LivenessOptions) {
    this.#options = options;
    this.#addresses = Array.from({ length: options.count }, () => ({
      ...{ heardMs: Number.NEGATIVE_INFINITY, isInTrouble: false, isProbed: false, tries: 0 },
      ...{ waiting: manyListen(), again: undefined },
    }));
  }

  /** The one to be asked now. */
  get current(): number {
    return this.#current;
  }

  /** All of them, the one to be asked first before the others; those in trouble last. */
  get order(): readonly number[] {
    const turned = this.#addresses.map((_, at) => (this.#current + at) % this.#addresses.length);
    return [...turned.filter((at) => !this.isInTrouble(at)), ...turned.filter((at) => this.isInTrouble(at))];
  }

  isInTrouble(at: number): boolean {
    return this.#addresses[at]?.isInTrouble === true;
  }

  /** It answered something. */
  heard(at: number): void {
    const address = this.#addresses[at] as Address;
    address.heardMs = this.#options.monoMs();
    if (!address.isInTrouble) return;
    address.isInTrouble = false;
    address.tries = 0;
    clearTimeout(address.again);
    this.#options.onChange?.(at, false);
    this.#moveOn();
  }

  /** Nobody is there, for sure. */
  failed(at: number): void {
    const address = this.#addresses[at] as Address;
    if (this.#addresses.length < 2 || address.isInTrouble || this.#stopping.signal.aborted) return;
    address.isInTrouble = true;
    this.#options.onChange?.(at, true);
    this.#moveOn();
    this.#askAgain(at);
  }

  /** Looks after a request until it is answered. `waits`: it waits for a change over there. */
  watch(at: number, waits: boolean): Watched {
    const address = this.#addresses[at] as Address;
    if (this.#addresses.length < 2) return alone;
    const everyMs = waits ? waitingNoticeMs : (this.#options.noticeMs ?? noticeMsDefault);
    const startedMs = this.#options.monoMs();
    const timer = setInterval(() => {
      const sinceMs = Math.max(address.heardMs, startedMs);
      if (this.#options.monoMs() - sinceMs >= everyMs * 0.9) void this.#look(at);
    }, everyMs);
    return { signal: address.waiting.signal, end: () => clearInterval(timer) };
  }

  close(): void {
    this.#stopping.abort();
    for (const { again } of this.#addresses) clearTimeout(again);
  }

  /** Who waits at an address in trouble is told, as soon as another one is not. */
  #moveOn(): void {
    const well = this.order.find((at) => !this.isInTrouble(at));
    if (well === undefined) return;
    this.#current = well;
    for (const address of this.#addresses) {
      if (!address.isInTrouble) continue;
      const { waiting } = address;
      address.waiting = manyListen();
      waiting.abort();
    }
  }

  /** One look at a time. */
  async #look(at: number): Promise<void> {
    const address = this.#addresses[at] as Address;
    if (address.isProbed || this.#stopping.signal.aborted) return;
    address.isProbed = true;
    const startedMs = this.#options.monoMs();
    const late = new AbortController();
    // Counted, not measured: while this process had no time it heard nothing, whatever came.
    let ticks = 0;
    const timer = setInterval(() => {
      ticks += 1;
      if (ticks >= probeTicks) late.abort();
    }, probeMsMax / probeTicks);
    const signal = AbortSignal.any([this.#stopping.signal, late.signal]);
    const isThere = await this.#options.probe(at, signal).catch(() => false);
    clearInterval(timer);
    address.isProbed = false;
    if (this.#stopping.signal.aborted) return;
    if (isThere) this.heard(at);
    else if (address.isInTrouble) this.#askAgain(at);
    // What came meanwhile came from somebody.
    else if (address.heardMs < startedMs) this.failed(at);
  }

  #askAgain(at: number): void {
    const address = this.#addresses[at] as Address;
    const ms = Math.min(againMs.most, againMs.first * 2 ** Math.min(address.tries, 10));
    address.tries += 1;
    clearTimeout(address.again);
    address.again = setTimeout(() => void this.#look(at), ms);
    address.again.unref();
  }
}

/** Every request that is under way listens to it. */
function manyListen(): AbortController {
  const control = new AbortController();
  setMaxListeners(0, control.signal);
  return control;
}

/** What a probe asks: needs no rights, and is answered by the one who is asked, from memory. */
export const probePath = '/v1/status/leader';

/** Whether the answer to it is that of one who can serve: without a leader it has nobody to ask. */
export function isServing(status: number, body: string): boolean {
  return status !== 200 || !/^\s*(""|null)?\s*$/.test(body);
}
