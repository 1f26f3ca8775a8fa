import { Client, listAll, type Entry } from './client.ts';

/**
 * Writers that count: each writes 1, 2, 3, … one after the other, so that of every key it is known which value was
 * acknowledged last and which one was on its way when the gateway died.
 */
export interface Writer {
  /** The next write, and its answer; false when the gateway is gone. */
  step(client: Client): Promise<boolean>;
  /** What is wrong with what is there after a restart; goes on from what is there. */
  check(entries: ReadonlyMap<string, Entry>): readonly string[];
  /** Writes that were acknowledged, in all rounds. */
  acknowledged(): number;
}

abstract class CountingWriter implements Writer {
  protected acked = 0;
  protected attempted = 0;
  #acknowledged = 0;

  acknowledged(): number {
    return this.#acknowledged;
  }

  async step(client: Client): Promise<boolean> {
    this.attempted += 1;
    const done = await this.write(client, this.attempted);
    if (done) {
      this.acked = this.attempted;
      this.#acknowledged += 1;
    }
    return done;
  }

  protected resume(found: number, what: string): readonly string[] {
    const { acked, attempted } = this;
    this.acked = this.attempted = found;
    return found === acked || found === attempted
      ? []
      : [`${what}: found ${found}, acknowledged ${acked}, attempted ${attempted}`];
  }

  protected abstract write(client: Client, n: number): Promise<boolean>;
  abstract check(entries: ReadonlyMap<string, Entry>): readonly string[];
}

function isTrue(answer: Awaited<ReturnType<Client['send']>>): boolean {
  return answer?.status === 200 && answer.text === 'true';
}

/** PUTs of one key after the other; values large enough to fill pages and move the log on. */
export class PutWriter extends CountingWriter {
  readonly #prefix: string;
  readonly #padding: string;

  constructor(name: string, padBytes: number) {
    super();
    this.#prefix = `crash/put/${name}/`;
    this.#padding = '.'.repeat(padBytes);
  }

  protected async write(client: Client, n: number): Promise<boolean> {
    const path = `/v1/kv/${this.#prefix}${n % 7}`;
    return isTrue(await client.send('PUT', path, `${n}${this.#padding}`));
  }

