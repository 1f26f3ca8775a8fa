import type { JsonObject } from '../../compat/wire/go-json.ts';
import type { CatalogKind } from '../canonical.ts';
import type { MirrorKind } from '../mirror/registers.ts';

/**
 * Where a mirror writes: a gateway over HTTP, or a double in memory. `apply` is idempotent (merge = greatest
 * version), so it may be repeated after any failure.
 *
 * Keys: `kv` the key itself; `node` the node's name; `service` `<node>/<service id>`; `check`
 * `<node>/<check id>`. A node name holds no `/`.
 */
export interface MirrorTarget {
  readonly address: string;
  readonly state: (source: string) => Promise<MirrorState>;
  readonly held: (query: HeldQuery) => Promise<HeldPage>;
  readonly apply: (batch: MirrorBatch) => Promise<ApplyOutcome>;
}

export type MirrorState = {
  readonly source: string;
  /** 0: nothing was ever mirrored from this source. */
  readonly timeline: number;
  readonly cursors: Readonly<Record<string, string>>;
  /** The target's own node name: its registers are never written by a mirror. */
  readonly gatewayNode: string;
  /** Node names of all gateways of the target's fleet, that one among them. */
  readonly gatewayNodes: readonly string[];
  readonly datacenter: string;
  /** Other sources that this target mirrors, where the target says so. */
  readonly otherSources: readonly string[];
};

export type HeldQuery = {
  readonly source: string;
  readonly kind: MirrorKind;
  readonly prefix: string;
  /** Entries bytewise above this key only; empty for the first page. */
  readonly after: string;
  readonly limit: number;
};

export type HeldEntry = {
  readonly key: string;
  readonly term: number;
  readonly timeline: number;
  readonly stamp: number;
  readonly deleted: boolean;
  readonly digest: string;
};

/** A page in bytewise order of keys, tombstones included. */
export type HeldPage = { readonly entries: readonly HeldEntry[]; readonly more: boolean };

export type MirrorRecord =
  | {
      readonly kind: 'kv';
      readonly key: string;
      readonly stamp: number;
      readonly created: number;
      readonly value: Uint8Array;
      readonly flags: bigint;
    }
  | {
      readonly kind: CatalogKind;
      readonly key: string;
      readonly stamp: number;
      readonly created: number;
      readonly value: JsonObject;
    }
  | { readonly kind: MirrorKind; readonly key: string; readonly stamp: number; readonly deleted: true };

export type MirrorBatch = {
  readonly source: string;
  readonly timeline: number;
  /** At most `recordsPerBatchMax`, and `batchBytesMax` of body. Committed in one transaction, with the cursors. */
  readonly records: readonly MirrorRecord[];
  readonly cursors: Readonly<Record<string, string>>;
};

export const recordsPerBatchMax = 1024;
export const batchBytesMax = 8 * 1024 * 1024;

export type ApplyOutcome = {
  readonly applied: number;
  /** The same value was there already. */
  readonly unchanged: number;
  /** The held version was the same or greater. */
  readonly older: number;
  readonly refused: readonly { readonly kind: string; readonly key: string; readonly why: string }[];
  /** Written at the target under a higher term: kept. */
  readonly conflicts: readonly { readonly kind: string; readonly key: string; readonly heldTerm: number }[];
};

export const heldPageLimit = 1000;

/** All held entries of a kind under a prefix, page by page. */
export async function* heldUnder(
  target: MirrorTarget,
  query: { readonly source: string; readonly kind: MirrorKind; readonly prefix: string },
): AsyncGenerator<HeldEntry, void, undefined> {
  let after = '';
  for (;;) {
    const page = await target.held({ ...query, after, limit: heldPageLimit });
    yield* page.entries;
    const last = page.entries.at(-1);
    if (!page.more || last === undefined) return;
    after = last.key;
  }
}
