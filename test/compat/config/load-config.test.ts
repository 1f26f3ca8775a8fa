import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentConfig } from '../../../compat/config/agent-config.ts';
import { loadAgentConfig } from '../../../compat/config/load-config.ts';
import { noOptions, type LoadOptions } from '../../../compat/config/load-options.ts';
import { renderProblems } from '../../../compat/config/problems.ts';
import type { HostFacts } from '../../../compat/config/ip-address.ts';
import { host } from './host.ts';

let directory: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'grapevine-config-'));
});

afterAll(async () => {
  await rm(directory, { recursive: true });
});

let files = 0;

async function file(text: string, extension = 'json'): Promise<string> {
  const path = join(directory, `${files++}.${extension}`);
  await writeFile(path, text);
  return path;
}

/** One private address, so that nothing has to be said about addresses. */
const plainHost: HostFacts = {
  ...host,
  interfaces: host.interfaces.filter((each) => each.interface === 'eth0'),
};

async function load(options: Partial<LoadOptions>, on: HostFacts = plainHost): Promise<AgentConfig> {
  const loaded = await loadAgentConfig({ ...noOptions, ...options }, on);
  if (!loaded.ok) throw new Error(renderProblems(loaded.error.problems));
  return loaded.value;
}

async function loadJson(config: object, on: HostFacts = plainHost): Promise<AgentConfig> {
  return load({ paths: [await file(JSON.stringify({ data_dir: '/var/lib/x', ...config }))] }, on);
}

async function errorOf(
  config: object | string,
  extension = 'json',
  on: HostFacts = plainHost,
): Promise<string> {
  const text = typeof config === 'string' ? config : JSON.stringify({ data_dir: '/var/lib/x', ...config });
  const path = await file(text, extension);
  const loaded = await loadAgentConfig({ ...noOptions, paths: [path] }, on);
  if (loaded.ok) throw new Error(`accepted: ${text}`);
  return renderProblems(loaded.error.problems).replaceAll(path, 'FILE');
}

describe('defaults', () => {
  test('are those of Consul 1.8.7', async () => {
    const config = await load({ flags: { data_dir: '/var/lib/x' } });
    expect(config).toMatchObject({
      nodeName: 'machine',
      nodeId: undefined,
      datacenter: 'dc1',
      primaryDatacenter: 'dc1',
      region: 'dc1',
      devMode: false,
      stateInMemory: false,
      dataDir: '/var/lib/x',
      server: false,
      bootstrap: false,
      bindAddr: '0.0.0.0',
      advertiseAddr: '10.1.2.3',
      advertiseAddrWan: '10.1.2.3',
      taggedAddresses: { lan: '10.1.2.3', lan_ipv4: '10.1.2.3', wan: '10.1.2.3', wan_ipv4: '10.1.2.3' },
      clientAddrs: ['127.0.0.1'],
      ports: { dns: 8600, http: 8500, https: -1, grpc: -1, serfLan: 8301, serfWan: 8302, server: 8300 },
      httpListeners: [{ kind: 'tcp', host: '127.0.0.1', port: 8500 }],
      httpsListeners: [],
      dnsListeners: [{ kind: 'tcp', host: '127.0.0.1', port: 8600 }],
      http: { waitMsDefault: 300_000, waitMsMax: 600_000, headerBytesMax: 1_048_576, useCache: true },
      limits: { httpConnsPerClientMax: 200, kvValueBytesMax: 524_288, txnBytesMax: 524_288 },
      dns: {
        domain: 'consul.',
        altDomain: undefined,
        udpAnswerLimit: 3,
        allowStale: true,
        recursorMsMax: 2000,
      },
      join: { retryIntervalMs: 30_000, retryAttemptsMax: 0, reconnectMsMax: 259_200_000 },
      leave: { onTerminate: true, skipOnInterrupt: false, drainMs: 5000 },
      rpcHoldMs: 7000,
      checks: { enableScriptChecks: false, updateIntervalMs: 300_000, outputBytesMax: 4096 },
      log: { level: 'info', json: false, file: undefined },
      telemetry: { prometheusRetentionMs: 0, metricsPrefix: 'consul', filterDefault: true },
      ui: { enabled: false, contentPath: '/ui/' },
      services: [],
      checkDefinitions: [],
      ignoredKeys: [],
      warnings: [],
      sources: [],
    });
  });

  test('of dev mode keep everything in memory on this machine', async () => {
    expect(await load({ devMode: true }, host)).toMatchObject({
      stateInMemory: true,
      dataDir: undefined,
      bindAddr: '127.0.0.1',
      advertiseAddr: '127.0.0.1',
      server: true,
      bootstrap: false,
      log: { level: 'debug' },
      ui: { enabled: true },
      ports: { grpc: 8502 },
      http: { enableDebug: true },
      leave: { onTerminate: false, skipOnInterrupt: true },
      gossip: { disableKeyringFile: true, encryptKey: undefined },
    });
  });
});

