/**
 * The version of a register (design §1): merge keeps the greatest, compared in this order. While the
 * source Consul is the authority the term is 0 and the stamp is Consul's ModifyIndex; the timeline counts
 * how often Consul's history was seen to fork (a restored snapshot, a rebuilt cluster).
 */
export type MirrorVersion = {
  readonly term: number;
  readonly timeline: number;
  readonly stamp: number;
};

export function compareVersions(a: MirrorVersion, b: MirrorVersion): number {
  return a.term - b.term || a.timeline - b.timeline || a.stamp - b.stamp;
}
