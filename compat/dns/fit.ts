import type { DnsConfig } from '../config/agent-config.ts';
import { ednsBytes, renderReply, type Query, type Reply } from './message.ts';
import { RrType } from './names.ts';
import type { Rr } from './records.ts';

export type Transport = 'udp' | 'tcp';

/** What every client takes over UDP (RFC 1035, 2.3.4). */
const plainUdpBytesMax = 512;
/** Consul leaves so much of it free. */
const spareBytesMin = 7;
/** What Consul takes to fit into one UDP datagram. */
const datagramBytesMax = 65_535 - 68;
/** The most that Consul leaves to a message over TCP. */
const tcpBytesMax = 65_535 - 12;
/** What the length of a datagram over IPv4, and of a message over TCP, can say. */
const sendableUdpBytesMax = 65_507;
const sendableTcpBytesMax = 65_535;
/** Answers to a client without EDNS0, whatever `udp_answer_limit` says. */
const plainAnswersMax = 8;
const tcpAnswersMax = 4096;
const tcpSrvAnswersMax = 1024;

/** The smallest record there can be: a pointer to its name, ten bytes, an IPv4 address. */
const recordBytesMin = 16;

/** More answers than this are of no use: one more than can be sent, so that cutting shows. */
export function answersWanted(query: Query, transport: Transport, config: DnsConfig): number {
  if (transport === 'tcp') return tcpAnswersMaxOf(query) + 1;
  const bytesMax = udpBytesMax(query);
  const plain = bytesMax === plainUdpBytesMax ? plainAnswersMaxOf(config) : Infinity;
  return Math.min(plain, Math.floor(bytesMax / recordBytesMin)) + 1;
}

/** What is followed from one of our records to a name of a service: as much as a plain client would get for it. */
export function followedWanted(config: DnsConfig): number {
  return plainAnswersMaxOf(config);
}

function udpBytesMax(query: Query): number {
  return Math.min(Math.max(query.edns?.udpBytesMax ?? 0, plainUdpBytesMax), datagramBytesMax);
}

function plainAnswersMaxOf(config: DnsConfig): number {
  return Math.min(config.udpAnswerLimit, plainAnswersMax);
}

function tcpAnswersMaxOf(query: Query): number {
  return query.question.type === RrType.SRV ? tcpSrvAnswersMax : tcpAnswersMax;
}

/**
 * The packet of a reply, with as many of its answers as the client can take where they are limited. How many those are is Consul's: clients
 * without EDNS0 get `udp_answer_limit` of them, and then counted without compression; a message that is too long
 * loses its authorities, and of its additional records all but the first for each target of an SRV record.
 */
export function renderFitting(query: Query, reply: Reply, transport: Transport, config: DnsConfig): Buffer {
  const compress = !config.disableCompression;
  if (reply.limited !== true) return renderSendable(query, reply, transport, compress);
  const fitting = transport === 'udp' ? fitUdp(query, reply, config) : fitTcp(query, reply, compress);
  const cut = fitting.answers.length < reply.answers.length;
  const truncated = cut && config.enableTruncate;
  return renderSendable(query, { ...fitting, truncated }, transport, compress);
}

/**
 * Leaves out all additional records, or all records, of a packet that could not be sent at all (a node's metadata may
 * be of any length). Consul then sends nothing.
 */
function renderSendable(query: Query, reply: Reply, transport: Transport, compress: boolean): Buffer {
  const bytesMax = transport === 'udp' ? sendableUdpBytesMax : sendableTcpBytesMax;
  const packet = renderReply(query, reply, compress);
  if (packet.length <= bytesMax) return packet;
  const bare = renderReply(query, { ...reply, additionals: [], authorities: [] }, compress);
  if (bare.length <= bytesMax) return bare;
  return renderReply(query, { ...reply, answers: [], additionals: [], truncated: true }, compress);
}

function fitUdp(query: Query, reply: Reply, config: DnsConfig): Reply {
  const bytesMax = udpBytesMax(query);
  // Consul does not count the EDNS0 record, so that it can send more than the client takes.
  const spareBytes = Math.max(spareBytesMin, ednsBytes(query));
  const answersMax = plainAnswersMaxOf(config);
  const compress = !config.disableCompression;
  if (bytesMax > plainUdpBytesMax || reply.answers.length <= answersMax) {
    return fitBytes(query, reply, bytesMax, spareBytes, compress);
  }
  return fitBytes(query, shortener(reply)(answersMax), bytesMax, spareBytes, false);
}

function fitTcp(query: Query, reply: Reply, compress: boolean): Reply {
  const answersMax = tcpAnswersMaxOf(query);
  const limited =
    reply.answers.length > answersMax ? { ...reply, answers: reply.answers.slice(0, answersMax) } : reply;
  return fitBytes(query, limited, tcpBytesMax, 0, compress);
}

/** Takes answers off until at most `bytesMax - spareBytes` are left; the last one stays, however long it is. */
function fitBytes(
  query: Query,
  reply: Reply,
  bytesMax: number,
  spareBytes: number,
  compress: boolean,
): Reply {
  const bytesOf = (candidate: Reply): number =>
    renderReply(query, { ...candidate, edns: false }, compress).length;
  const shortened = shortener({ ...reply, authorities: [] });
  let current = reply;
  while (current.answers.length > 1) {
    const over = bytesOf(current) - bytesMax;
    if (over <= -spareBytes) break;
    const count =
      over > 100
        ? mostThatFit(current.answers.length, bytesMax, (n) => bytesOf(shortened(n)))
        : current.answers.length - 1;
    current = shortened(count);
  }
  return current;
}

/** The highest count whose message is not longer than `bytesMax`; 0 where none is. */
function mostThatFit(countMax: number, bytesMax: number, bytesOf: (count: number) => number): number {
  let fits = 0;
  let tooMany = Math.min(countMax, Math.floor(bytesMax / recordBytesMin)) + 1;
  while (tooMany - fits > 1) {
    const middle = fits + Math.floor((tooMany - fits) / 2);
    if (bytesOf(middle) <= bytesMax) fits = middle;
    else tooMany = middle;
  }
  return fits;
}

/** Gives the first answers, with the additional records that lead on from them: one for each name. */
function shortener(reply: Reply): (count: number) => Reply {
  const firstByName = new Map<string, Rr>();
  for (const record of reply.additionals) {
    const name = record.name.toLowerCase();
    if (!firstByName.has(name)) firstByName.set(name, record);
  }
  return (count) => {
    const answers = reply.answers.slice(0, count);
    const kept = new Map<string, Rr>();
    for (const answer of answers) {
      if (firstByName.size === 0 || answer.type !== 'SRV') continue;
      let name: string | undefined = answer.data.target.toLowerCase();
      while (name !== undefined && !kept.has(name)) {
        const record = firstByName.get(name);
        if (record !== undefined) kept.set(name, record);
        name = record?.type === 'CNAME' ? record.data.toLowerCase() : undefined;
      }
    }
    return { ...reply, answers, additionals: [...kept.values()] };
  };
}
