// Clients at work for as long as the demo runs. They know Consul's HTTP API and nothing of a migration, and remember
// every write that was acknowledged to them: in the end that is what must be found.

/** What may be found under a key in the end. */
interface KeyRecord {
  sure: string;
  /** Nobody said whether these were taken. */
  readonly maybe: string[];
}

export interface Client {
  readonly name: string;
  /** Where it sends its requests: the first, and the next one when that one fails. */
  doors: readonly string[];
}

interface Counts {
  reads: number;
  writes: number;
  failed: number;
  notOwn: number;
}

const keysPerClient = 8;
const patienceMs = 8000;
/** Share of writes, as of a shop: most of what clients do is reading. */
const writeShare = 0.2;

export class LiveClients {
  readonly clients: readonly Client[];
  readonly counts: Counts = { reads: 0, writes: 0, failed: 0, notOwn: 0 };
  readonly #records = new Map<string, KeyRecord>();
  readonly #settings: readonly string[];
  readonly #prefix: string;
  readonly #thinkMs: number;
  readonly #loops: Promise<void>[] = [];
  #isRunning = true;

  /** `settings`: keys that are only read. */
  constructor(options: {
    readonly clients: readonly Client[];
    readonly prefix: string;
    readonly settings: readonly string[];
    readonly thinkMs: number;
  }) {
    this.clients = options.clients;
    this.#prefix = options.prefix;
    this.#settings = options.settings;
    this.#thinkMs = options.thinkMs;
  }

  start(): void {
    for (const client of this.clients) this.#loops.push(this.#work(client));
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    await Promise.all(this.#loops);
  }

  /** Lets them do so many things more; false if they did not within the time. */
  async work(things: number, msMax: number): Promise<boolean> {
    const goal = this.#done + things;
    for (const endMs = performance.now() + msMax; performance.now() < endMs && this.#done < goal;) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return this.#done >= goal;
  }

  get summary(): string {
    const { reads, writes, failed } = this.counts;
    return `${writes} writes acknowledged, ${reads} reads, ${failed} requests failed`;
  }

  /** How many keys it would be known of. */
  get size(): number {
    return this.#records.size;
  }

  /** What is not there as it was acknowledged. */
  async missingAt(url: string): Promise<readonly string[]> {
    const response = await fetch(`${url}/v1/kv/${this.#prefix}?recurse`);
    if (response.status !== 200) return [`${url} answers ${response.status} ${await response.text()}`];
    const rows = (await response.json()) as readonly { Key: string; Value: string | null }[];
    const found = new Map(
      rows.map(({ Key, Value }) => [Key, Buffer.from(Value ?? '', 'base64').toString('utf8')]),
    );
    return [...this.#records].flatMap(([key, { sure, maybe }]) => {
      const seen = found.get(key) ?? '';
      return seen === sure || maybe.includes(seen)
        ? []
        : [`${key} is ${JSON.stringify(seen)}, and ${JSON.stringify(sure)} was acknowledged`];
    });
  }

  get #done(): number {
    return this.counts.reads + this.counts.writes;
  }

  async #work(client: Client): Promise<void> {
    const generations = new Map<number, number>();
    let n = 0;
    while (this.#isRunning) {
      n += 1;
      await new Promise((resolve) => setTimeout(resolve, this.#thinkMs * (0.5 + Math.random())));
      if (Math.random() >= writeShare) {
        const key = this.#settings[n % this.#settings.length] ?? '';
        if ((await this.#ask(client, 'GET', `${key}?raw`)) !== undefined) this.counts.reads += 1;
        continue;
      }
      const slot = Math.floor(Math.random() * keysPerClient);
      const generation = generations.get(slot) ?? 0;
      const known = await this.#write(
        client,
        `${this.#prefix}carts/${client.name}/${slot}-${generation}`,
        `${n}`,
      );
      // A write that nobody answered may still happen, at any time: its key is not written again.
      if (!known) generations.set(slot, generation + 1);
    }
  }

  /** Whether it is known what came of it. */
  async #write(client: Client, key: string, value: string): Promise<boolean> {
    const record = this.#records.get(key) ?? { sure: '', maybe: [] };
    this.#records.set(key, record);
    const door = client.doors[0];
    const answer = await this.#ask(client, 'PUT', key, value);
    if (answer !== 'true') {
      record.maybe.push(value);
      return false;
    }
    record.sure = value;
    this.counts.writes += 1;
    const read = await this.#ask(client, 'GET', `${key}?raw`);
    if (read === undefined) return true;
    this.counts.reads += 1;
    // Elsewhere it is there a little later; where it was written it is there at once.
    if (read !== value && client.doors[0] === door) this.counts.notOwn += 1;
    return true;
  }

  /** Undefined: it failed, and the client turns to its next door. */
  async #ask(
    client: Client,
    method: 'GET' | 'PUT',
    path: string,
    body?: string,
  ): Promise<string | undefined> {
    const [door, ...others] = client.doors;
    try {
      const response = await fetch(`${door}/v1/kv/${path}`, {
        method,
        signal: AbortSignal.timeout(patienceMs),
        ...(body === undefined ? {} : { body }),
      });
      const text = await response.text();
      if (response.status < 500) return text;
    } catch {
      // As with an error: it is not known what came of it.
    }
    this.counts.failed += 1;
    if (door === client.doors[0]) client.doors = [...others, door ?? ''];
    return undefined;
  }
}

/** A client that waits for one key to change, all the time, as configuration watchers do. */
export class Watcher {
  wakes = 0;
  fallen = 0;
  last = '';
  readonly #stopping = new AbortController();
  readonly #loop: Promise<void>;

  constructor(url: string, key: string) {
    this.#loop = this.#watch(`${url}/v1/kv/${key}?raw`);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
  }

  async #watch(url: string): Promise<void> {
    let index = 0;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        const response = await fetch(`${url}&wait=30s&index=${index}`, { signal });
        const text = await response.text();
        if (response.status !== 200) throw new Error(text);
        const shown = Number(response.headers.get('X-Consul-Index'));
        if (text !== this.last) this.wakes += 1;
        if (shown < index) this.fallen += 1;
        this.last = text;
        index = shown;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    }
  }
}
