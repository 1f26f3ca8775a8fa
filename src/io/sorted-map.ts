import type sortedBtree from 'sorted-btree';
import * as loaded from 'sorted-btree';

/** A map in key order. The package is CommonJS: its class sits one `default` deeper under Node's ES modules. */
export type SortedMap<K, V> = sortedBtree.default<K, V>;

type Constructor = new <K, V>(entries?: [K, V][], compare?: (a: K, b: K) => number) => SortedMap<K, V>;

const outer = (loaded as { default?: unknown }).default;
export const SortedMap = ((outer as { default?: unknown } | undefined)?.default ?? outer) as Constructor;
