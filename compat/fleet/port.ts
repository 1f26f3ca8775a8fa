import type { OriginId } from '../../src/crdt/dot.ts';
import type { Coordinate } from '../../src/state/coordinates.ts';
import type { MemberFacts, MemberState } from '../../src/swim/member.ts';
import type { Endpoint } from '../../src/wire/endpoint.ts';

// What Consul's face of a gateway asks of the fleet behind it: interfaces only. The gateway's machine is below, the
// routes, the agent and the command line above. Names of gateways are node names as their members spell them.

/** The gateways of one datacenter are a pool (Consul's LAN pool); datacenters meet in a second one. */
export type Pool = 'lan' | 'wan';

export interface MemberView {
  readonly facts: MemberFacts;
  readonly state: MemberState;
  /** It has said that it will go, and is on its way (Serf's `leaving`). */
  readonly leaving: boolean;
  readonly incarnation: number;
  /** Smoothed round trip as this gateway measured it, in milliseconds; undefined where it never did. 0 of itself. */
  readonly rttMs: number | undefined;
  /** Since when this gateway has held this state of it, milliseconds since the epoch. */
  readonly sinceMs: number;
}

/** How a zone got its present owner. */
export type ZoneCause = 'founded' | 'delegated' | 'placed' | 'taken-over' | 'lent' | 'taken-back';

export interface ZoneView {
  /** Of keys, or `externalNodes` (src/state/zones.ts). */
  readonly prefix: string;
  /** Node id of the owner. */
  readonly ownerId: string;
  /** Node name of the owner; empty where no member of that id is known. */
  readonly owner: string;
  readonly region: string;
  readonly term: number;
  /** When it got this owner: the wall clock of who decided it, milliseconds since the epoch. */
  readonly sinceMs: number;
  readonly cause: ZoneCause;
  /** Node name of who decided it; empty where that is not known. */
  readonly by: string;
  /** What the operator gave as the reason of a takeover; else empty. */
  readonly reason: string;
  /** Whether a write to it could be handed to its owner now; true of one that is owned here. */
  readonly reachable: boolean;
  /** Whether its owner takes writes, as far as is known here: false while a handoff is under way. */
  readonly ready: boolean;
  /** Why not, where it is not reachable or not ready; else empty. */
  readonly problem: string;
}

/** What this gateway has of the log that one gateway writes (or wrote under an earlier id). */
export interface OriginView {
  readonly origin: OriginId;
  readonly nodeId: string;
  /** Node name; empty where no member of that id is known. */
  readonly node: string;
  readonly region: string;
  /** Highest seq that is known to exist. */
  readonly headKnown: number;
  /** Highest seq that is here. */
  readonly headSeen: number;
  /** Up to here nothing is missing. */
  readonly contiguous: number;
  /** How many seqs up to the known head are not here, and the first runs of them. */
  readonly missing: number;
  readonly gaps: readonly { readonly from: number; readonly to: number }[];
  /**
   * This replica had all that the origin had written up to so many milliseconds ago; undefined: never proved since
   * the start. 0 of its own.
   */
  readonly ageMs: number | undefined;
  /** Written now, or a log of an earlier life that nobody adds to any more. */
  readonly active: boolean;
}

/** What a read shows, as far as freshness goes: whose writes must be here for it to be the newest. */
export type ReadScope =
  | { readonly kind: 'key'; readonly key: string }
  /** All keys that start so: the zone that holds the prefix, and every zone below it. */
  | { readonly kind: 'prefix'; readonly prefix: string }
  /** Nodes, services, checks, coordinates: every live gateway writes its own part of them. */
  | { readonly kind: 'catalog' }
  /** Sessions: each belongs to the gateway that made it. */
  | { readonly kind: 'sessions' };

/** How fresh the local replica is: what KnownLeader and LastContact say. */
export interface Freshness {
  /** Every owner concerned can be reached. */
  readonly knownLeader: boolean;
  /** Age of the oldest of the newest proofs, in whole milliseconds. */
  readonly lastContactMs: number;
  /** Set where another gateway decides some of it, so that what is here may not be the newest. */
  readonly remote?: true;
}

/** A zone whose owner did not confirm. `owner` is a node name, or the id where no name is known. */
export interface Unconfirmed {
  readonly kind: 'unconfirmed';
  readonly zone: string;
  readonly owner: string;
  readonly reason: string;
}

export type Confirmation = { readonly kind: 'confirmed' } | Unconfirmed;

/** What an attempt to reach one address of a cluster came to. `error` is shown to people. */
export type JoinResult =
  | { readonly endpoint: Endpoint; readonly ok: true }
  | { readonly endpoint: Endpoint; readonly ok: false; readonly error: string };

/** An order that can be refused. Nothing was changed then; `message` is one line, shown with a 500 or 4xx. */
export type FleetOutcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly status: 400 | 404 | 409 | 413 | 500; readonly message: string };

/** What one member said of its keyring, or why it did not do as it was told. Keys are in base64. */
export type KeyringAnswer =
  | { readonly node: string; readonly ok: true; readonly keys: readonly string[]; readonly primary: string }
  | { readonly node: string; readonly ok: false; readonly error: string };

export interface KeyringReport {
  readonly pool: Pool;
  /** Live members that were asked, this one included; who did not answer in time has no answer. */
  readonly asked: number;
  readonly answers: readonly KeyringAnswer[];
}

