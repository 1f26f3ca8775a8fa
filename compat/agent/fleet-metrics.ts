import type { FleetPort } from '../fleet/port.ts';
import type { GaugeValue, Metrics } from './metrics.ts';

/** Shows what the fleet counts (docs/metrics.md). Series of a member are there as long as it writes its log. */
export function addFleetMetrics(metrics: Metrics, fleet: FleetPort): void {
  metrics.gauges('grapevine.members', () => membersByState(fleet));
  metrics.gauges('grapevine.origin.missing', () => ofOrigins(fleet, ({ missing }) => missing));
  metrics.gauges('grapevine.origin.head', () => ofOrigins(fleet, ({ headKnown }) => headKnown));
  metrics.gauges('grapevine.origin.age_ms', () => ofOrigins(fleet, ({ ageMs }) => ageMs));
  metrics.gauges('grapevine.zones_unreachable', () => [
    { labels: {}, value: fleet.zones().filter(({ reachable, ready }) => !reachable || !ready).length },
  ]);
  metrics.gauges('grapevine.gossip.queue_length', () =>
    fleet.counters().queues.map(({ name, length }) => ({ labels: { queue: name }, value: length })),
  );
  metrics.gauges('grapevine.gossip.queue_dropped', () =>
    fleet.counters().queues.map(({ name, dropped }) => ({ labels: { queue: name }, value: dropped })),
  );
  metrics.gauge('grapevine.gossip.health_score', () => fleet.counters().healthScore);
  metrics.gauge('grapevine.conflicts', () => fleet.counters().conflicts);
  metrics.gauge('grapevine.quarantined', () => fleet.counters().quarantined);
  metrics.follow('grapevine.divergence.found', () => fleet.counters().divergence.found);
  metrics.follow('grapevine.divergence.repaired', () => fleet.counters().divergence.repaired);
  for (const name of Object.keys(fleet.counters().totals)) {
    metrics.follow(`grapevine.gossip.${name}`, () => fleet.counters().totals[name] ?? 0);
  }
}

function membersByState(fleet: FleetPort): readonly GaugeValue[] {
  const counts = new Map<string, { region: string; state: string; count: number }>();
  for (const { state, facts } of fleet.members('lan')) {
    const key = `${state} ${facts.region}`;
    const held = counts.get(key) ?? { region: facts.region, state, count: 0 };
    held.count += 1;
    counts.set(key, held);
  }
  return [...counts.values()].map(({ region, state, count }) => ({
    labels: { region, state },
    value: count,
  }));
}

function ofOrigins(
  fleet: FleetPort,
  read: (origin: ReturnType<FleetPort['origins']>[number]) => number | undefined,
): readonly GaugeValue[] {
  return fleet.origins().flatMap((origin) => {
    const value = origin.active ? read(origin) : undefined;
    return value === undefined ? [] : [{ labels: { node: origin.node || origin.nodeId }, value }];
  });
}
