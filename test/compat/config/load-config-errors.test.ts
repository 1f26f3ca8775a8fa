import { describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { loadAgentConfig } from '../../../compat/config/load-config.ts';
import { noOptions } from '../../../compat/config/load-options.ts';
import { renderProblems } from '../../../compat/config/problems.ts';
import { host } from './host.ts';
import { directory, errorOf, file, plainHost } from './loading.ts';

describe('what stops the start', () => {
  // The words before a bracket are those of Consul 1.8.7.
  test.each<readonly [config: object | string, error: string]>([
    [{ foo: 1 }, 'failed to parse FILE: invalid config key foo'],
    [{ dns_config: { zork: 1 } }, 'failed to parse FILE: invalid config key dns_config.zork'],
    [{ datadir: '/x' }, 'failed to parse FILE: invalid config key datadir (did you mean "data_dir"?)'],
    [{ ports: { htpp: 1 } }, 'failed to parse FILE: invalid config key ports.htpp (did you mean "http"?)'],
    [{ services: [{ name: 'x', prot: 80 }] }, 'invalid config key services[0].prot (did you mean "port"?)'],
    [{ grapevine: { regoin: 'x' } }, 'invalid config key grapevine.regoin (did you mean "region"?)'],
    [{ Data_Dir: '/y' }, 'failed to parse FILE: invalid config key Data_Dir'],
    [
      { ports: { http: 'abc' } },
      `'ports.http' expected type 'int', got unconvertible type 'string', value: "abc" (allowed: a port number`,
    ],
    [
      { server: 'yes' },
      `'server' expected type 'bool', got unconvertible type 'string', value: "yes" (allowed: true`,
    ],
    [
      { retry_join: '10.0.0.1' },
      `'retry_join': source data must be an array or slice, got string (allowed: a list`,
    ],
    [{ ports: 5 }, `'ports' expected a map, got 'int'`],
    [
      { service: [{ name: 'a' }, { name: 'b' }] },
      `'service' expected a map, got 'slice' (several stand under "services")`,
    ],
    [{ node_meta: { a: 1 } }, `'node_meta[a]' expected type 'string'`],
    [{ limits: { kv_max_value_size: -1 } }, `cannot parse 'limits.kv_max_value_size', -1 overflows uint`],
    [
      '{"data_dir": "/x",}',
      'failed to parse FILE: Expected double-quoted property name in JSON at position 18 (line 1, column 19)',
    ],
    ['[1]', 'failed to parse FILE: the file must hold one JSON object'],
    ['{}', 'data_dir cannot be empty: give -data-dir=PATH'],
    [
      { ports: { http: 70000 } },
      'ports.http: invalid port: 70000 (in FILE; allowed: 1 to 65535, or -1 to turn it off)',
    ],
    [{ datacenter: 'a b' }, 'datacenter cannot be "a b". Please use only [a-z0-9-_] (in FILE)'],
    [{ datacenter: '' }, 'datacenter cannot be empty (in FILE)'],
    [{ node_id: 'zz' }, 'node_id: specified NodeID is invalid: "zz" (in FILE; allowed: a UUID'],
    [{ node_name: 'x'.repeat(129) }, 'is 129 bytes long (in FILE; allowed: 1 to 128 bytes)'],
    [
      { node_meta: { 'a b': 'x' } },
      "node_meta invalid: Couldn't load metadata pair ('a b', 'x'): Key contains invalid characters",
    ],
    [{ node_meta: { 'consul-x': 'x' } }, "Key prefix 'consul-' is reserved for internal use"],
    [{ bootstrap: true }, "'bootstrap = true' requires 'server = true'"],
    [{ bootstrap_expect: 3 }, "'bootstrap_expect > 0' requires 'server = true'"],
    [{ server: true, bootstrap: true, bootstrap_expect: 3 }, 'are mutually exclusive'],
    [
      { server: true, bootstrap_expect: -3 },
      'bootstrap_expect cannot be -3. Must be greater than or equal to zero',
    ],
    [
      { acl: { enabled: true } },
      'acl.enabled: ACLs are not supported, and starting without them would open what',
    ],
    [{ acl_datacenter: 'dc1' }, 'acl_datacenter: ACLs are not supported'],
    [
      { encrypt: 'abc' },
      'encrypt has invalid key: illegal base64 data (in FILE; allowed: 16, 24 or 32 bytes in base64',
    ],
    [{ encrypt: 'YWJj' }, 'key size must be 16, 24 or 32 bytes, and this one has 3'],
    [{ bind_addr: 'nope' }, 'bind_addr: invalid ip address: nope (in FILE; allowed: an IP address)'],
    [
      { bind_addr: '127.0.0.1 127.0.0.2' },
      "bind_addr cannot contain multiple addresses. Use 'addresses.{dns,http,https}' instead.",
    ],
    [
      { bind_addr: '{{ GetPublicIP }}' },
      'bind_addr: {{ GetPublicIP }} gives no address on this machine, which has eth0 10.1.2.3',
    ],
    [{ client_addr: '127.0.0.1 nope' }, 'client_addr: invalid ip address: nope'],
    [{ client_addr: 'unix:///x' }, 'client_addr cannot be a unix socket'],
    [{ addresses: { dns: 'unix:///x' } }, 'DNS address cannot be a unix socket'],
    [{ advertise_addr: '1.2.3.4 5.6.7.8' }, 'advertise_addr: multiple addresses found: 1.2.3.4 5.6.7.8'],
    [{ advertise_addr: '0.0.0.0' }, 'Advertise address cannot be 0.0.0.0, :: or [::]'],
    [{ bind_addr: '::' }, 'No public IPv6 address found'],
    [{ ports: { http: 8600 } }, 'HTTP address 127.0.0.1:8600 already configured for DNS'],
    [
      { ports: { serf_lan: 8300 } },
      'Serf Advertise LAN address 10.1.2.3:8300 already configured for RPC Advertise',
    ],
    [{ ports: { https: 8501 } }, 'ports.https = 8501 needs a certificate'],
    [{ unix_sockets: { mode: 'rw' } }, 'unix_sockets.mode: invalid mode: "rw"'],
    [
      { check_update_interval: '5' },
      'check_update_interval: invalid duration: "5": time: missing unit in duration "5" (in FILE; allowed: a duration',
    ],
    [{ session_ttl_min: '-1s' }, 'session_ttl_min: invalid duration: "-1s": must not be negative'],
    [
      { dns_config: { node_ttl: 'x' } },
      'dns_config.node_ttl: invalid duration: "x": time: invalid duration "x"',
    ],
    [
      { dns_config: { a_record_limit: -1 } },
      'dns_config.a_record_limit cannot be -1. Must be greater than or equal to zero',
    ],
    [{ http_config: { allow_write_http_from: ['x'] } }, 'http_config.allow_write_http_from: invalid cidr: x'],
    [{ http_config: { response_headers: { 'a b': 'x' } } }, 'invalid header name: "a b"'],
    [{ check_output_max_size: 0 }, 'check_output_max_size must be positive'],
    [
      { log_level: 'loud' },
      'Invalid log level: loud. Valid log levels are: [TRACE DEBUG INFO WARN ERR ERROR] (in FILE)',
    ],
    [
      { tls_min_version: 'tls9' },
      'tls_min_version: unknown version: "tls9" (in FILE; allowed: TLSv1_2, TLSv1_3)',
    ],
    [{ check: { id: 'y', ttl: 'x' } }, 'check[y].ttl: invalid duration: "x"'],
    [
      { services: [{ name: 'w', check: { interval: '1' } }] },
      'service[w].check[].interval: invalid duration: "1"',
    ],
  ])('%j', async (config, error) => {
    expect(await errorOf(config)).toContain(error);
  });

  test('all that is wrong is said at once', async () => {
    const errors = await errorOf({ datacenter: 'a b', ports: { http: 70000 }, log_level: 'loud' });
    expect(errors).toMatch(
      /^3 errors occurred:\n\t\* datacenter .*\n\t\* ports\.http: .*\n\t\* Invalid log level/,
    );
  });

  test('a value of a flag is said to be on the command line', async () => {
    const loaded = await loadAgentConfig(
      { ...noOptions, devMode: true, flags: { ports: { http: 70000 } } },
      plainHost,
    );
    expect(loaded).toMatchObject({
      ok: false,
      error: {
        problems: [{ key: 'ports.http', message: expect.stringContaining('(on the command line; ') }],
      },
    });
  });

  test('the encryption key is not shown', async () => {
    expect(await errorOf({ encrypt: 'c2VjcmV0LXNlY3JldA==' })).not.toContain('c2VjcmV0');
  });

  test('a missing file, a file as data directory, a place in HCL', async () => {
    const loaded = await loadAgentConfig({ ...noOptions, paths: [join(directory, 'no.json')] }, plainHost);
    expect(loaded.ok ? '' : renderProblems(loaded.error.problems)).toContain('no such file or directory');
    const path = await file('{}');
    expect(await errorOf({ data_dir: path })).toContain('is not a directory');
    expect(await errorOf('data_dir = "/x"\nports { http = [ }', 'hcl')).toContain(
      'failed to parse FILE: At 2:18: ',
    );
  });

  test('several addresses that could be meant, and none', async () => {
    expect(await errorOf({}, 'json', host)).toContain(
      "Multiple private IPv4 addresses found. Please configure one with 'bind' and/or 'advertise'. Found: 172.17.0.1 on docker0, 10.1.2.3 on eth0",
    );
    expect(await errorOf({}, 'json', { ...host, interfaces: [] })).toContain('No private IPv4 address found');
  });
});
