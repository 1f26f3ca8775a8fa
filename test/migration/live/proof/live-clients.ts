import type { FleetAnswer, FleetClient } from '../../../support/fleet-client.ts';
import type { Rng } from '../../../sim/lib/rng.ts';
import { Ledger } from './ledger.ts';

export interface LiveClientsOptions {
  /** Where clients may send what they do below a prefix; changed while they run as a migration goes on. */
  readonly doors: (prefix: string) => readonly Door[];
  readonly ledger: Ledger;
  readonly rng: Rng;
  /** Of keys; each ends with a slash. */
  readonly prefixes: readonly string[];
  readonly count: number;
  readonly thinkMs: number;
  /** A client that was not answered after this time goes on, and does not know. */
  readonly patienceMs: number;
}

export interface Door {
  readonly name: string;
  readonly client: FleetClient;
}

const mix = [
  [10, 'put'],
  [3, 'remove'],
  [4, 'count'],
  [3, 'group'],
  [4, 'look'],
] as const;

const keysPerClient = 8;

/**
 * Unmodified clients of Consul's HTTP API at work while they are moved. Each key has one client that writes it, each
 * value is written once, and what was acknowledged is in the ledger: an oracle that knows neither Consul nor Grapevine.
 */
export class LiveClients {
  readonly counts = new Map<string, number>();
  readonly #options: LiveClientsOptions;
  readonly #loops: Promise<void>[] = [];
  #running = true;
  #values = 0;
  #paused: Promise<void> | undefined;
  #resume: () => void = () => {};
  readonly #busy = new Map<string, number>();
  #onIdle: () => void = () => {};

  constructor(options: LiveClientsOptions) {
    this.#options = options;
  }

  start(): void {
    for (let n = 0; n < this.#options.count; n++) {
      this.#loops.push(this.#work(n, this.#options.rng.split(`client ${n}`)));
    }
  }

