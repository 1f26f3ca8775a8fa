import { originForm, type OriginId } from '../crdt/dot.ts';
import { endpoint, type Endpoint } from '../wire/endpoint.ts';
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
  readonly incarnation: number;
}
