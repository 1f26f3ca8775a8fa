import type { SoaAnswer, SrvAnswer, StringAnswer, TxtAnswer } from 'dns-packet';
import { ipText, type IpBytes } from './addresses.ts';
import { RrType } from './names.ts';

/** A record of an answer. Names have no final dot. */
export type Rr = StringAnswer | SrvAnswer | TxtAnswer | SoaAnswer;

/** A TXT record of ours: its text cut into strings. */
export type TxtRecord = TxtAnswer & { readonly data: readonly Buffer[] };

/** Response codes (RFC 1035, 4.1.1). */
export const Rcode = { noError: 0, formErr: 1, servFail: 2, nxDomain: 3, notImp: 4, refused: 5 } as const;

export function stringRecord(type: StringAnswer['type'], name: string, data: string, ttl: number): Rr {
  return { type, name, ttl, data };
}

/** The A or AAAA record of an address, where a question of this type is answered with one. */
export function addressRecords(questionType: number, name: string, ip: IpBytes, ttl: number): readonly Rr[] {
  switch (questionType) {
    case RrType.A:
    case RrType.AAAA:
    case RrType.ANY:
    case RrType.SRV:
    case RrType.TXT:
      break;
    default:
      return [];
  }
  const type = ip.length === 4 ? 'A' : 'AAAA';
  if (questionType === RrType.A && type !== 'A') return [];
  if (questionType === RrType.AAAA && type !== 'AAAA') return [];
  return [stringRecord(type, name, ipText(ip), ttl)];
}

/** Most bytes that one string of a TXT record can have (RFC 1035, 3.3.14). */
const txtStringBytesMax = 255;

/** Most bytes of text that are shown of one pair: the data of a record has 65,535, lengths of strings included. */
const txtBytesMax = 255 * 255;

/** A node's metadata as TXT records: `key=value` (RFC 1464), and the value alone where the key says `rfc1035-`. */
export function metaRecords(
  name: string,
  meta: Readonly<Record<string, string>> | null,
  ttl: number,
): readonly TxtRecord[] {
  return Object.entries(meta ?? {}).map(([key, value]) => {
    const text = key.toLowerCase().startsWith('rfc1035-') ? value : rfc1464(key, value);
    const bytes = Buffer.from(text).subarray(0, txtBytesMax);
    const strings: Buffer[] = [];
    for (let at = 0; at < bytes.length || at === 0; at += txtStringBytesMax) {
      strings.push(bytes.subarray(at, at + txtStringBytesMax));
    }
    return { type: 'TXT', name, ttl, data: strings };
  });
}

export function textBytes(records: readonly TxtRecord[]): number {
  return records.reduce((sum, { data }) => sum + data.reduce((bytes, each) => bytes + each.length, 0), 0);
}

/** A backquote quotes itself, and in keys the equals sign and spaces at either end. */
function rfc1464(key: string, value: string): string {
  const quoted = key.replaceAll('`', '``').replaceAll('=', '`=');
  const inner = quoted.replace(/^ +/, quoteSpaces).replace(/ +$/, quoteSpaces);
  return `${inner}=${value.replaceAll('`', '``')}`;
}

function quoteSpaces(spaces: string): string {
  return '` '.repeat(spaces.length);
}
