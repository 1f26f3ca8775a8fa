import { randomUUID } from 'node:crypto';
import { isJsonObject, renderJson, type JsonObject } from '../../compat/wire/go-json.ts';
import type { Result } from '../../src/kernel/result.ts';
import { encodeKeyPath, isPathSafe, longestPathSafePrefix } from '../mirror/key-rules.ts';
import { bodyText as text, isConsul404, metaOf, type Answer } from './answers.ts';
import { ConnectionError, type Connection, type WireAnswer } from './connection.ts';
import type {
  CatalogEntry,
  ConsulReader,
  KeysAnswer,
  KvEntry,
  ListAnswer,
  NodeReading,
  NodesAnswer,
  PointRead,
  ReadMeta,
  SourceSelf,
} from './consul-reader.ts';
import {
  decodeCatalogEntry,
  decodeKvList,
  decodeNames,
  decodeObject,
  decodeObjects,
  decodeTxnKv,
} from './decode.ts';

/** Bounds of one answer, in bytes. */
export type AnswerBounds = {
  readonly list: number;
  readonly keys: number;
  readonly children: number;
  readonly other: number;
};

const mebibyte = 1024 * 1024;

export const defaultBounds: AnswerBounds = {
  list: 16 * mebibyte,
  keys: 16 * mebibyte,
  children: 256 * mebibyte,
  other: 64 * mebibyte,
};

/** Reads Consul's HTTP API: a Consul agent or server, or a gateway. */
export class HttpConsulReader implements ConsulReader {
  readonly address: string;
  readonly #connection: Pick<Connection, 'address' | 'request'>;
  readonly #bounds: AnswerBounds;

  constructor(connection: Pick<Connection, 'address' | 'request'>, bounds: AnswerBounds = defaultBounds) {
    this.#connection = connection;
    this.address = connection.address;
    this.#bounds = bounds;
  }