describe('the order of sources', () => {
  test('later files win, maps merge, lists append, single services join the list', async () => {
    const first = await file(
      JSON.stringify({
        data_dir: '/a',
        ports: { http: 1, dns: 2 },
        retry_join: ['a'],
        node_meta: { x: '1', y: '1' },
        service: { name: 's1' },
        check: { name: 'c1', ttl: '1s' },
      }),
    );
    const second = await file(
      'ports { http = 3 }\nretry_join = ["b"]\nnode_meta { y = "2" }\nservice { name = "s2" }\nservices { name = "s3" }',
      'hcl',
    );
    const config = await load({ paths: [first, second] });
    expect(config).toMatchObject({
      dataDir: '/a',
      ports: { http: 3, dns: 2 },
      join: { retryJoin: ['a', 'b'] },
      nodeMeta: { x: '1', y: '2' },
      services: [{ name: 's1' }, { name: 's3' }, { name: 's2' }],
      checkDefinitions: [{ name: 'c1' }],
      sources: [first, second],
    });
  });

  test('flags win over files, their lists go first, -hcl wins over flags', async () => {
    const path = await file(JSON.stringify({ node_name: 'file', datacenter: 'file', retry_join: ['file'] }));
    const config = await load({
      paths: [path],
      hcl: ['datacenter = "hcl" retry_join = ["hcl"]'],
      flags: { node_name: 'flag', datacenter: 'flag', retry_join: ['flag'], data_dir: '/x' },
    });
    expect(config.nodeName).toBe('flag');
    expect(config.datacenter).toBe('hcl');
    expect(config.join.retryJoin).toEqual(['flag', 'file', 'hcl']);
  });

  test('a directory gives its .json and .hcl files by name, and names what it skips', async () => {
    const inside = await mkdtemp(join(directory, 'd-'));
    await writeFile(join(inside, 'b.json'), '{"node_name": "b"}');
    await writeFile(join(inside, 'a.hcl'), 'node_name = "a" data_dir = "/x"');
    await writeFile(join(inside, 'notes.txt'), 'not read');
    await mkdir(join(inside, 'sub'));
    await writeFile(join(inside, 'sub', 'c.json'), '{"node_name": "c"}');
    const config = await load({ paths: [inside] });
    expect(config.nodeName).toBe('b');
    expect(config.sources).toEqual([join(inside, 'a.hcl'), join(inside, 'b.json')]);
    expect(config.warnings).toEqual([
      `skipping file ${join(inside, 'notes.txt')}, extension must be .hcl or .json, or config format must be set`,
    ]);
  });

  test('-config-format reads files of any name', async () => {
    const path = await file('{"node_name": "x", "data_dir": "/x"}', 'conf');
    expect((await load({ paths: [path], format: 'json' })).nodeName).toBe('x');
  });

  test('a configuration can be loaded again from what it holds', async () => {
    const path = await file('{"node_name": "before", "data_dir": "/x"}');
    const before = await load({ paths: [path] });
    await writeFile(path, '{"node_name": "after", "data_dir": "/x"}');
    expect((await load(before.loadOptions)).nodeName).toBe('after');
  });
});

