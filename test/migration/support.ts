import type { Clock } from '../../migration/clock.ts';
import { systemClock } from '../../migration/clock.ts';
import { copyFromConsul, type CopySummary } from '../../migration/copy/copy.ts';
import type { CopyOptions } from '../../migration/copy/copy-run.ts';
import type { ConsulReader } from '../../migration/source/consul-reader.ts';
import { Connection, type ConnectionOptions } from '../../migration/source/connection.ts';
import {
  HttpConsulReader,
  defaultBounds,
  type AnswerBounds,
} from '../../migration/source/http-consul-reader.ts';
import { sourceIdentity } from '../../migration/source/identity.ts';
import type { MirrorTarget } from '../../migration/target/target.ts';
import type { Host } from '../../migration/terminal/host.ts';

export function connect(address: string, options: Partial<ConnectionOptions> = {}): Connection {
  return new Connection({
    address,
    timeoutMs: 10_000,
    concurrencyMax: 8,
    requestsPerSecondMax: 10_000,
    attemptsMax: 6,
    clock: systemClock,
    chance: () => 0,
    ...options,
  });
}

export function readerOf(address: string, bounds: Partial<AnswerBounds> = {}): HttpConsulReader {
  return new HttpConsulReader(connect(address), { ...defaultBounds, ...bounds });
}

/** A copy of everything, with what a test does not care about filled in. */
export async function copy(
  source: ConsulReader,
  target: MirrorTarget,
  options: Partial<CopyOptions> = {},
): Promise<CopySummary> {
  const sourceSelf = options.sourceSelf ?? (await source.self());
  return copyFromConsul({
    source,
    target,
    sourceId: options.sourceId ?? (await sourceIdentity(source, sourceSelf)),
    sourceSelf,
    tokenGiven: false,
    prefixes: [''],
    kv: true,
    catalog: true,
    dryRun: false,
    allowDeletes: false,
    startOver: false,
    clock: systemClock,
    ...options,
  });
}

/** A clock that jumps: sleeping ends at once, and time has passed. */
export function jumpingClock(startMs = 1_700_000_000_000): Clock & { readonly slept: number[] } {
  let nowMs = startMs;
  const slept: number[] = [];
  return {
    slept,
    now: () => nowMs,
    sleep: async (ms) => {
      slept.push(ms);
      nowMs += ms;
    },
  };
}

/** A request to a Consul API that must answer 200; returns the body. */
export async function ask(
  url: string,
  path: string,
  method = 'GET',
  body?: string | Uint8Array,
): Promise<string> {
  const response = await fetch(`${url}${path}`, { method, ...(body === undefined ? {} : { body }) });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return text;
}

export function put(url: string, key: string, value: string | Uint8Array, query = ''): Promise<string> {
  return ask(url, `/v1/kv/${key.split('/').map(encodeURIComponent).join('/')}${query}`, 'PUT', value);
}

/** Sets keys that no URL can name. */
export function putByTxn(url: string, keys: Readonly<Record<string, string>>): Promise<string> {
  const operations = Object.entries(keys).map(([key, value]) => ({
    KV: { Verb: 'set', Key: key, Value: Buffer.from(value).toString('base64') },
  }));
  return ask(url, '/v1/txn', 'PUT', JSON.stringify(operations));
}

export function register(url: string, registration: object): Promise<string> {
  return ask(url, '/v1/catalog/register', 'PUT', JSON.stringify(registration));
}

export function deregister(url: string, registration: object): Promise<string> {
  return ask(url, '/v1/catalog/deregister', 'PUT', JSON.stringify(registration));
}

export type TestHost = Host & {
  readonly printed: string[];
  readonly complained: string[];
  readonly lines: string[];
};

/** A command's host that keeps what it is told. */
export function testHost(clock: Clock = systemClock, options: Partial<Host> = {}): TestHost {
  const printed: string[] = [];
  const complained: string[] = [];
  const lines: string[] = [];
  return {
    env: {},
    clock,
    signal: new AbortController().signal,
    print: (text) => printed.push(text),
    complain: (text) => complained.push(text),
    progress: { step: () => undefined, line: (text) => lines.push(text), end: () => undefined },
    args: ['migrate', 'test'],
    version: '0.0.0-test',
    printed,
    complained,
    lines,
    ...options,
  };
}