  readonly keys = async (prefix: string, separator?: string): Promise<KeysAnswer> => {
    if (!isPathSafe(prefix)) {
      const tree = await this.#txnTree(prefix);
      if (tree.kind === 'too-large') return tree;
      return { kind: 'keys', meta: tree.meta, names: tree.entries.map((entry) => entry.key) };
    }
    const cut = separator === undefined ? '' : `&separator=${encodeURIComponent(separator)}`;
    const path = `/v1/kv/${encodeKeyPath(prefix)}?keys&consistent${cut}`;
    const bytesMax = separator === undefined ? this.#bounds.keys : this.#bounds.children;
    const answer = await this.#connection.request({ method: 'GET', path, bytesMax });
    if (answer.kind === 'too-large') return answer;
    if (isConsul404(answer)) return { kind: 'keys', meta: metaOf(answer), names: [] };
    this.#expect200(answer, path);
    return { kind: 'keys', meta: metaOf(answer), names: this.#decode(decodeNames(text(answer)), path) };
  };

  readonly list = async (prefix: string): Promise<ListAnswer> => {
    if (!isPathSafe(prefix)) return this.#txnTree(prefix);
    const path = `/v1/kv/${encodeKeyPath(prefix)}?recurse&consistent`;
    const answer = await this.#connection.request({ method: 'GET', path, bytesMax: this.#bounds.list });
    if (answer.kind === 'too-large') return answer;
    const shared = {
      kind: 'list',
      meta: metaOf(answer),
      indexIsTable: prefix === '',
      bytes: answer.body.length,
    } as const;
    if (isConsul404(answer)) return { ...shared, entries: [] };
    this.#expect200(answer, path);
    return { ...shared, entries: this.#decode(decodeKvList(text(answer)), path) };
  };

  readonly get = async (key: string): Promise<PointRead> => {
    if (key === '' || !isPathSafe(key)) return this.#txnGet(key);
    const path = `/v1/kv/${encodeKeyPath(key)}?consistent`;
    const answer = await this.#connection.request({ method: 'GET', path, bytesMax: this.#bounds.other });
    if (answer.kind === 'too-large') throw this.#trouble('bad-answer', path, 'the value has no end');
    if (answer.status === 403) return { kind: 'denied' };
    if (isConsul404(answer)) return { kind: 'read', meta: metaOf(answer), entry: null };
    this.#expect200(answer, path);
    const entries = this.#decode(decodeKvList(text(answer)), path);
    const entry = entries[0];
    if (entry === undefined || entry.key !== key)
      throw this.#trouble('bad-answer', path, 'another key was answered');
    return { kind: 'read', meta: metaOf(answer), entry };
  };

  readonly nodes = async (): Promise<NodesAnswer> => {
    const path = '/v1/catalog/nodes?consistent';
    const answer = await this.#get(path);
    const objects = this.#decode(decodeObjects(text(answer)), path);
    return { meta: metaOf(answer), names: objects.map((object) => stringOf(object, 'Node')) };
  };

  readonly node = async (name: string): Promise<NodeReading> => {
    const nodePath = `/v1/catalog/node/${encodeURIComponent(name)}?consistent`;
    const checksPath = `/v1/health/node/${encodeURIComponent(name)}?consistent`;
    const [nodeAnswer, checksAnswer] = await Promise.all([this.#get(nodePath), this.#get(checksPath)]);
    const body = this.#decode(decodeObject(text(nodeAnswer)), nodePath);
    const nodeObject = body?.['Node'];
    const services = new Map<string, CatalogEntry>();
    const serviceObjects = body?.['Services'];
    if (isJsonObject(serviceObjects)) {
      for (const id of Object.keys(serviceObjects)) {
        const object = serviceObjects[id];
        if (!isJsonObject(object)) throw this.#trouble('bad-answer', nodePath, 'a service is no object');
        services.set(id, this.#decode(decodeCatalogEntry(object, `service ${JSON.stringify(id)}`), nodePath));
      }
    }
    const checks = new Map<string, CatalogEntry>();
    for (const object of this.#decode(decodeObjects(text(checksAnswer)), checksPath)) {
      const id = stringOf(object, 'CheckID');
      checks.set(id, this.#decode(decodeCatalogEntry(object, `check ${JSON.stringify(id)}`), checksPath));
    }
    const node = isJsonObject(nodeObject)
      ? this.#decode(decodeCatalogEntry(nodeObject, `node ${JSON.stringify(name)}`), nodePath)
      : null;
    return { node, services, checks, servicesMeta: metaOf(nodeAnswer), checksMeta: metaOf(checksAnswer) };
  };

  readonly sessions = async (): Promise<readonly JsonObject[]> => {
    const path = '/v1/session/list?consistent';
    return this.#decode(decodeObjects(text(await this.#get(path))), path);
  };

  readonly self = async (): Promise<SourceSelf> => {
    const path = '/v1/agent/self';
    const answer = await this.#connection.request({ method: 'GET', path, bytesMax: this.#bounds.other });
    if (answer.kind === 'answer' && answer.status === 403) return this.#selfFromCatalog();
    const body = this.#decode(decodeObject(text(this.#whole(answer, path))), path);
    const config = body?.['Config'];
    if (!isJsonObject(config)) throw this.#trouble('bad-answer', path, 'no Config: is this a Consul agent?');
    const debug = body?.['DebugConfig'];
    const aclsEnabled = isJsonObject(debug) && debug['ACLsEnabled'] === true;
    return {
      datacenter: stringOf(config, 'Datacenter'),
      nodeName: stringOf(config, 'NodeName'),
      version: stringOf(config, 'Version'),
      aclsEnabled,
    };
  };

  /** For a token without agent:read: then ACLs are on, and the catalog tells the rest. */
  async #selfFromCatalog(): Promise<SourceSelf> {
    const path = '/v1/catalog/service/consul?consistent';
    const [server] = this.#decode(decodeObjects(text(await this.#get(path))), path);
    const meta = server?.['ServiceMeta'];
    return {
      datacenter: server === undefined ? '' : stringOf(server, 'Datacenter'),
      nodeName: '',
      version: isJsonObject(meta) ? stringOf(meta, 'version') : '',
      aclsEnabled: true,
    };
  }

  readonly servers = async (): Promise<readonly { id: string; node: string }[]> => {
    const path = '/v1/catalog/service/consul?consistent';
    const objects = this.#decode(decodeObjects(text(await this.#get(path))), path);
    return objects.map((object) => ({ id: stringOf(object, 'ID'), node: stringOf(object, 'Node') }));
  };

  /**
   * A tree whose prefix no URL can name, by a read-only transaction. That carries no index, so the table's
   * index is read first, from a key that is not there: the later, consistent read cannot be older than it.
   */
  async #txnTree(prefix: string): Promise<ListAnswer> {
    const meta = await this.#tableMeta(prefix);
    const answer = await this.#txn([{ KV: { Verb: 'get-tree', Key: prefix } }], this.#bounds.list);
    if (answer.kind === 'too-large') return answer;
    this.#expect200(answer, '/v1/txn');
    const entries = this.#decode(decodeTxnKv(text(answer)), '/v1/txn');
    return { kind: 'list', meta, indexIsTable: true, entries, bytes: answer.body.length };
  }

  async #txnGet(key: string): Promise<PointRead> {
    const meta = await this.#tableMeta(key);
    const answer = await this.#txn([{ KV: { Verb: 'get', Key: key } }], this.#bounds.other);
    if (answer.kind === 'too-large') throw this.#trouble('bad-answer', '/v1/txn', 'the value has no end');
    if (answer.status === 403) return { kind: 'denied' };
    if (answer.status === 409) {
      const absent = text(answer).includes("doesn't exist");
      return absent ? { kind: 'read', meta, entry: null } : { kind: 'denied' };
    }
    this.#expect200(answer, '/v1/txn');
    const entries = this.#decode(decodeTxnKv(text(answer)), '/v1/txn');
    return { kind: 'read', meta, entry: entries.find((entry: KvEntry) => entry.key === key) ?? null };
  }

  async #tableMeta(key: string): Promise<ReadMeta> {
    const probe = await this.get(`${longestPathSafePrefix(key)}grapevine-absent-${randomUUID()}`);
    return probe.kind === 'denied' ? { index: null, knownLeader: true, filtered: false } : probe.meta;
  }

  #txn(operations: readonly unknown[], bytesMax: number): Promise<WireAnswer> {
    return this.#connection.request({
      method: 'PUT',
      path: '/v1/txn?consistent',
      body: renderJson(operations),
      bytesMax,
    });
  }

  async #get(path: string): Promise<Answer> {
    return this.#whole(
      await this.#connection.request({ method: 'GET', path, bytesMax: this.#bounds.other }),
      path,
    );
  }

  #whole(answer: WireAnswer, path: string): Answer {
    if (answer.kind === 'too-large')
      throw this.#trouble('bad-answer', path, `above ${this.#bounds.other} bytes`);
    this.#expect200(answer, path);
    return answer;
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

function stringOf(object: JsonObject, name: string): string {
  const value = object[name];
  return typeof value === 'string' ? value : '';
}
