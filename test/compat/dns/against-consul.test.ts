import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { DnsConfig } from '../../../compat/config/agent-config.ts';
import type { DnsServer } from '../../../compat/dns/server.ts';
import { describeRealConsul, startRealConsul, type RealConsul } from '../../support/real-consul.ts';
import { ask, type Asked } from './ask.ts';
import { startFakeRecursor, type FakeRecursor } from './fake-recursor.ts';
import { CatalogFixture, defaultDnsConfig, serve, type Registration } from './fixture.ts';
import { crowd, scene } from './scene.ts';
import { shapeOf, show, type Shown } from './shown.ts';

/** One configuration, as Consul's files have it and as it is here. */
interface Profile {
  readonly title: string;
  readonly consul: object;
  readonly ours: Partial<DnsConfig>;
}

const crowds = [2, 4, 9, 20, 40, 300, 1100];

// What chance leaves of an answer: the same after few shuffles, or there is a difference.
const shufflesMax = 60;

const labels = [
  ...[
    'web',
    'WEB',
    'ext',
    'loopy',
    'self',
    'indir',
    'chain',
    'tagged',
    'bynode',
    'odd_name',
    'crit',
    'spaced',
  ],
  ...[
    'six',
    'mapped',
    'maint',
    'dup',
    'service',
    'query',
    'heavy',
    'nope',
    'consul',
    'v1',
    'a.b',
    'A.B',
    'far',
  ],
  ...['_web', '_tcp', '_v1', '_udp', '_dup', '_', 'n1', 'N2', 'n3', 'n4.with.dots', 'n5', 'n6', 'n8', 'n12'],
  ...[
    'n13',
    'n18',
    'server-1',
    'node',
    'web.service',
    '0a000001',
    '0A00000g',
    '20010db8000000000000000000000001',
  ],
  ...['00000000000000000000ffff0a000001', '0a0000', '0a0000011', 'ns', 'x', 'tcp', '-', '*'],
];
const keywords = [
  'service',
  'service',
  'service',
  'node',
  'node',
  'addr',
  'query',
  'connect',
  'ingress',
  'Service',
];
const datacenters = ['dc1', 'DC1', 'dc9', 'a.b'];
const domains = ['consul', 'consul', 'consul', 'Consul', 'alt.example', 'ALT.Example', 'example', 'com', ''];
const reverses = [
  ...['1.0.0.10.in-addr.arpa', '9.9.9.10.IN-ADDR.arpa', '88.0.0.10.in-addr.arpa', '13.0.0.10.in-addr.arpa'],
  ...['8.8.8.10.in-addr.arpa', '1.1.1.1.in-addr.arpa', 'arpa', 'in-addr.arpa', '0.0.10.in-addr.arpa'],
  '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa',
  '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.IP6.arpa',
  '0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa',
];
const types = [
  'A',
  'A',
  'A',
  'SRV',
  'SRV',
  'AAAA',
  'ANY',
  'TXT',
  'NS',
  'SOA',
  'MX',
  'CNAME',
  'PTR',
  'AXFR',
  'IXFR',
  'DS',
];

const anyName = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        fc.array(fc.constantFrom(...labels), { minLength: 0, maxLength: 2 }),
        fc.option(fc.constantFrom(...keywords), { freq: 12 }),
        fc.option(fc.constantFrom(...datacenters), { freq: 1 }),
        fc.constantFrom(...domains),
      )
      .map(([before, keyword, datacenter, domain]) =>
        [...before, keyword, datacenter, domain].filter((part) => part !== null && part !== '').join('.'),
      ),
  },
  { weight: 1, arbitrary: fc.constantFrom(...reverses) },
);
const question = fc.record({
  name: anyName,
  type: fc.constantFrom(...types),
  tcp: fc.boolean(),
  ednsBytes: fc.constantFrom(undefined, undefined, 100, 512, 1232, 4096),
});

