import { keySeparator } from '../../src/state/topics.ts';
import { Kind } from '../../src/state/kinds.ts';
import { externalNodes } from '../../src/state/zones.ts';
import { decodeKv, decodeValue } from '../../src/state/values.ts';
import { goTime, goTimeMs } from '../wire/go-time.ts';
import type { JsonValue } from '../wire/go-json.ts';
import { base64 } from '../wire/kv-json.ts';
import { serfStatus } from './members.ts';
import type { ConflictView, MemberView, OriginView, QuarantineView, ZoneView } from './port.ts';

// What `/v1/grapevine/…` shows of the fleet, and the command line reads. Field names are in Consul's manner; times
// are RFC 3339, durations whole milliseconds with their unit in the name; what is not known is null.

export interface MemberRow {
  readonly Name: string;
  readonly ID: string;
  readonly Addr: string;
  readonly Port: number;
  readonly Datacenter: string;
  readonly Region: string;
  /** Serf's number: 1 alive, 2 leaving, 3 left, 4 failed. */
  readonly Status: number;
  /** SWIM's state: alive, suspect, failed, left. */
  readonly State: string;
  readonly Since: string;
  readonly RTTMs: number | null;
  readonly Incarnation: number;
  readonly Origin: string;
  readonly Tags: Readonly<Record<string, string>>;
  /** This is the gateway that was asked. */
  readonly Self: boolean;
}

export function memberRow(view: MemberView, selfId: string): MemberRow {
  const { facts, state, sinceMs, rttMs, incarnation } = view;
  return {
    Name: facts.name,
    ID: facts.id,
    Addr: facts.endpoint.address,
    Port: facts.endpoint.port,
    Datacenter: facts.datacenter,
    Region: facts.region,
    Status: serfStatus(view),
    State: state,
    Since: goTime(sinceMs),
    RTTMs: rttMs === undefined ? null : rounded(rttMs),
    Incarnation: incarnation,
    Origin: facts.origin,
    Tags: facts.tags,
    Self: facts.id === selfId,
  };
}

export interface ZoneRow {
  /** Of keys; empty for the zone of external nodes. */
  readonly Prefix: string;
  /** The zone of the catalog's nodes that no gateway is, not one of keys. */
  readonly ExternalNodes: boolean;
  readonly Owner: string;
  readonly OwnerID: string;
  readonly Region: string;
  readonly Term: number;
  readonly Since: string;
  readonly Cause: string;
  readonly By: string;
  readonly Reason: string;
  readonly Reachable: boolean;
  readonly Ready: boolean;
  readonly Problem: string;
}

export function zoneRow(zone: ZoneView): ZoneRow {
  return {
    Prefix: zone.prefix === externalNodes ? '' : zone.prefix,
    ExternalNodes: zone.prefix === externalNodes,
    Owner: zone.owner,
    OwnerID: zone.ownerId,
    Region: zone.region,
    Term: zone.term,
    Since: goTime(zone.sinceMs),
    Cause: zone.cause,
    By: zone.by,
    Reason: zone.reason,
    Reachable: zone.reachable,
    Ready: zone.ready,
    Problem: zone.problem,
  };
}

export interface OriginRow {
  readonly Node: string;
  readonly NodeID: string;
  readonly Region: string;
  readonly Origin: string;
  readonly Active: boolean;
  readonly HeadKnown: number;
  readonly HeadSeen: number;
  readonly Contiguous: number;
  readonly Missing: number;
  readonly Gaps: readonly { readonly From: number; readonly To: number }[];
  readonly AgeMs: number | null;
}

export function originRow(view: OriginView): OriginRow {
  return {
    Node: view.node,
    NodeID: view.nodeId,
    Region: view.region,
    Origin: view.origin,
    Active: view.active,
    HeadKnown: view.headKnown,
    HeadSeen: view.headSeen,
    Contiguous: view.contiguous,
    Missing: view.missing,
    Gaps: view.gaps.map(({ from, to }) => ({ From: from, To: to })),
    AgeMs: view.ageMs === undefined ? null : Math.ceil(view.ageMs),
  };
}

export interface ConflictRow {
  readonly ID: string;
  readonly Zone: string;
  readonly Kind: string;
  readonly Key: string;
  readonly Deleted: boolean;
  /** Of a key: its bytes in base64. */
  readonly Value: string | null;
  /** Of a key: its flags, which may exceed 2^53. */
  readonly Flags: bigint | null;
  /** Of any other register: what it holds. */
  readonly Entry: JsonValue;
  readonly Term: number;
  readonly ZoneTerm: number;
  readonly Written: string;
  readonly Node: string;
  readonly Origin: string;
  readonly Seq: number;
  readonly Kept: string;
  readonly Replayed: boolean;
}

export function conflictRow(view: ConflictView): ConflictRow {
  const kv = view.kind === Kind.kv && view.value !== null ? decodeKv(view.value) : undefined;
  return {
    ID: view.id,
    Zone: view.zone,
    Kind: kindName(view.kind),
    Key: shownKey(view.key),
    Deleted: view.value === null,
    Value: kv === undefined ? null : base64(kv.value),
    Flags: kv?.flags ?? null,
    Entry:
      kv === undefined && view.value !== null ? decodeValue<Record<string, JsonValue>>(view.value) : null,
    Term: view.term,
    ZoneTerm: view.zoneTerm,
    Written: goTimeMs(Math.floor(view.stamp / 1000)),
    Node: view.node,
    Origin: view.origin,
    Seq: view.seq,
    Kept: goTime(view.keptMs),
    Replayed: view.replayed,
  };
}

export interface QuarantineRow {
  readonly ID: string;
  readonly Reason: string;
  readonly Kind: string;
  readonly Key: string;
  readonly Node: string;
  readonly Origin: string;
  readonly Seq: number;
  readonly Kept: string;
}

export function quarantineRow(view: QuarantineView): QuarantineRow {
  return {
    ID: view.id,
    Reason: view.reason,
    Kind: kindName(view.kind),
    Key: shownKey(view.key),
    Node: view.node,
    Origin: view.origin,
    Seq: view.seq,
    Kept: goTime(view.keptMs),
  };
}

const kindNames = new Map<number, string>(Object.entries(Kind).map(([name, number]) => [number, name]));

/** A kind that only a newer version knows has no name here. */
export function kindName(kind: number): string {
  return kindNames.get(kind) ?? `kind-${kind}`;
}

/** Keys of the catalog are made of several names. */
export function shownKey(key: string): string {
  return key.replaceAll(keySeparator, '/');
}

/** Three digits tell enough of a round trip. */
function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
