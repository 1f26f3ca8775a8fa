import { createHash } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { nowMs, request } from './http.ts';
import { type Answered, WireClient } from './wire-client.ts';
import type { Asked, Fared, OrderName, Orders, Server, Told } from './orders.ts';

// The benchmark's client in one region: a process of its own, so that it can run in that region's network. It takes
// orders (orders.ts) over IPC and ends with its parent.

type Handlers = { readonly [N in OrderName]: (ask: Orders[N]['ask']) => Promise<Orders[N]['answer']> };

const watches = new Map<string, AbortController>();
let echo: Socket | undefined;

const handlers: Handlers = {
  async put({ server, prefix, count, pauseMs, warmMs }) {
    const client = await WireClient.open(server);
    const write = async (key: string, value: string): Promise<void> => {
      const answer = await client.put(`/v1/kv/${key}`, value);
      if (!isTrue(answer)) throw failed(key, answer);
    };
    const warmAtMs = nowMs() + warmMs;
    while (nowMs() < warmAtMs) await write(`${prefix}warm`, `value-${nowMs()}`);
    const tookMs: number[] = [];
    for (let n = 0; n < count; n++) {
      const startedMs = nowMs();
      await write(`${prefix}${n}`, `value-${startedMs}`);
      tookMs.push(nowMs() - startedMs);
      await sleep(pauseMs);
    }
    client.close();
    return { tookMs };
  },
  async write({ server, key, value }) {
    const startedMs = nowMs();
    await put(server, key, value);
    return { startedMs, tookMs: nowMs() - startedMs };
  },
  async watch({ server, key, query, watch }) {
    const stopped = new AbortController();
    watches.set(watch, stopped);
    const path = `/v1/kv/${key}?${query}`;
    let seen = await look(server, path, stopped.signal);
    void (async () => {
      while (!stopped.signal.aborted) {
        try {
          const looked = await look(server, `${path}&wait=60s&index=${seen.index}`, stopped.signal);
          if (looked.value !== seen.value) tell({ seen: { watch, value: looked.value, atMs: nowMs() } });
          seen = looked;
        } catch (error) {
          if (!stopped.signal.aborted) console.error(`watch ${watch}: ${String(error)}`);
          await sleep(50);
        }
      }
    })();
    return null;
  },
  unwatch({ watch }) {
    watches.get(watch)?.abort();
    watches.delete(watch);
    return Promise.resolve(null);
  },
  async load({ server, requests, everyMs, forMs, limitMs }) {
    const fared = new Map(requests.map(({ name }) => [name, new Tally()]));
    const running: Promise<void>[] = [];
    const startedMs = nowMs();
    for (let n = 0; n * everyMs < forMs; n++) {
      await sleep(Math.max(0, startedMs + n * everyMs - nowMs()));
      for (const { name, method, path, body } of requests) {
        const numbered = (text: string): string => text.replaceAll('{n}', String(n));
        const tally = fared.get(name);
        running.push(
          attempt(tally, server, { method, path: numbered(path), limitMs, body: numbered(body ?? '') }),
        );
      }
    }
    await Promise.all(running);
    return Object.fromEntries([...fared].map(([name, tally]) => [name, tally.result()]));
  },
  async fill({ server, prefix, count, atOnce, limitMs }) {
    const tally = new Tally();
    let next = 0;
    const worker = async (): Promise<void> => {
      while (next < count) {
        const n = next++;
        const path = `/v1/kv/${prefix}${String(n).padStart(6, '0')}`;
        await attempt(tally, server, { method: 'PUT', path, limitMs, body: `value-${n}-${'x'.repeat(40)}` });
      }
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    return tally.result();
  },
  async count({ server, prefix }) {
    const { status, body } = await request(server, { path: `/v1/kv/${prefix}?keys&stale` });
    return status === 200 ? (JSON.parse(body) as string[]).length : 0;
  },
  async digest({ server, prefix }) {
    const { status, body } = await request(server, { path: `/v1/kv/${prefix}?recurse&stale` });
    const pairs = status === 200 ? (JSON.parse(body) as { Key: string; Value: string }[]) : [];
    const hash = createHash('sha256');
    for (const { Key, Value } of pairs) hash.update(`${Key}=${Value}\n`);
    return hash.digest('hex');
  },
  async ask({ server, path, body }) {
    const asked = body === undefined ? { path } : { method: 'PUT' as const, path, body };
    const response = await request(server, asked);
    return { status: response.status, body: response.body };
  },
  async echo({ address, port }) {
    const socket = createSocket('udp4');
    socket.on('message', (bytes, from) => {
      // Questions go back; answers are waited for by `ping`.
      if (bytes[0] === 0x3f) socket.send(Buffer.concat([Buffer.from('!'), bytes]), from.port, from.address);
    });
    socket.bind(port, address);
    await once(socket, 'listening');
    echo = socket;
    return null;
  },
  async ping({ address, port, count }) {
    const socket = echo;
    if (socket === undefined) throw new Error('ping before echo');
    const tookMs: number[] = [];
    for (let n = 0; n < count; n++) {
      const question = `?${address} ${n}`;
      const startedMs = nowMs();
      const answered = new Promise<void>((resolve) => {
        const listen = (bytes: Buffer): void => {
          if (bytes.toString() !== `!${question}`) return;
          socket.off('message', listen);
          tookMs.push(nowMs() - startedMs);
          resolve();
        };
        socket.on('message', listen);
      });
      socket.send(question, port, address);
      await Promise.race([answered, sleep(2000)]);
    }
    return tookMs;
  },
};

/** Counts how requests fared. */
class Tally {
  #succeeded = 0;
  #failed = 0;
  #failure = '';
  readonly #tookMs: number[] = [];

  succeeded(tookMs: number): void {
    this.#succeeded++;
    this.#tookMs.push(tookMs);
  }

  failed(why: string): void {
    if (this.#failed++ === 0) this.#failure = why;
  }

  result(): Fared {
    return { succeeded: this.#succeeded, failed: this.#failed, tookMs: this.#tookMs, failure: this.#failure };
  }
}

async function attempt(
  tally: Tally | undefined,
  server: Server,
  what: { method: 'GET' | 'PUT'; path: string; body: string; limitMs: number },
): Promise<void> {
  const startedMs = nowMs();
  try {
    const { status, body } = await request(server, {
      method: what.method,
      path: what.path,
      body: what.body,
      signal: AbortSignal.timeout(what.limitMs),
    });
    if (status === 200 && body.trim() !== 'false') tally?.succeeded(nowMs() - startedMs);
    else tally?.failed(`${status} ${body.trim()}`);
  } catch (error) {
    const late = error instanceof Error && error.name !== 'Error';
    tally?.failed(late ? `no answer within ${what.limitMs / 1000} s` : String(error));
  }
}

async function put(server: Server, key: string, value: string): Promise<void> {
  const answer = await request(server, { method: 'PUT', path: `/v1/kv/${key}`, body: value });
  if (!isTrue(answer)) throw failed(key, answer);
}

function isTrue({ status, body }: Answered): boolean {
  return status === 200 && body.trim() === 'true';
}

function failed(key: string, { status, body }: Answered): Error {
  return new Error(`PUT ${key}: ${status} ${body.trim()}`);
}

async function look(
  server: Server,
  path: string,
  signal: AbortSignal,
): Promise<{ readonly value: string; readonly index: string }> {
  const { status, body, index } = await request(server, { path, signal });
  // A server that has not heard of the key yet says so, and waits for it with that index.
  if (status === 404) return { value: '', index };
  if (status !== 200) throw new Error(`GET ${path}: ${status} ${body.trim()}`);
  const value = (JSON.parse(body) as { Value: string | null }[])[0]?.Value ?? '';
  return { value: Buffer.from(value, 'base64').toString(), index };
}

function tell(told: Told): void {
  process.send?.(told);
}

async function obey<N extends OrderName>({ id, name, ask }: Asked<N>): Promise<void> {
  try {
    tell({ id, answer: await handlers[name](ask) });
  } catch (error) {
    tell({ id, error: `${name}: ${error instanceof Error ? error.message : String(error)}` });
  }
}

process.on('message', (asked) => void obey(asked as Asked));
process.once('disconnect', () => process.exit(0));
