import type { Fleet } from './fleet.ts';
import type { SimGateway } from './gateway.ts';
import type { Host } from './network.ts';
import type { FaultKind } from './plan.ts';
import type { Rng } from './rng.ts';

/** Does harm, now and then, of the kinds that the plan names; each ends by itself after a while. */
export class Nemesis {
  readonly #fleet: Fleet;
  readonly #rng: Rng;
  readonly #counts = new Map<FaultKind, number>();
  #running = true;

  constructor(fleet: Fleet, rng: Rng) {
    this.#fleet = fleet;
    this.#rng = rng;
  }

  get counts(): ReadonlyMap<FaultKind, number> {
    return this.#counts;
  }

  begin(): void {
    const { plan, queue } = this.#fleet;
    if (plan.faults.length === 0) return;
    queue.after(this.#rng.exponential(plan.faultEveryMs), () => {
      if (!this.#running) return;
      const kind = this.#rng.pick(plan.faults);
      const what = this.#strike(kind);
      if (what !== undefined) {
        this.#counts.set(kind, (this.#counts.get(kind) ?? 0) + 1);
        this.#fleet.log(`fault ${kind}: ${what}`);
      }
      this.begin();
    });
  }

  /** No more harm; what was done is healed by the fleet. */
  stop(): void {
    this.#running = false;
  }

  /** Answers what was done; undefined when there was nobody to do it to. */
  #strike(kind: FaultKind): string | undefined {
    const rng = this.#rng;
    const fleet = this.#fleet;
    const up = fleet.gateways.filter((gateway) => gateway.isUp);
    if (up.length === 0) return undefined;
    const victim = rng.pick(up);
    // Now and then for so long that everybody is taken for failed.
    const lastMs = rng.chance(0.2) ? rng.range(8000, 20_000) : rng.exponential(3000);
    switch (kind) {
      case 'partition-set': {
        const set = new Set<Host>(fleet.gateways.filter(() => rng.chance(0.5)));
        return this.#cut((a, b) => set.has(a) !== set.has(b), lastMs, `${set.size} apart`);
      }
      case 'partition-region': {
        const { region } = victim;
        const apart = (a: Host, b: Host): boolean => (a.region === region) !== (b.region === region);
        return this.#cut(apart, lastMs, `region ${region}`);
      }
      case 'partition-one-way': {
        const other = rng.pick(fleet.gateways);
        return this.#cut((a, b) => a === victim && b === other, lastMs, `${victim.name} to ${other.name}`);
      }
      case 'slow-links':
        return this.#degrade({ slowness: rng.pick([2, 5, 20]), jitterMs: rng.pick([1, 20, 100]) }, lastMs);
      case 'loss-burst':
        return this.#degrade({ loss: rng.pick([0.1, 0.3, 0.6]) }, lastMs);
      case 'crash':
        return this.#crash(victim, lastMs);
      case 'crash-before-commit':
      case 'crash-after-commit':
        fleet.doom(victim, kind === 'crash-before-commit' ? 'dies-before-commit' : 'dies-after-commit');
        fleet.queue.after(lastMs, () => fleet.restart(victim));
        return victim.name;
      case 'pause':
        victim.pausedUntilMs = fleet.queue.nowMs + lastMs;
        return `${victim.name} for ${lastMs.toFixed(0)} ms`;
      case 'clock-step': {
        const byMs = rng.pick([-1, 1]) * rng.pick([5, 200, 10_000, 3_600_000]);
        victim.clock.step(byMs * 1000);
        return `${victim.name} by ${byMs} ms`;
      }
      case 'move':
        victim.crash('to be moved');
        fleet.move(victim);
        fleet.queue.after(rng.exponential(1000), () => fleet.restart(victim));
        return victim.name;
      case 'restore-backup':
        return this.#restore(victim, lastMs);
      case 'leave':
        if (up.length < 3 || !fleet.leave(victim)) return undefined;
        fleet.queue.after(2000 + lastMs, () => fleet.restart(victim));
        return victim.name;
      case 'join':
        return fleet.gateways.length >= 12 ? undefined : fleet.addGateway().name;
      case 'handoff':
        return this.#handOffAgain(rng.between(1, 8));
      case 'takeover':
        return fleet.takeover(victim, rng);
    }
  }

  /** Hands zones on, one soon after the other: what is on its way then meets an owner that is one no more. */
  #handOffAgain(times: number): string | undefined {
    if (times > 1) {
      this.#fleet.queue.after(
        this.#rng.exponential(250),
        () => this.#running && this.#handOffAgain(times - 1),
      );
    }
    return this.#fleet.handoff(this.#rng);
  }

  #cut(rule: (a: Host, b: Host) => boolean, lastMs: number, what: string): string {
    const heal = this.#fleet.network.cut(rule);
    this.#fleet.queue.after(lastMs, heal);
    return `${what} for ${lastMs.toFixed(0)} ms`;
  }

  #degrade(faults: Partial<Fleet['network']['faults']>, lastMs: number): string {
    const { network, queue } = this.#fleet;
    const before = { ...network.faults };
    Object.assign(network.faults, faults);
    queue.after(lastMs, () => {
      for (const name of Object.keys(faults) as (keyof typeof before)[]) network.faults[name] = before[name];
    });
    return `${JSON.stringify(faults)} for ${lastMs.toFixed(0)} ms`;
  }

  #crash(victim: SimGateway, lastMs: number): string {
    victim.crash('killed');
    this.#fleet.queue.after(lastMs, () => this.#fleet.restart(victim));
    return `${victim.name} for ${lastMs.toFixed(0)} ms`;
  }

  #restore(victim: SimGateway, lastMs: number): string {
    victim.crash('to be restored from a backup');
    const age = this.#fleet.restoreBackup(victim, this.#rng);
    this.#fleet.queue.after(lastMs / 4, () => this.#fleet.restart(victim));
    return `${victim.name}, ${age}`;
  }
}
