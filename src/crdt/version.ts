/**
 * The version of a register: compared term first, then timeline, then stamp; merge keeps the greater.
 * - term rises whenever the authority over the register moves;
 * - timeline rises when the history of a source Consul forks (restore, rebuild); 0 for values born here;
 * - stamp is the owner's hybrid clock, or Consul's ModifyIndex while Consul is the authority.
 */
export interface Version {
  readonly term: number;
  readonly timeline: number;
  readonly stamp: number;
}

/** Negative, zero or positive, as `a` is below, equal to or above `b`. */
export function compareVersions(a: Version, b: Version): number {
  return a.term - b.term || a.timeline - b.timeline || a.stamp - b.stamp;
}
