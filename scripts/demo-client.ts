// A client of the demo: Consul's HTTP API, and the time that each answer took.

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly index: string;
  /** From the request until the whole answer was there. */
  readonly ms: number;
  readonly atMs: number;
}

export async function ask(method: 'GET' | 'PUT' | 'DELETE', url: string, body?: string): Promise<Answer> {
  const startMs = performance.now();
  const response = await fetch(url, { method, ...(body === undefined ? {} : { body }) });
  const text = await response.text();
  const atMs = performance.now();
  const index = response.headers.get('X-Consul-Index') ?? '';
  return { status: response.status, text: text.trim(), index, ms: atMs - startMs, atMs };
}

export async function askJson<T>(url: string): Promise<T> {
  const { status, text } = await ask('GET', url);
  if (status !== 200) throw new Error(`GET ${url}: ${status} ${text}`);
  return JSON.parse(text) as T;
}

/** A value, or undefined where the key is not there. */
export async function readKey(url: string, key: string): Promise<string | undefined> {
  const { status, text } = await ask('GET', `${url}/v1/kv/${key}?raw`);
  return status === 200 ? text : undefined;
}

export async function writeKey(url: string, key: string, value: string): Promise<Answer> {
  return ask('PUT', `${url}/v1/kv/${key}`, value);
}

/** When a blocking query there shows this value; it is asked before the value is written. */
export async function watchKey(url: string, key: string, value: string): Promise<{ seen: Promise<number> }> {
  let { index } = await ask('GET', `${url}/v1/kv/${key}?raw`);
  const watch = async (): Promise<number> => {
    for (const endMs = performance.now() + 15_000; performance.now() < endMs;) {
      const answer = await ask('GET', `${url}/v1/kv/${key}?raw&index=${index}&wait=10s`);
      if (answer.text === value) return answer.atMs;
      index = answer.index;
    }
    throw new Error(`${url} did not show ${key} = ${value}`);
  };
  return { seen: watch() };
}

/** Asks until it is so. Answers how long that took, undefined if it did not become so. */
export async function until(look: () => Promise<boolean>, msMax: number): Promise<number | undefined> {
  const startMs = performance.now();
  while (performance.now() - startMs < msMax) {
    if (await look().catch(() => false)) return performance.now() - startMs;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return undefined;
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