describe('the tolerance of Consul', () => {
  test('names match without regard to case, null is unset, a list of one is its element', async () => {
    const config = await loadJson({ Node_Name: ['x'], Ports: [{ HTTP: 1 }], datacenter: null });
    expect(config).toMatchObject({ nodeName: 'x', ports: { http: 1 }, datacenter: 'dc1' });
  });

  test('checks may be spelt as the API spells them', async () => {
    const config = await loadJson({ check: { Name: 'x', ScriptArgs: ['a', 'b'], interval: '10s' } });
    expect(config.checkDefinitions).toEqual([{ name: 'x', args: ['a', 'b'], interval: '10s' }]);
  });

  test('HCL as Consul documents it loads, nested blocks of services become plain objects', async () => {
    const path = await file(
      `
      datacenter = "East-1"
      data_dir   = "/opt/x"
      node_meta { "rack-id" = "r1", }
      addresses { http = "unix:///run/x.sock 127.0.0.1" }
      services = [
        {
          id   = "web1"
          name = "web"
          tags = ["v1",]
          meta = { team = "a" }
          check {
            args     = ["/bin/check", "-x"]
            interval = "10s"
          }
          connect { sidecar_service {} }
        }
      ]
      service {
        name = "db"
        weights { passing = 2 }
        checks {
          ttl = "30s"
        }
        tagged_addresses {
          lan { address = "10.0.0.9" port = 1 }
        }
      }
      telemetry { prometheus_retention_time = "60s" }
      `,
      'hcl',
    );
    const config = await load({ paths: [path] });
    expect(config).toMatchObject({
      datacenter: 'east-1',
      nodeMeta: { 'rack-id': 'r1' },
      httpListeners: [
        { kind: 'unix', path: '/run/x.sock' },
        { kind: 'tcp', host: '127.0.0.1', port: 8500 },
      ],
      telemetry: { prometheusRetentionMs: 60_000 },
    });
    expect(config.services).toEqual([
      {
        id: 'web1',
        name: 'web',
        tags: ['v1'],
        meta: { team: 'a' },
        check: { args: ['/bin/check', '-x'], interval: '10s' },
        connect: { sidecar_service: {} },
      },
      {
        name: 'db',
        weights: { passing: 2 },
        checks: [{ ttl: '30s' }],
        tagged_addresses: { lan: { address: '10.0.0.9', port: 1 } },
      },
    ]);
  });

  test('keys without meaning here are accepted and each named once, a whole block by its name', async () => {
    const one = { connect: { enabled: true }, performance: { raft_multiplier: 1, leave_drain_time: '1s' } };
    const path = await file(JSON.stringify({ data_dir: '/x', ...one }));
    const again = await file(JSON.stringify({ ...one, use_streaming_backend: true }));
    const config = await load({ paths: [path, again], flags: { raft_protocol: 3 } });
    expect(config.ignoredKeys).toEqual([
      'connect',
      'performance.raft_multiplier',
      'use_streaming_backend',
      'raft_protocol',
    ]);
    expect(config.leave.drainMs).toBe(1000);
  });
});

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

describe('resolved values', () => {
  test('ports below 1 are off, and so are sockets of a server that is off', async () => {
    const config = await loadJson({
      ports: { http: 0, dns: -1, serf_wan: -5 },
      addresses: { http: 'unix:///x.sock' },
    });
    expect(config.ports).toMatchObject({ http: -1, dns: -1, serfWan: -1 });
    expect([...config.httpListeners, ...config.dnsListeners]).toEqual([]);
  });

  test('templates are filled in wherever an address stands', async () => {
    const config = await loadJson(
      { bind_addr: '{{ GetInterfaceIP "eth0" }}', client_addr: '127.0.0.1 {{ GetPublicIP }}' },
      host,
    );
    expect(config.bindAddr).toBe('10.1.2.3');
    expect(config.clientAddrs).toEqual(['127.0.0.1', '8.8.4.4']);
  });

  test('HTTPS takes its files from tls.https, then tls.defaults, then the old keys', async () => {
    const config = await loadJson({
      ports: { https: 8501 },
      cert_file: 'old.pem',
      key_file: 'old.key',
      ca_file: 'old.ca',
      verify_incoming_https: true,
      tls: {
        defaults: { key_file: 'defaults.key' },
        https: { cert_file: 'https.pem', tls_min_version: 'TLSv1_3' },
      },
    });
    expect(config.httpsTls).toEqual({
      certFile: 'https.pem',
      keyFile: 'defaults.key',
      caFile: 'old.ca',
      caPath: undefined,
      minVersion: 'TLSv1.3',
      verifyIncoming: true,
    });
  });

  test('expecting one server is bootstrapping', async () => {
    const config = await loadJson({ server: true, bootstrap_expect: 1 });
    expect(config).toMatchObject({ bootstrap: true, bootstrapExpect: 0 });
  });

  test('metrics rules are split by their sign, others are warned of', async () => {
    const config = await loadJson({ telemetry: { prefix_filter: ['+a', '-b', 'c'] } });
    expect(config.telemetry).toMatchObject({ allowedPrefixes: ['a'], blockedPrefixes: ['b'] });
    expect(config.warnings).toEqual([`Filter rule must begin with either '+' or '-': "c"`]);
  });

  test('script checks that anybody could register are warned of', async () => {
    expect((await loadJson({ enable_script_checks: true })).warnings[0]).toContain('DANGEROUS');
    const fenced = { enable_script_checks: true, http_config: { allow_write_http_from: ['127.0.0.0/8'] } };
    expect((await loadJson(fenced)).warnings).toEqual([]);
    expect((await loadJson({ enable_local_script_checks: true })).checks).toMatchObject({
      enableScriptChecks: false,
      enableLocalScriptChecks: true,
    });
  });
});
