import type { OriginId } from '../crdt/dot.ts';
import { headOf, parseRanges } from '../crdt/seq-ranges.ts';
import { isCatalog, Kind, ownNodeTerm } from './kinds.ts';
import { subjectOf } from './migration-rules.ts';
import type { ReadView, Row } from './store.ts';
import { decodeValue, type ZoneValue } from './values.ts';

/**
 * The zone of the nodes that no gateway is. It lies outside of KV's keys: a key that begins like it is an ordinary
 * key of the root zone. Where it was never granted, the root zone's owner has it.
 */
export const externalNodes = '\u0001external-nodes';

/** Stands between the prefix and the term in the register of a grant. */
export const zoneSeparator = '\u0001';

/** A zone with its owners up to now: the grant in force, the one that it was made under, and so on. */
export interface Zone {
  readonly value: ZoneValue;
  readonly chain: readonly ZoneValue[];
}

/** A record in the light of the zones that are known here. */
export type Verdict =
  | { readonly kind: 'legitimate' }
  /** Written under a grant that is not known here yet. */
  | { readonly kind: 'unknown' }
  /** Its writer never was the owner at that term: a defect. */
  | { readonly kind: 'stranger' }
  /** Written by an owner under a grant that was over, as a takeover has it. */
  | { readonly kind: 'over'; readonly zone: Zone };

const legitimate: Verdict = { kind: 'legitimate' };
const unknown: Verdict = { kind: 'unknown' };
const stranger: Verdict = { kind: 'stranger' };

/** Who wrote a record: the dot, and the node id behind its origin. */
export interface Writer {
  readonly origin: OriginId;
  readonly seq: number;
  readonly nodeId: string;
}

/**
 * Zones delegate like DNS: the longest prefix that matches a key decides who may write it (design, "Ownership").
 *
 * All grants ever made are kept, so what they say together does not depend on the order in which they come:
 *
 * - of the grants of one prefix that stand, the one with the greatest term is in force;
 * - a takeover stands; so does the founding grant;
 * - a delegation stands if it was made under a grant in the history of the zone it was made in, before a takeover
 *   ended that one: its dot is within the takeover's fence.
 *
 * While a zone is lent (`ZoneValue.lent`), a migration's source decides its keys, and any gateway passes on what it
 * decided: such records are right, whoever logged them, up to the fence of the grant that takes the zone back. What
 * was lent before and is lent on, under another owner, is as if it were one grant.
 *
 * Terms are never equal for different owners: `nextTerm`. So two operators who take over at once on two sides make two
 * grants of which one is in force everywhere once both are known, and what was written under the other is `over`.
 */
export class Zones {
  /** Those in force, ordered by prefix. */
  readonly list: readonly ZoneValue[];
  readonly #grants = new Map<string, ZoneValue[]>();
  #everGranted: ReadonlySet<string> | undefined;
  #everLent = false;
  readonly #zones = new Map<string, Zone>();
  /** Lengths of the prefixes of keys, longest first. */
  readonly #lengths: readonly number[];

