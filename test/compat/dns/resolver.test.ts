import { describe, expect, test } from '@jest/globals';
import { addressFor, ipText, parseIp, parseReverse } from '../../../compat/dns/addresses.ts';
import { dnsCatalog, type DnsCatalog } from '../../../compat/dns/catalog.ts';
import { isEncodable, parseTarget, RrType } from '../../../compat/dns/names.ts';
import { resolve, type Resolution, type ResolverContext } from '../../../compat/dns/resolver.ts';
import { TopicMemo } from '../../../compat/dns/topic-memo.ts';
import { serviceTtlSeconds } from '../../../compat/dns/ttl.ts';
import { CatalogFixture, defaultDnsConfig, type Registration } from './fixture.ts';

function catalogWith(...registrations: readonly Registration[]): CatalogFixture {
  const catalog = new CatalogFixture();
  for (const registration of registrations) catalog.register(registration);
  return catalog;
}

function resolverOf(
  catalogs: Readonly<Record<string, CatalogFixture>>,
  options: Partial<ResolverContext> = {},
) {
  const own = new Map<string, DnsCatalog>();
  for (const [datacenter, catalog] of Object.entries(catalogs)) {
    const memo = new TopicMemo(1000);
    catalog.onCommit((touched) => memo.touch(touched));
    own.set(datacenter, dnsCatalog(catalog.view, memo));
  }
  return (name: string, type: number): Resolution =>
    resolve(
      { name, type, edns: false },
      {
        config: defaultDnsConfig,
        datacenter: 'dc1',
        translateWanAddrs: false,
        catalogOf: (datacenter) => own.get(datacenter),
        random: () => 0,
        nowMs: 1_700_000_000_000,
        answersMax: 100,
        followedMax: 3,
        outside: undefined,
        ...options,
      },
    );
}

function dataOf(resolution: Resolution): readonly unknown[] {
  if (resolution.kind !== 'answer') throw new Error(resolution.kind);
  return resolution.answers.map((record) => record.data);
}

const db: Registration = {
  Node: 'n1',
  Address: '10.0.0.1',
  Service: { Service: 'db', Port: 5432, Weights: { Passing: 10, Warning: 3 } },
};

describe('what a name asks for', () => {
  test('the last keyword decides, so that names may contain dots and keywords', () => {
    expect(parseTarget(['web', 'service', 'node'], false)).toMatchObject({
      kind: 'node',
      node: 'web.service',
    });
    expect(parseTarget(['a', 'b', 'node', 'service', 'dc2'], false)).toEqual({
      kind: 'service',
      service: 'node',
      tag: 'a.b',
      datacenter: 'dc2',
    });
  });

  test('only questions for SRV records may leave out `service`', () => {
    const labels = ['_web', '_tcp', 'dc1'];
    expect(parseTarget(labels, true)).toMatchObject({ kind: 'service', service: 'web', datacenter: 'dc1' });
    expect(parseTarget(labels, false)).toEqual({ kind: 'invalid' });
  });

  test('names that no packet can hold are known', () => {
    expect(isEncodable('a'.repeat(63))).toBe(true);
    expect(isEncodable('a'.repeat(64))).toBe(false);
    expect(isEncodable('ü'.repeat(32))).toBe(false);
    expect(isEncodable('a..b')).toBe(false);
    expect(isEncodable('.a')).toBe(false);
    expect(isEncodable(Array.from({ length: 127 }, () => 'a').join('.'))).toBe(true);
    expect(isEncodable(Array.from({ length: 128 }, () => 'a').join('.'))).toBe(false);
  });
});

