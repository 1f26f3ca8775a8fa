import type { Registration } from './fixture.ts';

/** Everything in the catalog that DNS tells apart. Both sides of a comparison are filled with it. */
export const scene: readonly Registration[] = [
  {
    Node: 'N1',
    Address: '10.0.0.1',
    NodeMeta: { Zone: 'a=b', ' sp =': '`x`', 'rfc1035-note': 'as it is' },
    TaggedAddresses: { lan: '10.0.0.1', wan: '1.2.3.4' },
    Service: {
      ID: 'web1',
      Service: 'Web',
      Tags: ['V1', 'a.b'],
      Port: 80,
      Weights: { Passing: 5, Warning: 2 },
    },
    Checks: [{ CheckID: 'c1', Status: 'passing', ServiceID: 'web1' }],
  },
  {
    Node: 'N1',
    Address: '10.0.0.1',
    NodeMeta: { Zone: 'a=b', ' sp =': '`x`', 'rfc1035-note': 'as it is' },
    TaggedAddresses: { lan: '10.0.0.1', wan: '1.2.3.4' },
    Service: { ID: 'web2', Service: 'Web', Tags: ['v2'], Address: '10.9.9.9', Port: 81 },
  },
  {
    Node: 'n2',
    Address: 'foo.example.com',
    Service: { ID: 'web3', Service: 'Web', Tags: ['far'], Port: 82 },
    Checks: [{ CheckID: 'w', Status: 'warning', ServiceID: 'web3' }],
  },
  {
    Node: 'n3',
    Address: '2001:db8::1',
    Service: { ID: 'web4', Service: 'Web', Port: 83, Weights: { Passing: 3, Warning: 2 } },
    Checks: [{ CheckID: 'w', Status: 'warning' }],
  },
  {
    Node: 'n3',
    Address: '2001:db8::1',
    Service: { ID: 'web5', Service: 'Web', Address: '10.9.9.10', Port: 84 },
    Checks: [{ CheckID: 'x', Status: 'critical', ServiceID: 'web5' }],
  },
  {
    Node: 'n4.with.dots',
    Address: '10.0.0.4',
    Service: { Service: 'ext', Address: 'www.Example.org.', Port: 443 },
  },
  {
    Node: 'n5',
    Address: 'n1.node.consul',
    Service: { Service: 'loopy', Address: 'loopy.service.consul', Port: 1 },
  },
  { Node: 'n6', Address: '10.0.0.6', Service: { Service: 'self', Address: 'self.service.consul', Port: 1 } },
  { Node: 'n7', Address: '10.0.0.7', Service: { Service: 'indir', Address: 'Web.Service.consul', Port: 1 } },
  {
    Node: 'n8',
    Address: '10.0.0.8',
    TaggedAddresses: { lan_ipv4: '10.0.0.88', lan_ipv6: '2001:db8::88' },
    Service: {
      Service: 'tagged',
      Port: 9,
      TaggedAddresses: {
        lan_ipv4: { Address: '10.8.8.8', Port: 1 },
        lan_ipv6: { Address: '2001:db8::8888', Port: 2 },
      },
    },
  },
  {
    Node: 'n8',
    Address: '10.0.0.8',
    TaggedAddresses: { lan_ipv4: '10.0.0.88', lan_ipv6: '2001:db8::88' },
    Service: { Service: 'bynode', Port: 10 },
  },
  {
    Node: 'n9',
    Address: '10.0.0.9',
    Service: { Service: 'odd_name', Port: 9, Weights: { Passing: 7, Warning: 7 } },
    Checks: [{ CheckID: 'o', Status: 'weird', ServiceID: 'odd_name' }],
  },
  {
    Node: 'n10',
    Address: '10.0.0.10',
    Service: { Service: 'crit', Port: 9 },
    Checks: [{ CheckID: 'o', Status: 'critical' }],
  },
  { Node: 'n 11 !', Address: '10.0.0.11', Service: { Service: 'spaced', Port: 9 } },
  {
    Node: 'n8',
    Address: '10.0.0.8',
    TaggedAddresses: { lan_ipv4: '10.0.0.88', lan_ipv6: '2001:db8::88' },
    Service: {
      Service: 'sixtag',
      Port: 11,
      TaggedAddresses: { lan_ipv6: { Address: '2001:db8::6', Port: 2 } },
    },
  },
  {
    Node: 'n8',
    Address: '10.0.0.8',
    TaggedAddresses: { lan_ipv4: '10.0.0.88', lan_ipv6: '2001:db8::88' },
    Service: {
      Service: 'fourtag',
      Port: 12,
      Address: '2001:db8::44',
      TaggedAddresses: { lan_ipv4: { Address: '10.4.4.4', Port: 2 } },
    },
  },
  {
    Node: 'to-many',
    Address: 'many9.service.consul',
    Service: { Service: 'to-many', Address: 'many9.service.consul', Port: 21 },
  },
  { Node: 'n12', Address: '10.0.0.12', Service: { Service: 'six', Address: '2001:DB8:0::12', Port: 12 } },
  { Node: 'n13', Address: '::ffff:10.0.0.13', Service: { Service: 'mapped', Port: 13 } },
  {
    Node: 'n14',
    Address: '10.0.0.14',
    Service: { ID: 'm1', Service: 'maint', Port: 14, Weights: { Passing: 9, Warning: 8 } },
    Checks: [{ CheckID: '_service_maintenance:m1', Status: 'passing', ServiceID: 'm1' }],
  },
  { Node: 'n15', Address: '10.0.0.15', Service: { ID: 'd1', Service: 'dup', Port: 15 } },
  { Node: 'n15', Address: '10.0.0.15', Service: { ID: 'd2', Service: 'dup', Port: 15 } },
  { Node: 'n15', Address: '10.0.0.15', Service: { ID: 'd3', Service: 'dup', Port: 16 } },
  { Node: 'node', Address: '10.0.0.16', Service: { Service: 'service', Tags: ['node'], Port: 17 } },
  { Node: 'web.service', Address: 'n2.node.consul', Service: { Service: 'query', Port: 18 } },
  { Node: 'n17', Address: '10.0.0.17', Service: { Service: 'heavy', Port: 19 } },
  {
    Node: 'n18',
    Address: '10.0.0.18',
    Service: { Service: 'chain', Address: 'n5.node.consul', Port: 20 },
  },
];

const number = (n: number): string => String(n).padStart(4, '0');

/** Services with many like instances: `many20`, `many300` on nodes of their own, names of one length. */
export function crowd(count: number): readonly Registration[] {
  return Array.from({ length: count }, (_, i) => ({
    Node: `crowd-${number(count)}-${number(i)}`,
    Address: `11.${count % 251}.${i >> 8}.${i & 0xff}`,
    NodeMeta: { rack: number(i) },
    Service: { Service: `many${count}`, Port: 1000 + (i % 9000) },
  }));
}