  constructor(grants: Iterable<ZoneValue>) {
    for (const grant of grants) {
      this.#everLent ||= grant.lent === true;
      const held = this.#grants.get(grant.prefix);
      if (held === undefined) this.#grants.set(grant.prefix, [grant]);
      else held.push(grant);
    }
    // Enclosing zones first: what stands in a zone depends on its history.
    const prefixes = [...this.#grants.keys()].toSorted((a, b) => a.length - b.length);
    for (const prefix of prefixes) this.#resolve(prefix);
    const found = prefixes.filter((prefix) => this.#zones.has(prefix));
    this.list = found.toSorted().map((prefix) => (this.#zones.get(prefix) as Zone).value);
    const lengths = new Set(found.filter((prefix) => prefix !== externalNodes).map(({ length }) => length));
    this.#lengths = [...lengths].toSorted((a, b) => b - a);
  }

  /** Node ids of everybody who was ever granted anything. */
  get everGranted(): ReadonlySet<string> {
    this.#everGranted ??= new Set([...this.#grants.values()].flat().map(({ ownerId }) => ownerId));
    return this.#everGranted;
  }

  /** Whether there ever was a zone that was lent to a migration's source. */
  get everLent(): boolean {
    return this.#everLent;
  }

  /** The zone of exactly this prefix. */
  get(prefix: string): Zone | undefined {
    return this.#zones.get(prefix);
  }

  /** The zone that a key is in. */
  ofKey(key: string): Zone | undefined {
    for (const length of this.#lengths) {
      if (length > key.length) continue;
      const prefix = key.slice(0, length);
      const zone = prefix === externalNodes ? undefined : this.#zones.get(prefix);
      if (zone !== undefined) return zone;
    }
    return undefined;
  }

  /** The zone that the nodes are in which no gateway is. */
  ofExternalNodes(): Zone | undefined {
    return this.#zones.get(externalNodes) ?? this.#zones.get('');
  }

  /** The zone that a prefix is in, which may be one of its own, and all zones below it. */
  under(prefix: string): readonly Zone[] {
    const zones = this.list.filter((zone) => zone.prefix !== externalNodes && zone.prefix !== prefix);
    const below = zones.filter((zone) => zone.prefix.startsWith(prefix));
    const own = this.ofKey(prefix);
    return [
      ...(own === undefined ? [] : [own]),
      ...below.map((zone) => this.#zones.get(zone.prefix) as Zone),
    ];
  }

  /** The zone that a register is in; undefined for what is in none. */
  ofRegister(kind: Kind, key: string): Zone | undefined {
    if (kind === Kind.kv) return this.ofKey(key);
    if (kind !== Kind.migration) return isCatalog(kind) ? this.ofExternalNodes() : undefined;
    const { of, prefix } = subjectOf(key);
    return of === 'catalog' ? this.ofExternalNodes() : this.ofKey(prefix);
  }

  /** The term under which a source's word on a register is passed on; undefined: it has none there. */
  lentTerm(kind: Kind, key: string): number | undefined {
    const zone = this.ofRegister(kind, key);
    return zone !== undefined && lends(zone.value, kind) ? zone.value.term : undefined;
  }

  /**
   * Grants that count no more where they were made: they are not in the history of the zone that is there now, all of
   * which is known.
   */
  lost(): readonly ZoneValue[] {
    return [...this.#grants].flatMap(([prefix, grants]) => {
      const zone = this.enclosing(prefix);
      if (zone === undefined || !isComplete(zone)) return [];
      return grants.filter((grant) => !zone.chain.includes(grant) && this.#isDecided(grant));
    });
  }

  /** The zone that a new grant of this prefix would be made in. */
  enclosing(prefix: string): Zone | undefined {
    return prefix === externalNodes ? this.ofExternalNodes() : this.ofKey(prefix);
  }

  /** All grants of this prefix and of those that it is in. */
  grantsOver(prefix: string): readonly ZoneValue[] {
    return [...this.#grants].flatMap(([held, grants]) => (covers(held, prefix) ? grants : []));
  }

  /**
   * Grants over a zone whose owners may have written in it not knowing of it: between them and what the zone's history
   * shares with them somebody took something over. (Who was handed a zone had all that its owner had granted.) What was
   * lent anybody wrote, knowing of it or not.
   */
  strangersTo({ value, chain }: Zone): readonly ZoneValue[] {
    return this.grantsOver(value.prefix).filter((grant) => {
      if (chain.includes(grant)) return false;
      if (lends(grant, value.prefix === externalNodes ? Kind.node : Kind.kv)) return true;
      for (let link: ZoneValue | undefined = grant; link !== undefined;) {
        const shared = chain.indexOf(link);
        if (shared >= 0) return chain.slice(0, shared).some(({ cause }) => cause === 'taken-over');
        if (link.cause === 'taken-over') return true;
        link = link.basis && this.#grant(link.basis);
      }
      return true;
    });
  }

  /** The highest term that was ever granted over this prefix, as far as is known here. */
  highestTerm(prefix: string): number {
    return this.grantsOver(prefix).reduce((highest, { term }) => Math.max(highest, term), 0);
  }

  /** What to think of a record that came from another gateway. */
  judge(kind: number, key: string, term: number, writer: Writer): Verdict {
    // What a source Consul decided may be passed on by anybody: Consul was its one writer (design, 7).
    if ((kind !== Kind.kv && kind !== Kind.migration && !isCatalog(kind)) || term === 0) return legitimate;
    // Whose node it is nobody knows before the node's own register came; the later writer wins, as it does there.
    if (term === ownNodeTerm && isCatalog(kind)) return legitimate;
    const zone = this.ofRegister(kind as Kind, key);
    if (zone === undefined) return unknown;
    const at = zone.chain.findIndex((grant) => grant.term === term);
    if (at < 0) {
      const voided = this.#grantOver(kind, key, term);
      if (voided === undefined || !this.#isDecided(voided) || !isComplete(zone)) return unknown;
      return voided.ownerId === writer.nodeId || lends(voided, kind) ? { kind: 'over', zone } : stranger;
    }
    const grant = zone.chain[at] as ZoneValue;
    const isLent = lends(grant, kind);
    if (grant.ownerId !== writer.nodeId && !isLent) return stranger;
    const next = isLent ? zone.chain.findLastIndex((each, i) => i < at && !lends(each, kind)) : at - 1;
    const successor = zone.chain[next];
    if (successor === undefined || isWithin(successor, writer)) return legitimate;
    return { kind: 'over', zone };
  }

  #resolve(prefix: string): void {
    const grants = (this.#grants.get(prefix) ?? []).toSorted((a, b) => b.term - a.term);
    const inForce = grants.find((grant) => this.#stands(grant));
    if (inForce === undefined) return;
    this.#zones.set(prefix, { value: inForce, chain: this.#chain(inForce) });
  }

  #stands(grant: ZoneValue): boolean {
    const { basis, by } = grant;
    if (basis === undefined || grant.cause === 'taken-over') return true;
    if (basis.prefix === grant.prefix) {
      const before = this.#grant(basis);
      return before !== undefined && this.#stands(before);
    }
    const chain = this.#resolvedEnclosing(grant.prefix)?.chain ?? [];
    const at = chain.findIndex(({ prefix, term }) => prefix === basis.prefix && term === basis.term);
    if (at < 0) return false;
    const successor = chain[at - 1];
    return successor === undefined || (by !== undefined && isWithin(successor, by));
  }

  /** Among the shorter prefixes, which are resolved already. */
  #resolvedEnclosing(prefix: string): Zone | undefined {
    if (prefix === externalNodes) return this.#zones.get('');
    for (let length = prefix.length - 1; length >= 0; length--) {
      const zone = this.#zones.get(prefix.slice(0, length));
      if (zone !== undefined) return zone;
    }
    return undefined;
  }

  #chain(grant: ZoneValue): readonly ZoneValue[] {
    const chain = [grant];
    for (let basis = grant.basis; basis !== undefined;) {
      const before = this.#grant(basis);
      if (before === undefined || chain.includes(before)) break;
      chain.push(before);
      basis = before.basis;
    }
    return chain;
  }

  #grant({ prefix, term }: { readonly prefix: string; readonly term: number }): ZoneValue | undefined {
    return this.#grants.get(prefix)?.find((grant) => grant.term === term);
  }

  /** A grant over a register that is not in its zone's history. */
  #grantOver(kind: number, key: string, term: number): ZoneValue | undefined {
    const subject =
      kind === Kind.migration ? subjectOf(key) : { of: kind === Kind.kv ? 'kv' : 'catalog', prefix: key };
    for (const [prefix, grants] of this.#grants) {
      const over =
        subject.of === 'kv'
          ? prefix !== externalNodes && subject.prefix.startsWith(prefix)
          : covers(prefix, externalNodes);
      const grant = over ? grants.find((each) => each.term === term) : undefined;
      if (grant !== undefined) return grant;
    }
    return undefined;
  }

  /** Whether all is known that says whether a grant stands. */
  #isDecided(grant: ZoneValue): boolean {
    return grant.basis === undefined || this.#grant(grant.basis) !== undefined;
  }
}

/** Whether every grant since the founding one is known. */
export function isComplete({ chain }: Zone): boolean {
  return chain.at(-1)?.basis === undefined;
}

/**
 * Whether a grant leaves registers of a kind to a migration's source: keys and entries of the catalog, never the rules
 * of the migration themselves. Nodes are lent with a zone of their own only.
 */
export function lends({ prefix, lent }: ZoneValue, kind: number): boolean {
  if (lent !== true) return false;
  return isCatalog(kind) ? prefix === externalNodes : kind === Kind.kv;
}

function covers(prefix: string, other: string): boolean {
  if (other === externalNodes) return prefix === externalNodes || prefix === '';
  return prefix !== externalNodes && other.startsWith(prefix);
}

/** Whether what an owner logged came before the grant that ended its time. */
function isWithin(
  successor: ZoneValue,
  { origin, seq }: { readonly origin: OriginId; readonly seq: number },
): boolean {
  const fence = successor.fences?.find((each) => each.origin === origin);
  return fence !== undefined && seq <= headOf(parseRanges(fence.seen));
}

/** Between two terms of one owner's chain of delegations there is room for a term of every gateway's. */
const salts = 2 ** 20;

/** A takeover is above this many delegations that the other side may have made meanwhile. */
const delegationsPerTakeover = 1024;

/**
 * A term above all that were used for the zone before. Its lower bits are a hash of who gets what of whom and how, so that two
 * gateways that grant at the same time, not knowing of each other, do not come to the same term (but once in a
 * million; then the register's merge decides for one of them, and what the other one's owner wrote is a stranger's).
 */
export function nextTerm(
  highest: number,
  grant: {
    readonly prefix: string;
    readonly ownerId: string;
    readonly byNode: string;
    readonly takeover: boolean;
  },
): number {
  const { prefix, ownerId, byNode, takeover } = grant;
  const count = Math.floor(highest / salts);
  const next = takeover
    ? (Math.floor(count / delegationsPerTakeover) + 1) * delegationsPerTakeover
    : count + 1;
  return next * salts + hash([prefix, ownerId, byNode, String(takeover)].join('\0'));
}

/** FNV-1a (Fowler, Noll, Vo), folded to 20 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    value ^= text.charCodeAt(i);
    value = Math.imul(value, 0x01000193);
  }
  return ((value >>> 20) ^ value) & (salts - 1);
}

/** The register of a grant: the founding one has the prefix itself, as it has had since the first version. */
export function grantKey({ prefix, term, basis }: Pick<ZoneValue, 'prefix' | 'term' | 'basis'>): string {
  return basis === undefined ? prefix : `${prefix}${zoneSeparator}${term}`;
}

/** Any zone that a key is in, of a plain list. */
export function zoneOf<Z extends Pick<ZoneValue, 'prefix'>>(zones: readonly Z[], key: string): Z | undefined {
  let best: Z | undefined;
  for (const zone of zones) {
    if (zone.prefix === externalNodes || !key.startsWith(zone.prefix)) continue;
    if (best === undefined || zone.prefix.length > best.prefix.length) best = zone;
  }
  return best;
}

/** The zone that a prefix is in and all zones below it, of a plain list. */
export function zonesUnder<Z extends Pick<ZoneValue, 'prefix'>>(
  zones: readonly Z[],
  prefix: string,
): readonly Z[] {
  const own = zoneOf(zones, prefix);
  const below = zones.filter(
    (zone) => zone !== own && zone.prefix !== externalNodes && zone.prefix.startsWith(prefix),
  );
  return own === undefined ? below : [own, ...below];
}

export function zoneValue(row: Row): ZoneValue {
  return decodeValue<ZoneValue>(row.value as Uint8Array);
}

export function readGrants(view: ReadView): readonly ZoneValue[] {
  const grants: ZoneValue[] = [];
  for (const row of view.range(Kind.zone, '', undefined)) if (row.value !== null) grants.push(zoneValue(row));
  return grants;
}

/** The zones in force. */
export function readZones(view: ReadView): readonly ZoneValue[] {
  return new Zones(readGrants(view)).list;
}