  /** Resolves once nothing is under way; they wait until `resume`. */
  async pause(): Promise<void> {
    this.#paused ??= new Promise((resolve) => {
      this.#resume = resolve;
    });
    await this.untilIdle(() => true);
  }

  resume(): void {
    this.#resume();
    this.#paused = undefined;
  }

  /** Resolves once nothing is under way at these doors. */
  async untilIdle(isOne: (door: string) => boolean): Promise<void> {
    while ([...this.#busy].some(([door, count]) => count > 0 && isOne(door))) {
      // oxlint-disable-next-line no-await-in-loop -- until it is so
      await new Promise<void>((resolve) => {
        const before = this.#onIdle;
        this.#onIdle = () => {
          before();
          resolve();
        };
      });
    }
  }

  async stop(): Promise<void> {
    this.#running = false;
    this.resume();
    await Promise.all(this.#loops);
  }

  get summary(): string {
    return [...this.counts]
      .toSorted()
      .map(([what, count]) => `${what} ${count}`)
      .join(', ');
  }

  async #work(n: number, rng: Rng): Promise<void> {
    const generation = new Map<string, number>();
    while (this.#running) {
      await new Promise((resolve) => setTimeout(resolve, rng.exponential(this.#options.thinkMs)));
      if (this.#paused !== undefined) {
        await this.#paused;
        continue;
      }
      const prefix = rng.pick(this.#options.prefixes);
      const door = rng.pick(this.#options.doors(prefix));
      const what = rng.weighted(mix);
      const slot = `${prefix}own/${n}/${rng.below(keysPerClient)}`;
      // A write that nobody answered may still happen, at any time: its key is not written again.
      const key = `${slot}.${generation.get(slot) ?? 0}`;
      this.#busy.set(door.name, (this.#busy.get(door.name) ?? 0) + 1);
      const known = await this.#act(what, door, prefix, key, rng);
      this.#busy.set(door.name, (this.#busy.get(door.name) ?? 0) - 1);
      const told = this.#onIdle;
      this.#onIdle = () => {};
      told();
      if (!known && (what === 'put' || what === 'remove')) {
        generation.set(slot, (generation.get(slot) ?? 0) + 1);
      }
      const name = known ? what : `${what}?`;
      this.counts.set(name, (this.counts.get(name) ?? 0) + 1);
    }
  }

  /** Whether its outcome is known. */
  #act(
    what: (typeof mix)[number][1],
    door: Door,
    prefix: string,
    key: string,
    rng: Rng,
  ): Promise<boolean> | boolean {
    switch (what) {
      case 'put':
        return this.#write(door, key, `${door.name}:${++this.#values}`);
      case 'remove':
        return this.#write(door, key, null);
      case 'count':
        return this.#count(door, `${prefix}count/${rng.below(2)}`);
      case 'group':
        return this.#group(door, `${prefix}group/${rng.below(3)}/`);
      case 'look':
        return this.#look(door, `${prefix}group/${rng.below(3)}/`);
    }
  }

  async #ask(door: Door, method: string, path: string, body?: string): Promise<FleetAnswer | undefined> {
    const signal = AbortSignal.timeout(this.#options.patienceMs);
    return door.client.ask(method, path, body, signal).catch(() => undefined);
  }

  async #write(door: Door, key: string, value: string | null): Promise<boolean> {
    const { ledger } = this.#options;
    const entry = ledger.begin(key, value);
    const answer = await this.#ask(door, value === null ? 'DELETE' : 'PUT', `/v1/kv/${key}`, value ?? '');
    if (answer?.status === 200 && answer.text === 'true') {
      return entry.acknowledged() && (await this.#readBack(door, key, value));
    }
    // An error says that it is not known whether it happened; a plain refusal that it did not.
    if (answer !== undefined && answer.status >= 400 && answer.status < 500) {
      entry.refused();
      return true;
    }
    entry.unknown();
    return false;
  }

  /** Read your own writes, at the door where they were made. */
  async #readBack(door: Door, key: string, value: string | null): Promise<boolean> {
    const { ledger } = this.#options;
    const began = ledger.fogs;
    const answer = await this.#ask(door, 'GET', `/v1/kv/${key}?raw`);
    if (began % 2 === 1 || began !== ledger.fogs) return true;
    if (answer === undefined || ![200, 404].includes(answer.status)) return true;
    const seen = answer.status === 404 ? null : answer.text;
    if (seen !== value) {
      ledger.problem(`${door.name} acknowledged ${key} = ${value}, and then showed ${seen}`);
    }
    return true;
  }

  /** Counts up by CAS on what a consistent read showed. */
  async #count(door: Door, key: string): Promise<boolean> {
    const read = await this.#ask(door, 'GET', `/v1/kv/${key}?consistent`);
    if (read === undefined || ![200, 404].includes(read.status)) return false;
    const [held] =
      read.status === 404 ? [] : (JSON.parse(read.text) as { Value: string; ModifyIndex: number }[]);
    const next = (held === undefined ? 0 : Number(Buffer.from(held.Value, 'base64').toString())) + 1;
    const attempt = this.#options.ledger.increment(key, next);
    const answer = await this.#ask(door, 'PUT', `/v1/kv/${key}?cas=${held?.ModifyIndex ?? 0}`, String(next));
    if (answer?.status === 200) attempt(answer.text === 'true' ? 'applied' : 'not-applied');
    else attempt('unknown');
    return answer?.status === 200;
  }

  /** Three keys in one transaction, always equal. */
  async #group(door: Door, prefix: string): Promise<boolean> {
    const value = Buffer.from(`${++this.#values}`).toString('base64');
    const ops = ['a', 'b', 'c'].map((name) => ({
      KV: { Verb: 'set', Key: `${prefix}${name}`, Value: value },
    }));
    const answer = await this.#ask(door, 'PUT', '/v1/txn', JSON.stringify(ops));
    return answer?.status === 200;
  }

  async #look(door: Door, prefix: string): Promise<boolean> {
    const answer = await this.#ask(door, 'GET', `/v1/kv/${prefix}?recurse`);
    if (answer?.status !== 200) return answer?.status === 404;
    const values = new Set((JSON.parse(answer.text) as { Value: string }[]).map(({ Value }) => Value));
    if (values.size > 1) this.#options.ledger.problem(`${door.name} shows ${prefix} torn: ${answer.text}`);
    return true;
  }
}
