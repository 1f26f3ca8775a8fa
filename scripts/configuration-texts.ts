import { lanProfile, wanProfile, type SwimProfile } from '../src/swim/profile.ts';

/** What a key means here, and its default ('' for none) where the type does not say it all. */
export type KeyText = readonly [meaning: string, byDefault: string];

/** The timing of one pool, with its defaults; dev mode has others. */
function gossipTexts(block: string, profile: SwimProfile): Readonly<Record<string, KeyText>> {
  const time = (ms: number): string => (ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`);
  const unlessDev = (byDefault: string, inDev: string): string =>
    `\`${byDefault}\`; \`${inDev}\` in dev mode`;
  return {
    [`${block}.gossip_nodes`]: [
      'Members that news are told to at a time, 1 to 64.',
      `\`${profile.gossipNodes}\``,
    ],
    [`${block}.gossip_interval`]: [
      'How often, `10ms` to `1m`.',
      unlessDev(time(profile.gossipIntervalMs), '100ms'),
    ],
    [`${block}.probe_interval`]: [
      'How often one member is asked whether it lives, `10ms` to `1m`.',
      unlessDev(time(profile.probeIntervalMs), '100ms'),
    ],
    [`${block}.probe_timeout`]: [
      'How long its answer may take before others are asked to try; no longer than `probe_interval`.',
      unlessDev(time(profile.probeTimeoutMs), '100ms'),
    ],
    [`${block}.suspicion_mult`]: [
      'How long a suspect may refute before it counts as failed, in probe intervals times log10 of the members; ' +
        '1 to 64.',
      unlessDev(String(profile.suspicionMult), '3'),
    ],
    [`${block}.retransmit_mult`]: [
      'How often each member repeats news, times log10 of the members; 1 to 64.',
      `\`${profile.retransmitMult}\``,
    ],
  };
}

/** By dotted key: every key that is not ignored, and no other. `configuration.ts` checks that. */
export const keyTexts: Readonly<Record<string, KeyText>> = {
  node_name: ['Name of this gateway, unique in the datacenter.', "the host's name"],
  node_id: [
    'Identity of the node, for life.',
    'made once, kept in the data directory; in dev mode new each time',
  ],
  node_meta: ['Metadata of the node: at most 64 pairs.', ''],
  datacenter: ['The datacenter that this gateway serves.', '`dc1`'],
  primary_datacenter: ['Shown in `agent/self`; nothing depends on it.', 'the datacenter'],
  acl_datacenter: ['Refused unless empty: see `acl.enabled`.', ''],
  data_dir: ['Where the database is. One gateway only may use it.', 'required, but for dev mode'],
  disable_host_node_id: ['The node id never derives from the host, so false changes nothing.', '`true`'],
  server: [
    'Needed for `bootstrap`. Every gateway holds all data and shows itself as a server. Without it a signal to stop ' +
      'also makes the gateway leave the cluster.',
    '`false`; `true` in dev mode',
  ],
  bootstrap: [
    'Found the datacenter: this gateway owns every key, until it delegates some. For one gateway only.',
    '`false`',
  ],
  bootstrap_expect: [
    'So many gateways found the datacenter together, as servers of Consul do: once they all see each other, the one ' +
      'with the lowest node id does. 1 is `bootstrap`.',
    '`0`',
  ],
  'grapevine.region': ['Where it runs: gossip crosses from region to region once.', 'the datacenter'],
  'grapevine.allow_plaintext_gossip': [
    'Let gossip go unencrypted over other addresses than loopback.',
    '`false`',
  ],
  'grapevine.zones': [
    'Zones that are placed by rule: `{ prefix = "eu/" region = "eu" }`, or with `gateway = "name"`; see below.',
    '',
  ],

  'migration.source': [
    'The Consul that is moved away from: its address, or several, of which the first that answers is used. ' +
      'See docs/migration.md.',
    '',
  ],
  'migration.source_id': [
    'Its identity, where servers were replaced and it is known to be the same.',
    'made of its datacenter and the ids of its servers',
  ],
  'migration.token': ['For what this gateway asks of it on its own behalf; clients pass on their own.', ''],
  'migration.token_file': ['A file that holds that token.', ''],
  'migration.ca_file': ['CA that signed its certificate.', ''],
  'migration.cert_file': ['Certificate to show to it.', ''],
  'migration.key_file': ['Key of that certificate.', ''],
  'migration.tls_server_name': ['Name that its certificate must carry.', 'the name in the address'],
  'migration.tls_skip_verify': ['Do not check its certificate.', '`false`'],
  'migration.limits.requests_per_second': [
    'Requests that this gateway makes of it on its own behalf, at most.',
    '`200`',
  ],
  'migration.limits.connections': [
    'Connections to it on its own behalf, at most. It takes `http_max_conns_per_client` of an address.',
    '`64`',
  ],
  'migration.limits.timeout': ['Time for one answer of it.', '`30s`'],
  'migration.limits.hold': [
    'How long a cutover may hold writes; then it is called off, and they go on as before. `100ms` to `10s`.',
    '`2s`',
  ],
  'migration.limits.lag': ['Copying may lag so far behind, and gates still open.', '`5s`'],
  'migration.limits.reverse_keys': [
    'Keys that may wait to be copied back after a cutover. Beyond them the way back is lost, and status says so.',
    '`1000000`',
  ],
  'migration.shadow.percent': ['Share of the reads that are compared, by hash of the key.', '`10`'],
  'migration.shadow.requests_per_second': ['Reads at the source for comparing, at most.', '`100`'],
  'migration.report_window': ['How long a window of evidence a cutover needs.', '`24h`'],
  'migration.page_hosts': [
    'Public host names (or `host:port`) at which the live page may be opened, and order; addresses, `localhost` and names that nobody outside can own always may.',
    'none',
  ],

  bind_addr: [
    'Address for traffic between gateways; it is advertised.',
    '`0.0.0.0`; `127.0.0.1` in dev mode',
  ],
  advertise_addr: [
    'Address of this node in the catalog.',
    '`bind_addr`, or the only private IPv4 address of the host',
  ],
  advertise_addr_ipv4: ['Tagged address `lan_ipv4`.', ''],
  advertise_addr_ipv6: ['Tagged address `lan_ipv6`.', ''],
  advertise_addr_wan: ['Tagged address `wan`.', '`advertise_addr`'],
  advertise_addr_wan_ipv4: ['Tagged address `wan_ipv4`.', ''],
  advertise_addr_wan_ipv6: ['Tagged address `wan_ipv6`.', ''],
  serf_lan: ['Address for gossip inside the datacenter.', '`bind_addr`'],
  serf_wan: ['Address for gossip between datacenters.', '`bind_addr`'],
  client_addr: ['Addresses that HTTP, HTTPS and DNS listen on.', '`127.0.0.1`'],
  'addresses.dns': ['Addresses of DNS alone.', '`client_addr`'],
  'addresses.http': ['Addresses of HTTP alone.', '`client_addr`'],
  'addresses.https': ['Addresses of HTTPS alone.', '`client_addr`'],
  'ports.dns': ['DNS, over UDP and TCP.', '`8600`'],
  'ports.http': ['HTTP.', '`8500`'],
  'ports.https': ['HTTPS, which needs a certificate. HTTP/1.1 only.', '`-1`'],
  'ports.grpc': ['Nothing listens: there is no service mesh.', '`-1`; `8502` in dev mode'],
  'ports.grpc_tls': ['As `ports.grpc`.', '`-1`'],
  'ports.serf_lan': ['Gossip inside the datacenter, UDP and TCP. Off: a cluster of one.', '`8301`'],
  'ports.serf_wan': ['Gossip between datacenters, UDP and TCP. Off: a datacenter by itself.', '`8302`'],
  'ports.server': ['Shown by `status/leader`, and as the port of the service `consul`.', '`8300`'],
  'unix_sockets.user': ['Owner of the sockets, a name or a number.', 'that of the process'],
  'unix_sockets.group': ['Group of the sockets, a name or a number.', 'that of the process'],
  'unix_sockets.mode': ['Permissions of the sockets.', 'what the umask leaves'],
  tagged_addresses: ['Further addresses of the node, by name.', ''],
  translate_wan_addrs: ['Answers about other datacenters carry addresses of the WAN.', '`false`'],

  'http_config.block_endpoints': ['Prefixes of paths that are answered with 403.', ''],
  'http_config.allow_write_http_from': ['Networks that may use other methods than GET.', 'all'],
  'http_config.response_headers': ['Headers of every answer.', ''],
  'http_config.use_cache': ['Nothing to switch: kept results are never out of date.', '`true`'],
  'http_config.max_header_bytes': ['Size of the headers of a request.', '`1048576`'],
  default_query_time: ['How long a blocking query waits that does not say it.', '`5m`'],
  max_query_time: ['How long a blocking query may wait.', '`10m`'],
  discovery_max_stale: [
    'Reads of catalog and health that ask for no mode are asked of the owners if the replica is older; 0: never.',
    '`0s`',
  ],
  enable_debug: ['There are no `/debug/pprof` endpoints.', '`false`; `true` in dev mode'],
  ui: [
    'Serve the live page of a migration also where no `migration.source` is configured.',
    '`false`; `true` in dev mode',
  ],
  ui_content_path: ['Path of the live page and the report.', '`/ui/`'],
  'ui_config.enabled': ['As `ui`.', '`ui`'],
  'ui_config.content_path': ['As `ui_content_path`.', '`ui_content_path`'],
  'limits.http_max_conns_per_client': [
    'Connections of one client address, HTTP and HTTPS together; 0: no limit.',
    '`200`',
  ],
  'limits.https_handshake_timeout': ['How long a client may take for its TLS handshake.', '`5s`'],
  'limits.kv_max_value_size': ['Size of a value of the KV store, in bytes.', '`524288`'],
  'limits.txn_max_req_len': ['Size of the body of a transaction, in bytes.', '`524288`'],

  'tls.defaults.ca_file': ['For keys that `tls.https` does not say.', ''],
  'tls.defaults.ca_path': ['For keys that `tls.https` does not say.', ''],
  'tls.defaults.cert_file': ['For keys that `tls.https` does not say.', ''],
  'tls.defaults.key_file': ['For keys that `tls.https` does not say.', ''],
  'tls.defaults.tls_min_version': ['For keys that `tls.https` does not say.', '`TLSv1_2`'],
  'tls.defaults.verify_incoming': ['For keys that `tls.https` does not say.', '`false`'],
  'tls.https.ca_file': ['CAs that sign the certificates of clients, in a PEM file.', ''],
  'tls.https.ca_path': ['The same, a directory of PEM files.', ''],
  'tls.https.cert_file': ['Certificate of HTTPS, in a PEM file. A reload reads it again.', ''],
  'tls.https.key_file': ['Its key, in a PEM file. A reload reads it again.', ''],
  'tls.https.tls_min_version': ['Oldest TLS that is spoken; older than 1.2 is never spoken.', '`TLSv1_2`'],
  'tls.https.verify_incoming': ['Clients must show a certificate of the CA.', '`false`'],
  ca_file: ['As `tls.defaults.ca_file`.', ''],
  ca_path: ['As `tls.defaults.ca_path`.', ''],
  cert_file: ['As `tls.defaults.cert_file`.', ''],
  key_file: ['As `tls.defaults.key_file`.', ''],
  tls_min_version: ['As `tls.defaults.tls_min_version`.', '`tls12`'],
  verify_incoming: ['As `tls.defaults.verify_incoming`.', '`false`'],
  verify_incoming_https: ['As `tls.https.verify_incoming`.', '`false`'],

  domain: ['Domain that DNS answers for.', '`consul`'],
  alt_domain: ['A second one.', ''],
  recursors: ['DNS servers that other questions are passed to.', ''],
  'dns_config.allow_stale': ['Answers come from the local replica.', '`true`'],
  'dns_config.a_record_limit': ['Addresses in one answer; 0: no limit.', '`0`'],
  'dns_config.disable_compression': ['Names in answers are not compressed.', '`false`'],
  'dns_config.enable_truncate': ['Answers that were cut say so.', '`false`'],
  'dns_config.max_stale': ['How old an answer of the local replica may be.', '`87600h`'],
  'dns_config.node_ttl': ['TTL of answers about nodes.', '`0s`'],
  'dns_config.only_passing': ['Leave out instances with warnings too.', '`false`'],
  'dns_config.recursor_strategy': ['Which recursor is asked first.', '`sequential`'],
  'dns_config.recursor_timeout': ['How long a recursor may take.', '`2s`'],
  'dns_config.service_ttl': ['TTL of answers about services, by name, or by prefix with `*` at its end.', ''],
  'dns_config.udp_answer_limit': ['Records in an answer over UDP without EDNS.', '`3`'],
  'dns_config.enable_additional_node_meta_txt': ["Add a node's metadata as TXT records.", '`true`'],
  'dns_config.soa.refresh': ['Seconds, in the SOA record.', '`3600`'],
  'dns_config.soa.retry': ['Seconds, in the SOA record.', '`600`'],
  'dns_config.soa.expire': ['Seconds, in the SOA record.', '`86400`'],
  'dns_config.soa.min_ttl': ['Seconds, in the SOA record: how long "not there" may be kept.', '`0`'],

  start_join: ['Gateways to join at the start; reaching none stops it.', ''],
  start_join_wan: ['Gateways of other datacenters to join at the start; reaching none stops it.', ''],
  retry_join: [
    'Gateways to join, tried until it works, and again whenever this one finds itself alone. Names are resolved each ' +
      'time, to all their addresses. Cloud auto-join (`provider=`) is refused.',
    '',
  ],
  retry_join_wan: ['The same for other datacenters.', ''],
  retry_interval: ['Time between attempts, `100ms` or more.', '`30s`'],
  retry_interval_wan: ['Time between attempts, `100ms` or more.', '`30s`'],
  retry_max: ['Attempts after the first before the gateway exits; 0: without end.', '`0`'],
  retry_max_wan: ['Attempts after the first before the gateway exits; 0: without end.', '`0`'],
  rejoin_after_leave: ['Look for the members of before although this gateway had left them.', '`false`'],
  leave_on_terminate: ['Leave the cluster on SIGTERM.', '`false` for servers'],
  skip_leave_on_interrupt: ['Stay a member on SIGINT.', '`true` for servers'],
  reconnect_timeout: ['How long a failed member is kept, `8h` or more.', '`72h`'],
  reconnect_timeout_wan: ['How long a failed member of the WAN is kept, `8h` or more.', '`72h`'],
  encrypt: [
    'Key of gossip, the same on all gateways. The keyring in the data directory, once there, counts instead.',
    'none: gossip stays on loopback',
  ],
  encrypt_verify_incoming: [
    'Refuse gossip that is not encrypted; false while encryption is introduced.',
    '`true`',
  ],
  encrypt_verify_outgoing: ['Send no gossip that is not encrypted; false while it is introduced.', '`true`'],
  disable_keyring_file: ['Do not keep the keys in the data directory.', '`false`; `true` in dev mode'],
  serf_lan_allowed_cidrs: ['Networks that members may have addresses in.', 'all'],
  serf_wan_allowed_cidrs: ['Networks that members of the WAN may have addresses in.', 'all'],
  disable_coordinates: ['The own node gets no coordinate: `?near=_agent` does not sort.', '`false`'],
  ...gossipTexts('gossip_lan', lanProfile),
  ...gossipTexts('gossip_wan', wanProfile),
  'performance.leave_drain_time': ['How long requests are served after the goodbye.', '`5s`'],
  'performance.rpc_hold_timeout': ['How long a request waits for an owner that cannot be reached.', '`7s`'],

  service: ['A service of this gateway, with its checks: see below.', ''],
  services: ['Several.', ''],
  check: ['A check of this node or of a service: see below.', ''],
  checks: ['Several.', ''],
  enable_script_checks: ['Run commands as checks, also those registered over HTTP.', '`false`'],
  enable_local_script_checks: ['Run commands as checks, those of the configuration only.', '`false`'],
  enable_agent_tls_for_checks: ["Checks show this gateway's certificate.", '`false`'],
  check_update_interval: ['How long a change of output alone may wait before it is published.', '`5m`'],
  check_output_max_size: ['Output that is kept of a check, in bytes.', '`4096`'],
  discard_check_output: ['Keep no output of checks.', '`false`'],
  session_ttl_min: ['Shortest TTL of a session.', "Consul's 10 s"],
  disable_remote_exec: ['`consul exec` never runs anything here.', '`true`'],
  disable_anonymous_signature: ['Nobody is told anything about a gateway.', ''],
  disable_update_check: ['Nobody is asked for newer versions.', ''],

  log_level: ['What is logged.', '`INFO`; `DEBUG` in dev mode'],
  log_json: ['Lines of JSON.', '`false`'],
  log_file: ['Log into a file too. A path, or a directory when it ends in a slash, for `grapevine.log`.', ''],
  log_rotate_bytes: ['Begin a new file at this size; 0: not by size.', '`0`'],
  log_rotate_duration: [
    'Begin a new file after this time: each hour if it is shorter than a day, else each day.',
    '`24h`',
  ],
  log_rotate_max_files: ['Old files that are kept; 0: all.', '`0`'],
  pid_file: ['Write the process id here, remove it at the end.', ''],
  auto_reload_config: ['Reload when a file changes; until it is built, send SIGHUP.', '`false`'],
  'telemetry.prometheus_retention_time': [
    '`agent/metrics?format=prometheus` is on unless this is 0.',
    '`0s`',
  ],
  'telemetry.disable_hostname': ["Names of gauges are without the host's name.", '`false`'],
  'telemetry.metrics_prefix': ["Prefix of Consul's metrics.", '`consul`'],
  'telemetry.filter_default': ['Show metrics that no rule of the filter names.', '`true`'],
  'telemetry.prefix_filter': ['Rules such as `+consul.kvs`, `-consul.api`: the longest prefix counts.', ''],
  'acl.enabled': ['Refused when true: a gateway without ACLs would open what they protect.', '`false`'],
};
