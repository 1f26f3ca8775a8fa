import { describe, expect, test } from '@jest/globals';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { host } from './host.ts';
import { directory, file, load, loadJson } from './loading.ts';

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
