import type { DnsConfig } from '../config/agent-config.ts';
import { ipText, parseIpHex, parseReverse } from './addresses.ts';
import { nodeRecords, serviceRecords, type AnswerContext } from './answers.ts';
import type { DnsCatalog } from './catalog.ts';
import { isWithin, labelsAbove, parseTarget, RrType, withoutFinalDot, type Question } from './names.ts';
import { Rcode, metaRecords, stringRecord, type Rr } from './records.ts';
import { shuffled } from './shuffle.ts';
import { soaRecord } from './soa.ts';
import { nodeTtlSeconds, serviceTtlSeconds } from './ttl.ts';

export interface Sections {
  readonly rcode: number;
  /** Whether the answers are cut to what the client takes: those for services only are, as Consul's. */
  readonly limited?: boolean;
  readonly answers: readonly Rr[];
  readonly authorities: readonly Rr[];
  readonly additionals: readonly Rr[];
}

/**
 * - `answer`: ours, authoritative;
 * - `recurse`: for the recursors to answer, SERVFAIL where there are none;
 * - `refused`: not our domain, and no recursors;
 * - `names-wanted`: first ask the recursors where these names outside point to, then resolve again with that.
 */
export type Resolution =
  | ({ readonly kind: 'answer' } & Sections)
  | { readonly kind: 'recurse' }
  | { readonly kind: 'refused' }
  | { readonly kind: 'names-wanted'; readonly names: readonly string[] };

export interface ResolverContext {
  readonly config: DnsConfig;
  readonly datacenter: string;
  readonly translateWanAddrs: boolean;
  /** Undefined: a datacenter that nobody knows. */
  readonly catalogOf: (datacenter: string) => DnsCatalog | undefined;
  /** From 0 up to but without 1. */
  readonly random: () => number;
  readonly nowMs: number;
  /** Records of a service that are of use; there may be more in the answer. */
  readonly answersMax: number;
  /** Answers that are taken from a name of a service which a record of ours points to. */
  readonly followedMax: number;
  /** What recursors said about names outside, by name as it was wanted; undefined: they were not asked yet. */
  readonly outside: ReadonlyMap<string, readonly Rr[]> | undefined;
}

/** Names that were followed for one answer. */
interface Following {
  /** Names outside that recursors must be asked for. */
  readonly wanted: Set<string>;
  /**
   * What names of ours led to, by name and what was left of the follows: a hundred instances that all point to each
   * other are followed once for each level, not a hundred times a hundred times.
   */
  readonly known: Map<string, readonly Rr[]>;
}

/** How often a name that points to a name of ours is followed. */
const followsMax = 3;
/** NS records in an answer. */
const nameServersMax = 3;

/** Answers one question as Consul 1.8 does. */
export function resolve(question: Question, context: ResolverContext): Resolution {
  const { config } = context;
  const name = question.name.toLowerCase();
  const recursive = config.recursors.length > 0;
  const domain = domainOf(name, config);
  // DS records belong to the parent's side of a zone (RFC 4035, 3.1.4.1).
  if (domain !== undefined && !(question.type === RrType.DS && recursive)) {
    const following: Following = { wanted: new Set(), known: new Map() };
    const sections = answerOwn(question, labelsAbove(name, domain), context, following);
    const { wanted } = following;
    if (wanted.size > 0) return { kind: 'names-wanted', names: [...wanted] };
    return { kind: 'answer', ...sections };
  }
  if (isWithin(name, 'arpa') && domain === undefined) return answerReverse(question, name, context);
  return recursive ? { kind: 'recurse' } : { kind: 'refused' };
}

/** The longer one where a name is within both of our domains. */
function domainOf(name: string, config: DnsConfig): string | undefined {
  const domains = [config.domain, config.altDomain]
    .filter((domain) => domain !== undefined)
    .map(withoutFinalDot)
    .filter((domain) => isWithin(name, domain));
  return domains.toSorted((a, b) => b.length - a.length)[0];
}

