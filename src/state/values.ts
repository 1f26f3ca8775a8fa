import type { OriginId } from '../crdt/dot.ts';
import { decode, encode } from '../kernel/codec.ts';

// What the registers of each kind hold. Values are whole; a field added later sits at the end of its array,
// is defaulted when read, and so replicates nothing by itself (design, "State and merge", 1).

export interface KvValue {
  readonly flags: bigint;
  readonly lockIndex: number;
  /** Id of the session that holds the lock; empty when none. */
  readonly session: string;
  readonly value: Uint8Array;
}

export function encodeKv(kv: KvValue): Uint8Array {
  return encode([narrow(kv.flags), kv.lockIndex, kv.session, kv.value]);
}

export function decodeKv(bytes: Uint8Array): KvValue {
  const [flags, lockIndex, session, value] = decode(bytes) as [number | bigint, number, string, Uint8Array];
  return { flags: BigInt(flags), lockIndex, session, value };
}

/** A small integer encodes as one: bigint always takes nine bytes. */
function narrow(value: bigint): number | bigint {
  return value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

export type SessionBehavior = 'release' | 'delete';

export interface SessionValue {
  readonly id: string;
  readonly name: string;
  readonly node: string;
  /** Nanoseconds, as Consul shows it. */
  readonly lockDelayNs: number;
  readonly behavior: SessionBehavior;
  /** As the client gave it (`"15s"`, or empty for none). */
  readonly ttl: string;
  /** `null` only where the client said so: shown as it was given. */
  readonly nodeChecks: readonly string[] | null;
  readonly serviceChecks: readonly { readonly id: string; readonly namespace: string }[] | null;
  /** The older field of the same meaning; shown only when it was given with something of its own. */
  readonly checks?: readonly string[];
  /** The source Consul of a migration has the session of this id: it ends when that one does, not by a clock here. */
  readonly paired?: true;
}

/**
 * Digest of a catalog entry as a mirrored source holds it (hex SHA-256), kept only where it is not the digest of
 * what is held here: an entry with a field that could not be kept must still compare as the one that was copied.
 */
export type SourceDigest = string;

export interface NodeValue {
  readonly id: string;
  readonly node: string;
  readonly address: string;
  readonly taggedAddresses: Readonly<Record<string, string>> | null;
  readonly meta: Readonly<Record<string, string>> | null;
  /** See `SourceDigest`. */
  readonly sourceDigest?: SourceDigest;
}

export interface ServiceAddress {
  readonly address: string;
  readonly port: number;
}

export interface ServiceValue {
  readonly node: string;
  readonly id: string;
  readonly service: string;
  readonly tags: readonly string[];
  readonly address: string;
  readonly taggedAddresses: Readonly<Record<string, ServiceAddress>> | null;
  readonly port: number;
  readonly meta: Readonly<Record<string, string>> | null;
  readonly weights: { readonly passing: number; readonly warning: number };
  readonly enableTagOverride: boolean;
  /** Kind, Proxy, Connect and whatever else of Consul's service is carried but not understood, as JSON text. */
  readonly extra: string;
  /** See `SourceDigest`. */
  readonly sourceDigest?: SourceDigest;
}

export interface CheckValue {
  readonly node: string;
  readonly checkId: string;
  readonly name: string;
  /** Free-form in the catalog; the agent allows `passing`, `warning` and `critical` only. */
  readonly status: string;
  readonly notes: string;
  readonly output: string;
  readonly serviceId: string;
  readonly serviceName: string;
  readonly serviceTags: readonly string[];
  readonly type: string;
  /** The check's Definition, as JSON text; empty for none. */
  readonly definition: string;
  /** See `SourceDigest`. */
  readonly sourceDigest?: SourceDigest;
}

export interface CoordinateValue {
  readonly node: string;
  readonly segment: string;
  readonly vec: readonly number[];
  readonly error: number;
  readonly adjustment: number;
  readonly height: number;
}

/**
 * A grant of a zone: which gateway may write the registers below this prefix, from which term on. Grants are kept for
 * good, each in a register of its own; the zone's owner follows from all of them (`Zones`). A grant without a basis
 * founded the datacenter.
 */
export interface ZoneValue {
  readonly prefix: string;
  /** Node id of the owning gateway. */
  readonly ownerId: string;
  readonly term: number;
  /** The grant under which this one was made: of the same prefix, or of the zone that enclosed it. */
  readonly basis?: { readonly prefix: string; readonly term: number };
  /** What counts of the logs of who owned it before, as it was known when the grant was made. */
  readonly fences?: readonly Fence[];
  /** The dot of the grant. */
  readonly by?: { readonly origin: OriginId; readonly seq: number };
  readonly cause?: ZoneCause;
  /**
   * The owner has lent what the zone is of to the source Consul of a migration: that is the one writer, and any gateway
   * passes on what it decided, under this term.
   */
  readonly lent?: true;
  /** Node id of the gateway that wrote the grant, its wall clock (ms since the epoch), and the operator's reason. */
  readonly byNode?: string;
  readonly atMs?: number;
  readonly reason?: string;
}

/** `lent`, `taken-back`: by a migration. */
export type ZoneCause = 'delegated' | 'placed' | 'taken-over' | 'lent' | 'taken-back';

export interface Fence {
  readonly origin: OriginId;
  /** As `rangesText` writes them. What the owner logged above the highest of these seqs counts no more. */
  readonly seen: string;
}

/** Encodes any value but KV's: small objects, whose field names are cheap beside their content. */
export function encodeValue(value: object): Uint8Array {
  return encode(value);
}

/** Decodes with defaults for fields that a writer of an older version did not know. */
export function decodeValue<T extends object>(bytes: Uint8Array, defaults: Partial<T> = {}): T {
  return { ...defaults, ...(decode(bytes) as T) };
}
