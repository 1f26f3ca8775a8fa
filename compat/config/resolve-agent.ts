import type { AgentConfig, ChecksConfig, LogConfig, TelemetryConfig } from './agent-config.ts';
import type { LogLevel } from '../../src/kernel/log-line.ts';
import { parseGoDuration } from '../wire/go-duration.ts';
import type { JsonObject } from '../wire/go-json.ts';
import type { Fragment } from './config-schema.ts';
import { showValue } from './problems.ts';
import type { Settings } from './settings.ts';

type Agent = Pick<
  AgentConfig,
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

/** What the agent registers, checks and logs. */
export function resolveAgent(settings: Settings): Agent {
  const { set } = settings;
  return {
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
