import { compareBytewise } from '../../../../migration/byte-order.ts';
import { ConnectionError } from '../../../../migration/source/connection.ts';
import type { ReadMeta, SourceSelf } from '../../../../migration/source/consul-reader.ts';
import type { RawEntry } from '../../../../migration/source/raw-entry.ts';
import type { Ask, CatalogItem, CatalogList, LiveReader } from '../../../../migration/source/live-reader.ts';

interface Snapshot {
  readonly entries: ReadonlyMap<string, RawEntry>;
  readonly tombstones: ReadonlyMap<string, number>;
}

/** A Consul in memory that answers blocking queries, with Consul's rules of indexes, and whose answers a test can bend. */
export class FakeSource implements LiveReader {
  readonly address = 'fake';
  entries = new Map<string, RawEntry>();
  tombstones = new Map<string, number>();
  index = 10;
  /** Of the tables of KV: what an empty prefix and a missing key show. */
  tableIndex = 10;
  serverIds = ['server-1', 'server-2'];
  selfAnswer: SourceSelf = { datacenter: 'dc1', nodeName: 'fake', version: '1.8.7', aclsEnabled: false };
  meta: Partial<ReadMeta> = {};
  /** Thrown by the next read, and every one after it, until it is taken away. */
  failing: string | undefined;
  /** Keys that the token may not read: lists leave them out without a word. */
  hidden: (key: string) => boolean = () => false;
  lists = 0;
  gets = 0;
  /** Called before each list is answered. */
  beforeList: (prefix: string) => void = () => undefined;
  nodeItems: CatalogItem[] = [];
  serviceItems: (CatalogItem & { readonly name: string })[] = [];
  checkItems: CatalogItem[] = [];
  catalogIndex = 10;
  #waiting = new Set<() => void>();

  set(key: string, value: string, more: Partial<RawEntry> = {}): void {
    const index = this.#next();
    const before = this.entries.get(key);
    this.entries.set(key, {
      ...{ key, text: Buffer.from(value).toString('base64'), flags: 0n, session: '', lockIndex: 0 },
      ...{ createIndex: before?.createIndex ?? index, modifyIndex: index, ...more },
    });
    this.tombstones.delete(key);
    this.wake();
  }

  delete(...keys: readonly string[]): void {
    const index = this.#next();
    for (const key of keys) {
      this.entries.delete(key);
      this.tombstones.set(key, index);
    }
    this.wake();
  }

  /** Forgets tombstones, as Consul does after 15 minutes: indexes of prefixes fall back. */
  reap(): void {
    this.tombstones.clear();
    this.wake();
  }

  snapshot(): Snapshot {
    return { entries: new Map(this.entries), tombstones: new Map(this.tombstones) };
  }

  /** As `consul snapshot restore` on a living cluster: the index of writes goes on, what is there is older. */
  restore(snapshot: Snapshot): void {
    this.entries = new Map(snapshot.entries);
    this.tombstones = new Map(snapshot.tombstones);
    const known = [...this.entries.values()].map(({ modifyIndex }) => modifyIndex);
    this.tableIndex = Math.max(10, ...known, ...this.tombstones.values());
    this.index += 5;
    this.wake();
  }

  touchCatalog(): void {
    this.catalogIndex += 1;
    this.wake();
  }

