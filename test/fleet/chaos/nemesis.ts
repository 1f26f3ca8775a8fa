import { statSync } from 'node:fs';
import { join } from 'node:path';
import { databaseFile } from '../../../src/io/data-dir.ts';
import type { FleetGateway, FleetProcess } from '../../support/fleet-process.ts';
import type { Rng } from '../../sim/lib/rng.ts';
import { pause } from './clients.ts';

export const faultKinds = [
  'kill',
  'pause',
  'cut',
  'cut-off',
  'handoff',
  'full-disk',
  'blackout',
  'takeover',
] as const;
export type FaultKind = (typeof faultKinds)[number];

const weights: Readonly<Record<FaultKind, number>> = {
  kill: 5,
  pause: 4,
  cut: 4,
  'cut-off': 3,
  handoff: 5,
  'full-disk': 1,
  blackout: 1,
  takeover: 2,
};

export interface NemesisOptions {
  readonly fleet: FleetProcess;
  /** Zones that are handed over. */
  readonly zones: readonly string[];
  /** The zone that is taken over from owners that are cut off. */
  readonly taken: string;
  readonly rng: Rng;
  readonly faults: readonly FaultKind[];
  readonly log: (text: string) => void;
}

/** Faults at a time, at most. */
const activeMax = 2;

/** Does harm, and undoes it: what it does follows from the seed, when exactly from the machine. */
export class Nemesis {
  readonly counts = new Map<FaultKind, number>();
  readonly #options: NemesisOptions;
  /** Gateways with which something is done now. */
  readonly #busy = new Set<FleetGateway>();
  readonly #active = new Set<Promise<void>>();
  readonly #failures: unknown[] = [];

  constructor(options: NemesisOptions) {
    this.#options = options;
  }

  /** Goes on for so long, then until all is undone. */
  async run(ms: number): Promise<void> {
    const { rng, faults, log } = this.#options;
    const endMs = performance.now() + ms;
    for (let n = 0; performance.now() < endMs; n++) {
      await pause(rng.range(300, 2500));
      if (this.#active.size >= activeMax) continue;
      const kind = rng.weighted(faults.map((each) => [weights[each], each] as const));
      const fault = this.#fault(kind, rng.split(n))
        .catch((error: unknown) => {
          log(`${kind} failed: ${String(error)}`);
          this.#failures.push(error);
        })
        .finally(() => this.#active.delete(fault));
      this.#active.add(fault);
      this.counts.set(kind, (this.counts.get(kind) ?? 0) + 1);
    }
    await Promise.all(this.#active);
    if (this.#failures.length > 0) throw new AggregateError(this.#failures, String(this.#failures[0]));
  }

  async #fault(kind: FaultKind, rng: Rng): Promise<void> {
    const { fleet, log } = this.#options;
    switch (kind) {
      case 'kill':
        return this.#with(rng, async (gateway) => {
          const downMs = rng.range(100, 4000);
          log(`kill -9 ${gateway.name} for ${downMs.toFixed(0)} ms`);
          await gateway.kill();
          await pause(downMs);
          // What it remembers of the others is enough.
          await gateway.restart({ retryJoin: rng.chance(0.5) });
          log(`${gateway.name} serves again`);
        });
      case 'pause':
        return this.#with(rng, async (gateway) => {
          const stillMs = rng.chance(0.3) ? rng.range(5000, 9000) : rng.range(200, 3000);
          log(`${gateway.name} stands still for ${stillMs.toFixed(0)} ms`);
          gateway.pause();
          await pause(stillMs);
          gateway.resume();
          log(`${gateway.name} goes on`);
        });
      case 'cut': {
        const [a, b] = rng.shuffled(fleet.gateways);
        if (a === undefined || b === undefined) return;
        log(`cut ${a.name} - ${b.name}`);
        fleet.links?.cut(a.name, b.name);
        await pause(rng.range(500, 8000));
        fleet.links?.heal(a.name, b.name);
        return log(`healed ${a.name} - ${b.name}`);
      }
      case 'cut-off': {
        const region = rng.pick(fleet.gateways).region;
        const names = fleet.gateways.filter((each) => each.region === region).map(({ name }) => name);
        log(`cut off ${region}`);
        fleet.links?.cutOff(names);
        await pause(rng.range(1000, 9000));
        for (const name of names)
          for (const { name: other } of fleet.gateways)
            if (!names.includes(other)) fleet.links?.heal(name, other);
        return log(`${region} is back`);
      }
      case 'handoff': {
        const zone = rng.pick(this.#options.zones);
        // Several at once: owners that hardly got it give it on.
        for (let left = rng.between(1, 8); left > 0; left--) await this.#handOff(zone, rng);
        return;
      }
      case 'blackout':
        return this.#blackout(rng);
      case 'takeover':
        return this.#takeOver(rng);
      case 'full-disk':
        return this.#with(rng, (gateway) => this.#fullDisk(gateway, rng));
    }
  }

