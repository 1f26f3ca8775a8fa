import type { Brand } from './brand.ts';

/** A hybrid clock reading: microseconds since the epoch, always a safe integer (until the year 2255). */
export type Stamp = Brand<number, 'Stamp'>;

/**
 * What one gateway shows as X-Consul-Index and ModifyIndex. Same scale as a `Stamp`, but it belongs to the
 * gateway that answers: never compare indexes of two gateways, or an index with a source Consul's.
 */
export type GatewayIndex = Brand<number, 'GatewayIndex'>;

/**
 * The next reading: above everything seen, and not behind the wall clock (Kulkarni et al., 2014). Always even: an index
 * that is nobody's stamp is odd, so that a `?cas=` which takes both never mistakes one version for another.
 */
export function nextStamp(highest: number, nowUs: number): Stamp {
  const least = Math.max(highest + 1, nowUs);
  return (least % 2 === 0 ? least : least + 1) as Stamp;
}

/** The index under which a gateway shows a change with this stamp: see design, "The index that clients see". */
export function indexFor(stamp: number, highestShown: number, nowUs: number): GatewayIndex {
  if (stamp > highestShown) return stamp as GatewayIndex;
  const least = Math.max(highestShown + 1, nowUs);
  return (least % 2 === 1 ? least : least + 1) as GatewayIndex;
}

/** Microseconds, 2005: indexes below are another Consul's, copied. */
const readingMin = 2n ** 50n;

/** Whether an index can only be one that a gateway made up because the change's stamp was too low to be shown. */
export function isMadeUp(index: bigint): boolean {
  return index > readingMin && index % 2n === 1n;
}
