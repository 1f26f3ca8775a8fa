import type { WorkloadMix } from './clients.ts';
import type { LinkFaults } from './network.ts';
import type { Rng } from './rng.ts';

export const faultKinds = [
  'partition-set',
  'partition-region',
  'partition-one-way',
  'slow-links',
  'loss-burst',
  'crash',
  'crash-before-commit',
  'crash-after-commit',
  'pause',
  'clock-step',
  'move',
  'restore-backup',
  'leave',
  'join',
  'handoff',
  'takeover',
] as const;

export type FaultKind = (typeof faultKinds)[number];

/** Everything about a run that is drawn before it begins. */
export interface Plan {
  readonly seed: string;
  readonly gateways: number;
  readonly regions: number;
  /** How long clients and faults go on, in ms. */
  readonly activeMs: number;
  /** How long it may take after healing until all replicas are equal. */
  readonly settleMs: number;
  readonly faults: readonly FaultKind[];
  readonly faultEveryMs: number;
  readonly links: Partial<LinkFaults>;
  /** Standard deviation, so to say, of wall clocks. */
  readonly skewMs: number;
  readonly driftPpm: number;
  /** How long deletions are remembered at least; undefined: no tombstone is collected. */
  readonly tombstoneMs: number | undefined;
  /** Mean time from an input until its transaction is on disk. */
  readonly commitMs: number;
  readonly zones: number;
  readonly keysPerPrefix: number;
  readonly clientsPerGateway: number;
  readonly thinkMs: number;
  readonly mix: WorkloadMix;
  /** Zones that are lent to a source Consul and taken back, beside the others. */
  readonly lentZones: number;
}

export interface PlanLimits {
  readonly gatewaysMin?: number;
  readonly gatewaysMax?: number;
  readonly regionsMax?: number;
  readonly activeMsMax?: number;
  /** With a migration: zones that are lent to a source Consul and taken back. */
  readonly lent?: boolean;
  /** Only these; all by default. */
  readonly faults?: readonly FaultKind[];
}

/**
 * Draws a run. Swarm testing (Groce et al., 2012): each run leaves out some faults and some operations altogether, since
 * a run with everything in it hides what only the absence of something brings out.
 */
export function planOf(seed: string, rng: Rng, limits: PlanLimits = {}): Plan {
  const kinds = limits.faults ?? faultKinds;
  const share = rng.pick([0, 0.15, 0.3, 0.5, 1]);
  const sometimes = (weight: number, probability: number): number => (rng.chance(probability) ? weight : 0);
  const lossy = rng.chance(0.6);
  return {
    seed,
    gateways: rng.between(limits.gatewaysMin ?? 3, limits.gatewaysMax ?? 9),
    regions: rng.between(2, limits.regionsMax ?? 4),
    activeMs: rng.between(8000, limits.activeMsMax ?? 25_000),
    settleMs: 180_000,
    faults: kinds.filter(() => limits.faults !== undefined || rng.chance(share)),
    faultEveryMs: rng.range(500, 5000),
    links: lossy
      ? {
          loss: rng.pick([0, 0.01, 0.02, 0.1, 0.25]),
          duplication: rng.pick([0, 0, 0.02, 0.2]),
          reordering: rng.pick([0, 0.05, 0.3]),
          reorderMs: rng.pick([5, 50, 400]),
          jitterMs: rng.pick([0, 1, 10]),
        }
      : {},
    skewMs: rng.pick([0, 10, 500, 60_000]),
    driftPpm: rng.pick([0, 20, 200]),
    tombstoneMs: rng.pick([undefined, 0, 500, 3000]),
    commitMs: rng.pick([0.1, 0.5, 3]),
    zones: rng.between(0, 3),
    keysPerPrefix: rng.between(1, 4),
    clientsPerGateway: rng.between(1, 2),
    thinkMs: rng.pick([60, 150, 400]),
    mix: {
      put: 10,
      cas: sometimes(8, 0.7),
      remove: sometimes(4, 0.6),
      removeTree: sometimes(0.5, 0.3),
      txn: sometimes(3, 0.5),
      consistentRead: 6,
      localRead: 15,
      lock: sometimes(8, 0.6),
      session: sometimes(1, 0.5),
      catalog: sometimes(3, 0.4),
    },
    lentZones: limits.lent === true ? rng.between(1, 2) : 0,
  };
}