function answerOwn(
  question: Question,
  labels: readonly string[],
  context: ResolverContext,
  following: Following,
): Sections {
  switch (question.type) {
    case RrType.SOA: {
      const { names, glue } = nameServers(context, following);
      return found([soaRecord(context.config, context.nowMs)], glue, names);
    }
    case RrType.NS: {
      const { names, glue } = nameServers(context, following);
      return found(names, glue);
    }
    case RrType.AXFR:
      return { ...found([]), rcode: Rcode.notImp };
    default:
      return answerTarget(question, labels, context, following, followsMax);
  }
}

function answerTarget(
  question: Question,
  labels: readonly string[],
  context: ResolverContext,
  following: Following,
  followsLeft: number,
): Sections {
  const target = parseTarget(labels, question.type === RrType.SRV);
  switch (target.kind) {
    case 'service':
      return answerService(
        question,
        target,
        answerContext(context, following, followsLeft, target.datacenter),
      );
    case 'node':
      return answerNode(
        question,
        target.node,
        answerContext(context, following, followsLeft, target.datacenter),
      );
    case 'address':
      return answerAddress(target.hex, labels, context);
    case 'nothing':
    case 'invalid':
      return notThere(context);
  }
}

function answerContext(
  context: ResolverContext,
  following: Following,
  followsLeft: number,
  datacenter: string | undefined,
): AnswerContext {
  const { config } = context;
  const asked = datacenter ?? context.datacenter;
  return {
    ...context,
    domain: withoutFinalDot(config.domain),
    datacenter: asked,
    translateWan: context.translateWanAddrs && asked !== context.datacenter,
    follow: (name) => follow(name, context, following, followsLeft),
  };
}

/** The records that a name has which a record of ours points to. */
function follow(
  name: string,
  context: ResolverContext,
  following: Following,
  followsLeft: number,
): readonly Rr[] {
  const domain = domainOf(name.toLowerCase(), context.config);
  if (domain !== undefined && name.length > domain.length) {
    if (followsLeft < 1) return [];
    const key = `${followsLeft} ${name}`;
    const known = following.known.get(key) ?? followOwn(name, domain, context, following, followsLeft);
    following.known.set(key, known);
    return known;
  }
  if (context.config.recursors.length === 0) return [];
  if (context.outside === undefined) following.wanted.add(name);
  return context.outside?.get(name) ?? [];
}

function followOwn(
  name: string,
  domain: string,
  context: ResolverContext,
  following: Following,
  followsLeft: number,
): readonly Rr[] {
  const question = { name, type: RrType.ANY, edns: false };
  const labels = labelsAbove(name.toLowerCase(), domain);
  const limited = { ...context, answersMax: context.followedMax };
  const sections = answerTarget(question, labels, limited, following, followsLeft - 1);
  return sections.limited === true ? sections.answers.slice(0, context.followedMax) : sections.answers;
}

function answerService(
  question: Question,
  target: { readonly service: string; readonly tag: string | undefined },
  context: AnswerContext,
): Sections {
  const { service, tag } = target;
  if (service === '') return { ...found([]), rcode: Rcode.servFail };
  const usable = context.catalogOf(context.datacenter)?.instances(service, context.config.onlyPassing) ?? [];
  const endpoints =
    tag === undefined
      ? usable
      : usable.filter((endpoint) => endpoint.service.tags.some((each) => each.toLowerCase() === tag));
  if (endpoints.length === 0) return notThere(context);
  const ttl = serviceTtlSeconds(context.config, service);
  const { answers, additionals } = serviceRecords(
    question,
    shuffled(endpoints, context.random),
    ttl,
    context,
  );
  if (answers.length === 0) return nothingOfThisType(context);
  return { ...found(answers, additionals), limited: true };
}

const nodeTypes: ReadonlySet<number> = new Set([RrType.A, RrType.AAAA, RrType.ANY, RrType.TXT]);

