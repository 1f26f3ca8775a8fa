import type { LogLevel } from '../../src/kernel/log-line.ts';
import type { SwimProfile } from '../../src/swim/profile.ts';
import type { ZoneRule } from '../fleet/placement.ts';
import type { JsonObject } from '../wire/go-json.ts';
import type { Fragment } from './config-schema.ts';
import type { LoadOptions } from './load-options.ts';

/** Where a server listens: a TCP address, or the path of a Unix socket. */
export type Listener =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** Ports; -1 where the server is off. Without gossip (`serfLan`) this gateway is a cluster of one. */
export interface PortsConfig {
  readonly dns: number;
  readonly http: number;
  readonly https: number;
  readonly grpc: number;
  readonly grpcTls: number;
  readonly serfLan: number;
  readonly serfWan: number;
  readonly server: number;
}

export interface UnixSocketConfig {
  /** User and group, by name or number; unset: those of the process. */
  readonly user: string | undefined;
  readonly group: string | undefined;
  /** Permission bits, such as 0o660; unset: what the umask leaves. */
  readonly mode: number | undefined;
}

export interface HttpConfig {
  readonly responseHeaders: Readonly<Record<string, string>>;
  /** Path prefixes answered with 403. */
  readonly blockEndpoints: readonly string[];
  /** Networks that may write; empty: all. */
  readonly allowWriteHttpFrom: readonly string[];
  readonly useCache: boolean;
  readonly headerBytesMax: number;
  readonly waitMsDefault: number;
  readonly waitMsMax: number;
  /** `discovery_max_stale`; 0: off. */
  readonly discoveryStaleMsMax: number;
  readonly enableDebug: boolean;
}

export interface TlsConfig {
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly caFile: string | undefined;
  readonly caPath: string | undefined;
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
  /** Ask HTTPS clients for a certificate signed by the CA. */
  readonly verifyIncoming: boolean;
}

export interface LimitsConfig {
  /** Connections per client address; 0: no limit. */
  readonly httpConnsPerClientMax: number;
  readonly httpsHandshakeMsMax: number;
  readonly kvValueBytesMax: number;
  readonly txnBytesMax: number;
}

export interface DnsConfig {
  /** Lower case, ends in a dot. */
  readonly domain: string;
  readonly altDomain: string | undefined;
  readonly recursors: readonly string[];
  readonly recursorStrategy: 'sequential' | 'random';
  readonly recursorMsMax: number;
  readonly allowStale: boolean;
  readonly staleMsMax: number;
  readonly nodeTtlSeconds: number;
  /** By service name, or a prefix of it that ends in `*`. */
  readonly serviceTtlSeconds: Readonly<Record<string, number>>;
  readonly onlyPassing: boolean;
  readonly aRecordLimit: number;
  readonly udpAnswerLimit: number;
  readonly enableTruncate: boolean;
  readonly disableCompression: boolean;
  readonly nodeMetaTxt: boolean;
  readonly soa: {
    readonly refreshSeconds: number;
    readonly retrySeconds: number;
    readonly expireSeconds: number;
    readonly minTtlSeconds: number;
  };
}

export interface JoinConfig {
  readonly startJoin: readonly string[];
  readonly startJoinWan: readonly string[];
  readonly retryJoin: readonly string[];
  readonly retryJoinWan: readonly string[];
  readonly retryIntervalMs: number;
  readonly retryIntervalWanMs: number;
  /** 0: without end. */
  readonly retryAttemptsMax: number;
  readonly retryAttemptsWanMax: number;
  /** Look for the members of before although this gateway had left them. */
  readonly rejoinAfterLeave: boolean;
  /** How long a failed member is kept. */
  readonly reconnectMsMax: number;
  readonly reconnectWanMsMax: number;
}

/** What `gossip_lan` and `gossip_wan` say of a pool's timing. */
export type GossipTiming = Pick<
  SwimProfile,
  | 'gossipNodes'
  | 'gossipIntervalMs'
  | 'probeIntervalMs'
  | 'probeTimeoutMs'
  | 'suspicionMult'
  | 'retransmitMult'
>;

export interface GossipConfig {
  /** 16, 24 or 32 bytes in base64; unset: not encrypted. */
  readonly encryptKey: string | undefined;
  readonly encryptVerifyIncoming: boolean;
  readonly encryptVerifyOutgoing: boolean;
  readonly disableKeyringFile: boolean;
  /** Unencrypted gossip on other addresses than loopback: `decideGossip`. */
  readonly allowPlaintext: boolean;
  readonly bindLan: string;
  readonly bindWan: string;
  /** Networks that members may have addresses in; empty: all. */
  readonly lanAllowedCidrs: readonly string[];
  readonly wanAllowedCidrs: readonly string[];
  readonly disableCoordinates: boolean;
  readonly lan: GossipTiming;
  readonly wan: GossipTiming;
}

export interface ChecksConfig {
  readonly enableScriptChecks: boolean;
  readonly enableLocalScriptChecks: boolean;
  readonly enableAgentTls: boolean;
  /** How long a change of output alone may wait before it is published; 0: at once. */
  readonly updateIntervalMs: number;
  readonly outputBytesMax: number;
  readonly discardOutput: boolean;
}