describe('addresses', () => {
  test('IPv6 in all its forms', () => {
    const text = (address: string): string => ipText(parseIp(address) ?? []);
    expect(text('2001:DB8::1')).toBe('2001:db8:0:0:0:0:0:1');
    expect(text('::')).toBe('0:0:0:0:0:0:0:0');
    expect(text('1:2:3:4:5:6:7:8')).toBe('1:2:3:4:5:6:7:8');
    expect(text('64:ff9b::10.1.2.3')).toBe('64:ff9b:0:0:0:0:a01:203');
    expect(text('::ffff:10.1.2.3')).toBe('10.1.2.3');
    expect(parseIp('fe80::1%eth0')).toBeUndefined();
    expect(parseIp('www.example.org')).toBeUndefined();
  });

  test('names for reverse look-up are read in full or not at all', () => {
    expect(parseReverse('4.3.2.1.in-addr.arpa')).toEqual([1, 2, 3, 4]);
    expect(parseReverse('3.2.1.in-addr.arpa')).toBeUndefined();
    expect(parseReverse('999.3.2.1.in-addr.arpa')).toBeUndefined();
  });

  test('WAN addresses stand for the others only in answers for another datacenter', () => {
    const tagged = { wan: '1.1.1.1', wan_ipv6: '2001:db8::1', lan_ipv4: '10.0.0.2' };
    expect(addressFor(RrType.A, '10.0.0.1', tagged, false)).toBe('10.0.0.2');
    expect(addressFor(RrType.ANY, '10.0.0.1', { wan: '1.1.1.1' }, true)).toBe('1.1.1.1');
    expect(addressFor(RrType.AAAA, '10.0.0.1', tagged, true)).toBe('2001:db8::1');
    expect(addressFor(RrType.AAAA, '10.0.0.1', { wan: '1.1.1.1' }, true)).toBe('');
  });
});

