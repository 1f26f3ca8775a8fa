import type {
  AgentConfig,
  ChecksConfig,
  GossipConfig,
  JoinConfig,
  LogConfig,
  TelemetryConfig,
} from './agent-config.ts';
import type { LogLevel } from '../../src/kernel/log-line.ts';
import { parseGoDuration } from '../wire/go-duration.ts';
import type { JsonObject } from '../wire/go-json.ts';
import type { Fragment } from './config-schema.ts';
import { showValue } from './problems.ts';
import type { Settings } from './settings.ts';

type Agent = Pick<
  AgentConfig,
  | 'join'
  | 'gossip'
  | 'leave'
  | 'rpcHoldMs'
  | 'services'
  | 'checkDefinitions'
  | 'checks'
  | 'sessionTtlMsMin'
  | 'log'
  | 'telemetry'
  | 'pidFile'
  | 'autoReloadConfig'
>;

const hourMs = 3_600_000;
/** Serf's default for how long a failed member is kept. */
const reconnectMsDefault = 72 * hourMs;
/** The length of an AES-128, -192 or -256 key. */
const keyBytesAllowed: readonly number[] = [16, 24, 32];

/** How the agent joins, leaves, runs checks and logs. */
export function resolveAgent(settings: Settings, bindAddr: string, server: boolean): Agent {
  const { set } = settings;
  const performance = set.performance ?? {};
  return {
    join: resolveJoin(settings),
    gossip: resolveGossip(settings, bindAddr),
    leave: {
      // Consul: servers stay members when stopped, clients leave.
      onTerminate: set.leave_on_terminate ?? !server,
      skipOnInterrupt: set.skip_leave_on_interrupt ?? server,
      drainMs: settings.durationMs('performance.leave_drain_time', performance.leave_drain_time, 5000),
    },
    rpcHoldMs: settings.durationMs('performance.rpc_hold_timeout', performance.rpc_hold_timeout, 7000),
    ...resolveDefinitions(settings),
    checks: resolveChecks(settings),
    sessionTtlMsMin: settings.durationMs('session_ttl_min', set.session_ttl_min, 0),
    log: resolveLog(settings),
    telemetry: resolveTelemetry(settings),
    pidFile: set.pid_file === '' ? undefined : set.pid_file,
    autoReloadConfig: set.auto_reload_config ?? false,
  };
}

/** Services and checks are decoded where they are registered; a duration that nobody could read stops the start. */
function resolveDefinitions(settings: Settings): Pick<Agent, 'services' | 'checkDefinitions'> {
  const services = settings.set.services ?? [];
  const checks = settings.set.checks ?? [];
  for (const check of checks)
    checkDurations(settings, `check[${check.id ?? check.name ?? ''}]`, 'checks', check);
  for (const service of services) {
    const name = `service[${service.id ?? service.name ?? ''}]`;
    for (const check of [
      ...(service.check === undefined ? [] : [service.check]),
      ...(service.checks ?? []),
    ]) {
      checkDurations(settings, `${name}.check[${check.id ?? check.name ?? ''}]`, 'services', check);
    }
  }
  return {
    services: services as readonly JsonObject[],
    checkDefinitions: checks as readonly JsonObject[],
  };
}

type CheckFragment = NonNullable<Fragment['check']>;

function checkDurations(settings: Settings, shown: string, key: string, check: CheckFragment): void {
  for (const name of ['interval', 'timeout', 'ttl', 'deregister_critical_service_after'] as const) {
    const value = check[name];
    const parsed = value === undefined || value === '' ? undefined : parseGoDuration(value);
    if (parsed?.ok === false) {
      settings.wrong(key, `${shown}.${name}: invalid duration: ${showValue(value)}: ${parsed.error}`);
    }
  }
}

function resolveJoin(settings: Settings): JoinConfig {
  const { set } = settings;
  return {
    startJoin: set.start_join ?? [],
    startJoinWan: set.start_join_wan ?? [],
    retryJoin: set.retry_join ?? [],
    retryJoinWan: set.retry_join_wan ?? [],
    retryIntervalMs: settings.durationMs('retry_interval', set.retry_interval, 30_000),
    retryIntervalWanMs: settings.durationMs('retry_interval_wan', set.retry_interval_wan, 30_000),
    retryAttemptsMax: settings.atLeast('retry_max', set.retry_max, 0, 0),
    retryAttemptsWanMax: settings.atLeast('retry_max_wan', set.retry_max_wan, 0, 0),
    rejoinAfterLeave: set.rejoin_after_leave ?? false,
    reconnectMsMax: settings.durationMs('reconnect_timeout', set.reconnect_timeout, reconnectMsDefault),
    reconnectWanMsMax: settings.durationMs(
      'reconnect_timeout_wan',
      set.reconnect_timeout_wan,
      reconnectMsDefault,
    ),
  };
}