function answerNode(question: Question, name: string, context: AnswerContext): Sections {
  const { type } = question;
  if (!nodeTypes.has(type)) return found([]);
  const node = context.catalogOf(context.datacenter)?.node(name);
  if (node === undefined) return notThere(context);
  const ttl = nodeTtlSeconds(context.config);
  const addresses = type === RrType.TXT ? [] : nodeRecords(type, question.name, node, ttl, context);
  const metaAsked = type === RrType.TXT || type === RrType.ANY;
  if (!metaAsked && !context.config.nodeMetaTxt) return found(addresses);
  const meta = metaRecords(question.name, node.meta, ttl);
  return metaAsked ? found([...addresses, ...meta]) : found(addresses, meta);
}

/** An `.addr` name is its own answer, whatever the type of the question and whatever follows the keyword. */
function answerAddress(hex: string, labels: readonly string[], context: ResolverContext): Sections {
  const ip = parseIpHex(hex);
  if (ip === undefined) return notThere(context);
  if (ip === 'none') return found([]);
  const domain = withoutFinalDot(context.config.domain);
  const name = domain === '' ? labels.join('.') : `${labels.join('.')}.${domain}`;
  const type = ip.length === 4 ? 'A' : 'AAAA';
  return found([stringRecord(type, name, ipText(ip), nodeTtlSeconds(context.config))]);
}

/** The address of a node, else that of a service: a PTR record, whatever the type of the question. */
function answerReverse(question: Question, name: string, context: ResolverContext): Resolution {
  const ip = parseReverse(name);
  const catalog = context.catalogOf(context.datacenter);
  if (ip === undefined || catalog === undefined) return { kind: 'recurse' };
  const { config, datacenter } = context;
  const node = catalog.nodeAt(ip);
  const service = node === undefined ? catalog.serviceAt(ip) : undefined;
  if (node === undefined && service === undefined) return { kind: 'recurse' };
  const place = node === undefined ? `${service}.service` : `${node}.node`;
  const pointer = stringRecord('PTR', question.name, inDomain(`${place}.${datacenter}`, config), 0);
  const soa = question.type === RrType.SOA ? [soaRecord(config, context.nowMs)] : [];
  return { kind: 'answer', ...found([pointer], [], soa) };
}

function inDomain(name: string, config: DnsConfig): string {
  const domain = withoutFinalDot(config.domain);
  return domain === '' ? name : `${name}.${domain}`;
}

/** The gateways, which register themselves as service `consul`. */
function nameServers(
  context: ResolverContext,
  following: Following,
): { readonly names: readonly Rr[]; readonly glue: readonly Rr[] } {
  const { config, datacenter } = context;
  const servers = context.catalogOf(datacenter)?.instances('consul', config.onlyPassing) ?? [];
  const ttl = nodeTtlSeconds(config);
  const names: Rr[] = [];
  const glue: Rr[] = [];
  for (const { node } of shuffled(servers, context.random)) {
    // A host name (RFC 1123): others would be refused by resolvers.
    if (!/^[A-Za-z0-9-]+$/.test(node.node)) continue;
    const name = inDomain(`${node.node}.node.${datacenter}`, config);
    names.push(stringRecord('NS', withoutFinalDot(config.domain), name, ttl));
    glue.push(
      ...nodeRecords(RrType.ANY, name, node, ttl, answerContext(context, following, followsMax, undefined)),
    );
    if (names.length === nameServersMax) break;
  }
  return { names, glue };
}

function found(
  answers: readonly Rr[],
  additionals: readonly Rr[] = [],
  authorities: readonly Rr[] = [],
): Sections {
  return { rcode: Rcode.noError, answers, authorities, additionals };
}

function notThere(context: Pick<ResolverContext, 'config' | 'nowMs'>): Sections {
  return { ...nothingOfThisType(context), rcode: Rcode.nxDomain };
}

function nothingOfThisType(context: Pick<ResolverContext, 'config' | 'nowMs'>): Sections {
  return found([], [], [soaRecord(context.config, context.nowMs)]);
}