export interface LogConfig {
  readonly level: LogLevel;
  readonly json: boolean;
  /** A path, or a directory when it ends in a slash; unset: standard output only. */
  readonly file: string | undefined;
  readonly rotateMs: number;
  /** 0: not by size. */
  readonly rotateBytes: number;
  /** 0: all are kept, -1: none. */
  readonly rotateFilesMax: number;
}

export interface TelemetryConfig {
  /** How long a series is kept for `?format=prometheus`; 0: that format is off, as in Consul. */
  readonly prometheusRetentionMs: number;
  readonly disableHostname: boolean;
  readonly metricsPrefix: string;
  readonly filterDefault: boolean;
  readonly allowedPrefixes: readonly string[];
  readonly blockedPrefixes: readonly string[];
}

/** The Consul that is moved away from, and how this gateway treats it. */
export interface MigrationConfig {
  /** Addresses, the first that answers is used; empty: this gateway has no source. */
  readonly sources: readonly string[];
  /** Instead of an identity made of its datacenter and its servers. */
  readonly sourceId: string | undefined;
  /** For what this gateway asks on its own behalf; clients have their own. */
  readonly token: string;
  readonly tokenFile: string | undefined;
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly tlsServerName: string | undefined;
  readonly tlsSkipVerify: boolean;
  readonly requestsPerSecondMax: number;
  readonly connectionsMax: number;
  readonly timeoutMs: number;
  /** How long writes are held at a cutover at most; then it is called off. */
  readonly holdMsMax: number;
  /** Gates let pass what lags no more than this. */
  readonly lagMsMax: number;
  /** Keys that may wait to be copied back; beyond, the way back is lost. */
  readonly reverseKeysMax: number;
  /** Share of reads that are compared, 0 to 100. */
  readonly shadowPercent: number;
  /** Reads at the source for comparing, at most. */
  readonly shadowRequestsPerSecondMax: number;
  /** How long a window of evidence a cutover needs. */
  readonly reportWindowMs: number;
  /** Public names under which the live page may be opened, and order; with a port or without. */
  readonly pageHosts: readonly string[];
}

/**
 * Everything that `grapevine agent` was told, checked and with defaults filled in (those of Consul 1.8.7 unless said
 * otherwise). Nothing in it changes; a reload loads another one from the same `loadOptions`.
 */
export interface AgentConfig {
  readonly nodeName: string;
  /** A UUID in lower case; unset: the one in the data directory, else a new one. */
  readonly nodeId: string | undefined;
  readonly disableHostNodeId: boolean;
  readonly nodeMeta: Readonly<Record<string, string>>;
  readonly datacenter: string;
  readonly primaryDatacenter: string;
  /** A topology hint for gossip; the datacenter unless set. */
  readonly region: string;
  readonly devMode: boolean;
  /** Set unless in dev mode without one. */
  readonly dataDir: string | undefined;
  /** Dev mode keeps nothing on disk, even with a data directory, as Consul's. */
  readonly stateInMemory: boolean;
  readonly server: boolean;
  readonly bootstrap: boolean;
  /** How many gateways found the datacenter together; 0 unless 2 or more were expected; 1 is `bootstrap`. */
  readonly bootstrapExpect: number;

  readonly bindAddr: string;
  readonly advertiseAddr: string;
  readonly advertiseAddrWan: string;
  readonly taggedAddresses: Readonly<Record<string, string>>;
  readonly translateWanAddrs: boolean;
  readonly clientAddrs: readonly string[];
  readonly ports: PortsConfig;
  /** Empty where the server is off. */
  readonly httpListeners: readonly Listener[];
  readonly httpsListeners: readonly Listener[];
  readonly dnsListeners: readonly Listener[];
  readonly unixSockets: UnixSocketConfig;

  readonly http: HttpConfig;
  readonly httpsTls: TlsConfig;
  readonly ui: { readonly enabled: boolean; readonly contentPath: string };
  readonly limits: LimitsConfig;
  readonly dns: DnsConfig;
  readonly join: JoinConfig;
  readonly gossip: GossipConfig;
  /** Zones that are placed by rule, each prefix once. */
  readonly zones: readonly ZoneRule[];
  readonly migration: MigrationConfig;
  readonly leave: {
    /** On SIGTERM; `skipOnInterrupt` is SIGINT's. */
    readonly onTerminate: boolean;
    readonly skipOnInterrupt: boolean;
    /** How long requests are served after the goodbye. */
    readonly drainMs: number;
  };
  /** How long a request may wait for an owner that cannot be reached (`performance.rpc_hold_timeout`). */
  readonly rpcHoldMs: number;

  /** As in the files, with their snake_case names; `service` and `check` are among them. */
  readonly services: readonly JsonObject[];
  readonly checkDefinitions: readonly JsonObject[];
  readonly checks: ChecksConfig;
  readonly sessionTtlMsMin: number;

  readonly log: LogConfig;
  readonly telemetry: TelemetryConfig;
  readonly pidFile: string | undefined;
  readonly autoReloadConfig: boolean;

  /** Keys that were set and have no meaning here, each once, in the order met. */
  readonly ignoredKeys: readonly string[];
  /** Sentences for the log, each once. */
  readonly warnings: readonly string[];
  /** Files that were read. */
  readonly sources: readonly string[];
  /** What was said, by Consul's keys: to tell what a reload changed. */
  readonly given: Fragment;
  /** To load it again on SIGHUP. */
  readonly loadOptions: LoadOptions;
}
