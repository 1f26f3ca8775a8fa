import { Fleet } from './fleet.ts';
import type { Mutation } from './mutation.ts';
import { Nemesis } from './nemesis.ts';
import { planOf, type Plan, type PlanLimits } from './plan.ts';
import { Rng } from './rng.ts';
import { difference, verdict } from './verdict.ts';

export interface RunOptions {
  readonly limits?: PlanLimits;
  readonly mutation?: Mutation;
  readonly verbose?: boolean;
  readonly freeze?: boolean;
}

export interface RunResult {
  readonly seed: string;
  readonly plan: Plan;
  /** Empty: all is well. */
  readonly problems: readonly string[];
  /** Of everything that happened: equal for equal seeds. */
  readonly digest: string;
  readonly trace: readonly string[];
  readonly events: number;
  readonly operations: number;
  readonly virtualMs: number;
  readonly faults: Readonly<Record<string, number>>;
  /** What came of lending zones and taking them back, and how often. */
  readonly lent: Readonly<Record<string, number>>;
  /** From healing until all replicas were equal; undefined: never. */
  readonly settledMs: number | undefined;
}

const inspectEveryMs = 250;
const backUpEveryMs = 3000;
const housekeepingEveryMs = 700;
/** Until the first gateways have joined each other. */
const beginMs = 3000;

/** Runs the world that a seed stands for, and says what was wrong with it. */
export function runSeed(seed: string, options: RunOptions = {}): RunResult {
  const rng = new Rng(seed);
  const faults = options.mutation?.faults;
  const limits = { ...(faults !== undefined && { faults }), ...options.limits };
  const plan = { ...planOf(seed, rng.split('plan'), limits), ...options.mutation?.plan };
  const mend = options.mutation?.install?.();
  const fleet = new Fleet({
    plan,
    rng,
    ...(options.mutation !== undefined && { mutation: options.mutation }),
    verbose: options.verbose ?? false,
    freeze: options.freeze ?? false,
  });
  let crashed: string | undefined;
  let settledMs: number | undefined;
  const nemesis = new Nemesis(fleet, rng.split('nemesis'));
  try {
    settledMs = live(fleet, nemesis);
  } catch (error) {
    // A machine that throws is a defect, and what it leaves says no more.
    crashed = error instanceof Error ? (error.stack ?? error.message) : String(error);
    fleet.log(`PROBLEM ${crashed}`);
  } finally {
    mend?.();
  }
  const problems = crashed === undefined ? verdict(fleet) : [...fleet.observer.problems, `threw: ${crashed}`];
  return {
    seed,
    plan,
    problems,
    digest: fleet.trace.digest(),
    trace: fleet.trace.lines,
    events: fleet.queue.happened,
    operations: [...fleet.clients.counts.values()].reduce((sum, count) => sum + count, 0),
    virtualMs: fleet.nowMs,
    faults: Object.fromEntries(nemesis.counts),
    lent: Object.fromEntries(fleet.lent.counts),
    settledMs,
  };
}

function live(fleet: Fleet, nemesis: Nemesis): number | undefined {
  const { plan, queue } = fleet;
  for (let i = 0; i < plan.gateways; i++) fleet.addGateway();
  every(fleet, inspectEveryMs, () => fleet.observer.inspect());
  every(fleet, housekeepingEveryMs, () => fleet.housekeeping());
  if (plan.faults.includes('restore-backup')) every(fleet, backUpEveryMs, () => fleet.backUp());
  queue.runUntil(beginMs);
  fleet.placeZones();
  queue.runUntil(beginMs + 1000);
  Object.assign(fleet.network.faults, plan.links);
  nemesis.begin();
  fleet.lent.begin();
  queue.runUntil(beginMs + plan.activeMs);
  nemesis.stop();
  fleet.clients.stop();
  fleet.lent.stop();
  fleet.heal();
  const healedMs = queue.nowMs;
  fleet.log('healed');
  // What was asked before may still be answered, or be done without an answer.
  queue.runUntil(healedMs + 8000);
  while (queue.nowMs - healedMs < plan.settleMs) {
    if (difference(fleet) === undefined && fleet.lent.copiesLast()) return queue.nowMs - healedMs;
    queue.runUntil(queue.nowMs + 1000);
  }
  return undefined;
}

function every(fleet: Fleet, periodMs: number, work: () => void): void {
  fleet.queue.after(periodMs, () => {
    if (fleet.isHealing) return;
    work();
    every(fleet, periodMs, work);
  });
}
