import type { SourceSettings } from '../gateway-port.ts';

/** Bounds and paces of the tail. Those that are not measured are marked as guesses. */
export interface TailLimits {
  /** Requests to the source that may wait for a change at once. */
  readonly waitingMax: number;
  /** Short requests at once. */
  readonly shortMax: number;
  readonly requestsPerSecondMax: number;
  readonly timeoutMs: number;
  /** How long a blocking query waits; then everything is compared in full. */
  readonly waitMs: number;
  /** What the values of a leaf should come to. Consul builds an answer whole in memory. */
  readonly leafBytesAim: number;
  readonly leafNamesMax: number;
  /** Least time from one question about a leaf to the next: what changes meanwhile is seen once. Guess. */
  readonly hotMinMs: number;
  /** How often a leaf without a blocking query of its own is looked at, at most; with many keys it is less. Guess. */
  readonly coldPollMs: number;
  /** What the source is asked for in a second while everything changes all the time: it makes every answer anew. Guess. */
  readonly bytesPerSecondMax: number;
  /** Leaves that are listed at once in a backfill. */
  readonly listsAtOnce: number;
  readonly batchRecordsMax: number;
  readonly batchBytesMax: number;
  readonly canaryMs: number;
  readonly identityMs: number;
  /** Above this the source is left more time between questions. */
  readonly sourceLatencyMsMax: number;
  readonly catalogMinMs: number;
  readonly tickMs: number;
}

export const defaultTailLimits: TailLimits = {
  waitingMax: 48,
  shortMax: 12,
  requestsPerSecondMax: 500,
  timeoutMs: 30_000,
  waitMs: 30_000,
  leafBytesAim: 1024 * 1024,
  leafNamesMax: 4096,
  hotMinMs: 75,
  coldPollMs: 1000,
  bytesPerSecondMax: 45_000_000,
  listsAtOnce: 6,
  batchRecordsMax: 512,
  batchBytesMax: 4 * 1024 * 1024,
  canaryMs: 5000,
  identityMs: 15_000,
  sourceLatencyMsMax: 1000,
  catalogMinMs: 250,
  tickMs: 500,
};

/** Connections that the tail takes at most, of the 200 that Consul allows one client address by default. */
const connectionsCeiling = 64;

export function limitsOf(source: SourceSettings): TailLimits {
  const connections = Math.max(4, Math.min(connectionsCeiling, source.connectionsMax));
  const shortMax = Math.max(2, Math.min(defaultTailLimits.shortMax, Math.floor(connections / 4)));
  return {
    ...defaultTailLimits,
    shortMax,
    waitingMax: connections - shortMax,
    listsAtOnce: Math.max(1, Math.min(defaultTailLimits.listsAtOnce, shortMax - 1)),
    requestsPerSecondMax: source.requestsPerSecondMax,
    timeoutMs: source.timeoutMs,
  };
}
