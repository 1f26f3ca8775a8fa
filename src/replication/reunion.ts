import type { Sync } from './sync.ts';
import type { Peer, Topology } from './topology.ts';
import type { Wants } from './want.ts';

/** Peers that came back within so long are looked at together. */
export const returnedMs = 50;

/** Who stands in for a bridge waits so long for it; regions after the first wait until that one's news has spread. */
const standInMs = 1000;
const laterRegionMs = 600;

/**
 * After a partition. Of every pair of regions one gateway each meets the other's (a second one, should the first not
 * have managed); what they fetch then spreads inside their regions by hints. When many regions came back at once (this
 * one was cut off), one is asked first: the others will most likely have the same.
 */
export class Reunion {
  readonly #topology: Topology;
  readonly #sync: Sync;
  readonly #wants: Wants;
  readonly #random: () => number;
  #returned: Peer[] = [];
  #dueMs = Number.POSITIVE_INFINITY;

  constructor(topology: Topology, sync: Sync, wants: Wants, random: () => number) {
    this.#topology = topology;
    this.#sync = sync;
    this.#wants = wants;
    this.#random = random;
  }

  get nextMs(): number {
    return this.#dueMs;
  }

  /** A member that was taken for dead lives. */
  returned(peer: Peer, nowMs: number): void {
    this.#returned.push(peer);
    this.#dueMs = Math.min(this.#dueMs, nowMs + returnedMs);
  }

  tick(nowMs: number): void {
    if (nowMs < this.#dueMs) return;
    const { self } = this.#topology;
    const returned = this.#returned;
    this.#returned = [];
    this.#dueMs = Number.POSITIVE_INFINITY;
    const regions = new Set<string>();
    for (const { id, region } of returned) {
      if (region !== self.region) regions.add(region);
      else if (this.#topology.relays(`returned ${id}`, region).includes(self.id)) {
        this.#sync.plan(id, nowMs + 200 * this.#random());
      }
    }
    const ordered = this.#topology.shuffled(`returned ${self.region}`, regions);
    ordered.forEach((region, i) => {
      const turn = this.#topology.bridges(self.region, region).indexOf(self.id);
      const there = this.#topology.bridges(region, self.region)[0];
      if (turn < 0 || turn > 1 || there === undefined) return;
      const laterMs = i === 0 ? 0 : laterRegionMs * (1 + this.#random() / 2);
      this.#sync.plan(there, nowMs + turn * standInMs + laterMs);
    });
    if (regions.size > 0) this.#wants.othersFetch(nowMs);
    this.#wants.hurry(nowMs);
  }
}
