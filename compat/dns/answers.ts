import type { NodeValue } from '../../src/state/values.ts';
import type { DnsConfig } from '../config/agent-config.ts';
import { addressFor, ipHex, parseIp, type IpBytes } from './addresses.ts';
import type { DnsCatalog, Endpoint } from './catalog.ts';
import { RrType, withoutFinalDot, type Question } from './names.ts';
import { addressRecords, metaRecords, stringRecord, textBytes, type Rr } from './records.ts';

/** What the records of one answer are made with. */
export interface AnswerContext {
  readonly config: DnsConfig;
  readonly nowMs: number;
  /** Records that are of use. */
  readonly answersMax: number;
  readonly random: () => number;
  readonly catalogOf: (datacenter: string) => DnsCatalog | undefined;
  /** Our domain, without the final dot: names in answers are in it, also where the other one was asked. */
  readonly domain: string;
  /** The datacenter that is asked about. */
  readonly datacenter: string;
  /** Whether nodes and services are shown by their WAN addresses. */
  readonly translateWan: boolean;
  /** The records of a name that one of ours points to. */
  readonly follow: (name: string) => readonly Rr[];
}

export interface Records {
  readonly answers: readonly Rr[];
  readonly additionals: readonly Rr[];
}

const none: Records = { answers: [], additionals: [] };

/** Bytes of metadata beside SRV records: with more no message is short enough, and then it all is left out. */
const metaBytesMax = 65_535;

/** Records of what a name points to, in an answer to a client without EDNS0. */
const followedMax = 5;

/** The records of a service's instances, in their order. */
export function serviceRecords(
  question: Question,
  endpoints: readonly Endpoint[],
  ttl: number,
  context: AnswerContext,
): Records {
  return question.type === RrType.SRV
    ? srvRecords(question, endpoints, ttl, context)
    : hostRecords(question, endpoints, ttl, context);
}

/** One SRV record for each place that instances have, however many instances are there. */
function srvRecords(
  question: Question,
  endpoints: readonly Endpoint[],
  ttl: number,
  context: AnswerContext,
): Records {
  const answers: Rr[] = [];
  const additionals: Rr[] = [];
  const places = new Set<string>();
  let metaBytes = 0;
  for (const endpoint of endpoints) {
    const { node, service } = endpoint;
    const address = addressFor(RrType.SRV, service.address, service.taggedAddresses, context.translateWan);
    const place = JSON.stringify([node.node, address, portOf(endpoint, context)]);
    if (places.has(place)) continue;
    if (answers.length >= context.answersMax) break;
    places.add(place);
    const records = endpointRecords(question, endpoint, ttl, context);
    answers.push(...records.answers);
    additionals.push(...records.additionals);
    if (context.config.nodeMetaTxt && metaBytes <= metaBytesMax) {
      const meta = metaRecords(nodeName(node, context), node.meta, ttl);
      metaBytes += textBytes(meta);
      additionals.push(...meta);
    }
  }
  return { answers, additionals };
}

/** Addresses; a name that an instance points to only where there is no address at all, and then one only. */
function hostRecords(
  question: Question,
  endpoints: readonly Endpoint[],
  ttl: number,
  context: AnswerContext,
): Records {
  const answers: Rr[] = [];
  let pointer: readonly Rr[] = [];
  const seen = new Set<string>();
  let counted = 0;
  for (const endpoint of endpoints) {
    const records = endpointRecords(question, endpoint, ttl, context).answers;
    const [first] = records;
    if (first === undefined) continue;
    const shown = JSON.stringify([first.type, first.data]);
    if (seen.has(shown)) continue;
    seen.add(shown);
    if (first.type === 'CNAME') {
      if (pointer.length === 0) pointer = records;
      continue;
    }
    answers.push(...records);
    counted += 1;
    if (counted === context.config.aRecordLimit || answers.length >= context.answersMax) break;
  }
  return { answers: answers.length === 0 ? pointer : answers, additionals: [] };
}

