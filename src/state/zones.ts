import { Kind } from './kinds.ts';
import type { ReadView } from './store.ts';
import { decodeValue, type ZoneValue } from './values.ts';

/**
 * Zones delegate like DNS: the longest prefix that matches a key decides who may write it. A delegation is a
 * register, so ownership is one-writer-per-key state too (design, "Ownership").
 */
export function zoneOf(zones: readonly ZoneValue[], key: string): ZoneValue | undefined {
  let best: ZoneValue | undefined;
  for (const zone of zones) {
    if (key.startsWith(zone.prefix) && (best === undefined || zone.prefix.length > best.prefix.length))
      best = zone;
  }
  return best;
}

export function readZones(view: ReadView): readonly ZoneValue[] {
  const zones: ZoneValue[] = [];
  for (const row of view.range(Kind.zone, '', undefined)) {
    if (row.value !== null) zones.push(decodeValue<ZoneValue>(row.value));
  }
  return zones;
}