  /** Ends all waits: something changed, or their time is over. */
  wake(): void {
    for (const each of this.#waiting) each();
  }

  readonly keys: LiveReader['keys'] = async (prefix, separator, ask) => {
    await this.#wait(ask, () => this.#prefixIndex(prefix));
    const names = new Set<string>();
    for (const { key } of this.#under(prefix)) {
      const cut = separator === undefined ? -1 : key.indexOf(separator, prefix.length);
      names.add(cut === -1 ? key : key.slice(0, cut + 1));
    }
    return { kind: 'keys', meta: this.#meta(this.#prefixIndex(prefix)), names: [...names] };
  };

  readonly list: LiveReader['list'] = async (prefix, ask) => {
    await this.#wait(ask, () => this.#prefixIndex(prefix));
    this.lists += 1;
    this.beforeList(prefix);
    const entries = this.#under(prefix);
    const bytes = entries.reduce((sum, { text }) => sum + text.length + 100, 0);
    const meta = this.#meta(this.#prefixIndex(prefix));
    return { kind: 'list', meta, indexIsTable: prefix === '', entries, bytes };
  };

  readonly get: LiveReader['get'] = async (key, ask) => {
    await this.#wait(ask, () => this.entries.get(key)?.modifyIndex ?? this.tableIndex);
    this.gets += 1;
    if (this.hidden(key)) return { kind: 'denied' };
    const entry = this.entries.get(key) ?? null;
    return { kind: 'read', meta: this.#meta(entry?.modifyIndex ?? this.tableIndex), entry };
  };

  readonly getAll: LiveReader['getAll'] = (keys, ask) => Promise.all(keys.map((key) => this.get(key, ask)));

  readonly nodes: LiveReader['nodes'] = (ask) => this.#catalog(ask, this.nodeItems);
  readonly checks: LiveReader['checks'] = (ask) => this.#catalog(ask, this.checkItems);
  readonly service: LiveReader['service'] = (name, ask) =>
    this.#catalog(
      ask,
      this.serviceItems.filter((item) => item.name === name),
    );
  readonly serviceNames: LiveReader['serviceNames'] = async (ask) => {
    await this.#wait(ask, () => this.catalogIndex);
    return {
      meta: this.#meta(this.catalogIndex),
      names: [...new Set(this.serviceItems.map(({ name }) => name))],
    };
  };

  readonly self = async (): Promise<SourceSelf> => {
    this.#fail();
    return this.selfAnswer;
  };
  readonly servers = async (): Promise<readonly { readonly id: string; readonly node: string }[]> =>
    this.serverIds.map((id) => ({ id, node: id }));
  readonly put: LiveReader['put'] = async (key, value) => {
    this.set(key, value);
    return true;
  };
  readonly close = (): void => this.wake();

  #next(): number {
    this.index += 1;
    this.tableIndex = this.index;
    return this.index;
  }

  async #catalog(ask: Ask, items: readonly CatalogItem[]): Promise<CatalogList> {
    await this.#wait(ask, () => this.catalogIndex);
    return { meta: this.#meta(this.catalogIndex), items };
  }

  async #wait(ask: Ask, now: () => number): Promise<void> {
    this.#fail();
    const { waiting, signal } = ask;
    const aborted = (): ConnectionError => new ConnectionError('aborted', 'interrupted');
    const check = (): void => {
      if (signal?.aborted === true) throw aborted();
    };
    check();
    if (waiting !== undefined && waiting.index > 0) {
      const endMs = performance.now() + waiting.waitMs;
      while (now() <= waiting.index && performance.now() < endMs) {
        await new Promise<void>((resolve) => {
          const end = (): void => {
            clearTimeout(timer);
            this.#waiting.delete(end);
            signal?.removeEventListener('abort', end);
            resolve();
          };
          const timer = setTimeout(end, Math.max(1, endMs - performance.now()));
          this.#waiting.add(end);
          signal?.addEventListener('abort', end, { once: true });
        });
        check();
        this.#fail();
      }
    } else {
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  #fail(): void {
    if (this.failing !== undefined) throw new ConnectionError('refused', this.failing);
  }

  /** The highest of what is there and of the tombstones, within the prefix; the table's where there is neither. */
  #prefixIndex(prefix: string): number {
    if (prefix === '') return this.tableIndex;
    let index = 0;
    for (const { key, modifyIndex } of this.entries.values())
      if (key.startsWith(prefix)) index = Math.max(index, modifyIndex);
    for (const [key, stamp] of this.tombstones) if (key.startsWith(prefix)) index = Math.max(index, stamp);
    return index === 0 ? this.tableIndex : index;
  }

  #under(prefix: string): readonly RawEntry[] {
    return [...this.entries.values()]
      .filter(({ key }) => key.startsWith(prefix) && !this.hidden(key))
      .toSorted((a, b) => compareBytewise(a.key, b.key));
  }

  #meta(index: number): ReadMeta {
    return { index, knownLeader: true, filtered: false, ...this.meta };
  }
}
