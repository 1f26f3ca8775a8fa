import type { CatalogEntry, KeysAnswer, ReadMeta, SourceSelf } from './consul-reader.ts';
import type { KnownList } from './known-list.ts';
import type { RawEntry } from './raw-entry.ts';

// What a mirror that goes on asks of a source beside what a single copy asks: answers that wait for a change, values
// that are decoded only where they are new, and proofs for many keys at once.

/** Waits until the answer's index is above this one, for so long at most (X-Consul-Index, wait=). */
export type Waiting = { readonly index: number; readonly waitMs: number };

export type Ask = { readonly waiting?: Waiting; readonly signal?: AbortSignal };

export type RawList =
  | {
      readonly kind: 'list';
      readonly meta: ReadMeta;
      /** True when `meta.index` is the table's index, not the prefix's own. */
      readonly indexIsTable: boolean;
      readonly entries: readonly RawEntry[];
      /** Of the answer's body. */
      readonly bytes: number;
      /** For the next time it is asked. */
      readonly known?: KnownList;
    }
  | { readonly kind: 'too-large' };

export type RawRead =
  /** `entry` null: it is not there, and `meta.index` is the table's. */
  | { readonly kind: 'read'; readonly meta: ReadMeta; readonly entry: RawEntry | null }
  | { readonly kind: 'denied' };

/** Every entry of one kind, from one answer. `node` and `id` as the source wrote them; `id` is empty for a node. */
export type CatalogItem = CatalogEntry & { readonly node: string; readonly id: string };

export type CatalogList = { readonly meta: ReadMeta; readonly items: readonly CatalogItem[] };

export type ServiceNames = { readonly meta: ReadMeta; readonly names: readonly string[] };

/** All reads are `?consistent`. Troubles reject with a ConnectionError. */
export interface LiveReader {
  readonly address: string;
  readonly keys: (prefix: string, separator: string | undefined, ask: Ask) => Promise<KeysAnswer>;
  /** Waits only where a URL can name the prefix (`isPathSafe`). */
  readonly list: (prefix: string, ask: Ask & { readonly before?: KnownList }) => Promise<RawList>;
  readonly get: (key: string, ask: Ask) => Promise<RawRead>;
  /** Point reads of many keys, in order; in few requests where the source can. */
  readonly getAll: (keys: readonly string[], ask: Ask) => Promise<readonly RawRead[]>;
  readonly nodes: (ask: Ask) => Promise<CatalogList>;
  readonly checks: (ask: Ask) => Promise<CatalogList>;
  readonly serviceNames: (ask: Ask) => Promise<ServiceNames>;
  readonly service: (name: string, ask: Ask) => Promise<CatalogList>;
  readonly self: () => Promise<SourceSelf>;
  readonly servers: () => Promise<readonly { readonly id: string; readonly node: string }[]>;
  /** Writes one small key. False: the token may not. */
  readonly put: (key: string, value: string) => Promise<boolean>;
  readonly close: () => void;
}
