import { isIP } from 'node:net';
import { RrType } from './names.ts';

/** An IP address: 4 bytes, or 16. An IPv4 address written as IPv6 (`::ffff:10.0.0.1`) has 4, as in Go. */
export type IpBytes = readonly number[];

export function parseIp(text: string): IpBytes | undefined {
  // Go takes no zone (`fe80::1%eth0`) for a part of an address.
  const family = text.includes('%') ? 0 : isIP(text);
  if (family === 0) return undefined;
  if (family === 4) return text.split('.').map(Number);
  const bytes = ipv6Bytes(text);
  const mapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  return mapped ? bytes.slice(12) : bytes;
}

/** Of a well-formed address. */
function ipv6Bytes(text: string): number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  const groups =
    dotted === null
      ? text
      : dotted[1] +
        hexGroup(Number(dotted[2]), Number(dotted[3])) +
        ':' +
        hexGroup(Number(dotted[4]), Number(dotted[5]));
  const [head = '', tail] = groups.split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const all = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => '0'), ...after];
  return all.flatMap((group) => {
    const value = parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

function hexGroup(high: number, low: number): string {
  return ((high << 8) | low).toString(16);
}

/** As a packet codec takes it. */
export function ipText(ip: IpBytes): string {
  if (ip.length === 4) return ip.join('.');
  const groups: string[] = [];
  for (let i = 0; i < 16; i += 2) groups.push(hexGroup(ip[i] as number, ip[i + 1] as number));
  return groups.join(':');
}

/** The label of an address in `.addr` names. */
export function ipHex(ip: IpBytes): string {
  return Buffer.from(ip).toString('hex');
}

/**
 * The address that a label of an `.addr` name stands for; undefined where it is not hexadecimal, `none` where its
 * length is that of no address. 32 digits are IPv6 always, IPv4 written as IPv6 too.
 */
export function parseIpHex(hex: string): IpBytes | 'none' | undefined {
  const bytes = Math.floor(hex.length / 2);
  if (bytes !== 4 && bytes !== 16) return 'none';
  return hex.length % 2 === 0 && /^[0-9a-f]+$/.test(hex) ? [...Buffer.from(hex, 'hex')] : undefined;
}

/** The address that a name below `in-addr.arpa` or `ip6.arpa` (in lower case) stands for. */
export function parseReverse(name: string): IpBytes | undefined {
  const v4 = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.in-addr\.arpa$/.exec(name);
  if (v4 !== null) return parseIp(v4.slice(1).toReversed().join('.'));
  if (!/^([0-9a-f]\.){32}ip6\.arpa$/.test(name)) return undefined;
  const hex = name.slice(0, 64).split('.').toReversed().join('');
  return parseIp((hex.match(/.{4}/g) ?? []).join(':'));
}

type Addresses = Readonly<Record<string, string | { readonly address: string }>>;

/**
 * The address of a node or a service that suits the type of the question: `lan_ipv4` and `lan_ipv6` among its tagged
 * addresses come before its own where the type wants that family. In an answer for another datacenter with
 * `translate_wan_addrs` its `wan` addresses stand for them. Empty: none suits.
 */
export function addressFor(
  questionType: number,
  address: string,
  tagged: Addresses | null,
  translateWan: boolean,
): string {
  const wan = (name: string): string | undefined => (translateWan ? taggedAddress(tagged, name) : undefined);
  const own = wan('wan') ?? address;
  const v4 = wan('wan_ipv4') ?? taggedAddress(tagged, 'lan_ipv4') ?? '';
  const v6 = wan('wan_ipv6') ?? taggedAddress(tagged, 'lan_ipv6') ?? '';
  const wantsV4 = questionType !== RrType.AAAA;
  const wantsV6 = questionType !== RrType.A;
  if (wantsV6 && v6 !== '') return v6;
  if (wantsV4 && v4 !== '') return v4;
  if (wantsV4 && wantsV6) return own;
  const ip = parseIp(own);
  if (ip === undefined) return own;
  return (ip.length === 4) === wantsV4 ? own : '';
}

function taggedAddress(tagged: Addresses | null, name: string): string | undefined {
  if (tagged === null || !Object.hasOwn(tagged, name)) return undefined;
  const value = tagged[name];
  return typeof value === 'object' ? value.address : value;
}