  check(entries: ReadonlyMap<string, Entry>): readonly string[] {
    let found = 0;
    const problems: string[] = [];
    const at = new Map<number, number>();
    for (let slot = 0; slot < 7; slot++) {
      const value = entries.get(`${this.#prefix}${slot}`)?.value;
      if (value === undefined) continue;
      const n = parseInt(value, 10);
      if (value !== `${n}${this.#padding}`) problems.push(`${this.#prefix}${slot}: torn value`);
      at.set(slot, n);
      found = Math.max(found, n);
    }
    // Each key holds its newest write: none behind was lost while one after it was kept.
    for (let n = Math.max(1, found - 6); n <= found; n++) {
      if (at.get(n % 7) !== n) problems.push(`${this.#prefix}${n % 7}: ${at.get(n % 7)} instead of ${n}`);
    }
    return [...problems, ...this.resume(found, this.#prefix)];
  }
}

/** Transactions that set several keys to the same number, and delete and create one more in turn. */
export class TxnWriter extends CountingWriter {
  readonly #prefix: string;

  constructor(name: string) {
    super();
    this.#prefix = `crash/txn/${name}/`;
  }

  protected async write(client: Client, n: number): Promise<boolean> {
    const value = Buffer.from(String(n)).toString('base64');
    const ops = ['a', 'b', 'c', 'd'].map((name) => ({
      KV: { Verb: 'set', Key: `${this.#prefix}${name}`, Value: value },
    }));
    const odd = { KV: { Verb: n % 2 === 1 ? 'set' : 'delete', Key: `${this.#prefix}odd`, Value: value } };
    const answer = await client.send('PUT', '/v1/txn', JSON.stringify([...ops, odd]));
    return answer?.status === 200;
  }

  check(entries: ReadonlyMap<string, Entry>): readonly string[] {
    const values = ['a', 'b', 'c', 'd'].map((name) =>
      Number(entries.get(`${this.#prefix}${name}`)?.value ?? 0),
    );
    const found = Math.max(...values);
    const problems = values.every((value) => value === found)
      ? []
      : [`${this.#prefix}: half a transaction: ${values.join(' ')}`];
    const odd = entries.get(`${this.#prefix}odd`)?.value;
    const oddExpected = found % 2 === 1 ? String(found) : undefined;
    if (odd !== oddExpected) problems.push(`${this.#prefix}odd: ${odd} beside ${found}`);
    return [...problems, ...this.resume(found, this.#prefix)];
  }
}

/** Creates and deletes one key in turn. */
export class DeleteWriter extends CountingWriter {
  readonly #key: string;

  constructor(name: string) {
    super();
    this.#key = `crash/delete/${name}`;
  }

  protected async write(client: Client, n: number): Promise<boolean> {
    const path = `/v1/kv/${this.#key}`;
    return isTrue(
      n % 2 === 1 ? await client.send('PUT', path, String(n)) : await client.send('DELETE', path),
    );
  }

  check(entries: ReadonlyMap<string, Entry>): readonly string[] {
    const value = entries.get(this.#key)?.value;
    if (value !== undefined) return this.resume(Number(value), this.#key);
    // Gone: after the last even attempt that can be it.
    return this.resume(this.attempted % 2 === 0 ? this.attempted : this.acked, this.#key);
  }
}

/** Increments of one counter that several writers share, by compare-and-set. */
export class SharedCounter {
  readonly key = 'crash/cas/counter';
  readonly ackedValues = new Set<number>();
  readonly problems: string[] = [];
  highestAcked = 0;
  highestAttempted = 0;

  writer(): Writer {
    return {
      acknowledged: () => this.ackedValues.size,
      step: (client) => this.#increment(client),
      check: (entries) => this.#check(entries),
    };
  }

  async #increment(client: Client): Promise<boolean> {
    const got = await client.send('GET', `/v1/kv/${this.key}?raw`);
    if (got === undefined) return false;
    const next = (got.status === 404 ? 0 : Number(got.text)) + 1;
    const cas = got.status === 404 ? 0 : got.index;
    this.highestAttempted = Math.max(this.highestAttempted, next);
    const put = await client.send('PUT', `/v1/kv/${this.key}?cas=${cas}`, String(next));
    if (put === undefined) return false;
    if (put.text === 'true') {
      if (this.ackedValues.has(next)) this.problems.push(`${next} was acknowledged to two writers`);
      this.ackedValues.add(next);
      this.highestAcked = Math.max(this.highestAcked, next);
    }
    return true;
  }

  #check(entries: ReadonlyMap<string, Entry>): readonly string[] {
    const found = Number(entries.get(this.key)?.value ?? 0);
    const problems = this.problems.splice(0);
    if (found < this.highestAcked || found > this.highestAttempted) {
      problems.push(
        `counter ${found}, acknowledged ${this.highestAcked}, attempted ${this.highestAttempted}`,
      );
    }
    return problems;
  }
}

/** Remembers the highest indexes that were shown. */
export class IndexWatch {
  highest = 0;
  readonly #perKey = new Map<string, number>();

  async look(url: string): Promise<void> {
    const { index, entries } = await listAll(url, 'crash/');
    this.highest = Math.max(this.highest, index);
    for (const { key, modifyIndex } of entries.values()) this.#perKey.set(key, modifyIndex);
  }

  check(index: number, entries: ReadonlyMap<string, Entry>): readonly string[] {
    const problems = index < this.highest ? [`the index fell from ${this.highest} to ${index}`] : [];
    for (const { key, modifyIndex } of entries.values()) {
      const before = this.#perKey.get(key) ?? 0;
      if (modifyIndex < before) problems.push(`ModifyIndex of ${key} fell from ${before} to ${modifyIndex}`);
    }
    return problems;
  }
}

/** Writes with every writer, each on a connection of its own, until the gateway is gone. */
export async function writeUntilGone(url: string, writers: readonly Writer[]): Promise<void> {
  await Promise.all(
    writers.map(async (writer) => {
      const client = new Client(url);
      while (await writer.step(client));
      client.close();
    }),
  );
}
