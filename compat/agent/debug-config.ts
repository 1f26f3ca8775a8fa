import { formatGoDuration, nsPerMs } from '../wire/go-duration.ts';
import type { JsonObject, JsonValue } from '../wire/go-json.ts';
import type { AgentConfig, Listener } from '../config/agent-config.ts';
import type { GatewayFacts } from '../routes/context.ts';
import { consulVersion } from './own-node.ts';

const hidden = 'hidden';

/**
 * The configuration in force by the names of Consul's `DebugConfig`: everything that has a meaning here, and what
 * clients read that is off here (`ConnectEnabled`, `GRPCPort`, …). Secrets are hidden.
 */
export function debugConfig(config: AgentConfig, gateway: GatewayFacts): JsonObject {
  return {
    ACLsEnabled: false,
    ...identity(config, gateway),
    ...addresses(config),
    ...checksAndServices(config),
    ...dns(config),
    ...http(config),
    ...gossip(config),
    ConnectEnabled: false,
    Logging: {
      LogFilePath: config.log.file ?? '',
      LogJSON: config.log.json,
      LogLevel: config.log.level.toUpperCase(),
      LogRotateBytes: config.log.rotateBytes,
      LogRotateDuration: duration(config.log.rotateMs),
      LogRotateMaxFiles: config.log.rotateFilesMax,
    },
    PeeringEnabled: false,
    Telemetry: {
      AllowedPrefixes: config.telemetry.allowedPrefixes,
      BlockedPrefixes: config.telemetry.blockedPrefixes,
      DisableHostname: config.telemetry.disableHostname,
      FilterDefault: config.telemetry.filterDefault,
      MetricsPrefix: config.telemetry.metricsPrefix,
      PrometheusRetentionTime: duration(config.telemetry.prometheusRetentionMs),
    },
    TxnMaxReqLen: config.limits.txnBytesMax,
    UIConfig: { ContentPath: config.ui.contentPath, Enabled: config.ui.enabled },
    Version: consulVersion,
    VersionPrerelease: '',
    Watches: [],
  };
}

function identity(config: AgentConfig, gateway: GatewayFacts): JsonObject {
  return {
    Bootstrap: config.bootstrap,
    BootstrapExpect: config.bootstrapExpect,
    DataDir: config.dataDir ?? '',
    Datacenter: config.datacenter,
    DevMode: config.devMode,
    DisableHostNodeID: config.disableHostNodeId,
    LeaveDrainTime: duration(config.leave.drainMs),
    LeaveOnTerm: config.leave.onTerminate,
    NodeID: gateway.nodeId,
    NodeMeta: config.nodeMeta,
    NodeName: config.nodeName,
    PidFile: config.pidFile ?? '',
    PrimaryDatacenter: config.primaryDatacenter,
    RPCHoldTimeout: duration(config.rpcHoldMs),
    Revision: `grapevine-${gateway.version}`,
    SegmentName: '',
    ServerMode: config.server,
    SessionTTLMin: duration(config.sessionTtlMsMin),
    SkipLeaveOnInt: config.leave.skipOnInterrupt,
  };
}

function addresses(config: AgentConfig): JsonObject {
  const { ports } = config;
  const dnsAddresses = config.dnsListeners.flatMap((listener) =>
    ['tcp', 'udp'].map((network) => address(listener, network)),
  );
  return {
    AdvertiseAddrLAN: config.advertiseAddr,
    AdvertiseAddrWAN: config.advertiseAddrWan,
    BindAddr: config.bindAddr,
    ClientAddrs: config.clientAddrs,
    DNSAddrs: dnsAddresses,
    DNSPort: ports.dns,
    GRPCAddrs: [],
    GRPCPort: -1,
    GRPCTLSAddrs: [],
    GRPCTLSPort: -1,
    HTTPAddrs: config.httpListeners.map((listener) => address(listener, 'tcp')),
    HTTPPort: ports.http,
    HTTPSAddrs: config.httpsListeners.map((listener) => address(listener, 'tcp')),
    HTTPSPort: ports.https,
    SerfPortLAN: ports.serfLan,
    SerfPortWAN: ports.serfWan,
    ServerPort: ports.server,
    TaggedAddresses: config.taggedAddresses,
    TranslateWANAddrs: config.translateWanAddrs,
    UnixSocketGroup: config.unixSockets.group ?? '',
    UnixSocketMode: config.unixSockets.mode?.toString(8) ?? '',
    UnixSocketUser: config.unixSockets.user ?? '',
  };
}

