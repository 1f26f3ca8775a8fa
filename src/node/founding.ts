import { hashText } from '../replication/hash.ts';
import type { MemberState } from '../swim/member.ts';

/** A gateway as it is asked about founding: `tags` are those of its membership. */
export interface FoundingMember {
  readonly id: string;
  readonly name: string;
  readonly state: MemberState;
  readonly tags: Readonly<Record<string, string>>;
}

export interface FoundingView {
  /** `bootstrap_expect`, 2 or more. */
  readonly expect: number;
  readonly selfId: string;
  /** All that this gateway knows, itself included, those that failed too. */
  readonly members: readonly FoundingMember[];
}

export interface Founding {
  /** What this gateway must say in its own tags while it belongs to no cluster: `foundingTags`. */
  readonly sees: string;
  /** This gateway founds the cluster now. */
  readonly found: boolean;
  /** Why it does not; for the log. Empty when it does. */
  readonly reason: string;
  /** Node ids to join every second or so until this gateway belongs to a cluster: one of them may have founded it. */
  readonly ask: readonly string[];
}

/** Consul's tag of a server that waits for others. */
const expectTag = 'expect';
const seesTag = 'sees';
/** Members that are asked at a time. */
const askMax = 8;

/** Tags that a gateway carries while it waits; one that belongs to a cluster must not carry `sees`. */
export function foundingTags(expect: number, sees: string): Readonly<Record<string, string>> {
  return { [expectTag]: String(expect), [seesTag]: sees };
}

/**
 * Who founds the datacenter when all gateways are started with the same `bootstrap_expect` and none with `bootstrap`,
 * as servers of Consul are. There is no quorum to ask, and two founders would be two clusters. So: the gateway with
 * the lowest node id founds, once there are enough of them and *each of them says that it sees exactly the same ones*.
 *
 * Why there are never two founders that had heard of a common gateway: what a waiting gateway sees only grows (who
 * failed stays in it until an operator forces it out), and it says it no more from the moment when it founds. Let F
 * found on the set S, G on T, and X be in both. X said both, so one contains the other, say S in T; F is in T, so F
 * said that it sees T, which it did not when it founded on S, unless S = T, and then both are the lowest id of one
 * set. Two sets without a common gateway are two clusters, as they would be with Consul's servers.
 */
export function decideFounding({ expect, selfId, members }: FoundingView): Founding {
  const waiting = members.filter(({ id, state, tags }) => {
    return id === selfId || (state !== 'left' && tags[expectTag] === String(expect));
  });
  const ids = waiting.map(({ id }) => id).toSorted();
  const sees = digestOf(ids);
  const others = members.filter(({ id, state }) => id !== selfId && state !== 'left');
  const ask = others
    // Who founded has stopped to speak with those of no cluster, and looks failed to them.
    .toSorted((a, b) => Number(a.state === 'alive') - Number(b.state === 'alive') || (a.id < b.id ? -1 : 1))
    .slice(0, askMax)
    .map(({ id }) => id);
  const problem =
    disagreement(expect, selfId, members) ??
    (waiting.length < expect ? `${waiting.length} of ${expect} expected gateways have met` : undefined) ??
    unready(selfId, sees, waiting);
  const lowest = ids[0] === selfId;
  if (problem !== undefined) return { sees, found: false, reason: problem, ask };
  if (lowest) return { sees, found: true, reason: '', ask: [] };
  const founder = waiting.find(({ id }) => id === ids[0]);
  return { sees, found: false, reason: `${founder?.name} founds the cluster`, ask };
}

/** 64 bits, in hex: node ids are random, and nobody here means harm. */
function digestOf(ids: readonly string[]): string {
  const text = ids.join(' ');
  const hex = (hash: number): string => (hash >>> 0).toString(16).padStart(8, '0');
  return hex(hashText(text)) + hex(hashText(`#${text}`));
}

/** Gateways that expect another number stop it: somebody's configuration is wrong. */
function disagreement(
  expect: number,
  selfId: string,
  members: readonly FoundingMember[],
): string | undefined {
  for (const { id, name, state, tags } of members) {
    const theirs = tags[expectTag];
    if (id === selfId || state === 'left' || theirs === undefined || theirs === String(expect)) continue;
    return `${name} expects ${theirs} gateways, and this one ${expect}: give all the same bootstrap_expect`;
  }
  return undefined;
}

function unready(selfId: string, sees: string, waiting: readonly FoundingMember[]): string | undefined {
  const away = waiting.find(({ id, state }) => id !== selfId && state === 'failed');
  if (away !== undefined) {
    return (
      `${away.name} cannot be reached, and may have founded the cluster: start it again, or if it is gone for good ` +
      `\`grapevine force-leave ${away.name}\``
    );
  }
  const other = waiting.find(({ id, tags }) => id !== selfId && tags[seesTag] !== sees);
  return other === undefined ? undefined : `${other.name} does not see the same gateways yet`;
}
