import { isLive, memberOf, type Member } from './member.ts';
import type { MemberUpdate, UpdateState } from './messages.ts';

// Membership merges as a lattice: (incarnation, state) by the greater, and facts by the greater incarnation that they
// are of. So the order in which updates come, and how often, does not matter.

const order: Record<UpdateState, number> = { alive: 0, suspect: 1, failed: 2, left: 3, pruned: 4 };

/** Whether a state is to be believed over another: the later incarnation, then the worse news (SWIM §4.2). */
export function overrides(
  a: { readonly incarnation: number; readonly state: UpdateState },
  b: { readonly incarnation: number; readonly state: UpdateState },
): boolean {
  return (
    a.incarnation > b.incarnation || (a.incarnation === b.incarnation && order[a.state] > order[b.state])
  );
}

/** The same object when the update is no news; undefined when nothing is known of the member and the update says no facts. */
export function mergeMember(current: Member | undefined, update: MemberUpdate): Member | undefined {
  const { state } = update;
  if (state === 'pruned') return current;
  if (current === undefined) {
    return update.facts === null
      ? undefined
      : memberOf(update.facts, state, update.incarnation, update.factsIncarnation);
  }
  const newFacts = update.facts !== null && update.factsIncarnation > current.factsIncarnation;
  const newState = overrides(update, current);
  if (!newFacts && !newState) return current;
  return memberOf(
    newFacts && update.facts !== null ? update.facts : current.facts,
    newState ? state : current.state,
    newState ? update.incarnation : current.incarnation,
    newFacts ? update.factsIncarnation : current.factsIncarnation,
  );
}

/** What a member holds of another, as it tells it. */
export function updateOf(member: Member, withFacts: boolean, by: string | null, ageMs: number): MemberUpdate {
  const { facts, incarnation, state, factsIncarnation } = member;
  return {
    id: facts.id,
    incarnation,
    state,
    factsIncarnation,
    facts: withFacts ? facts : null,
    by: state === 'suspect' ? by : null,
    ageMs: isLive(member) ? 0 : Math.max(0, Math.round(ageMs)),
  };
}

export function prunedUpdate(id: string, incarnation: number, ageMs: number): MemberUpdate {
  const age = Math.max(0, Math.round(ageMs));
  return { id, incarnation, state: 'pruned', factsIncarnation: 0, facts: null, by: null, ageMs: age };
}

/** 32 bits of what is held of one member; those of all, by exclusive or, are the digest of a membership. */
export function memberHash(
  id: string,
  incarnation: number,
  state: UpdateState,
  factsIncarnation: number,
): number {
  let hash = 0x811c9dc5 ^ order[state];
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 0x01000193);
  hash = mixed(hash ^ incarnation ^ Math.floor(incarnation / 2 ** 32));
  return mixed(Math.imul(hash, 31) ^ factsIncarnation) >>> 0;
}

/** The finalizer of MurmurHash3. */
function mixed(value: number): number {
  let hash = value;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
