import { prefixEnd } from '../kernel/utf8-order.ts';
import { Kind } from './kinds.ts';
import type { ReadView, Row } from './store.ts';
import { catalogKey, keySeparator } from './topics.ts';
import { decodeValue, type CoordinateValue } from './values.ts';

/** Dimensions of a Vivaldi coordinate in Serf; all of a pool have the same. */
export const coordinateDimensions = 8;

/** Where a node is that nobody measured yet (Serf's defaults). Seconds. */
export const coordinateOrigin = {
  vec: Array.from({ length: coordinateDimensions }, () => 0),
  error: 1.5,
  adjustment: 0,
  height: 1e-5,
} as const;

export type Coordinate = Pick<CoordinateValue, 'vec' | 'error' | 'adjustment' | 'height'>;

export function coordinateValue(row: Row): CoordinateValue {
  return decodeValue<CoordinateValue>(row.value as Uint8Array);
}

/** All coordinate rows of a node (one per network segment), tombstones included. */
export function coordinatesOfNode(view: ReadView, node: string): readonly Row[] {
  const key = catalogKey(node);
  const inSegments = key + keySeparator;
  const plain = view.get(Kind.coordinate, key);
  return [
    ...(plain === undefined ? [] : [plain]),
    ...view.range(Kind.coordinate, inSegments, prefixEnd(inSegments)),
  ];
}

/** By segment; the default segment is the empty one. */
export type CoordinateSet = ReadonlyMap<string, Coordinate>;

export function coordinateSet(view: ReadView, node: string): CoordinateSet {
  const set = new Map<string, Coordinate>();
  for (const row of coordinatesOfNode(view, node)) {
    if (row.value === null) continue;
    const value = coordinateValue(row);
    set.set(value.segment, value);
  }
  return set;
}

/**
 * Estimated round-trip time between two nodes in seconds; infinite where it cannot be known. A node in exactly one
 * segment is compared within that one (Consul 1.8.7, lib.CoordinateSet.Intersect).
 */
export function distanceSeconds(a: CoordinateSet, b: CoordinateSet): number {
  let segment = '';
  if (a.size === 1) segment = [...a.keys()][0] as string;
  if (b.size === 1) segment = [...b.keys()][0] as string;
  const from = a.get(segment);
  const to = b.get(segment);
  return from === undefined || to === undefined ? Number.POSITIVE_INFINITY : vivaldiSeconds(from, to);
}

/** Serf's estimate: Euclidean distance plus both heights, plus both adjustments unless that makes it negative. */
export function vivaldiSeconds(a: Coordinate, b: Coordinate): number {
  let sum = 0;
  for (let i = 0; i < a.vec.length; i++) sum += ((a.vec[i] ?? 0) - (b.vec[i] ?? 0)) ** 2;
  const raw = Math.sqrt(sum) + a.height + b.height;
  const adjusted = raw + a.adjustment + b.adjustment;
  // Serf counts whole nanoseconds.
  return Math.trunc((adjusted > 0 ? adjusted : raw) * 1e9) / 1e9;
}

/**
 * Sorts by estimated distance from a node, stably; items of unknown distance come last. Untouched when the node's own
 * coordinate is unknown.
 */
export function sortedByDistance<T>(
  view: ReadView,
  from: string,
  items: readonly T[],
  nodeOf: (item: T) => string,
): readonly T[] {
  const source = coordinateSet(view, from);
  if (source.size === 0) return items;
  const distances = new Map<string, number>();
  const distanceOf = (node: string): number => {
    const key = catalogKey(node);
    let distance = distances.get(key);
    if (distance === undefined) {
      distance = distanceSeconds(source, coordinateSet(view, node));
      distances.set(key, distance);
    }
    return distance;
  };
  return items
    .map((item) => ({ item, distance: distanceOf(nodeOf(item)) }))
    .toSorted((a, b) => (a.distance === b.distance ? 0 : a.distance - b.distance))
    .map(({ item }) => item);
}
