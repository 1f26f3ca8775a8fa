import type { AgentConfig, DnsConfig, HttpConfig, LimitsConfig, TlsConfig } from './agent-config.ts';
import { fillAddressTemplate } from './address-template.ts';
import { showValue } from './problems.ts';
import type { Settings } from './settings.ts';

type Serving = Pick<AgentConfig, 'http' | 'httpsTls' | 'ui' | 'limits' | 'dns'>;

/** Consul's `raft.SuggestedMaxDataSize`. */
const valueBytesDefault = 512 * 1024;
/** Go's `http.DefaultMaxHeaderBytes`, which Consul's 0 means. */
const headerBytesDefault = 1024 * 1024;
/** A header name as RFC 9110 has it; Node would throw at the first answer. */
const headerNamePattern = /^[!#$%&'*+.^_`|~\w-]+$/;
const minuteMs = 60_000;

/** How HTTP and DNS are served. */
export function resolveServing(settings: Settings): Serving {
  return {
    http: resolveHttp(settings),
    httpsTls: resolveTls(settings),
    ui: resolveUi(settings),
    limits: resolveLimits(settings),
    dns: resolveDns(settings),
  };
}

function resolveHttp(settings: Settings): HttpConfig {
  const { set } = settings;
  const config = set.http_config ?? {};
  const key = 'http_config.response_headers';
  for (const [name, value] of Object.entries(config.response_headers ?? {})) {
    if (!headerNamePattern.test(name)) settings.wrong(key, `${key}: invalid header name: ${showValue(name)}`);
    // oxlint-disable-next-line no-control-regex -- these are what a header must not hold
    if (/[^\t\u0020-\u007e\u0080-\u00ff]/.test(value)) {
      settings.wrong(key, `${key}: invalid value of header ${name}: ${showValue(value)}`);
    }
  }
  for (const prefix of config.block_endpoints ?? []) {
    if (!prefix.startsWith('/')) {
      settings.warn(
        `http_config.block_endpoints: ${showValue(prefix)} blocks nothing, a path starts with a slash such as ` +
          '"/v1/agent"',
      );
    }
  }
  const headerBytes = settings.atLeast('http_config.max_header_bytes', config.max_header_bytes, 0, 0);
  return {
    responseHeaders: config.response_headers ?? {},
    blockEndpoints: config.block_endpoints ?? [],
    allowWriteHttpFrom: settings.cidrs('http_config.allow_write_http_from', config.allow_write_http_from),
    useCache: config.use_cache ?? true,
    headerBytesMax: headerBytes === 0 ? headerBytesDefault : headerBytes,
    waitMsDefault: settings.durationMs('default_query_time', set.default_query_time, 5 * minuteMs),
    waitMsMax: settings.durationMs('max_query_time', set.max_query_time, 10 * minuteMs),
    discoveryStaleMsMax: settings.durationMs('discovery_max_stale', set.discovery_max_stale, 0),
    enableDebug: set.enable_debug ?? settings.devMode,
  };
}

function resolveTls(settings: Settings): TlsConfig {
  const { set } = settings;
  const https = set.tls?.https ?? {};
  const defaults = set.tls?.defaults ?? {};
  const certFile = https.cert_file ?? defaults.cert_file ?? set.cert_file;
  const keyFile = https.key_file ?? defaults.key_file ?? set.key_file;
  const caFile = https.ca_file ?? defaults.ca_file ?? set.ca_file;
  const caPath = https.ca_path ?? defaults.ca_path ?? set.ca_path;
  const verifyIncoming =
    https.verify_incoming ??
    set.verify_incoming_https ??
    defaults.verify_incoming ??
    set.verify_incoming ??
    false;
  if ((set.ports?.https ?? -1) > 0) {
    if (isUnset(certFile) || isUnset(keyFile)) {
      settings.wrong(
        'ports.https',
        `ports.https = ${set.ports?.https} needs a certificate: set tls.https.cert_file and tls.https.key_file ` +
          '(or cert_file and key_file) to PEM files',
      );
    }
    if (verifyIncoming && isUnset(caFile) && isUnset(caPath)) {
      settings.wrong(
        'verify_incoming',
        'verify_incoming set, and no CA certificate provided: set tls.https.ca_file (or ca_file) to the PEM file ' +
          'of the CA that signs client certificates',
      );
    }
  }
  const minVersion = https.tls_min_version ?? defaults.tls_min_version ?? set.tls_min_version;
  return { certFile, keyFile, caFile, caPath, verifyIncoming, minVersion: tlsVersion(settings, minVersion) };
}

function isUnset(value: string | undefined): boolean {
  return value === undefined || value === '';
}

function tlsVersion(settings: Settings, value: string | undefined): TlsConfig['minVersion'] {
  switch (value) {
    case undefined:
    case '':
    case 'tls12':
    case 'TLSv1_2':
    case 'TLS_AUTO':
      return 'TLSv1.2';
    case 'tls13':
    case 'TLSv1_3':
      return 'TLSv1.3';
    case 'tls10':
    case 'tls11':
    case 'TLSv1_0':
    case 'TLSv1_1':
      settings.warn(`tls_min_version ${value} is no longer safe: TLS 1.2 is the lowest that is spoken`);
      return 'TLSv1.2';
    default:
      settings.wrong(
        'tls_min_version',
        `tls_min_version: unknown version: ${showValue(value)}`,
        'TLSv1_2, TLSv1_3',
      );
      return 'TLSv1.2';
  }
}

function resolveUi(settings: Settings): AgentConfig['ui'] {
  const { set, devMode } = settings;
  const path = set.ui_config?.content_path ?? set.ui_content_path ?? '/ui/';
  if (!/^[A-Za-z0-9/_-]*$/.test(path)) {
    settings.wrong(
      set.ui_config?.content_path === undefined ? 'ui_content_path' : 'ui_config.content_path',
      `ui-content-path can only contain alphanumeric, -, _, or slashes. received: ${path}`,
    );
  }
  const inner = path.replaceAll(/^\/+|\/+$/g, '');
  return {
    enabled: set.ui_config?.enabled ?? set.ui ?? devMode,
    contentPath: inner === '' ? '/' : `/${inner}/`,
  };
}

function resolveLimits(settings: Settings): LimitsConfig {
  const limits = settings.set.limits ?? {};
  return {
    httpConnsPerClientMax: Math.max(limits.http_max_conns_per_client ?? 200, 0),
    httpsHandshakeMsMax: settings.durationMs(
      'limits.https_handshake_timeout',
      limits.https_handshake_timeout,
      5000,
    ),
    kvValueBytesMax: limits.kv_max_value_size ?? valueBytesDefault,
    txnBytesMax: limits.txn_max_req_len ?? valueBytesDefault,
  };
}

function resolveDns(settings: Settings): DnsConfig {
  const { set } = settings;
  const config = set.dns_config ?? {};
  const seconds = (key: string, value: string | undefined, defaultSeconds: number): number =>
    settings.durationMs(key, value, defaultSeconds * 1000) / 1000;
  const strategy = config.recursor_strategy ?? 'sequential';
  if (strategy !== 'sequential' && strategy !== 'random' && strategy !== '') {
    settings.wrong(
      'dns_config.recursor_strategy',
      `dns_config.recursor_strategy: unknown strategy: ${showValue(strategy)}`,
      'sequential, random',
    );
  }
  const alt = fullDomain(set.alt_domain ?? '');
  return {
    domain: fullDomain(set.domain ?? '') ?? 'consul.',
    altDomain: alt,
    recursors: recursors(settings),
    recursorStrategy: strategy === 'random' ? 'random' : 'sequential',
    recursorMsMax: settings.durationMs('dns_config.recursor_timeout', config.recursor_timeout, 2000),
    allowStale: config.allow_stale ?? true,
    staleMsMax: settings.durationMs('dns_config.max_stale', config.max_stale, 87_600 * 60 * minuteMs),
    nodeTtlSeconds: seconds('dns_config.node_ttl', config.node_ttl, 0),
    serviceTtlSeconds: Object.fromEntries(
      Object.entries(config.service_ttl ?? {}).map(([name, ttl]) => [
        name,
        seconds('dns_config.service_ttl', ttl, 0),
      ]),
    ),
    onlyPassing: config.only_passing ?? false,
    aRecordLimit: settings.atLeast('dns_config.a_record_limit', config.a_record_limit, 0, 0),
    udpAnswerLimit: settings.atLeast('dns_config.udp_answer_limit', config.udp_answer_limit, 0, 3),
    enableTruncate: config.enable_truncate ?? false,
    disableCompression: config.disable_compression ?? false,
    nodeMetaTxt: config.enable_additional_node_meta_txt ?? true,
    soa: {
      refreshSeconds: config.soa?.refresh ?? 3600,
      retrySeconds: config.soa?.retry ?? 600,
      expireSeconds: config.soa?.expire ?? 86_400,
      minTtlSeconds: config.soa?.min_ttl ?? 0,
    },
  };
}

function fullDomain(domain: string): string | undefined {
  if (domain === '') return undefined;
  const lower = domain.toLowerCase();
  return lower.endsWith('.') ? lower : `${lower}.`;
}

function recursors(settings: Settings): readonly string[] {
  return (settings.set.recursors ?? []).flatMap((value) => {
    const filled = fillAddressTemplate(value, settings.host);
    if (!filled.ok) {
      settings.wrong('recursors', `Invalid DNS recursor template ${showValue(value)}: ${filled.error}`);
      return [];
    }
    return filled.value.split(/\s+/).filter((each) => each !== '');
  });
}
