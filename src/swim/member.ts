import { originForm, type OriginId } from '../crdt/dot.ts';
import { endpoint, sameEndpoint, type Endpoint } from '../wire/endpoint.ts';
import { hexId, struct, text, textMap, uint, type Schema } from '../wire/schema.ts';

export const nodeIdForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** What a member says of itself. It is spread whole; only the member itself changes it, with a higher incarnation. */
export interface MemberFacts {
  /** Node name: unique in the pool among those that live, compared without case. In a WAN pool `name.datacenter`. */
  readonly name: string;
  /** Node id, a UUID in lower case. */
  readonly id: string;
  readonly endpoint: Endpoint;
  readonly datacenter: string;
  /** Where it runs: a topology hint for gossip. */
  readonly region: string;
  /** The log that it writes now. */
  readonly origin: OriginId;
  /** As Serf's: what Consul's clients see of a member. */
  readonly tags: Readonly<Record<string, string>>;
  /** Versions of the gossip protocol that it speaks. */
  readonly protocolMin: number;
  readonly protocolMax: number;
}

export const memberFacts: Schema<MemberFacts> = struct<MemberFacts>({
  name: text(256),
  id: hexId(nodeIdForm),
  endpoint,
  datacenter: text(128),
  region: text(128),
  origin: hexId<OriginId>(originForm),
  tags: textMap(64, 512),
  protocolMin: uint(255),
  protocolMax: uint(255),
});

/** SWIM's states, with `left` for who said goodbye (Serf). A suspect counts as alive for everybody but SWIM. */
export type MemberState = 'alive' | 'suspect' | 'failed' | 'left';

export interface Member {
  readonly facts: MemberFacts;
  readonly state: MemberState;
  /** Raised by the member itself only, with every change of its facts and every refutation. */
  readonly incarnation: number;
  /** The incarnation that the facts are of: a suspicion of a later one may be heard before its facts are. */
  readonly factsIncarnation: number;
}

/** A member as it is kept on disk. */
export interface PersistedMember extends Member {
  /** How long it had been failed or left when it was written, milliseconds; absent for those that live. */
  readonly goneForMs?: number;
}

/** Alive, as far as anybody but SWIM is concerned. */
export function isLive({ state }: { readonly state: string }): boolean {
  return state === 'alive' || state === 'suspect';
}

export function sameFacts(a: MemberFacts, b: MemberFacts): boolean {
  if (a === b) return true;
  const tagsOfA = Object.entries(a.tags);
  return (
    a.name === b.name &&
    a.id === b.id &&
    sameEndpoint(a.endpoint, b.endpoint) &&
    a.datacenter === b.datacenter &&
    a.region === b.region &&
    a.origin === b.origin &&
    a.protocolMin === b.protocolMin &&
    a.protocolMax === b.protocolMax &&
    tagsOfA.length === Object.keys(b.tags).length &&
    tagsOfA.every(([key, value]) => b.tags[key] === value)
  );
}

// Members are values. Thousands of machines of one simulation hold the same ones: the newest one of each facts
// object is shared instead of made again by everybody who hears of it.
const newestOf = new WeakMap<MemberFacts, Member>();

export function memberOf(
  facts: MemberFacts,
  state: MemberState,
  incarnation: number,
  factsIncarnation: number,
): Member {
  const known = newestOf.get(facts);
  if (
    known !== undefined &&
    known.state === state &&
    known.incarnation === incarnation &&
    known.factsIncarnation === factsIncarnation
  ) {
    return known;
  }
  const member: Member = { facts, state, incarnation, factsIncarnation };
  if (known === undefined || known.incarnation <= incarnation) newestOf.set(facts, member);
  return member;
}

const lowered = new WeakMap<MemberFacts, string>();

/** The name as names are compared: Consul's are equal when they differ in case only. */
export function nameKey(facts: MemberFacts): string {
  let key = lowered.get(facts);
  if (key === undefined) {
    key = facts.name.toLowerCase();
    lowered.set(facts, key);
  }
  return key;
}
