/**
 * Kinds of register. The numbers are on disk and on the wire: never reuse one.
 * Kinds from `firstLocalKind` up belong to this gateway alone and are never replicated.
 */
export const Kind = {
  kv: 1,
  session: 2,
  node: 3,
  service: 4,
  check: 5,
  zone: 6,
  coordinate: 7,
  /** Phase rules and the source of a migration. */
  migration: 8,

  /** serfHealth of a member as this gateway sees it: derived from membership. */
  memberHealth: 64,
  /** Until when (ms since the epoch) a key may not be locked again after its session was invalidated. */
  lockDelay: 65,
  /** Index at which a service name last lost an instance by renaming, so that its index never falls. */
  serviceFloor: 66,
  /** Services and checks of this gateway's own agent, as they were registered. */
  agentService: 67,
  agentCheck: 68,
  /** Progress of mirroring a source Consul: committed together with the records it covers. */
  mirror: 69,
  /** Keys whose dual write is under way, or whose fate at the source is to be looked up: see migration/live/dual. */
  dualKey: 70,
  /** What was copied back to the source, and what must not be: see migration/live/reverse. */
  reverse: 71,
  /** What operators did with this gateway: rehearsals of a cutover. */
  rehearsal: 72,
} as const;

export type Kind = (typeof Kind)[keyof typeof Kind];

export const firstLocalKind = 64;

export function isReplicated(kind: Kind): boolean {
  return kind < firstLocalKind;
}

/** Nodes and what belongs to them: a gateway's own under its own term, all others in the zone of external nodes. */
export function isCatalog(kind: number): boolean {
  return kind === Kind.node || kind === Kind.service || kind === Kind.check || kind === Kind.coordinate;
}

/**
 * The term of what a gateway writes about its own node: above every zone's, so that the gateway takes over what was
 * registered under its name before it came.
 */
export const ownNodeTerm = 2 ** 52;

/** The term of what belongs to the gateway that made it, in no zone: sessions. */
export const creatorTerm = 1;
