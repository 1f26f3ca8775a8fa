import type { FleetPort } from './port.ts';

/**
 * The datacenters that can be asked, this one first, then by the median round trip to their gateways; those that
 * nobody measured come last, by name (Consul's order).
 */
export function knownDatacenters(own: string, fleet: Pick<FleetPort, 'members'>): readonly string[] {
  const roundTrips = new Map<string, number[]>();
  for (const { facts, state, rttMs } of fleet.members('wan')) {
    if (facts.datacenter === own || state === 'left') continue;
    const held = roundTrips.get(facts.datacenter) ?? [];
    roundTrips.set(facts.datacenter, held);
    if (rttMs !== undefined) held.push(rttMs);
  }
  const others = [...roundTrips].map(([name, rtts]) => ({ name, rttMs: median(rtts) }));
  others.sort((a, b) => (a.rttMs === b.rttMs ? 0 : a.rttMs - b.rttMs) || (a.name < b.name ? -1 : 1));
  return [own, ...others.map(({ name }) => name)];
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? Infinity;
}
