import { bytesEqual } from '../../src/kernel/codec.ts';
import { getNode, nodeValue, type CatalogCommand } from '../../src/state/catalog.ts';
import { Kind } from '../../src/state/kinds.ts';
import type { ReadView } from '../../src/state/store.ts';
import { catalogKey, keySeparator } from '../../src/state/topics.ts';
import { encodeValue, type CheckValue } from '../../src/state/values.ts';
import { isLive } from '../fleet/members.ts';
import type { MemberView } from '../fleet/port.ts';
import { deregisterCommand } from './catalog-diff.ts';
import { aliveHealth, deadHealth } from './own-node.ts';

export interface MembershipSeen {
  /** Of this gateway's own node the agent takes care itself. */
  readonly selfId: string;
  /** All members of the LAN pool that are not forgotten. */
  readonly members: readonly MemberView[];
  /** Node ids of members that this process knew and that were forgotten since, by name in lower case. */
  readonly departed: ReadonlyMap<string, string>;
  /** This gateway takes from the catalog what nobody else can: it owns the root zone. */
  readonly ownsCatalog: boolean;
}

/**
 * What follows from membership, as commands that bring the local serfHealth of every gateway's node to what this
 * gateway sees of it, and that deregister the nodes of gateways which left or were forgotten. Nothing is said of a
 * node that is not in the catalog (yet): a member's own registration may arrive after the member does.
 *
 * A node whose gateway left is critical until its owner in the catalog has deregistered it: without a check its
 * services would look well.
 */
export function membershipReactions(view: ReadView, seen: MembershipSeen): readonly CatalogCommand[] {
  const { selfId, members, departed, ownsCatalog } = seen;
  const byName = new Map(members.map((member) => [member.facts.name.toLowerCase(), member]));
  const commands: CatalogCommand[] = [];
  for (const name of new Set([...byName.keys(), ...departed.keys(), ...judgedNodes(view)])) {
    const member = byName.get(name);
    if (member?.facts.id === selfId) continue;
    const row = getNode(view, name);
    if (row === undefined) {
      commands.push(...healthCommands(view, name, undefined));
      continue;
    }
    const { node, id } = nodeValue(row);
    const memberId = member?.facts.id ?? departed.get(name);
    const isItsNode = memberId !== undefined && memberId.toLowerCase() === id.toLowerCase();
    if (member !== undefined && isLive(member)) {
      commands.push(...healthCommands(view, node, aliveHealth(node)));
    } else if (ownsCatalog && isItsNode && isGone(member)) {
      // A node that is well is its own gateway's to deregister; once it is not, it is the zone's owner's.
      commands.push(...healthCommands(view, node, deadHealth(node)), deregisterCommand(node, '', ''));
    } else if (isItsNode || memberId === undefined) {
      commands.push(...healthCommands(view, node, deadHealth(node)));
    } else {
      // The name is another node's by now.
      commands.push(...healthCommands(view, node, undefined));
    }
  }
  return commands;
}

function isGone(member: MemberView | undefined): boolean {
  return member === undefined || member.state === 'left';
}

/** Names in lower case of the nodes of which membership has said something here. */
function judgedNodes(view: ReadView): readonly string[] {
  const names: string[] = [];
  for (const { key, live } of view.rangeKeys(Kind.memberHealth, '', undefined)) {
    if (live) names.push(key.split(keySeparator, 1)[0] as string);
  }
  return names;
}

function healthCommands(
  view: ReadView,
  node: string,
  check: CheckValue | undefined,
): readonly CatalogCommand[] {
  const held = view.get(Kind.memberHealth, catalogKey(node, 'serfHealth'))?.value ?? undefined;
  const same =
    check === undefined ? held === undefined : held !== undefined && bytesEqual(held, encodeValue(check));
  return same ? [] : [{ kind: 'member-health', node, check }];
}
