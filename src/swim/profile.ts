/** Timing and sizes of a pool. Durations in milliseconds. */
export interface SwimProfile {
  /** One member is probed per interval. */
  readonly probeIntervalMs: number;
  /** Least time to wait for a direct answer; members that are measured to be farther away get more. */
  readonly probeTimeoutMs: number;
  /** How many others are asked to probe who did not answer. */
  readonly indirectProbes: number;
  /** A suspicion lasts at least `suspicionMult * log10(N) * probeIntervalMs` … */
  readonly suspicionMult: number;
  /** … and, until others confirm it, up to this many times that (Lifeguard). */
  readonly suspicionMaxMult: number;
  /** An update is sent `retransmitMult * ceil(log10(N + 1))` times by each member. */
  readonly retransmitMult: number;
  readonly gossipIntervalMs: number;
  readonly gossipNodes: number;
  /** Who failed less than this ago is still told things: it may be alive, and then hears that it must refute. */
  readonly gossipToDeadMs: number;
  /** Interval of exchanges of whole membership with one other, for pools of up to 32; it grows with log2(N). */
  readonly pushPullIntervalMs: number;
  /** Ceiling of the local health score's multiplier (Lifeguard). */
  readonly awarenessMax: number;
  /** How long an answer over a stream may take. */
  readonly streamTimeoutMs: number;
  /** Who failed long ago is called this often. */
  readonly reconnectIntervalMs: number;
  /** A failed member is forgotten after this. */
  readonly reconnectTimeoutMs: number;
  /** A member that left is forgotten after this. */
  readonly tombstoneMs: number;
  /** How long a goodbye may take to be sent often enough. */
  readonly leaveTimeoutMs: number;
  /** Then this long to let it spread. */
  readonly leavePropagateMs: number;
  /** Members known at most, others are not let in. */
  readonly membersMax: number;
  /** Updates waiting to be spread at most; those sent most often are dropped first. */
  readonly broadcastsMax: number;
  /** Encoded size that a message for the packet lane stays under. */
  readonly packetBytesMax: number;
}

/**
 * memberlist's DefaultLANConfig with Serf's and Consul's (1.8) timeouts, Lifeguard on; what is not theirs is marked.
 */
export const lanProfile: SwimProfile = {
  probeIntervalMs: 1000,
  probeTimeoutMs: 500,
  indirectProbes: 3,
  suspicionMult: 4,
  suspicionMaxMult: 6,
  retransmitMult: 4,
  gossipIntervalMs: 200,
  gossipNodes: 3,
  gossipToDeadMs: 30_000,
  pushPullIntervalMs: 30_000,
  awarenessMax: 8,
  streamTimeoutMs: 10_000,
  reconnectIntervalMs: 30_000,
  reconnectTimeoutMs: 72 * 3_600_000,
  tombstoneMs: 24 * 3_600_000,
  leaveTimeoutMs: 5000,
  leavePropagateMs: 1000,
  // Ours: memberlist bounds none of the three but the packet (1,400 bytes, for a LAN).
  membersMax: 10_000,
  broadcastsMax: 16_384,
  packetBytesMax: 1100,
};

/** memberlist's DefaultWANConfig, likewise. */
export const wanProfile: SwimProfile = {
  ...lanProfile,
  probeIntervalMs: 5000,
  probeTimeoutMs: 3000,
  suspicionMult: 6,
  gossipIntervalMs: 500,
  gossipNodes: 4,
  gossipToDeadMs: 60_000,
  pushPullIntervalMs: 60_000,
  streamTimeoutMs: 30_000,
};

/** memberlist's pushPullScale: the interval doubles, trebles … with each doubling of the pool above 32. */
export function pushPullIntervalMs(profile: SwimProfile, members: number): number {
  return profile.pushPullIntervalMs * (members <= 32 ? 1 : Math.ceil(Math.log2(members) - 5) + 1);
}

export function retransmitLimit(profile: SwimProfile, members: number): number {
  return profile.retransmitMult * Math.ceil(Math.log10(members + 1));
}