export type KeyringOrder =
  | { readonly kind: 'list'; readonly localOnly: boolean }
  | { readonly kind: 'install' | 'use' | 'remove'; readonly key: string };

/** A change that was made under a term that was over: kept, shown, and never applied on its own. */
export interface ConflictView {
  /** Ascending in the order in which they were kept; text, safe in URLs. */
  readonly id: string;
  readonly zone: string;
  readonly kind: number;
  readonly key: string;
  /** `null`: a deletion. As the register of that kind holds it. */
  readonly value: Uint8Array | null;
  /** The term under which it was written, and that of the zone when it came. */
  readonly term: number;
  readonly zoneTerm: number;
  /** When it was written, by its writer's clock: microseconds since the epoch. */
  readonly stamp: number;
  readonly origin: OriginId;
  readonly seq: number;
  /** Node name of its writer, or the id where no name is known. */
  readonly node: string;
  /** When it was kept here, milliseconds since the epoch. */
  readonly keptMs: number;
  /** Written again since, by a replay. */
  readonly replayed: boolean;
}

/** A record that broke a rule (one writer per key, a form that can be read) and was set aside. */
export interface QuarantineView {
  readonly id: string;
  readonly reason: string;
  readonly kind: number;
  readonly key: string;
  readonly origin: OriginId;
  readonly seq: number;
  readonly node: string;
  readonly keptMs: number;
}

/** Orders about zones. They are carried out by the owner, or for a takeover by the gateway that is asked. */
export interface ZonePort {
  /** Gives a zone, or a longer prefix of one, to the gateway of that node name. */
  delegate(prefix: string, gateway: string): Promise<FleetOutcome>;
  /** Makes this gateway the owner without asking the present one. */
  takeover(prefix: string, reason: string): Promise<FleetOutcome>;
  /** Writes kept conflicts again, as new writes; all where no id is given. Answers per id what came of it. */
  replay(ids: readonly string[] | undefined): Promise<readonly ReplayResult[]>;
  /** Forgets kept conflicts: those given, or all that were replayed. */
  drop(ids: readonly string[] | undefined): Promise<readonly ReplayResult[]>;
}

export interface ReplayResult {
  readonly id: string;
  readonly key: string;
  readonly outcome: FleetOutcome;
}

/** A bounded queue: how long it is, how long it may be, and what it dropped since the start. */
export interface QueueView {
  readonly name: string;
  readonly length: number;
  readonly lengthMax: number;
  readonly dropped: number;
}

/** What is worth counting, since the start. */
export interface FleetCounters {
  /** By name in snake case (`packets_sent`, `bytes_received`, `duplicates`, `retransmissions`, `forwards`, …). */
  readonly totals: Readonly<Record<string, number>>;
  readonly queues: readonly QueueView[];
  /** Lifeguard's health score: 0 is well. */
  readonly healthScore: number;
  /** Comparisons with peers that found different state, and registers repaired by them. */
  readonly divergence: { readonly found: number; readonly repaired: number; readonly lastMs: number };
  readonly conflicts: number;
  readonly quarantined: number;
}

/** The fleet as one of its gateways sees it. */
export interface FleetPort {
  /** 16 hex digits; empty while this gateway belongs to no cluster. */
  readonly clusterId: string;
  /** This gateway, which is also among the members. */
  self(pool: Pool): MemberView;
  /** Everybody who is not forgotten, in no order. */
  members(pool: Pool): readonly MemberView[];
  /** Calls after something of a member changed that `members` shows, but for its round trip. */
  onMembersChanged(listener: () => void): () => void;

  zones(): readonly ZoneView[];
  readonly zone: ZonePort;
  /** Whether this gateway owns the zone of the catalog's nodes that no gateway is (the one that holds ''). */
  ownsCatalog(): boolean;

  origins(): readonly OriginView[];
  /** Who wrote a register: by the local number that rows carry (`Row.origin`). */
  writer(originRef: number): Pick<OriginView, 'origin' | 'node' | 'nodeId' | 'region'> | undefined;

  /** Is asked by every read: answers from what is known, at once. */
  freshness(scope: ReadScope): Freshness;
  /**
   * Resolves once this replica has all that the owners concerned had when it was asked, or when one of them cannot be
   * reached within the RPC time limit.
   */
  confirm(scope: ReadScope): Promise<Confirmation>;

  /** This gateway's place by round trips; undefined while coordinates are off. */
  coordinate(): Coordinate | undefined;

  join(endpoints: readonly Endpoint[], pool: Pool): Promise<readonly JoinResult[]>;
  /** Says goodbye to all, and resolves when it is known or the time for it is over. The process goes on. */
  leave(): Promise<void>;
  /**
   * Turns a failed member into one that left; with `prune` forgets it. A live one says at once that it lives. A name
   * that nobody has was looked for already.
   */
  forceLeave(name: string, prune: boolean): Promise<FleetOutcome>;

  /** Undefined: gossip is not encrypted. */
  readonly keyring: { run(order: KeyringOrder): Promise<readonly KeyringReport[]> } | undefined;

  /** In the order of their ids, those after `after` (all: ''), at most `limit`. */
  conflicts(after: string, limit: number): readonly ConflictView[];
  quarantine(after: string, limit: number): readonly QuarantineView[];

  counters(): FleetCounters;
}
