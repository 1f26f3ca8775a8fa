import type { ServerUnderTest } from './servers.ts';

/** An answer, read whole. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** X-Consul-Index, or -1. A number: the indexes of these tests are below 2^53. */
  readonly index: number;
}

/** One entry as `/v1/kv/` shows it. */
export interface KvEntry {
  readonly Key: string;
  readonly Value: string | null;
  readonly Flags: number;
  readonly LockIndex: number;
  readonly CreateIndex: number;
  readonly ModifyIndex: number;
  readonly Session?: string;
}

export interface HttpClient {
  get(path: string): Promise<Answer>;
  put(path: string, body?: unknown): Promise<Answer>;
  del(path: string): Promise<Answer>;
}

/** A client of the server without any manners of its own. Bodies that are not strings are sent as JSON. */
export function httpClient(server: ServerUnderTest): HttpClient {
  const send = async (method: string, path: string, body?: unknown): Promise<Answer> => {
    const response = await fetch(server.agent.url + path, {
      method,
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    return {
      status: response.status,
      headers: response.headers,
      text,
      index: Number(response.headers.get('x-consul-index') ?? -1),
    };
  };
  return {
    get: (path) => send('GET', path),
    put: (path, body) => send('PUT', path, body ?? ''),
    del: (path) => send('DELETE', path),
  };
}

/** The answer's body; throws with what was answered where that is no success. */
export function bodyOf(answer: Answer): unknown {
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.text}`);
  return JSON.parse(answer.text) as unknown;
}

export function decodeBase64(value: string | null): string {
  return Buffer.from(value ?? '', 'base64').toString();
}

/**
 * Asks again, each time waiting on the server from the index before, until the answer is as wanted. What
 * the server does a moment later (a real Consul's agent and its catalog) is awaited without sleeping.
 */
export async function untilAnswered(
  client: HttpClient,
  path: string,
  wanted: (answer: Answer) => boolean,
): Promise<Answer> {
  const late = performance.now() + 20_000;
  let index = 0;
  for (;;) {
    const answer = await client.get(`${path}${path.includes('?') ? '&' : '?'}index=${index}&wait=5s`);
    if (wanted(answer)) return answer;
    if (performance.now() > late) {
      throw new Error(`${path} did not come to be as wanted: ${answer.status} ${answer.text}`);
    }
    index = Math.max(0, answer.index);
  }
}
