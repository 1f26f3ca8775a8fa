import type { Option } from 'commander';
import type { Fragment } from '../../compat/config/config-schema.ts';
import { boolFlag, intFlag, listFlag, mapFlag, textFlag } from './flags.ts';

/** A flag of the agent that stands for a key of the configuration. */
interface AgentFlag {
  readonly option: Option;
  readonly key: string;
}

const flag = (option: Option, key: string): AgentFlag => ({ option, key });

/**
 * The flags of `consul agent` (1.8.7, and those that later versions added) under the headings of `--help`. Those of
 * the last group are accepted, and named in the log, because they mean nothing here.
 */
const groups: readonly (readonly [heading: string, flags: readonly AgentFlag[]])[] = [
  [
    'Who this gateway is:',
    [
      flag(
        textFlag('node', 'name', 'Name of this gateway, unique in the cluster. Default: the host name.'),
        'node_name',
      ),
      flag(
        textFlag(
          'node-id',
          'uuid',
          'Identity that stays for life. Default: made once, kept in the data directory.',
        ),
        'node_id',
      ),
      flag(mapFlag('node-meta', 'Metadata that clients can filter nodes by.'), 'node_meta'),
      flag(
        textFlag('datacenter', 'name', 'Datacenter that this gateway serves. Default: dc1.'),
        'datacenter',
      ),
      flag(
        textFlag('region', 'name', 'Where it runs, as a hint for gossip. Default: the datacenter.'),
        'grapevine.region',
      ),
      flag(
        textFlag('data-dir', 'path', 'Directory for the database; only one gateway may use it.'),
        'data_dir',
      ),
      flag(
        boolFlag(
          'server',
          'Accepted as in Consul; every gateway holds all data. Decides how it leaves when stopped.',
        ),
        'server',
      ),
      flag(
        boolFlag('bootstrap', 'Found a new cluster: this gateway owns all keys until it delegates some.'),
        'bootstrap',
      ),
      flag(
        intFlag('bootstrap-expect', 'count', 'As -bootstrap when 1; else wait for this many.'),
        'bootstrap_expect',
      ),
      flag(
        boolFlag('disable-host-node-id', 'Do not derive the node id from the host. Default: true.'),
        'disable_host_node_id',
      ),
    ],
  ],
  [
    'Where it listens:',
    [
      flag(
        textFlag('client', 'addresses', 'Addresses for HTTP, HTTPS and DNS. Default: 127.0.0.1.'),
        'client_addr',
      ),
      flag(
        textFlag('bind', 'address', 'Address for traffic between gateways. Default: 0.0.0.0.'),
        'bind_addr',
      ),
      flag(
        textFlag('advertise', 'address', 'Address that other gateways reach this one at.'),
        'advertise_addr',
      ),
      flag(textFlag('advertise-wan', 'address', 'The same for other datacenters.'), 'advertise_addr_wan'),
      flag(intFlag('http-port', 'port', 'HTTP; -1 turns it off. Default: 8500.'), 'ports.http'),
      flag(intFlag('https-port', 'port', 'HTTPS. Default: -1, off.'), 'ports.https'),
      flag(intFlag('dns-port', 'port', 'DNS. Default: 8600.'), 'ports.dns'),
      flag(intFlag('grpc-port', 'port', 'Accepted as in Consul.'), 'ports.grpc'),
      flag(intFlag('grpc-tls-port', 'port', 'Accepted as in Consul.'), 'ports.grpc_tls'),
      flag(intFlag('server-port', 'port', 'Requests between gateways. Default: 8300.'), 'ports.server'),
      flag(
        intFlag('serf-lan-port', 'port', 'Gossip inside the datacenter. Default: 8301.'),
        'ports.serf_lan',
      ),
      flag(intFlag('serf-wan-port', 'port', 'Gossip between datacenters. Default: 8302.'), 'ports.serf_wan'),
      flag(
        textFlag('serf-lan-bind', 'address', 'Address for gossip inside the datacenter. Default: -bind.'),
        'serf_lan',
      ),
      flag(
        textFlag('serf-wan-bind', 'address', 'Address for gossip between datacenters. Default: -bind.'),
        'serf_wan',
      ),
      flag(
        listFlag('allow-write-http-from', 'cidr', 'Accept writes only from this network.'),
        'http_config.allow_write_http_from',
      ),
      flag(
        textFlag(
          'default-query-time',
          'duration',
          'How long a blocking query waits unless it says. Default: 5m.',
        ),
        'default_query_time',
      ),
      flag(
        textFlag('max-query-time', 'duration', 'How long a blocking query may wait. Default: 10m.'),
        'max_query_time',
      ),
    ],
  ],
  [
    'Joining and leaving:',
    [
      flag(listFlag('join', 'address', 'Gateway to join at start; failing is fatal.'), 'start_join'),
      flag(
        listFlag('retry-join', 'address', 'Gateway to join at start, tried until it works.'),
        'retry_join',
      ),
      flag(textFlag('retry-interval', 'duration', 'Time between attempts. Default: 30s.'), 'retry_interval'),
      flag(intFlag('retry-max', 'count', 'Attempts before giving up. Default: 0, without end.'), 'retry_max'),
      flag(
        listFlag('join-wan', 'address', 'Gateway of another datacenter to join at start.'),
        'start_join_wan',
      ),
      flag(listFlag('retry-join-wan', 'address', 'The same, tried until it works.'), 'retry_join_wan'),
      flag(
        textFlag('retry-interval-wan', 'duration', 'Time between attempts. Default: 30s.'),
        'retry_interval_wan',
      ),
      flag(
        intFlag('retry-max-wan', 'count', 'Attempts before giving up. Default: 0, without end.'),
        'retry_max_wan',
      ),
      flag(boolFlag('rejoin', 'Join again although this gateway had left.'), 'rejoin_after_leave'),
      flag(textFlag('encrypt', 'key', 'Key for gossip, as `grapevine keygen` prints.'), 'encrypt'),
      flag(
        boolFlag('disable-keyring-file', 'Do not keep the keys in the data directory.'),
        'disable_keyring_file',
      ),
      flag(
        listFlag(
          'serf-lan-allowed-cidrs',
          'cidr',
          'Accept members of the datacenter only from this network.',
        ),
        'serf_lan_allowed_cidrs',
      ),
      flag(
        listFlag('serf-wan-allowed-cidrs', 'cidr', 'Accept other datacenters only from this network.'),
        'serf_wan_allowed_cidrs',
      ),
    ],
  ],
  [
    'Moving a Consul over (docs/migration.md):',
    [
      flag(
        textFlag('migration-source', 'address', 'The Consul that is moved away from; several: with commas.'),
        'migration.source',
      ),
      flag(
        textFlag('migration-source-id', 'id', 'Its identity. Default: made of its datacenter and servers.'),
        'migration.source_id',
      ),
      flag(
        textFlag('migration-token-file', 'path', 'File with the token for what this gateway asks of it.'),
        'migration.token_file',
      ),
      flag(textFlag('migration-ca-file', 'path', 'CA that signed its certificate.'), 'migration.ca_file'),
    ],
  ],
  [
    'DNS:',
    [
      flag(textFlag('domain', 'name', 'Domain that is answered for. Default: consul.'), 'domain'),
      flag(textFlag('alt-domain', 'name', 'A second one.'), 'alt_domain'),
      flag(listFlag('recursor', 'address', 'DNS server to pass other questions to.'), 'recursors'),
    ],
  ],
  [
    'Checks:',
    [
      flag(
        boolFlag('enable-script-checks', 'Run commands as checks, also those registered over HTTP.'),
        'enable_script_checks',
      ),
      flag(
        boolFlag('enable-local-script-checks', 'Run commands as checks, those in configuration files only.'),
        'enable_local_script_checks',
      ),
      flag(
        intFlag('check_output_max_size', 'bytes', 'Output kept of a check. Default: 4096.'),
        'check_output_max_size',
      ),
    ],
  ],
  [
    'The process:',
    [
      flag(textFlag('log-level', 'level', 'trace, debug, info, warn or error. Default: info.'), 'log_level'),
      flag(boolFlag('log-json', 'Log lines of JSON.'), 'log_json'),
      flag(textFlag('log-file', 'path', 'Write the log to this file too.'), 'log_file'),
      flag(intFlag('log-rotate-bytes', 'bytes', 'Start a new log file at this size.'), 'log_rotate_bytes'),
      flag(
        textFlag('log-rotate-duration', 'duration', 'Start a new log file after this time. Default: 24h.'),
        'log_rotate_duration',
      ),
      flag(
        intFlag('log-rotate-max-files', 'count', 'Old log files that are kept. Default: 0, all.'),
        'log_rotate_max_files',
      ),
      flag(textFlag('pid-file', 'path', 'Write the process id to this file.'), 'pid_file'),
      flag(boolFlag('auto-reload-config', 'Reload when a configuration file changes.'), 'auto_reload_config'),
      flag(boolFlag('ui', 'Serve the web console.'), 'ui'),
      flag(textFlag('ui-content-path', 'path', 'Path of the web console. Default: /ui/.'), 'ui_content_path'),
    ],
  ],
  [
    'Accepted for the sake of Consul command lines, without effect:',
    [
      flag(boolFlag('non-voting-server', 'There are no votes.'), 'non_voting_server'),
      flag(boolFlag('read-replica', 'Every gateway answers reads from its own replica.'), 'read_replica'),
      flag(listFlag('primary-gateway', 'address', 'There is no service mesh.'), 'primary_gateways'),
      flag(intFlag('protocol', 'version', 'The wire versions itself.'), 'protocol'),
      flag(intFlag('raft-protocol', 'version', 'There is no Raft.'), 'raft_protocol'),
      flag(textFlag('segment', 'name', 'Consul Enterprise.'), 'segment'),
      flag(boolFlag('syslog', 'Logs go to standard output and -log-file.'), 'enable_syslog'),
      flag(textFlag('ui-dir', 'path', 'The web console is built in.'), 'ui_dir'),
    ],
  ],
];

export function agentOptions(): readonly Option[] {
  return groups.flatMap(([heading, flags]) => flags.map(({ option }) => option.helpGroup(heading)));
}

/** The key that each flag stands for, by the name under which commander keeps its value. */
export function flagKeys(): Readonly<Record<string, string>> {
  return Object.fromEntries(
    groups.flatMap(([, flags]) => flags.map(({ option, key }) => [option.attributeName(), key])),
  );
}

/** Puts the values that commander parsed under the keys that they stand for. */
export function flagsToFragment(values: Readonly<Record<string, unknown>>): Fragment {
  const fragment: Record<string, unknown> = {};
  for (const [, flags] of groups) {
    for (const { option, key } of flags) {
      const value = values[option.attributeName()];
      if (value === undefined) continue;
      const [outer = '', inner] = key.split('.');
      if (inner === undefined) fragment[outer] = value;
      else fragment[outer] = { ...(fragment[outer] as object | undefined), [inner]: value };
    }
  }
  return fragment;
}
