import type { Version } from '../crdt/version.ts';
import { ownNodeTerm } from './kinds.ts';

// What bears the name of a gateway is above every zone's term. While a live Consul is moved, a host may go to and fro
// between a gateway and an agent of Consul under one name, so here, too, whoever has the name now must be above whoever
// had it before. Under this one term the timeline says it: a generation, then the source's own timeline, then who.

/** Timelines of a source that a generation has room for. */
const timelines = 2 ** 20;
const owners = 4;
const who = { gateway: 0, source: 1, zone: 2 } as const;

function generationOf({ timeline }: Version): number {
  return Math.floor(timeline / (timelines * owners));
}

function isOf(version: Version, owner: keyof typeof who): boolean {
  return version.term === ownNodeTerm && version.timeline % owners === who[owner];
}

/** Written by the gateway of that name, or taken out for it after it had left. */
export function isGatewaysOwn(version: Version): boolean {
  return isOf(version, 'gateway');
}

/** The source's timeline of what it decided under a name that a gateway had before; undefined: it did not. */
export function sourceTimelineOfOwn(version: Version): number | undefined {
  return isOf(version, 'source') ? Math.floor(version.timeline / owners) % timelines : undefined;
}

/** The timeline of a write under `ownNodeTerm` over what is held: by the gateway of that name, or by the zone's owner. */
export function ownTimeline(held: Version | undefined, by: 'gateway' | 'zone'): number {
  if (held?.term !== ownNodeTerm) return 0;
  if (isOf(held, 'gateway') || isOf(held, by)) return held.timeline;
  return by === 'gateway' ? (generationOf(held) + 1) * timelines * owners : held.timeline + 1;
}

/** The version of what a source decided (`told`) over what is held. */
export function versionOverOwn(
  held: (Version & { readonly value: Uint8Array | null }) | undefined,
  told: Version,
): Version {
  // Where a gateway has an entry it is that gateway's to take out.
  if (held?.term !== ownNodeTerm || told.term === 0 || (isGatewaysOwn(held) && held.value !== null))
    return told;
  const generation = generationOf(held) + (isOf(held, 'zone') ? 1 : 0);
  const timeline = (generation * timelines + (told.timeline % timelines)) * owners + who.source;
  return { term: ownNodeTerm, timeline, stamp: told.stamp };
}
