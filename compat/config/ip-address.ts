import { BlockList, isIP } from 'node:net';

/** An address of an interface of this machine. */
export interface InterfaceAddress {
  readonly interface: string;
  readonly address: string;
  readonly family: 'IPv4' | 'IPv6';
  /** Bits of the network part. */
  readonly prefixBits: number;
  readonly mac: string;
  readonly loopback: boolean;
}

/** What resolving the configuration asks of the machine. */
export interface HostFacts {
  readonly hostname: string;
  readonly interfaces: readonly InterfaceAddress[];
  /** The interface of the default route, where it is known. */
  readonly defaultInterface: string | undefined;
}

export function familyOf(address: string): 'IPv4' | 'IPv6' | undefined {
  const family = isIP(address);
  if (family === 0) return undefined;
  return family === 4 ? 'IPv4' : 'IPv6';
}

/** `0.0.0.0` or `::`. */
export function isAnyAddress(address: string): boolean {
  return address === '0.0.0.0' || address === '::' || address === '[::]';
}

/** `host:port`, with an IPv6 host in brackets. */
export function joinHostPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether this is a network in CIDR form with a prefix that fits its family. */
export function isCidr(text: string): boolean {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const family = familyOf(match?.[1] ?? '');
  return family !== undefined && Number(match?.[2]) <= (family === 'IPv4' ? 32 : 128);
}

/** Whether an address lies in one of these networks. */
export function inNetworks(address: string, networks: readonly string[]): boolean {
  const family = familyOf(address);
  if (family === undefined) return false;
  const list = new BlockList();
  for (const network of networks) {
    const [base = '', bits = ''] = network.split('/');
    const baseFamily = familyOf(base);
    if (baseFamily === family) list.addSubnet(base, Number(bits), family === 'IPv4' ? 'ipv4' : 'ipv6');
  }
  return list.check(address, family === 'IPv4' ? 'ipv4' : 'ipv6');
}

/** Networks by the RFC that sets them apart; 6890 stands for all that are not globally routed. */
export const networksOfRfc: Readonly<Record<string, readonly string[]>> = {
  '1918': ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16'],
  '4193': ['fc00::/7'],
  '6598': ['100.64.0.0/10'],
  '6890':
    `0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
    192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 240.0.0.0/4 255.255.255.255/32
    ::1/128 ::/128 64:ff9b::/96 ::ffff:0:0/96 100::/64 2001::/23 2001:db8::/32 2002::/16 fc00::/7 fe80::/10`.split(
      /\s+/,
    ),
};

const forwardableSpecial = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '198.18.0.0/15',
  'fc00::/7',
];

/** Set apart by RFC 6890 and yet routed inside an organisation: what "a private address" means. */
export function isPrivate(address: string): boolean {
  return inNetworks(address, networksOfRfc['6890'] ?? []) && inNetworks(address, forwardableSpecial);
}

/** Globally routed. */
export function isPublic(address: string): boolean {
  return !inNetworks(address, networksOfRfc['6890'] ?? []);
}
