import type { MigrationConfig } from './agent-config.ts';
import { showValue } from './problems.ts';
import type { Settings } from './settings.ts';

/** Above it, Consul refuses more connections of one address by default (`limits.http_max_conns_per_client`). */
const connectionsMax = 200;
const sourcesMax = 16;

/** The Consul that is moved away from. */
export function resolveMigration(settings: Settings): MigrationConfig {
  const set = settings.set.migration ?? {};
  const limits = set.limits ?? {};
  const sources = resolveSources(settings, set.source);
  if (sources.length === 0 && Object.keys(set).some((key) => key !== 'source')) {
    settings.warn('migration has settings, and no source: nothing is migrated');
  }
  if (set.token !== undefined && set.token_file !== undefined) {
    settings.wrong('migration.token_file', 'migration.token and migration.token_file: name one of them');
  }
  if ((set.cert_file === undefined) !== (set.key_file === undefined)) {
    settings.wrong('migration.cert_file', 'migration.cert_file and migration.key_file come together');
  }
  return {
    sources,
    sourceId: filled(set.source_id),
    token: set.token ?? '',
    tokenFile: filled(set.token_file),
    caFile: filled(set.ca_file),
    certFile: filled(set.cert_file),
    keyFile: filled(set.key_file),
    tlsServerName: filled(set.tls_server_name),
    tlsSkipVerify: set.tls_skip_verify ?? false,
    requestsPerSecondMax: settings.within(
      'migration.limits.requests_per_second',
      limits.requests_per_second,
      {
        ...{ min: 1, max: 100_000, byDefault: 200 },
      },
    ),
    connectionsMax: settings.within('migration.limits.connections', limits.connections, {
      ...{ min: 8, max: connectionsMax, byDefault: 64 },
    }),
    timeoutMs: settings.durationMs('migration.limits.timeout', limits.timeout, 30_000),
    holdMsMax: holdMs(settings, limits.hold),
    lagMsMax: settings.durationMs('migration.limits.lag', limits.lag, 5000),
    reverseKeysMax: settings.within('migration.limits.reverse_keys', limits.reverse_keys, {
      ...{ min: 1, max: 100_000_000, byDefault: 1_000_000 },
    }),
    shadowPercent: percent(settings, set.shadow?.percent),
    shadowRequestsPerSecondMax: settings.within(
      'migration.shadow.requests_per_second',
      set.shadow?.requests_per_second,
      { min: 0, max: 100_000, byDefault: 100 },
    ),
    reportWindowMs: settings.durationMs('migration.report_window', set.report_window, 24 * 3_600_000),
    pageHosts: set.page_hosts ?? [],
  };
}

function resolveSources(
  settings: Settings,
  given: string | readonly string[] | undefined,
): readonly string[] {
  const key = 'migration.source';
  const found = (typeof given === 'string' ? [given] : (given ?? []))
    .flatMap((each) => each.split(/[\s,]+/))
    .filter((each) => each !== '');
  if (found.length > sourcesMax) {
    settings.wrong(key, `${key} names ${found.length} addresses`, `up to ${sourcesMax}`);
    return [];
  }
  for (const each of found) {
    if (isAddress(each)) continue;
    settings.wrong(
      key,
      `${key}: ${showValue(each)} is no address`,
      'host:port, http://…, https://… or unix://…, without credentials',
    );
  }
  return [...new Set(found)];
}

function isAddress(text: string): boolean {
  if (text.startsWith('unix://')) return text.length > 'unix://'.length;
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  if (!URL.canParse(whole)) return false;
  const { protocol, username, password, hostname } = new URL(whole);
  return /^https?:$/.test(protocol) && username === '' && password === '' && hostname !== '';
}

function holdMs(settings: Settings, given: string | undefined): number {
  const key = 'migration.limits.hold';
  const ms = settings.durationMs(key, given, 2000);
  if (ms >= 100 && ms <= 10_000) return ms;
  settings.wrong(key, `${key} cannot be ${showValue(given)}`, '100ms to 10s');
  return 2000;
}

function percent(settings: Settings, given: number | undefined): number {
  if (given === undefined) return 10;
  if (given >= 0 && given <= 100) return given;
  settings.wrong('migration.shadow.percent', `migration.shadow.percent cannot be ${given}`, '0 to 100');
  return 10;
}

function filled(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
