import {
  AUTHORITATIVE_ANSWER,
  decode,
  encode,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
  type Answer,
  type OptAnswer,
} from 'dns-packet';
import { compressNames } from './compress.ts';
import { isEncodable, type Question } from './names.ts';
import { Rcode, type Rr } from './records.ts';
import type { Sections } from './resolver.ts';

/** What a client said about EDNS0 (RFC 6891). */
export interface Edns {
  /** The largest UDP packet that it takes. */
  readonly udpBytesMax: number;
  /** Client subnet option (RFC 7871) as it came. */
  readonly subnet: Buffer | undefined;
}

export interface Query {
  readonly id: number;
  readonly opcode: number;
  readonly recursionDesired: boolean;
  readonly question: Question;
  /** The question section, byte by byte: it is sent back as it came. */
  readonly questionBytes: Buffer;
  readonly edns: Edns | undefined;
  /** The whole packet, for recursors. */
  readonly packet: Buffer;
}

/** `ignored`: no answer at all, it could only serve to hit somebody else. `rejected`: with this answer. */
export type Received =
  | { readonly kind: 'query'; readonly query: Query }
  | { readonly kind: 'rejected'; readonly reply: Buffer }
  | { readonly kind: 'ignored' };

const headerBytes = 12;
const responseFlag = 0x8000;
const subnetOption = 8;
const opcodeQuery = 0;
const opcodeNotify = 4;

/**
 * Reads a packet from a client. The same are taken as Consul's DNS library takes: one question, at most one answer,
 * one authority and two additional records, opcode QUERY or NOTIFY. That bounds what a packet can cost.
 */
export function readQuery(packet: Buffer): Received {
  if (packet.length < headerBytes) return { kind: 'ignored' };
  const flags = packet.readUInt16BE(2);
  if ((flags & responseFlag) !== 0) return { kind: 'ignored' };
  const opcode = (flags >> 11) & 0xf;
  if (opcode !== opcodeQuery && opcode !== opcodeNotify) return rejected(packet, flags, Rcode.notImp);
  const counts = [4, 6, 8, 10].map((at) => packet.readUInt16BE(at));
  const [questions = 0, answers = 0, authorities = 0, additionals = 0] = counts;
  if (questions !== 1 || answers > 1 || authorities > 1 || additionals > 2) {
    return rejected(packet, flags, Rcode.formErr);
  }
  const name = readName(packet, headerBytes);
  if (name === undefined || name.end + 4 > packet.length) return rejected(packet, flags, Rcode.formErr);
  const end = name.end + 4;
  const opt = end === packet.length ? undefined : readOpt(packet);
  if (opt === 'unreadable') return rejected(packet, flags, Rcode.formErr);
  const edns = opt === undefined ? undefined : ednsOf(opt);
  return {
    kind: 'query',
    query: {
      id: packet.readUInt16BE(0),
      opcode,
      recursionDesired: opcode === opcodeQuery && (flags & RECURSION_DESIRED) !== 0,
      question: { name: name.text, type: packet.readUInt16BE(name.end), edns: edns !== undefined },
      questionBytes: packet.subarray(headerBytes, end),
      edns,
      packet,
    },
  };
}

/** A header alone, as Consul answers what it cannot read. */
function rejected(packet: Buffer, flags: number, rcode: number): Received {
  const reply = Buffer.alloc(headerBytes);
  packet.copy(reply, 0, 0, 2);
  const opcode = rcode === Rcode.notImp ? flags & 0x7800 : 0;
  reply.writeUInt16BE(responseFlag | opcode | (flags & RECURSION_DESIRED) | rcode, 2);
  return { kind: 'rejected', reply };
}

/** The characters that a name's text form quotes with a backslash. */
const quoted: ReadonlySet<string> = new Set(['.', '(', ')', ';', ' ', '@', '"', '\\']);

/**
 * The name of the question in text form, and where it ends. By hand: the codec reads bytes as UTF-8 and dots in labels
 * as label ends. There is nothing before the question that it could point to, so no compression.
 */
