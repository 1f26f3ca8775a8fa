import type { Brand } from './brand.ts';

/** A hybrid clock reading: microseconds since the epoch, always a safe integer (until the year 2255). */
export type Stamp = Brand<number, 'Stamp'>;

/**
 * What one gateway shows as X-Consul-Index and ModifyIndex. Same scale as a `Stamp`, but it belongs to the
 * gateway that answers: never compare indexes of two gateways, or an index with a source Consul's.
 */
export type GatewayIndex = Brand<number, 'GatewayIndex'>;

/** The next reading: above everything seen, and not behind the wall clock (Kulkarni et al., 2014). */
export function nextStamp(highest: number, nowUs: number): Stamp {
  return Math.max(highest + 1, nowUs) as Stamp;
}

/** The index under which a gateway shows a change with this stamp: see design, "The index that clients see". */
export function indexFor(stamp: number, highestShown: number, nowUs: number): GatewayIndex {
  return (stamp > highestShown ? stamp : Math.max(highestShown + 1, nowUs)) as GatewayIndex;
}
