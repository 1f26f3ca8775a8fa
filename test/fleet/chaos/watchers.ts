import { setMaxListeners } from 'node:events';
import type { FleetGateway } from '../../support/fleet-process.ts';
import { pause } from './clients.ts';

/**
 * Who waits for changes of counters, one per gateway and counter: none of them ever sees one go back, nor an index
 * fall, and in the end each has seen the last value without asking anew.
 */
export class Watchers {
  readonly problems: string[] = [];
  readonly #gateways: readonly FleetGateway[];
  readonly #keys: readonly string[];
  readonly #stop = new AbortController();
  readonly #shown = new Map<string, number>();
  #loops: readonly Promise<void>[] = [];

  constructor(gateways: readonly FleetGateway[], keys: readonly string[]) {
    this.#gateways = gateways;
    this.#keys = keys;
    setMaxListeners(0, this.#stop.signal);
  }

  start(): void {
    this.#loops = this.#gateways.flatMap((gateway) => this.#keys.map((key) => this.#watch(gateway, key)));
  }

  /** Whether all have seen these values. */
  haveSeen(valueOf: (key: string) => number): boolean {
    return this.#gateways.every(({ name }) =>
      this.#keys.every((key) => (this.#shown.get(`${name} ${key}`) ?? 0) === valueOf(key)),
    );
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await Promise.all(this.#loops);
  }

  async #watch(gateway: FleetGateway, key: string): Promise<void> {
    const { signal } = this.#stop;
    const name = `${gateway.name} ${key}`;
    let index = 0;
    while (!signal.aborted) {
      try {
        const answer = await gateway.get(`/v1/kv/${key}?raw&index=${index}&wait=60s`, signal);
        if (answer.status !== 200 && answer.status !== 404) continue;
        const value = Number(answer.status === 404 ? 0 : answer.text);
        const shown = this.#shown.get(name) ?? 0;
        if (value < shown) this.#problem(`${name} went back from ${shown} to ${value}`);
        if (answer.index < index) this.#problem(`${name}: the index fell from ${index} to ${answer.index}`);
        this.#shown.set(name, value);
        index = answer.index;
      } catch {
        // It is down. The index that it showed is asked for again, as Consul's clients do.
        await pause(100);
      }
    }
  }

  #problem(text: string): void {
    if (this.problems.length < 10) this.problems.push(text);
  }
}