const profiles: readonly Profile[] = [
  { title: 'defaults', consul: {}, ours: {} },
  {
    title: 'every key that changes answers',
    consul: {
      dns_config: {
        node_ttl: '10s',
        service_ttl: { web: '5s', 'we*': '7s', 'd*': '8s', '*': '9s' },
        only_passing: true,
        a_record_limit: 2,
        udp_answer_limit: 5,
        enable_truncate: true,
        enable_additional_node_meta_txt: false,
        soa: { refresh: 1, retry: 2, expire: 3, min_ttl: 4 },
      },
    },
    ours: {
      nodeTtlSeconds: 10,
      serviceTtlSeconds: { web: 5, 'we*': 7, 'd*': 8, '*': 9 },
      onlyPassing: true,
      aRecordLimit: 2,
      udpAnswerLimit: 5,
      enableTruncate: true,
      nodeMetaTxt: false,
      soa: { refreshSeconds: 1, retrySeconds: 2, expireSeconds: 3, minTtlSeconds: 4 },
    },
  },
  {
    title: 'no compression and no limit worth the name',
    consul: { dns_config: { disable_compression: true, udp_answer_limit: 100, enable_truncate: true } },
    ours: { disableCompression: true, udpAnswerLimit: 100, enableTruncate: true },
  },
];

describeRealConsul('DNS beside a real Consul', () => {
  let consul: RealConsul;
  let recursor: FakeRecursor;
  let catalog: CatalogFixture;
  let configDir = '';

  beforeAll(async () => {
    configDir = mkdtempSync(join(tmpdir(), 'grapevine-test-dns-'));
    recursor = await startFakeRecursor();
    consul = await startRealConsul({
      args: [`-config-dir=${configDir}`],
      config: { node_name: 'server-1', alt_domain: 'alt.example', translate_wan_addrs: true },
    });
    catalog = new CatalogFixture();
    const loopback = { lan: '127.0.0.1', lan_ipv4: '127.0.0.1', wan: '127.0.0.1', wan_ipv4: '127.0.0.1' };
    catalog.register({
      Node: 'server-1',
      Address: '127.0.0.1',
      TaggedAddresses: loopback,
      NodeMeta: { 'consul-network-segment': '' },
      Service: { Service: 'consul', Port: consul.ports.server },
    });
    catalog.memberHealth('server-1', 'passing');
    for (const registration of [...scene, ...crowds.flatMap(crowd)]) {
      catalog.register(registration);
    }
    await registerEach(consul, scene);
    await registerCrowd(consul, crowds.flatMap(crowd));
  }, 120_000);

  afterAll(async () => {
    await consul?.stop();
    await recursor?.close();
    rmSync(configDir, { recursive: true, force: true });
  });

  async function configure(profile: Profile): Promise<DnsServer> {
    writeFileSync(join(configDir, 'dns.json'), JSON.stringify(profile.consul));
    const response = await fetch(`${consul.url}/v1/agent/reload`, { method: 'PUT' });
    expect(await response.text()).toBe('');
    return serve(catalog, { ...defaultDnsConfig, altDomain: 'alt.example.', ...profile.ours });
  }

  /** What is answered differently; undefined where nothing is. With `shape`, chance may choose among like records. */
  async function difference(
    server: DnsServer,
    asked: Omit<Asked, 'port'>,
    shape = false,
  ): Promise<{ asked: unknown; theirs: unknown; ours: unknown } | undefined> {
    const shownBy = async (port: number): Promise<Shown> => {
      const shown = show(await ask({ ...asked, port }));
      // What a recursor says is passed on as it came; Consul packs it anew.
      const comparable = shown.status.includes('aa') ? shown : { ...shown, bytes: 0 };
      return shape ? shapeOf(comparable) : comparable;
    };
    const theirsAllowed = new Set<string>();
    for (let i = 0; ; i++) {
      const theirs = await shownBy(consul.ports.dns);
      const ours = await shownBy(server.ports[0] as number);
      theirsAllowed.add(JSON.stringify(theirs));
      if (theirsAllowed.has(JSON.stringify(ours)) || isOverfull(theirs, ours, asked)) return undefined;
      if (i === shufflesMax) return { asked, theirs, ours };
    }
  }

  describe.each(profiles)('$title', (profile) => {
    let server: DnsServer;

    beforeAll(async () => {
      server = await configure(profile);
    });

    afterAll(async () => {
      await server.close();
    });

    test('generated questions get the same answers', async () => {
      await fc.assert(
        fc.asyncProperty(question, async (asked) => {
          expect(await difference(server, asked)).toBeUndefined();
        }),
        { numRuns: 400 },
      );
    }, 120_000);

    test('what follows from a name of ours that stands for many', async () => {
      for (const name of ['to-many.service.consul', 'to-many.node.consul']) {
        for (const type of ['A', 'SRV', 'ANY', 'TXT', 'AAAA']) {
          for (const ednsBytes of [undefined, 512, 4096]) {
            for (const tcp of [false, true])
              expect(await difference(server, { name, type, tcp, ednsBytes }, true)).toBeUndefined();
          }
        }
      }
    });

    test.each(crowds)(
      'as much of %s instances as the client takes',
      async (count) => {
        for (const type of ['A', 'SRV', 'ANY']) {
          for (const ednsBytes of [undefined, 512, 700, 1232, 4096, 30_000]) {
            for (const tcp of [false, true]) {
              const asked = { name: `many${count}.service.consul`, type, tcp };
              expect(
                await difference(
                  server,
                  { ...asked, ...(ednsBytes === undefined ? {} : { ednsBytes }) },
                  true,
                ),
              ).toBeUndefined();
            }
          }
        }
      },
      60_000,
    );

    test('all of that without a failure', () => {
      expect(server.counters()).toMatchObject({ defects: 0, malformed: 0, sendErrors: 0 });
    });
  });

  test('with recursors: names outside, and what ours point to', async () => {
    const addresses = [`127.0.0.1:${recursor.port}`];
    const server = await configure({
      title: 'recursors',
      consul: { recursors: addresses },
      ours: { recursors: addresses },
    });
    try {
      const names = ['www.example.org', 'foo.example.com', 'ref.example', 'nx.example', 'web.service.consul'];
      const more = [
        'ext.service.consul',
        'n2.node.consul',
        'query.service.consul',
        '1.1.1.1.in-addr.arpa',
        'long.example',
      ];
      for (const name of [...names, ...more]) {
        for (const type of ['A', 'SRV', 'DS', 'ANY']) {
          for (const ednsBytes of [undefined, 4096]) {
            for (const tcp of [false, true]) {
              expect(
                await difference(server, {
                  name,
                  type,
                  tcp,
                  ...(ednsBytes === undefined ? {} : { ednsBytes }),
                }),
              ).toBeUndefined();
            }
          }
        }
      }
    } finally {
      await server.close();
    }
  }, 60_000);
});