  async #handOff(zone: string, rng: Rng): Promise<void> {
    const { fleet, log } = this.#options;
    const [to, through] = rng.shuffled(fleet.gateways);
    if (to === undefined || through === undefined) return;
    const order = JSON.stringify({ Prefix: zone, Gateway: to.name });
    const answer = await through
      .put('/v1/grapevine/zones/delegate', order, AbortSignal.timeout(10_000))
      .then(({ status, text }) => `${status} ${status === 200 ? '' : text}`)
      .catch((error: unknown) => String(error));
    log(`zone ${JSON.stringify(zone)} to ${to.name} through ${through.name}: ${answer}`);
  }

  async #with(rng: Rng, harm: (gateway: FleetGateway) => Promise<void>): Promise<void> {
    const free = this.#options.fleet.gateways.filter((each) => !this.#busy.has(each));
    if (free.length === 0) return;
    const gateway = rng.pick(free);
    this.#busy.add(gateway);
    try {
      await harm(gateway);
    } finally {
      this.#busy.delete(gateway);
    }
  }

  /** An owner is cut off, its clients write on, and somebody else takes its zone. */
  async #takeOver(rng: Rng): Promise<void> {
    const { fleet, taken, log } = this.#options;
    const free = fleet.gateways.filter((each) => !this.#busy.has(each));
    const taker = rng.pick(fleet.gateways);
    const zone = await taker
      .status()
      .then(({ Zones }) => Zones.find(({ Prefix }) => Prefix === taken))
      .catch(() => undefined);
    const owner = free.find(({ name }) => name === zone?.Owner);
    if (owner === undefined || owner === taker) return log('no takeover now');
    this.#busy.add(owner);
    try {
      fleet.links?.cutOff([owner.name]);
      await pause(rng.range(500, 3000));
      if (rng.chance(0.3)) await owner.kill();
      const answer = await taker
        .put('/v1/grapevine/zones/takeover', JSON.stringify({ Prefix: taken, Reason: 'chaos' }))
        .then(({ status, text }) => `${status} ${status === 200 ? '' : text}`)
        .catch((error: unknown) => String(error));
      log(`${taker.name} took ${taken} from ${owner.name}: ${answer}`);
      await pause(rng.range(500, 3000));
      for (const { name } of fleet.gateways) if (name !== owner.name) fleet.links?.heal(owner.name, name);
      if (owner.isDown) await owner.restart({ retryJoin: rng.chance(0.5) });
      log(`${owner.name} is back`);
    } finally {
      this.#busy.delete(owner);
    }
  }

  /** All are gone at once, and come back one after the other. */
  async #blackout(rng: Rng): Promise<void> {
    const { fleet, log } = this.#options;
    if (this.#busy.size > 0) return log('no blackout now');
    for (const gateway of fleet.gateways) this.#busy.add(gateway);
    log('blackout');
    await Promise.all(fleet.gateways.map((gateway) => gateway.kill()));
    for (const gateway of rng.shuffled(fleet.gateways)) {
      await gateway.restart({ retryJoin: false });
      this.#busy.delete(gateway);
    }
    return log('all serve again');
  }

  /** No file of it may grow much beyond what its database has; when it has ended of that, it gets room again. */
  async #fullDisk(gateway: FleetGateway, rng: Rng): Promise<void> {
    const { log } = this.#options;
    await gateway.kill();
    // The log grows beyond that before it is taken into the database.
    const bytes = statSync(join(gateway.agent.dataDir, databaseFile)).size;
    const fileKibMax = Math.ceil(bytes / 1024) + rng.between(100, 500);
    log(`${gateway.name} gets files of ${fileKibMax} KiB`);
    // It may end before it serves.
    await gateway.restart({ fileKibMax }).catch(() => undefined);
    let ended = false;
    void gateway.agent.exited().then(() => (ended = true));
    for (let i = 0; i < 200 && !ended; i++) {
      const body = `${i}`.padEnd(50_000, '.');
      await gateway.put(`/v1/kv/fill/${i % 20}`, body, AbortSignal.timeout(3000)).catch(() => pause(20));
    }
    log(`${gateway.name} ${ended ? 'ended of it' : 'had room enough'}`);
    await gateway.restart();
    log(`${gateway.name} has room again`);
  }
}
