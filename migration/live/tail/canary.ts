import type { LiveReader } from '../../source/live-reader.ts';
import { duration } from '../../terminal/format.ts';
import { ownKeys } from '../dual/fence.ts';
import type { GatewayPort } from '../gateway-port.ts';

interface Sent {
  readonly value: string;
  readonly atMs: number;
  /** When the source had taken it; undefined: it has not said so. */
  writtenAtMs: number | undefined;
}

/** A canary that was taken, and is not shown while so many could have been, is in trouble. Guess: longer than an election. */
const unseenMax = 6;

/** Measures the way from a write at the source to what is told of it here: a key of its own, written now and then. */
export class Canary {
  readonly #gateway: GatewayPort;
  readonly #reader: LiveReader;
  readonly #signal: AbortSignal;
  readonly #everyMs: number;
  readonly #key: string;
  /** Of the last one; undefined: none came yet, or the token may not write it. */
  lagMs: number | undefined;
  mayWrite: boolean | undefined;
  #sent: Sent | undefined;

  constructor(gateway: GatewayPort, reader: LiveReader, signal: AbortSignal, everyMs: number) {
    this.#gateway = gateway;
    this.#reader = reader;
    this.#signal = signal;
    this.#everyMs = everyMs;
    this.#key = `${ownKeys}canary/${gateway.nodeName}`;
  }

  /** How long the one that is on its way has been; 0: none is. */
  get openMs(): number {
    return this.#sent === undefined ? 0 : this.#gateway.monoMs() - this.#sent.atMs;
  }

  /** What is wrong where the source took it, and does not show it; undefined: nothing. */
  get doubt(): string | undefined {
    const since = this.#sent?.writtenAtMs;
    const ms = since === undefined ? 0 : this.#gateway.monoMs() - since;
    if (ms < unseenMax * this.#everyMs) return undefined;
    return (
      `the source took ${this.#key} ${duration(ms)} ago, and does not show it: does the token of this gateway have the ` +
      'right to read it?'
    );
  }

  async run(): Promise<void> {
    await Promise.all([this.#write(), this.#watch()]);
  }

  async #write(): Promise<void> {
    const { clock, monoMs } = this.#gateway;
    for (let count = 1; !this.#signal.aborted && this.mayWrite !== false; count += 1) {
      if (this.#sent === undefined) {
        const value = `${clock.now()} ${count}`;
        const sent: Sent = { value, atMs: monoMs(), writtenAtMs: undefined };
        this.#sent = sent;
        try {
          this.mayWrite = await this.#reader.put(this.#key, value);
          sent.writtenAtMs = monoMs();
        } catch {
          this.#sent = undefined;
        }
        if (this.mayWrite === false) this.#sent = undefined;
      }
      await clock.sleep(this.#everyMs, this.#signal);
    }
  }

  async #watch(): Promise<void> {
    const { clock, monoMs } = this.#gateway;
    let index = 0;
    while (!this.#signal.aborted && this.mayWrite !== false) {
      try {
        const waiting = { index, waitMs: 4 * this.#everyMs };
        const read = await this.#reader.get(this.#key, { waiting, signal: this.#signal });
        if (read.kind === 'denied') {
          await clock.sleep(this.#everyMs, this.#signal);
          continue;
        }
        index = read.meta.index ?? 0;
        const value = read.entry === null ? '' : Buffer.from(read.entry.text, 'base64').toString();
        if (this.#sent !== undefined && value === this.#sent.value) {
          this.lagMs = monoMs() - this.#sent.atMs;
          this.#sent = undefined;
        }
        if (read.entry === null) await clock.sleep(this.#everyMs / 10, this.#signal);
      } catch {
        index = 0;
        await clock.sleep(this.#everyMs, this.#signal);
      }
    }
  }
}
