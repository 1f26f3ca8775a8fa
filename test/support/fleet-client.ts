import { Agent, request } from 'node:http';

/** What a gateway answered, whole. */
export interface FleetAnswer {
  readonly status: number;
  readonly text: string;
  /** X-Consul-Index; 0 where there is none. */
  readonly index: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** One key as `/v1/kv` shows it, with its value as text. */
export interface KvEntry {
  readonly key: string;
  readonly value: string;
  readonly flags: number;
  readonly session: string;
  readonly lockIndex: number;
  readonly createIndex: number;
  readonly modifyIndex: number;
}

/** Requests to one gateway over kept connections. An answer that did not come whole is an error. */
export class FleetClient {
  readonly #url: string;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(url: string) {
    this.#url = url;
  }

  ask(method: string, path: string, body?: string, signal?: AbortSignal): Promise<FleetAnswer> {
    return new Promise((resolve, reject) => {
      const options = { method, agent: this.#agent, ...(signal === undefined ? {} : { signal }) };
      const sent = request(`${this.#url}${path}`, options, (answer) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (part: string) => (text += part));
        answer.once('error', reject);
        // An answer that was cut off only closes.
        answer.once('close', () => {
          if (!answer.complete) reject(new Error('the answer was cut off'));
          const headers = Object.fromEntries(
            Object.entries(answer.headers).map(([name, value]) => [name, String(value)]),
          );
          const index = Number(headers['x-consul-index'] ?? 0);
          resolve({ status: answer.statusCode ?? 0, text, index, headers });
        });
      });
      sent.once('error', reject);
      sent.end(body);
    });
  }

  get(path: string, signal?: AbortSignal): Promise<FleetAnswer> {
    return this.ask('GET', path, undefined, signal);
  }

  put(path: string, body = '', signal?: AbortSignal): Promise<FleetAnswer> {
    return this.ask('PUT', path, body, signal);
  }

  /** The body of an answer that must be 200. */
  async json<T>(path: string, body?: unknown): Promise<T> {
    const answer =
      body === undefined ? await this.get(path) : await this.ask('PUT', path, JSON.stringify(body));
    if (answer.status !== 200 || answer.text === '') {
      throw new Error(`${path}: ${answer.status} ${JSON.stringify(answer)}`);
    }
    return JSON.parse(answer.text) as T;
  }

  /** Writes a key; rejects unless it was written. */
  async putKey(key: string, value: string): Promise<void> {
    const answer = await this.put(`/v1/kv/${key}`, value);
    if (answer.text !== 'true') throw new Error(`PUT ${key}: ${answer.status} ${answer.text}`);
  }

  /** A key, or undefined where there is none. `query` is a mode such as `consistent`. */
  async key(key: string, query = ''): Promise<KvEntry | undefined> {
    return (await this.keys(key, query)).get(key);
  }

  /** All keys below a prefix with `recurse` in the query, one without. */
  async keys(prefix: string, query = 'recurse'): Promise<ReadonlyMap<string, KvEntry>> {
    const answer = await this.get(`/v1/kv/${prefix}?${query}`);
    if (answer.status === 404) return new Map();
    if (answer.status !== 200) throw new Error(`GET ${prefix}?${query}: ${answer.status} ${answer.text}`);
    return new Map(kvEntries(answer.text).map((entry) => [entry.key, entry]));
  }

  /**
   * Asks again and again, each time waiting for the next change, until the answer is as wanted. Rejects with the last
   * answer when it is not in time.
   */
  async untilAnswer(
    path: string,
    wanted: (answer: FleetAnswer) => boolean,
    waitMsMax = 60_000,
  ): Promise<FleetAnswer> {
    const deadline = AbortSignal.timeout(waitMsMax);
    const separator = path.includes('?') ? '&' : '?';
    let last: FleetAnswer | undefined;
    for (;;) {
      const blocking = `${path}${separator}index=${last?.index ?? 0}&wait=5s`;
      try {
        last = await this.get(blocking, deadline);
      } catch (error) {
        if (!deadline.aborted) throw error;
        throw new Error(`${path} is not as wanted in time; last: ${last?.status} ${last?.text}`, {
          cause: error,
        });
      }
      if (wanted(last)) return last;
    }
  }

  /** Waits until this gateway shows a value under a key; undefined: until the key is gone. */
  async untilKey(key: string, value: string | undefined, waitMsMax?: number): Promise<void> {
    const wanted = ({ status, text }: FleetAnswer): boolean => status === 200 && text === value;
    const gone = ({ status }: FleetAnswer): boolean => status === 404;
    await this.untilAnswer(`/v1/kv/${key}?raw`, value === undefined ? gone : wanted, waitMsMax);
  }

  close(): void {
    this.#agent.destroy();
  }
}

function kvEntries(text: string): readonly KvEntry[] {
  return (JSON.parse(text) as Record<string, string | number | null>[]).map((row) => ({
    key: String(row['Key']),
    value: row['Value'] === null ? '' : Buffer.from(String(row['Value']), 'base64').toString(),
    flags: Number(row['Flags']),
    session: String(row['Session'] ?? ''),
    lockIndex: Number(row['LockIndex']),
    createIndex: Number(row['CreateIndex']),
    modifyIndex: Number(row['ModifyIndex']),
  }));
}