function resolveGossip(settings: Settings, bindAddr: string): GossipConfig {
  const { set } = settings;
  return {
    encryptKey: resolveEncryptKey(settings),
    encryptVerifyIncoming: set.encrypt_verify_incoming ?? true,
    encryptVerifyOutgoing: set.encrypt_verify_outgoing ?? true,
    disableKeyringFile: set.disable_keyring_file ?? settings.devMode,
    bindLan: settings.address('serf_lan', set.serf_lan) ?? bindAddr,
    bindWan: settings.address('serf_wan', set.serf_wan) ?? bindAddr,
    lanAllowedCidrs: settings.cidrs('serf_lan_allowed_cidrs', set.serf_lan_allowed_cidrs),
    wanAllowedCidrs: settings.cidrs('serf_wan_allowed_cidrs', set.serf_wan_allowed_cidrs),
    disableCoordinates: set.disable_coordinates ?? false,
  };
}

/** The key itself is never shown: messages end up in logs. */
function resolveEncryptKey(settings: Settings): string | undefined {
  const key = settings.set.encrypt;
  if (key === undefined || key === '') return undefined;
  const allowed = '16, 24 or 32 bytes in base64, as `grapevine keygen` prints';
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(key)) {
    settings.wrong('encrypt', 'encrypt has invalid key: illegal base64 data', allowed);
    return undefined;
  }
  const bytes = Buffer.from(key, 'base64').length;
  if (!keyBytesAllowed.includes(bytes)) {
    settings.wrong(
      'encrypt',
      `encrypt has invalid key: key size must be 16, 24 or 32 bytes, and this one has ${bytes}`,
      allowed,
    );
  }
  return key;
}

function resolveChecks(settings: Settings): ChecksConfig {
  const { set } = settings;
  const outputBytesMax = set.check_output_max_size ?? 4096;
  if (outputBytesMax < 1) {
    settings.wrong(
      'check_output_max_size',
      'check_output_max_size must be positive, to discard check output use the discard_check_output flag',
    );
  }
  const enableScriptChecks = set.enable_script_checks ?? false;
  if (enableScriptChecks && (set.http_config?.allow_write_http_from ?? []).length === 0) {
    settings.warn(
      'using enable-script-checks without ACLs and without allow_write_http_from is DANGEROUS: whoever reaches the ' +
        'HTTP port can run commands on this machine; use enable-local-script-checks instead',
    );
  }
  return {
    enableScriptChecks,
    enableLocalScriptChecks: enableScriptChecks || (set.enable_local_script_checks ?? false),
    enableAgentTls: set.enable_agent_tls_for_checks ?? false,
    updateIntervalMs: settings.durationMs('check_update_interval', set.check_update_interval, 300_000),
    outputBytesMax,
    discardOutput: set.discard_check_output ?? false,
  };
}

const logLevels: Readonly<Record<string, LogLevel>> = {
  TRACE: 'trace',
  DEBUG: 'debug',
  INFO: 'info',
  WARN: 'warn',
  ERR: 'error',
  ERROR: 'error',
};

function resolveLog(settings: Settings): LogConfig {
  const { set, devMode } = settings;
  const named = set.log_level ?? '';
  const wanted = named === '' ? (devMode ? 'DEBUG' : 'INFO') : named;
  const level = logLevels[wanted.toUpperCase()];
  if (level === undefined) {
    settings.wrong(
      'log_level',
      `Invalid log level: ${wanted}. Valid log levels are: [TRACE DEBUG INFO WARN ERR ERROR]`,
    );
  }
  return {
    level: level ?? 'info',
    json: set.log_json ?? false,
    file: set.log_file === '' ? undefined : set.log_file,
    rotateMs: settings.durationMs('log_rotate_duration', set.log_rotate_duration, 24 * hourMs),
    rotateBytes: settings.atLeast('log_rotate_bytes', set.log_rotate_bytes, 0, 0),
    rotateFilesMax: settings.atLeast('log_rotate_max_files', set.log_rotate_max_files, -1, 0),
  };
}

function resolveTelemetry(settings: Settings): TelemetryConfig {
  const telemetry = settings.set.telemetry ?? {};
  const allowedPrefixes: string[] = [];
  const blockedPrefixes: string[] = [];
  for (const rule of telemetry.prefix_filter ?? []) {
    if (rule.startsWith('+')) allowedPrefixes.push(rule.slice(1));
    else if (rule.startsWith('-')) blockedPrefixes.push(rule.slice(1));
    else settings.warn(`Filter rule must begin with either '+' or '-': ${showValue(rule)}`);
  }
  return {
    prometheusRetentionMs: settings.durationMs(
      'telemetry.prometheus_retention_time',
      telemetry.prometheus_retention_time,
      0,
    ),
    disableHostname: telemetry.disable_hostname ?? false,
    metricsPrefix: telemetry.metrics_prefix ?? 'consul',
    filterDefault: telemetry.filter_default ?? true,
    allowedPrefixes,
    blockedPrefixes,
  };
}
