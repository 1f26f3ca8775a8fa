import type { LogLevel, LogLine } from '../../src/kernel/log-line.ts';
import type { CheckValue, ServiceValue } from '../../src/state/values.ts';
import type { CheckStatus } from '../checks/thresholds.ts';
import type { FleetPort } from '../fleet/port.ts';
import type { JsonValue } from '../wire/go-json.ts';
import type { CheckRegistration, ServiceRegistration } from './registration.ts';

/** What a change of the agent came to. Nothing changed unless it is `done`, and then it is durable. */
export type AgentOutcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'refused'; readonly status: 400 | 404 | 409 | 413 | 500; readonly message: string };

/** A service or check is known from the API (and kept in the store) or from the configuration (and re-read). */
export type Source = 'api' | 'config';

/** The services and checks of this gateway's own agent: what `/v1/agent/…` shows and changes. */
export interface LocalPort {
  /** By service id, as spelled at registration, ordered by id. */
  services(): ReadonlyMap<string, ServiceValue>;
  /** By check id, ordered by id. */
  checks(): ReadonlyMap<string, CheckValue>;
  registerService(registration: ServiceRegistration): Promise<AgentOutcome>;
  deregisterService(id: string): Promise<AgentOutcome>;
  registerCheck(registration: CheckRegistration): Promise<AgentOutcome>;
  deregisterCheck(id: string): Promise<AgentOutcome>;
  /** A beat of a TTL check. */
  updateCheck(id: string, status: CheckStatus, output: string): Promise<AgentOutcome>;
  /** Maintenance mode of the service, or of the node when the id is undefined. The reason may be empty. */
  setMaintenance(serviceId: string | undefined, reason: string): Promise<AgentOutcome>;
  clearMaintenance(serviceId: string | undefined): Promise<AgentOutcome>;
  /** Resolves when the services may have changed, after `waitMs`, or when `signal` aborts. */
  servicesChanged(waitMs: number, signal?: AbortSignal): Promise<void>;
  /** Scripts may be registered over HTTP (`enable_script_checks`). */
  readonly remoteScripts: boolean;
}

/** A member of the gossip pool, as Serf describes one to Consul's clients. */
export interface MemberInfo {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly tags: Readonly<Record<string, string>>;
  /** Serf's number: 1 alive, 2 leaving, 3 left, 4 failed. */
  readonly status: number;
}

/** Membership, as far as the agent's endpoints need it. */
export interface ClusterPort {
  self(): MemberInfo;
  members(wan: boolean): readonly MemberInfo[];
  join(address: string, wan: boolean): Promise<AgentOutcome>;
  forceLeave(node: string, prune: boolean): Promise<AgentOutcome>;
  /** `ip:port` of the gateway that owns the root zone, as a server shows it; empty while nobody can be asked. */
  leader(): string;
  /** `ip:port` of every gateway of this datacenter that lives. */
  peers(): readonly string[];
}

/** The process that the agent runs in. */
export interface ControlPort {
  /** Starts a graceful stop and answers at once: the stop waits for open answers. */
  leave(): void;
  /** As SIGHUP does. */
  reload(): Promise<AgentOutcome>;
}

export interface LogPort {
  /** Calls with each line from now on that has at least this level; the returned function ends it. */
  subscribe(level: LogLevel, line: (line: LogLine) => void): () => void;
}

export interface MetricsPort {
  /** Consul's JSON form: what was counted in the last whole interval. */
  snapshot(): JsonValue;
  /** The text format of Prometheus; undefined when `telemetry.prometheus_retention_time` turned it off. */
  prometheus(): Promise<{ readonly contentType: string; readonly body: string }> | undefined;
}

export interface HostPort {
  /** What `/v1/agent/host` answers. */
  describe(): Promise<JsonValue>;
}

/** What `/v1/agent/self` shows beside membership. */
export interface SelfPort {
  /** The configuration in force, by Consul's names. */
  debugConfig(): JsonValue;
  /** Sections of `consul info`: names to texts. */
  stats(): Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** All that `/v1/agent/…` needs beside the replicated state. `RouteContext` holds it as `agent`. */
export interface AgentPort {
  readonly local: LocalPort;
  readonly cluster: ClusterPort;
  /** What is Grapevine's own about the cluster. */
  readonly fleet: FleetPort;
  readonly control: ControlPort;
  readonly logs: LogPort;
  readonly metrics: MetricsPort;
  readonly host: HostPort;
  readonly self: SelfPort;
}