/** The records of one instance: by its own address, else by that of its node. */
function endpointRecords(
  question: Question,
  endpoint: Endpoint,
  ttl: number,
  context: AnswerContext,
): Records {
  const { node, service } = endpoint;
  const { type } = question;
  const serviceAddress = addressFor(type, service.address, service.taggedAddresses, context.translateWan);
  const nodeAddress = addressFor(type, node.address, node.taggedAddresses, context.translateWan);
  const nodeIp = parseIp(nodeAddress);
  const atNode = (ip: IpBytes): Records =>
    ipRecords(question, endpoint, ip, nodeName(node, context), ttl, context);
  const atAddress = (ip: IpBytes): Records =>
    ipRecords(question, endpoint, ip, inDomain(`${ipHex(ip)}.addr`, context), ttl, context);
  if (serviceAddress === '') {
    // An address of its own in the other family: the node's is not the service's.
    if (nodeAddress === '' || service.address !== '') return none;
    if (nodeIp === undefined) return nameRecords(question, endpoint, nodeAddress, ttl, context);
    // The node's name would lead to another address than this one.
    return node.address === nodeAddress ? atNode(nodeIp) : atAddress(nodeIp);
  }
  const serviceIp = parseIp(serviceAddress);
  if (serviceIp !== undefined) return atAddress(serviceIp);
  if (withoutFinalDot(serviceAddress) === question.name) {
    // A service that points to itself is at its node.
    if (nodeAddress === '') return none;
    if (nodeIp !== undefined) return atNode(nodeIp);
  }
  return nameRecords(question, endpoint, serviceAddress, ttl, context);
}

function ipRecords(
  question: Question,
  endpoint: Endpoint,
  ip: IpBytes,
  target: string,
  ttl: number,
  context: AnswerContext,
): Records {
  if (question.type !== RrType.SRV) {
    return { answers: addressRecords(question.type, question.name, ip, ttl), additionals: [] };
  }
  return {
    answers: [srvRecord(question, endpoint, target, ttl, context)],
    additionals: addressRecords(RrType.SRV, target, ip, ttl),
  };
}

/** Of an instance whose address is a name. */
function nameRecords(
  question: Question,
  endpoint: Endpoint,
  address: string,
  ttl: number,
  context: AnswerContext,
): Records {
  const target = withoutFinalDot(address);
  const followed: Rr[] = [];
  for (const record of context.follow(target)) {
    if (!['A', 'AAAA', 'CNAME'].includes(record.type)) continue;
    followed.push({ ...record, ttl });
    if (followed.length === followedMax && !question.edns) break;
  }
  if (question.type === RrType.SRV) {
    return { answers: [srvRecord(question, endpoint, target, ttl, context)], additionals: followed };
  }
  return { answers: [stringRecord('CNAME', question.name, target, ttl), ...followed], additionals: [] };
}

/** A node's address, or the name that stands for it with what that leads to. */
export function nodeRecords(
  questionType: number,
  name: string,
  node: NodeValue,
  ttl: number,
  context: AnswerContext,
): readonly Rr[] {
  const address = addressFor(questionType, node.address, node.taggedAddresses, context.translateWan);
  if (address === '') return [];
  const ip = parseIp(address);
  if (ip !== undefined) return addressRecords(questionType, name, ip, ttl);
  const target = withoutFinalDot(address);
  return [stringRecord('CNAME', name, target, ttl), ...context.follow(target)];
}

function srvRecord(
  question: Question,
  endpoint: Endpoint,
  target: string,
  ttl: number,
  context: AnswerContext,
): Rr {
  const port = portOf(endpoint, context);
  return {
    type: 'SRV',
    name: question.name,
    ttl,
    // Both are unsigned numbers of 16 bits on the wire; the catalog takes any.
    data: { priority: 1, weight: endpoint.weight & 0xffff, port: port & 0xffff, target },
  };
}

function portOf({ service }: Endpoint, context: AnswerContext): number {
  const wan = context.translateWan ? service.taggedAddresses?.['wan'] : undefined;
  return wan !== undefined && wan.port !== 0 ? wan.port : service.port;
}

function nodeName(node: NodeValue, context: AnswerContext): string {
  return inDomain(`${node.node}.node`, context);
}

function inDomain(name: string, context: AnswerContext): string {
  const inDatacenter = `${name}.${context.datacenter}`;
  return context.domain === '' ? inDatacenter : `${inDatacenter}.${context.domain}`;
}
