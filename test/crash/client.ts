import { Agent, request } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly index: number;
}

/** One connection to a gateway that may die at any time: an answer that did not come whole is undefined. */
export class Client {
  readonly #url: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });

  constructor(url: string) {
    this.#url = url;
  }

  send(method: string, path: string, body?: string): Promise<Answer | undefined> {
    return new Promise((resolve) => {
      const req = request(`${this.#url}${path}`, { method, agent: this.#agent }, (res) => {
        let text = '';
        res.setEncoding('utf8');
        res.on('data', (chunk: string) => (text += chunk));
        res.on('error', () => resolve(undefined));
        res.on('end', () => {
          const index = Number(res.headers['x-consul-index'] ?? 0);
          resolve(res.complete ? { status: res.statusCode ?? 0, text, index } : undefined);
        });
      });
      req.on('error', () => resolve(undefined));
      req.end(body);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

export interface Entry {
  readonly key: string;
  readonly value: string;
  readonly modifyIndex: number;
}

/** All that is below a prefix, with the index of the answer. */
export async function listAll(
  url: string,
  prefix: string,
): Promise<{ readonly index: number; readonly entries: ReadonlyMap<string, Entry> }> {
  const client = new Client(url);
  const answer = await client.send('GET', `/v1/kv/${prefix}?recurse`);
  client.close();
  if (answer === undefined || ![200, 404].includes(answer.status)) {
    throw new Error(`listing ${prefix} failed: ${JSON.stringify(answer)}`);
  }
  const rows =
    answer.status === 404 ? [] : (JSON.parse(answer.text) as Record<string, string | number | null>[]);
  const entries = rows.map((row) => ({
    key: String(row['Key']),
    value: row['Value'] === null ? '' : Buffer.from(String(row['Value']), 'base64').toString(),
    modifyIndex: Number(row['ModifyIndex']),
  }));
  return { index: answer.index, entries: new Map(entries.map((entry) => [entry.key, entry])) };
}