function checksAndServices(config: AgentConfig): JsonObject {
  const { checks } = config;
  return {
    CheckOutputMaxSize: checks.outputBytesMax,
    CheckUpdateInterval: duration(checks.updateIntervalMs),
    Checks: config.checkDefinitions.map(withoutToken),
    DiscardCheckOutput: checks.discardOutput,
    EnableAgentTLSForChecks: checks.enableAgentTls,
    EnableLocalScriptChecks: checks.enableLocalScriptChecks,
    EnableRemoteScriptChecks: checks.enableScriptChecks,
    Services: config.services.map(withoutToken),
  };
}

function dns({ dns: config }: AgentConfig): JsonObject {
  return {
    DNSARecordLimit: config.aRecordLimit,
    DNSAllowStale: config.allowStale,
    DNSAltDomain: config.altDomain ?? '',
    DNSDisableCompression: config.disableCompression,
    DNSDomain: config.domain,
    DNSEnableTruncate: config.enableTruncate,
    DNSMaxStale: duration(config.staleMsMax),
    DNSNodeMetaTXT: config.nodeMetaTxt,
    DNSNodeTTL: duration(config.nodeTtlSeconds * 1000),
    DNSOnlyPassing: config.onlyPassing,
    DNSRecursorTimeout: duration(config.recursorMsMax),
    DNSRecursors: config.recursors,
    DNSSOA: {
      Expire: config.soa.expireSeconds,
      Minttl: config.soa.minTtlSeconds,
      Refresh: config.soa.refreshSeconds,
      Retry: config.soa.retrySeconds,
    },
    DNSServiceTTL: Object.fromEntries(
      Object.entries(config.serviceTtlSeconds).map(([name, seconds]) => [name, duration(seconds * 1000)]),
    ),
    DNSUDPAnswerLimit: config.udpAnswerLimit,
  };
}

function http({ http: config, limits, httpsTls }: AgentConfig): JsonObject {
  return {
    AllowWriteHTTPFrom: config.allowWriteHttpFrom,
    CAFile: httpsTls.caFile ?? '',
    CAPath: httpsTls.caPath ?? '',
    CertFile: httpsTls.certFile ?? '',
    DefaultQueryTime: duration(config.waitMsDefault),
    DiscoveryMaxStale: duration(config.discoveryStaleMsMax),
    EnableDebug: config.enableDebug,
    HTTPBlockEndpoints: config.blockEndpoints,
    HTTPMaxConnsPerClient: limits.httpConnsPerClientMax,
    HTTPMaxHeaderBytes: config.headerBytesMax,
    HTTPResponseHeaders: config.responseHeaders,
    HTTPSHandshakeTimeout: duration(limits.httpsHandshakeMsMax),
    HTTPUseCache: config.useCache,
    KVMaxValueSize: limits.kvValueBytesMax,
    KeyFile: hidden,
    MaxQueryTime: duration(config.waitMsMax),
    TLSMinVersion: httpsTls.minVersion,
    VerifyIncomingHTTPS: httpsTls.verifyIncoming,
  };
}

function gossip({ gossip: config, join }: AgentConfig): JsonObject {
  return {
    DisableCoordinates: config.disableCoordinates,
    DisableKeyringFile: config.disableKeyringFile,
    EncryptKey: hidden,
    EncryptVerifyIncoming: config.encryptVerifyIncoming,
    EncryptVerifyOutgoing: config.encryptVerifyOutgoing,
    ReconnectTimeoutLAN: duration(join.reconnectMsMax),
    ReconnectTimeoutWAN: duration(join.reconnectWanMsMax),
    RejoinAfterLeave: join.rejoinAfterLeave,
    RetryJoinIntervalLAN: duration(join.retryIntervalMs),
    RetryJoinIntervalWAN: duration(join.retryIntervalWanMs),
    RetryJoinLAN: join.retryJoin,
    RetryJoinMaxAttemptsLAN: join.retryAttemptsMax,
    RetryJoinMaxAttemptsWAN: join.retryAttemptsWanMax,
    RetryJoinWAN: join.retryJoinWan,
    SerfAllowedCIDRsLAN: config.lanAllowedCidrs,
    SerfAllowedCIDRsWAN: config.wanAllowedCidrs,
    StartJoinAddrsLAN: join.startJoin,
    StartJoinAddrsWAN: join.startJoinWan,
  };
}

function address(listener: Listener, network: string): string {
  if (listener.kind === 'unix') return `unix://${listener.path}`;
  const host = listener.host.includes(':') ? `[${listener.host}]` : listener.host;
  return `${network}://${host}:${listener.port}`;
}

function duration(ms: number): string {
  return formatGoDuration(ms * nsPerMs);
}

/** A definition as it stands in the configuration; the headers of its checks may carry credentials. */
function withoutToken(definition: JsonObject): JsonObject {
  return hide(definition) as JsonObject;
}

function hide(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return (value as readonly JsonValue[]).map(hide);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      name.toLowerCase() === 'token' || name.toLowerCase() === 'header' ? hidden : hide(item),
    ]),
  );
}