describe('answers', () => {
  test('serfHealth of a gateway takes its services out, and back in at once', () => {
    const catalog = catalogWith(db);
    const ask = resolverOf({ dc1: catalog });
    expect(dataOf(ask('db.service.consul', RrType.A))).toEqual(['10.0.0.1']);
    catalog.memberHealth('n1', 'critical');
    expect(ask('db.service.consul', RrType.A)).toMatchObject({ rcode: 3, answers: [] });
    catalog.memberHealth('n1', 'passing');
    expect(dataOf(ask('db.service.consul', RrType.A))).toEqual(['10.0.0.1']);
  });

  test('every change of the catalog shows in the next answer', () => {
    const catalog = catalogWith();
    const ask = resolverOf({ dc1: catalog });
    const reverse = '1.0.0.10.in-addr.arpa';
    expect(ask('db.service.consul', RrType.A)).toMatchObject({ rcode: 3 });
    expect(ask(reverse, RrType.A)).toEqual({ kind: 'recurse' });
    catalog.register(db);
    expect(dataOf(ask('db.service.consul', RrType.A))).toEqual(['10.0.0.1']);
    expect(dataOf(ask(reverse, RrType.A))).toEqual(['n1.node.dc1.consul']);
    catalog.register({ ...db, Address: '10.0.0.9' });
    expect(dataOf(ask('db.service.consul', RrType.A))).toEqual(['10.0.0.9']);
    expect(ask(reverse, RrType.A)).toEqual({ kind: 'recurse' });
    catalog.register({
      ...db,
      Address: '10.0.0.9',
      Checks: [{ CheckID: 'c', Status: 'critical', ServiceID: 'db' }],
    });
    expect(ask('db.service.consul', RrType.A)).toMatchObject({ rcode: 3 });
    catalog.deregister('n1');
    expect(ask('n1.node.consul', RrType.A)).toMatchObject({ rcode: 3 });
  });

  test('weights follow the worst check', () => {
    const weightWith = (status: string): unknown => {
      const ask = resolverOf({ dc1: catalogWith({ ...db, Checks: [{ CheckID: 'c', Status: status }] }) });
      return dataOf(ask('db.service.consul', RrType.SRV))[0];
    };
    expect(weightWith('passing')).toMatchObject({ weight: 10 });
    expect(weightWith('warning')).toMatchObject({ weight: 3 });
    expect(weightWith('unheard of')).toMatchObject({ weight: 1 });
  });

  test('chance decides the order, and nothing else', () => {
    const catalog = catalogWith(
      db,
      { ...db, Node: 'n2', Address: '10.0.0.2' },
      { ...db, Node: 'n3', Address: '10.0.0.3' },
    );
    const orders = new Set<string>();
    for (const random of [() => 0, () => 0.5, () => 0.99]) {
      const data = dataOf(resolverOf({ dc1: catalog }, { random })('db.service.consul', RrType.A));
      orders.add(data.join(' '));
      expect(data.map(String).toSorted()).toEqual(['10.0.0.1', '10.0.0.2', '10.0.0.3']);
    }
    expect(orders.size).toBe(3);
  });

  test('another datacenter is answered for by its own catalog, with WAN addresses where that is asked for', () => {
    const far: Registration = {
      Node: 'far1',
      Address: '10.7.0.1',
      TaggedAddresses: { wan: '198.51.100.7' },
      Service: {
        Service: 'db',
        Port: 1,
        Address: '10.7.7.7',
        TaggedAddresses: { wan: { Address: '198.51.100.8', Port: 2 } },
      },
    };
    const catalogs = { dc1: catalogWith(db), dc2: catalogWith(far) };
    const plain = resolverOf(catalogs);
    expect(dataOf(plain('far1.node.dc2.consul', RrType.A))).toEqual(['10.7.0.1']);
    const translating = resolverOf(catalogs, { translateWanAddrs: true });
    expect(dataOf(translating('far1.node.dc2.consul', RrType.A))).toEqual(['198.51.100.7']);
    expect(dataOf(translating('db.service.dc2.consul', RrType.SRV))).toEqual([
      { priority: 1, weight: 1, port: 2, target: 'c6336408.addr.dc2.consul' },
    ]);
    expect(dataOf(translating('db.service.consul', RrType.A))).toEqual(['10.0.0.1']);
    expect(plain('db.service.dc3.consul', RrType.A)).toMatchObject({ rcode: 3 });
  });

  test('names outside are wanted only where there are recursors', () => {
    const catalog = catalogWith({ ...db, Address: 'db.example.com' });
    const alone = resolverOf({ dc1: catalog });
    expect(dataOf(alone('db.service.consul', RrType.A))).toEqual(['db.example.com']);
    const config = { ...defaultDnsConfig, recursors: ['192.0.2.1'] };
    const first = resolverOf({ dc1: catalog }, { config });
    expect(first('db.service.consul', RrType.A)).toEqual({ kind: 'names-wanted', names: ['db.example.com'] });
    const outside = new Map([
      ['db.example.com', [{ type: 'A' as const, name: 'db.example.com', ttl: 9, data: '192.0.2.5' }]],
    ]);
    const then = resolverOf({ dc1: catalog }, { config, outside });
    expect(dataOf(then('db.service.consul', RrType.A))).toEqual(['db.example.com', '192.0.2.5']);
  });

  test('a domain of one dot makes every name ours', () => {
    const ask = resolverOf({ dc1: catalogWith(db) }, { config: { ...defaultDnsConfig, domain: '.' } });
    expect(dataOf(ask('db.service', RrType.SRV))).toMatchObject([{ target: 'n1.node.dc1' }]);
    expect(ask('example.com', RrType.A)).toMatchObject({ rcode: 3 });
  });
});

describe('TTLs', () => {
  test('a name of its own comes before prefixes, the longest of those first', () => {
    const config = {
      ...defaultDnsConfig,
      serviceTtlSeconds: { 'web*': 3, 'w*': 2, '*': 1, web: 4.9, toString: 5 },
    };
    const ttls = ['web', 'web-1', 'wax', 'db', 'toString', 'valueOf'].map((name) =>
      serviceTtlSeconds(config, name),
    );
    expect(ttls).toEqual([4, 3, 2, 1, 5, 1]);
    expect(serviceTtlSeconds(defaultDnsConfig, 'constructor')).toBe(0);
  });
});

describe('the memo', () => {
  test('is bounded, whatever is asked', () => {
    const memo = new TopicMemo(30);
    for (let i = 0; i < 1000; i++) {
      memo.get(`name-${i}`, (dependencies) => {
        dependencies.add(`topic-${i}`);
        return { value: i, rows: 1 };
      });
    }
    expect(memo.size).toBe(10);
    memo.touch(['topic-999']);
    expect(memo.size).toBe(9);
  });
});
