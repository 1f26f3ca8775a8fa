import { isJsonObject, renderJson, type JsonObject, type JsonValue } from '../../compat/wire/go-json.ts';
import type { Result } from '../../src/kernel/result.ts';
import { encodeKeyPath, isPathSafe } from '../mirror/key-rules.ts';
import { bodyText as text, isConsul404, metaOf, type Answer } from './answers.ts';
import { ConnectionError, type Connection, type WireAnswer } from './connection.ts';
import type { KeysAnswer, KvEntry, PointRead, SourceSelf } from './consul-reader.ts';
import { decodeCatalogEntry, decodeNames, decodeObject, decodeObjects, decodeRawKv } from './decode.ts';
import { HttpConsulReader } from './http-consul-reader.ts';
import { isServing, Liveness, probePath } from './liveness.ts';
import { decodeKnownList, type KnownList } from './known-list.ts';
import type { RawEntry } from './raw-entry.ts';
import type {
  Ask,
  CatalogItem,
  CatalogList,
  LiveReader,
  RawList,
  RawRead,
  ServiceNames,
} from './live-reader.ts';

const mebibyte = 1024 * 1024;
const bounds = { list: 16 * mebibyte, other: 64 * mebibyte };

/** Consul before 1.10 takes 64 operations in a transaction. */
const txnOperationsMax = 64;
const pointReadsAtOnce = 16;

/** One address: what waits has connections of its own, so that it never keeps a short read from its turn. */
export type LiveConnections = {
  readonly waiting: Connection;
  readonly short: Connection;
  /** For the question whether anybody is there: when all others stand still it has its turn. */
  readonly probe: Connection;
};

/** An address, for as long as one question takes. */
type Asked = {
  readonly live: LiveConnections;
  readonly plain: HttpConsulReader;
  readonly ends: { readonly signal?: AbortSignal };
};

/** Reads Consul's HTTP API for a mirror that goes on. Of several addresses the first that answers is used. */
export class HttpLiveReader implements LiveReader {
  readonly #addresses: readonly LiveConnections[];
  readonly #liveness: Liveness;
  readonly #timeoutMs: number;
  #txnGets: 'unknown' | 'yes' | 'no' = 'unknown';