/** Consul does not count its EDNS0 record, and so sends more than the client said it takes. We do not. */
function isOverfull(theirs: Shown, ours: Shown, asked: Omit<Asked, 'port'>): boolean {
  if (asked.tcp === true || theirs.answers.length < 2) return false;
  if (theirs.bytes <= Math.max(asked.ednsBytes ?? 0, 512)) return false;
  return ours.answers.length === theirs.answers.length - 1;
}

async function registerEach(consul: RealConsul, registrations: readonly Registration[]): Promise<void> {
  for (const registration of registrations) {
    const { Node } = registration;
    const Checks = (registration.Checks ?? []).map((check) => ({ ...check, Name: check.CheckID, Node }));
    await put(`${consul.url}/v1/catalog/register`, { ...registration, Checks });
  }
}

/** Many at a time: each write of a Consul waits for its disk. */
async function registerCrowd(consul: RealConsul, registrations: readonly Registration[]): Promise<void> {
  const atOnce = 32;
  for (let at = 0; at < registrations.length; at += atOnce) {
    const operations = registrations
      .slice(at, at + atOnce)
      .flatMap(({ Node, Address, NodeMeta, Service }) => [
        { Node: { Verb: 'set', Node: { Node, Address, Meta: NodeMeta } } },
        { Service: { Verb: 'set', Node, Service: { ID: Service?.Service, ...Service } } },
      ]);
    await put(`${consul.url}/v1/txn`, operations);
  }
}

async function put(url: string, body: unknown): Promise<void> {
  const response = await fetch(url, { method: 'PUT', body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
}
