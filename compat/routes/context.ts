import type { ReadView } from '../../src/state/store.ts';
import type { AgentPort } from '../agent/port.ts';
import type { EventLog } from '../events/event-log.ts';
import type { Freshness, ReadScope } from '../fleet/port.ts';
import type { SnapshotPort } from '../snapshot/snapshot-port.ts';
import type { WaitLimits } from '../wire/read-options.ts';
import type { MigrationPort } from './migration-port.ts';
import type { MirrorDigest } from './mirror-digest.ts';
import type { SessionClocks } from './session-clocks.ts';

/** What a gateway is called and where it is reached: the facts that answers show. */
export interface GatewayFacts {
  readonly nodeName: string;
  readonly nodeId: string;
  readonly datacenter: string;
  /** Advertised IP address. */
  readonly address: string;
  readonly nodeMeta: Readonly<Record<string, string>>;
  readonly taggedAddresses: Readonly<Record<string, string>>;
  /** Grapevine's own version. */
  readonly version: string;
  /** Port that `status/leader` and `status/peers` show. */
  readonly serverPort: number;
}

export interface RouteLimits {
  /** limits.kv_max_value_size (Consul: 524288). */
  readonly kvValueBytesMax: number;
  /** limits.txn_max_req_len (Consul: 524288). */
  readonly txnBytesMax: number;
  /** Operations in one transaction (Consul: 64, 128 since 1.14). */
  readonly txnOpsMax: number;
  /** session_ttl_min (Consul: 10 s). */
  readonly sessionTtlMsMin: number;
  /** default_query_time, max_query_time; Consul's when unset. */
  readonly waits?: WaitLimits;
}

/**
 * What routes may use. Routes are pure over it: they read, and answer or propose. Ports with effects are added here
 * by the part that owns them, as an interface declared beside that part.
 */
export interface RouteContext {
  readonly view: ReadView;
  readonly gateway: GatewayFacts;
  readonly limits: RouteLimits;
  readonly nowMs: () => number;
  /** A random UUID. */
  readonly newId: () => string;
  /** For bodies that say it too; the headers of reads are the dispatcher's. */
  readonly freshness?: (scope: ReadScope) => Freshness;
  readonly sessions: SessionClocks;
  readonly events: EventLog;
  readonly snapshots: SnapshotPort;
  readonly mirrorDigest: MirrorDigest;
  /** The gateway's own agent, and what its endpoints ask of the process. */
  readonly agent: AgentPort;
  readonly migration?: MigrationPort;
}
