import type { DriveLoop } from './drive-loop.ts';

export interface HousekeepingOptions {
  readonly loop: DriveLoop;
  readonly nowUs: () => number;
  /** How long a deletion is remembered (Consul's tombstone_ttl: 15 minutes). */
  readonly tombstoneMs: number;
  readonly intervalMs: number;
  /** Up to where every other gateway has seen everything; undefined: there is none. */
  readonly stableStamp?: () => number | undefined;
  /** Looks now and then whether the ground still stands; every few seconds. */
  readonly probe?: () => void;
}

/** How often `probe` is called. */
const probeIntervalMs = 5000;

/** Tombstones dropped in one commit at most. */
const collectMax = 2000;

/** What has to be done now and then: collecting old tombstones. Answers how to stop it. */
export function startHousekeeping(options: HousekeepingOptions): () => void {
  const { loop, nowUs, tombstoneMs, intervalMs } = options;
  const collect = (): void => {
    const belowIndex = nowUs() - tombstoneMs * 1000;
    const stableStamp = options.stableStamp?.();
    const stable = stableStamp === undefined ? {} : { stableStamp };
    loop.propose({ kind: 'collect-tombstones', belowIndex, ...stable, limit: collectMax }, (outcome) => {
      if (outcome.kind === 'collected' && outcome.count === collectMax) collect();
    });
  };
  const timer = setInterval(collect, intervalMs);
  timer.unref();
  const probing = setInterval(() => options.probe?.(), probeIntervalMs);
  probing.unref();
  return () => {
    clearInterval(timer);
    clearInterval(probing);
  };
}
