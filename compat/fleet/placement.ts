import type { ZoneValue } from '../../src/state/values.ts';
import type { ZonePlace } from '../../src/state/zone-commands.ts';
import { zoneOf } from '../../src/state/zones.ts';

/** `grapevine { zones = [...] }`: a zone that shall exist, and who gets it when it begins to. */
export type ZoneRule =
  | { readonly prefix: string; readonly region: string }
  /** A gateway by its node name. */
  | { readonly prefix: string; readonly gateway: string };

export interface PlacementMember {
  readonly id: string;
  readonly name: string;
  readonly region: string;
  /** Alive or suspect, and not about to leave. */
  readonly live: boolean;
}

export interface PlacementView {
  readonly rules: readonly ZoneRule[];
  readonly zones: readonly Pick<ZoneValue, 'prefix' | 'ownerId'>[];
  /** This gateway among them. */
  readonly members: readonly PlacementMember[];
  /** Node id of this gateway. */
  readonly selfId: string;
}

/**
 * What this gateway should propose next, so that the zones that rules name come to be; undefined: nothing.
 *
 * Only the owner of what covers a prefix now can give it away, and so it alone acts: gateways need no agreement about
 * rules. A zone that exists stays where it is, whatever the rules say and whoever comes or goes, so that a rule can
 * never fight with an operator or with another gateway's rules. A rule whose gateways are all away waits for one.
 *
 * Ask again when members or zones changed: an answer that was carried out is not given again.
 */
export function nextPlacement({ rules, zones, members, selfId }: PlacementView): ZonePlace | undefined {
  // Longer prefixes first: once a shorter one is given away, what lies below it is the new owner's to give.
  const ordered = rules.toSorted((a, b) => b.prefix.length - a.prefix.length);
  for (const rule of ordered) {
    const covering = zoneOf(zones, rule.prefix);
    if (covering === undefined || covering.prefix === rule.prefix || covering.ownerId !== selfId) continue;
    const to = targetOf(rule, members);
    if (to !== undefined) return { kind: 'zone-place', prefix: rule.prefix, toNodeId: to.id };
  }
  return undefined;
}

/** The lowest name: whoever decides, decides alike. */
function targetOf(rule: ZoneRule, members: readonly PlacementMember[]): PlacementMember | undefined {
  let best: PlacementMember | undefined;
  for (const member of members) {
    if (member.live && isMeant(rule, member) && (best === undefined || member.name < best.name))
      best = member;
  }
  return best;
}

function isMeant(rule: ZoneRule, { name, region }: PlacementMember): boolean {
  return 'region' in rule ? region === rule.region : name.toLowerCase() === rule.gateway.toLowerCase();
}