function readName(
  packet: Buffer,
  start: number,
): { readonly text: string; readonly end: number } | undefined {
  const labels: string[] = [];
  for (let at = start; at < packet.length;) {
    const length = packet[at] as number;
    if (length === 0) return { text: labels.join('.'), end: at + 1 };
    if (length > 63 || at + 1 + length >= packet.length || at + length - start > 253) return undefined;
    let label = '';
    for (const byte of packet.subarray(at + 1, at + 1 + length)) {
      const char = String.fromCharCode(byte);
      if (quoted.has(char)) label += `\\${char}`;
      else label += byte < 0x20 || byte > 0x7e ? `\\${String(byte).padStart(3, '0')}` : char;
    }
    labels.push(label);
    at += 1 + length;
  }
  return undefined;
}

function readOpt(packet: Buffer): OptAnswer | undefined | 'unreadable' {
  try {
    return decode(packet).additionals?.find((record) => record.type === 'OPT');
  } catch {
    return 'unreadable';
  }
}

function ednsOf(opt: OptAnswer): Edns {
  const subnet = opt.options.find((option) => option.code === subnetOption)?.data;
  return {
    udpBytesMax: opt.udpPayloadSize,
    subnet: subnet !== undefined && subnet.length >= 4 ? Buffer.from(subnet) : undefined,
  };
}

export interface Reply extends Sections {
  readonly authoritative: boolean;
  readonly recursionAvailable: boolean;
  readonly truncated: boolean;
  /** Whether the client's EDNS0 record is answered with one. */
  readonly edns: boolean;
}

/**
 * The packet of a reply. Records whose names no packet can hold are left out (Consul then sends nothing at all):
 * names in the catalog are free, those in DNS are not.
 */
export function renderReply(query: Query, reply: Reply, compress: boolean): Buffer {
  const encodable = (records: readonly Rr[]): Answer[] => records.filter(isRecordEncodable);
  const additionals = encodable(reply.additionals);
  if (reply.edns && query.edns !== undefined) additionals.push(optRecord(query.edns));
  const encoded = encode({
    type: 'response',
    id: query.id,
    flags: flagsOf(query, reply),
    questions: [],
    answers: encodable(reply.answers),
    authorities: encodable(reply.authorities),
    additionals,
  });
  const packet = Buffer.concat([
    encoded.subarray(0, headerBytes),
    query.questionBytes,
    encoded.subarray(headerBytes),
  ]);
  packet.writeUInt16BE(1, 4);
  return compress ? compressNames(packet) : packet;
}

function flagsOf(query: Query, reply: Reply): number {
  return (
    (query.opcode << 11) |
    (reply.authoritative ? AUTHORITATIVE_ANSWER : 0) |
    (reply.truncated ? TRUNCATED_RESPONSE : 0) |
    (query.recursionDesired ? RECURSION_DESIRED : 0) |
    (reply.recursionAvailable ? RECURSION_AVAILABLE : 0) |
    reply.rcode
  );
}

function isRecordEncodable(record: Rr): boolean {
  if (!isEncodable(record.name)) return false;
  switch (record.type) {
    case 'CNAME':
    case 'DNAME':
    case 'NS':
    case 'PTR':
      return isEncodable(record.data);
    case 'SRV':
      return isEncodable(record.data.target);
    default:
      return true;
  }
}

/** What answering the client's EDNS0 record takes. */
export function ednsBytes(query: Query): number {
  if (query.edns === undefined) return 0;
  const { subnet } = query.edns;
  return 11 + (subnet === undefined ? 0 : 4 + subnet.length);
}

/** Answers are the same for every subnet, which a scope of 0 says (RFC 7871, 7.2.1). */
function optRecord(edns: Edns): Answer {
  const { subnet, udpBytesMax } = edns;
  const data = subnet === undefined ? undefined : Buffer.from(subnet);
  if (data !== undefined) data[3] = 0;
  return {
    type: 'OPT',
    name: '.',
    udpPayloadSize: udpBytesMax,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: data === undefined ? [] : [{ code: subnetOption, data, ip: undefined }],
  };
}
