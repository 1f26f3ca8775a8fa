import { compareBytewise } from '../../migration/byte-order.ts';
import type {
  ConsulReader,
  KvEntry,
  NodeReading,
  ReadMeta,
  SourceSelf,
} from '../../migration/source/consul-reader.ts';

/** A Consul in memory, as a reader sees it, whose answers a test can bend. */
export class FakeConsul implements ConsulReader {
  readonly address = 'fake';
  readonly entries = new Map<string, KvEntry>();
  index = 1;
  /** Reads of single keys so far. */
  gets = 0;
  /** Called before each read, to change things between two reads. */
  beforeRead: (what: 'keys' | 'list' | 'get', key: string) => void = () => undefined;
  meta: Partial<ReadMeta> = {};
  selfAnswer: SourceSelf = { datacenter: 'dc1', nodeName: 'fake', version: '1.8.7', aclsEnabled: false };

  set(key: string, value: string, more: Partial<KvEntry> = {}): void {
    this.index += 1;
    const createIndex = this.entries.get(key)?.createIndex ?? this.index;
    this.entries.set(key, {
      key,
      value: Buffer.from(value),
      flags: 0n,
      session: '',
      lockIndex: 0,
      createIndex,
      modifyIndex: this.index,
      ...more,
    });
  }

  delete(key: string): void {
    this.index += 1;
    this.entries.delete(key);
  }

  readonly keys: ConsulReader['keys'] = async (prefix, separator) => {
    this.beforeRead('keys', prefix);
    const names = new Set<string>();
    for (const key of this.#under(prefix).map((entry) => entry.key)) {
      const cut = separator === undefined ? -1 : key.indexOf(separator, prefix.length);
      names.add(cut === -1 ? key : key.slice(0, cut + 1));
    }
    return { kind: 'keys', meta: this.#meta(this.index), names: [...names] };
  };

  readonly list: ConsulReader['list'] = async (prefix) => {
    this.beforeRead('list', prefix);
    const entries = this.#under(prefix);
    const own = Math.max(0, ...entries.map((entry) => entry.modifyIndex));
    const index = prefix === '' || own === 0 ? this.index : own;
    return {
      kind: 'list',
      meta: this.#meta(index),
      indexIsTable: prefix === '',
      entries,
      bytes: entries.length * 100,
    };
  };

  readonly get: ConsulReader['get'] = async (key) => {
    this.beforeRead('get', key);
    this.gets += 1;
    const entry = this.entries.get(key) ?? null;
    return { kind: 'read', meta: this.#meta(entry?.modifyIndex ?? this.index), entry };
  };

  /** Nodes that are listed; nothing more of them is to be had. */
  nodeNames: readonly string[] = [];
  readonly nodes: ConsulReader['nodes'] = async () => ({
    meta: this.#meta(this.index),
    names: this.nodeNames,
  });
  readonly node: ConsulReader['node'] = async (): Promise<NodeReading> => {
    const meta = this.#meta(this.index);
    return { node: null, services: new Map(), checks: new Map(), servicesMeta: meta, checksMeta: meta };
  };
  readonly sessions: ConsulReader['sessions'] = async () => [];
  readonly self: ConsulReader['self'] = async () => this.selfAnswer;
  readonly servers: ConsulReader['servers'] = async () => [{ id: 'server-1', node: 's1' }];

  #under(prefix: string): KvEntry[] {
    return [...this.entries.values()]
      .filter((entry) => entry.key.startsWith(prefix))
      .toSorted((a, b) => compareBytewise(a.key, b.key));
  }

  #meta(index: number): ReadMeta {
    return { index, knownLeader: true, filtered: false, ...this.meta };
  }
}