  /** `timeoutMs`: how long an answer may take beyond what it was asked to wait. */
  constructor(addresses: readonly LiveConnections[], timeoutMs: number, noticeMs?: number) {
    this.#addresses = addresses;
    this.#timeoutMs = timeoutMs;
    this.#liveness = new Liveness({
      ...{ count: addresses.length, monoMs: () => performance.now(), noticeMs },
      probe: async (at, signal) => {
        const request = { method: 'GET', path: probePath, bytesMax: bounds.other, signal } as const;
        const answer = await this.#address(at).probe.request(request);
        return answer.kind === 'too-large' || isServing(answer.status, text(answer));
      },
    });
  }

  get address(): string {
    return this.#address(this.#liveness.current).short.address;
  }

  close(): void {
    this.#liveness.close();
    for (const { waiting, short, probe } of this.#addresses) {
      waiting.close();
      short.close();
      probe.close();
    }
  }

  readonly keys = async (prefix: string, separator: string | undefined, ask: Ask): Promise<KeysAnswer> => {
    if (!isPathSafe(prefix)) return this.#plain((plain) => plain.keys(prefix, separator));
    const cut = separator === undefined ? '' : `&separator=${encodeURIComponent(separator)}`;
    const path = `/v1/kv/${encodeKeyPath(prefix)}?keys&consistent${cut}`;
    const answer = await this.#ask(path, ask, bounds.list);
    if (answer.kind === 'too-large') return answer;
    if (isConsul404(answer)) return { kind: 'keys', meta: metaOf(answer), names: [] };
    this.#expect200(answer, path);
    return { kind: 'keys', meta: metaOf(answer), names: this.#decode(decodeNames(text(answer)), path) };
  };

  readonly list = async (prefix: string, ask: Ask & { readonly before?: KnownList }): Promise<RawList> => {
    if (!isPathSafe(prefix)) {
      const list = await this.#plain((plain) => plain.list(prefix));
      return list.kind === 'too-large' ? list : { ...list, entries: list.entries.map(rawOf) };
    }
    const path = `/v1/kv/${encodeKeyPath(prefix)}?recurse&consistent`;
    const answer = await this.#ask(path, ask, bounds.list);
    if (answer.kind === 'too-large') return answer;
    const shared = {
      kind: 'list',
      meta: metaOf(answer),
      indexIsTable: prefix === '',
      bytes: answer.body.length,
    } as const;
    if (isConsul404(answer)) return { ...shared, entries: [] };
    this.#expect200(answer, path);
    const { entries, known } = this.#decode(decodeKnownList(answer.body, ask.before), path);
    return known === undefined ? { ...shared, entries } : { ...shared, entries, known };
  };

  readonly get = async (key: string, ask: Ask): Promise<RawRead> => {
    if (key === '' || !isPathSafe(key)) return rawRead(await this.#plain((plain) => plain.get(key)));
    const path = `/v1/kv/${encodeKeyPath(key)}?consistent`;
    const answer = await this.#ask(path, ask, bounds.list);
    if (answer.kind === 'too-large') throw this.#trouble('bad-answer', path, 'the value has no end');
    if (answer.status === 403) return { kind: 'denied' };
    if (isConsul404(answer)) return { kind: 'read', meta: metaOf(answer), entry: null };
    this.#expect200(answer, path);
    const [entry] = this.#decode(decodeRawKv(text(answer)), path);
    if (entry === undefined || entry.key !== key)
      throw this.#trouble('bad-answer', path, 'another key was answered');
    return { kind: 'read', meta: metaOf(answer), entry };
  };

  readonly getAll = async (keys: readonly string[], ask: Ask): Promise<readonly RawRead[]> => {
    const reads: RawRead[] = [];
    while (reads.length < keys.length) {
      const some = keys.slice(reads.length, reads.length + txnOperationsMax);
      const batch = some.length > 1 && this.#txnGets !== 'no' ? await this.#getByTxn(some, ask) : undefined;
      if (batch !== undefined) {
        reads.push(...batch);
        continue;
      }
      const few = some.slice(0, pointReadsAtOnce);
      reads.push(...(await Promise.all(few.map((key) => this.get(key, ask)))));
    }
    return reads;
  };

  readonly nodes = async (ask: Ask): Promise<CatalogList> => this.#catalog('/v1/catalog/nodes', ask, 'node');

  readonly checks = async (ask: Ask): Promise<CatalogList> =>
    this.#catalog('/v1/health/state/any', ask, 'check');

  readonly service = async (name: string, ask: Ask): Promise<CatalogList> =>
    this.#catalog(`/v1/health/service/${encodeURIComponent(name)}`, ask, 'service');

  readonly serviceNames = async (ask: Ask): Promise<ServiceNames> => {
    const path = '/v1/catalog/services?consistent';
    const answer = await this.#whole(path, ask);
    const names = this.#decode(decodeObject(text(answer)), path) ?? {};
    return { meta: metaOf(answer), names: Object.keys(names) };
  };

  readonly self = (): Promise<SourceSelf> => this.#plain((plain) => plain.self());

  readonly servers = (): Promise<readonly { readonly id: string; readonly node: string }[]> =>
    this.#plain((plain) => plain.servers());

  readonly put = async (key: string, value: string): Promise<boolean> => {
    const path = `/v1/kv/${encodeKeyPath(key)}`;
    const answer = await this.#switching({}, ({ live, ends }) =>
      live.short.request({ method: 'PUT', path, body: value, bytesMax: bounds.other, ...ends }),
    );
    if (answer.kind === 'answer' && answer.status === 403) return false;
    if (answer.kind === 'answer') this.#expect200(answer, path);
    return true;
  };

  #address(at: number): LiveConnections {
    const address = this.#addresses[at];
    if (address === undefined) throw new ConnectionError('bad-address', 'no address of the source is given');
    return address;
  }

  /**
   * Point reads by a read-only transaction. It carries no index, so the table's is read first: the later, consistent
   * read cannot be older. What ACLs hide is left out of its answer, what is not there is in it with index 0.
   * Undefined: this source does not know the operation (Consul before 1.10).
   */
  async #getByTxn(keys: readonly string[], ask: Ask): Promise<readonly RawRead[] | undefined> {
    const path = '/v1/txn?consistent';
    const probe = await this.get('_gw/absent', ask);
    if (probe.kind === 'denied') return undefined;
    const body = renderJson(keys.map((key) => ({ KV: { Verb: 'get-or-empty', Key: key } })));
    const answer = await this.#switching(ask, ({ live, ends }) =>
      live.short.request({ method: 'PUT', path, body, bytesMax: bounds.other, ...ends }),
    );
    if (answer.kind === 'too-large') return undefined;
    if (answer.status !== 200 && this.#txnGets === 'unknown') {
      this.#txnGets = 'no';
      return undefined;
    }
    if (answer.status === 409) return undefined;
    this.#expect200(answer, path);
    const found = this.#decode(decodeRawKv(text(answer), 'txn'), path);
    this.#txnGets = 'yes';
    const byKey = new Map(found.map((entry) => [entry.key, entry]));
    const { index } = probe.meta;
    return keys.map((key): RawRead => {
      const entry = byKey.get(key);
      if (entry === undefined) return { kind: 'denied' };
      if (entry.modifyIndex === 0) return { kind: 'read', meta: probe.meta, entry: null };
      const meta = { ...probe.meta, index: Math.max(index ?? 0, entry.modifyIndex) };
      return { kind: 'read', meta: index === null ? probe.meta : meta, entry };
    });
  }

  async #catalog(path: string, ask: Ask, kind: 'node' | 'service' | 'check'): Promise<CatalogList> {
    const answer = await this.#whole(`${path}?consistent`, ask);
    const objects = this.#decode(decodeObjects(text(answer)), path);
    return { meta: metaOf(answer), items: objects.map((object) => this.#catalogItem(object, kind, path)) };
  }

  #catalogItem(object: JsonObject, kind: 'node' | 'service' | 'check', path: string): CatalogItem {
    if (kind === 'service') {
      const node = object['Node'];
      const service = object['Service'];
      if (!isJsonObject(node) || !isJsonObject(service)) {
        throw this.#trouble('bad-answer', path, 'an instance without Node or Service');
      }
      const entry = this.#decode(decodeCatalogEntry(service, 'a service'), path);
      return { ...entry, node: nameIn(node, 'Node'), id: nameIn(service, 'ID') };
    }
    const entry = this.#decode(decodeCatalogEntry(object, `a ${kind}`), path);
    return { ...entry, node: nameIn(object, 'Node'), id: kind === 'node' ? '' : nameIn(object, 'CheckID') };
  }

  async #whole(path: string, ask: Ask): Promise<Answer> {
    const answer = await this.#ask(path, ask, bounds.other);
    if (answer.kind === 'too-large') throw this.#trouble('bad-answer', path, `above ${bounds.other} bytes`);
    this.#expect200(answer, path);
    return answer;
  }

  #ask(path: string, ask: Ask, bytesMax: number): Promise<WireAnswer> {
    const { waiting } = ask;
    if (waiting === undefined || waiting.index === 0) {
      return this.#switching(ask, ({ live, ends }) =>
        live.short.request({ method: 'GET', path, bytesMax, ...ends }),
      );
    }
    return this.#switching(ask, ({ live, ends }) =>
      live.waiting.request({
        method: 'GET',
        path: `${path}&index=${waiting.index}&wait=${waiting.waitMs}ms`,
        bytesMax,
        // Consul adds up to a sixteenth of it.
        timeoutMs: Math.ceil(waiting.waitMs * (1 + 1 / 16)) + this.#timeoutMs,
        ...ends,
      }),
    );
  }

  #plain<T>(work: (plain: HttpConsulReader) => Promise<T>): Promise<T> {
    return this.#switching({}, ({ plain }) => work(plain));
  }

  /** An address that cannot be reached, or falls silent, makes room for the next one; who asked asks again. */
  async #switching<T>(ask: Ask, work: (asked: Asked) => Promise<T>): Promise<T> {
    const at = this.#liveness.current;
    const live = this.#address(at);
    const waits = ask.waiting !== undefined && ask.waiting.index > 0;
    const watched = this.#liveness.watch(at, waits);
    const ends = signalOf(ask.signal, watched.signal);
    const { address } = live.short;
    const plain = new HttpConsulReader({
      address,
      request: (request) => live.short.request({ ...request, ...ends }),
    });
    try {
      const result = await work({ live, plain, ends });
      this.#liveness.heard(at);
      return result;
    } catch (error) {
      if (!(error instanceof ConnectionError)) throw error;
      if (error.kind === 'unreachable') this.#liveness.failed(at);
      const isLeft =
        error.kind === 'aborted' && watched.signal?.aborted === true && ask.signal?.aborted !== true;
      if (!isLeft) throw error;
      throw new ConnectionError('unreachable', `${address}: does not answer: another address is asked`);
    } finally {
      watched.end();
    }
  }

  #expect200(answer: Answer, path: string): void {
    if (answer.status === 200) return;
    const line = text(answer).split('\n')[0]?.slice(0, 200) ?? '';
    const kind = answer.status === 401 || answer.status === 403 ? 'denied' : 'refused';
    throw this.#trouble(kind, path, `${answer.status} ${line}`.trim());
  }

  #decode<T>(decoded: Result<T, string>, path: string): T {
    if (decoded.ok) return decoded.value;
    throw this.#trouble('bad-answer', path, decoded.error);
  }

  #trouble(kind: 'denied' | 'refused' | 'bad-answer', path: string, why: string): ConnectionError {
    return new ConnectionError(kind, `${this.address}: ${path.split('?')[0] ?? path}: ${why}`);
  }
}

function signalOf(given: AbortSignal | undefined, left: AbortSignal | undefined): Asked['ends'] {
  if (given === undefined || left === undefined) {
    const signal = given ?? left;
    return signal === undefined ? {} : { signal };
  }
  return { signal: AbortSignal.any([given, left]) };
}

function nameIn(object: JsonObject, name: string): string {
  const value: JsonValue | undefined = object[name];
  return typeof value === 'string' ? value : '';
}

function rawOf(entry: KvEntry): RawEntry {
  const { value, ...rest } = entry;
  return { ...rest, text: Buffer.from(value).toString('base64') };
}

function rawRead(read: PointRead): RawRead {
  if (read.kind === 'denied') return read;
  return { ...read, entry: read.entry === null ? null : rawOf(read.entry) };
}
