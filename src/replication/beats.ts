import type { Instant } from '../kernel/instant.ts';
import type { Topology } from './topology.ts';

/** Bounds of the interval, and what it grows by with whom a region's hub must hear. Guesses. */
const everyMsMin = 1000;
const everyMsMax = 10_000;
const perSenderMs = 45;

/**
 * Who tells whom how far it has seen, beside what rides on probes: every member its region's hub (chosen as relays are,
 * but one for all origins), hubs each other, and a hub its members. So news of all regions is three steps old at most,
 * for one small packet per member and interval, whatever the size of the fleet; and no answer is waited for, since
 * echoes bound how long each packet travelled.
 */
export class Beats {
  readonly #topology: Topology;
  readonly #random: () => number;
  #nextMs: number;

  constructor(topology: Topology, random: () => number, nowMs: number) {
    this.#topology = topology;
    this.#random = random;
    this.#nextMs = nowMs + everyMsMin * random();
  }

  get nextMs(): number {
    return this.#nextMs;
  }

  /** Whom to tell now, and of which regions. */
  due(now: Instant): readonly { readonly to: string; readonly regions: readonly string[] }[] {
    if (now.monoMs < this.#nextMs) return [];
    const { self } = this.#topology;
    const regions = [...this.#topology.regions()];
    const neighbours = this.#topology.livingIn(self.region);
    const everyMs = Math.min(
      everyMsMax,
      Math.max(everyMsMin, perSenderMs * (neighbours.length + regions.length)),
    );
    this.#nextMs = now.monoMs + everyMs * (0.9 + 0.2 * this.#random());
    const hub = this.#hub(self.region);
    if (hub !== self.id) return hub === undefined ? [] : [{ to: hub, regions: [] }];
    const told = neighbours.filter((id) => id !== self.id).map((to) => ({ to, regions }));
    for (const region of regions) {
      const other = region === self.region ? undefined : this.#hub(region);
      if (other !== undefined) told.push({ to: other, regions: [self.region] });
    }
    return told;
  }

  #hub(region: string): string | undefined {
    return this.#topology.relays('hub', region)[0];
  }
}
