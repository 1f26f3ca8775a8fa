/**
 * The version of a register (design §1): merge keeps the greatest, compared in this order. While the
 * source Consul is the authority the stamp is Consul's ModifyIndex and the term that of the zone that was lent to it,
 * or 0 where none was (a copy); the timeline counts how often Consul's history was seen to fork (a restored snapshot, a
 * rebuilt cluster).
 */
export type MirrorVersion = {
  readonly term: number;
  readonly timeline: number;
  readonly stamp: number;
};

/** The term under which the source's word on a key is written now: `Zones.lentTerm`, or 0. */
export type TermOf = (key: string) => number;

/** Where no zone is lent to the source. */
export const copiedTerm: TermOf = () => 0;

/**
 * Whose word a held version is, seen from the term under which the source speaks now: of an `earlier` term, over which
 * the source always wins; the source's own (`equal`); or of a `later` one, written here, which is kept.
 */
export function standingOf(held: MirrorVersion, term: number): 'earlier' | 'equal' | 'later' {
  if (held.term === term) return 'equal';
  return held.term < term ? 'earlier' : 'later';
}

export function compareVersions(a: MirrorVersion, b: MirrorVersion): number {
  return a.term - b.term || a.timeline - b.timeline || a.stamp - b.stamp;
}
