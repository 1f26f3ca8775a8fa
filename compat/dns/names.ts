/** Record types that are told apart here, by number (RFC 1035, 2782, 3596, 4034). */
export const RrType = {
  A: 1,
  NS: 2,
  SOA: 6,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  DS: 43,
  AXFR: 252,
  ANY: 255,
} as const;

export interface Question {
  /** As asked, case and all, without the final dot; bytes that are not plain are written as in RFC 1035, 5.1. */
  readonly name: string;
  readonly type: number;
  /** Whether the client speaks EDNS0: then an answer may hold more records of what a name points to. */
  readonly edns: boolean;
}

/** Names here have no final dot; the root is the empty name. */
export function withoutFinalDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name;
}

/** Whether `name` is `domain` or below it; both in lower case. */
export function isWithin(name: string, domain: string): boolean {
  return domain === '' || name === domain || name.endsWith(`.${domain}`);
}

/** What is left of a name above its domain: labels, leftmost first. */
export function labelsAbove(name: string, domain: string): readonly string[] {
  const above = name === domain ? '' : domain === '' ? name : name.slice(0, -domain.length - 1);
  return above === '' ? [] : above.split('.');
}

/** What a name of Consul's domain asks for. `datacenter` is undefined where the name has none. */
export type Target =
  | {
      readonly kind: 'service';
      readonly service: string;
      /** Undefined: instances with any tags. */
      readonly tag: string | undefined;
      readonly datacenter: string | undefined;
    }
  | { readonly kind: 'node'; readonly node: string; readonly datacenter: string | undefined }
  | { readonly kind: 'address'; readonly hex: string }
  /** Prepared queries and the service mesh: well formed, and none exists here. */
  | { readonly kind: 'nothing' }
  | { readonly kind: 'invalid' };

const invalid: Target = { kind: 'invalid' };
const keywords: ReadonlySet<string> = new Set(['service', 'node', 'addr', 'query', 'connect', 'ingress']);

/**
 * Reads the labels before the domain, in lower case: `[tag.]service.service[.dc]`, `_service._tag.service[.dc]`
 * (RFC 2782), `node.node[.dc]`, `hex.addr`. The last label that is a keyword decides, so that names of services and
 * nodes may contain dots and even keywords. A question for SRV records may leave out `service` after `_tag`.
 */
export function parseTarget(labels: readonly string[], srv: boolean): Target {
  for (let i = labels.length - 1; i >= 0; i--) {
    const label = labels[i] as string;
    if (keywords.has(label)) return targetOf(label, labels.slice(0, i), labels.slice(i + 1));
    if (srv && label.startsWith('_')) return targetOf('service', labels.slice(0, i + 1), labels.slice(i + 1));
  }
  return invalid;
}

function targetOf(keyword: string, before: readonly string[], after: readonly string[]): Target {
  if (before.length === 0) return invalid;
  if (keyword === 'addr') {
    return before.length === 1 ? { kind: 'address', hex: before[0] as string } : invalid;
  }
  if (after.length > 1) return invalid;
  const datacenter = after[0];
  switch (keyword) {
    case 'service':
      return { kind: 'service', datacenter, ...serviceAndTag(before) };
    case 'node':
      return { kind: 'node', datacenter, node: before.join('.') };
    default:
      return { kind: 'nothing' };
  }
}

function serviceAndTag(labels: readonly string[]): { service: string; tag: string | undefined } {
  const [first = '', second = ''] = labels;
  if (labels.length === 2 && first.startsWith('_') && second.startsWith('_')) {
    const tag = second.slice(1);
    // `_tcp` is the protocol that RFC 2782 asks for, not a tag.
    return { service: first.slice(1), tag: tag === 'tcp' || tag === '' ? undefined : tag };
  }
  const tag = labels.slice(0, -1).join('.');
  return { service: labels.at(-1) as string, tag: tag === '' ? undefined : tag };
}

/** Whether a name can be written into a packet: RFC 1035's limits, which names in the catalog need not keep. */
export function isEncodable(name: string): boolean {
  if (name === '') return true;
  if (Buffer.byteLength(name) > 253) return false;
  for (let start = 0; start <= name.length;) {
    const dot = name.indexOf('.', start);
    const end = dot < 0 ? name.length : dot;
    if (end === start) return false;
    // Only a label that could be too long is worth counting its bytes.
    if (end - start > 15 && Buffer.byteLength(name.slice(start, end)) > 63) return false;
    start = end + 1;
  }
  return true;
}
