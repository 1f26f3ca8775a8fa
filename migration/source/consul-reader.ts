import type { JsonObject } from '../../compat/wire/go-json.ts';

/**
 * What a mirror and a comparison read from something that speaks Consul's HTTP API. All reads are
 * `?consistent`. Troubles reject with a ConnectionError.
 */
export interface ConsulReader {
  readonly address: string;
  /** Key names under a prefix, whole or up to the separator. */
  readonly keys: (prefix: string, separator?: string) => Promise<KeysAnswer>;
  /** All entries under a prefix, in one atomic snapshot. */
  readonly list: (prefix: string) => Promise<ListAnswer>;
  readonly get: (key: string) => Promise<PointRead>;
  readonly nodes: () => Promise<NodesAnswer>;
  readonly node: (name: string) => Promise<NodeReading>;
  readonly sessions: () => Promise<readonly JsonObject[]>;
  readonly self: () => Promise<SourceSelf>;
  /** Instances of the service `consul`: the servers. */
  readonly servers: () => Promise<readonly { readonly id: string; readonly node: string }[]>;
}

export type ReadMeta = {
  /** X-Consul-Index; null when missing. */
  readonly index: number | null;
  readonly knownLeader: boolean;
  readonly filtered: boolean;
};

export type KvEntry = {
  readonly key: string;
  readonly value: Uint8Array;
  readonly flags: bigint;
  readonly session: string;
  readonly lockIndex: number;
  readonly createIndex: number;
  readonly modifyIndex: number;
};

export type KeysAnswer =
  | { readonly kind: 'keys'; readonly meta: ReadMeta; readonly names: readonly string[] }
  | { readonly kind: 'too-large' };

export type ListAnswer =
  | {
      readonly kind: 'list';
      readonly meta: ReadMeta;
      /** True when `meta.index` is the table's index, not the prefix's own. */
      readonly indexIsTable: boolean;
      readonly entries: readonly KvEntry[];
      readonly bytes: number;
    }
  | { readonly kind: 'too-large' };

export type PointRead =
  /** `entry` null: 404, and `meta.index` is the table's. */
  | { readonly kind: 'read'; readonly meta: ReadMeta; readonly entry: KvEntry | null }
  | { readonly kind: 'denied' };

export type CatalogEntry = {
  readonly createIndex: number;
  readonly modifyIndex: number;
  /** The entry as the source gave it, indexes included. */
  readonly raw: JsonObject;
};

export type NodesAnswer = { readonly meta: ReadMeta; readonly names: readonly string[] };

/** One node with its services and checks, read by two requests. */
export type NodeReading = {
  /** null: no such node. */
  readonly node: CatalogEntry | null;
  readonly services: ReadonlyMap<string, CatalogEntry>;
  readonly checks: ReadonlyMap<string, CatalogEntry>;
  readonly servicesMeta: ReadMeta;
  readonly checksMeta: ReadMeta;
};

export type SourceSelf = {
  readonly datacenter: string;
  readonly nodeName: string;
  readonly version: string;
  /** Whether ACLs are on, as far as the source tells. */
  readonly aclsEnabled: boolean;
};
