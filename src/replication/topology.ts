import type { OriginId } from '../crdt/dot.ts';
import type { Endpoint } from '../wire/endpoint.ts';
import { hashText, mix } from './hash.ts';

/** Another member of this datacenter, as membership knows it. */
export interface Peer {
  /** Node id. */
  readonly id: string;
  readonly name: string;
  readonly endpoint: Endpoint;
  readonly region: string;
  /** The log that it writes now. */
  readonly origin: OriginId;
  /** Reachable as far as is known (a suspect is). Who is not is never waited for. */
  readonly live: boolean;
  /** Smoothed or estimated round trip. */
  readonly rttMs: number;
}

export interface Self {
  readonly id: string;
  readonly region: string;
}

/** Children of a place in a region's tree. */
export const arity = 8;

/** The live members of one region, side by side: sorted by nothing. */
interface Region {
  readonly name: string;
  readonly ids: string[];
  readonly hashes: number[];
  /** Raised by every change of who lives there. */
  epoch: number;
}

interface Cached {
  readonly epoch: number;
  readonly ids: readonly string[];
}

const nobody: readonly string[] = [];

/** Trees are remembered for so many origins: those that write. Guess. */
const cachedMax = 512;

/**
 * Who hands whose changes to whom. Each gateway computes it alone from membership, and gateways that see the same
 * members agree: in each region the live members are ranked by a hash of (origin, member) (rendezvous hashing: Thaler
 * and Ravishankar, 1998), so that every origin has its own order and load spreads. The first of a region is its
 * *relay* for that origin, the second the standby; the order, read as a heap with `arity` children, is the tree.
 * In its own region the origin comes first. A change of membership moves only those trees that it concerns.
 */
export class Topology {
  readonly self: Self;
  readonly #peers = new Map<string, Peer>();
  readonly #regions = new Map<string, Region>();
  readonly #own: Region;
  readonly #relays = new Map<string, Cached>();
  readonly #children = new Map<string, Cached>();

  constructor(self: Self) {
    this.self = self;
    this.#own = this.#region(self.region);
    this.#enter(this.#own, self.id);
  }

  get peers(): ReadonlyMap<string, Peer> {
    return this.#peers;
  }

  peer(id: string): Peer | undefined {
    return this.#peers.get(id);
  }

  /** Names of the regions in which somebody lives, this one included. */
  *regions(): Iterable<string> {
    for (const region of this.#regions.values()) if (region.ids.length > 0) yield region.name;
  }

  /** Node ids of the live members of a region; of the own one, this gateway too. */
  livingIn(region: string): readonly string[] {
    return this.#regions.get(region)?.ids ?? nobody;
  }

  set(peer: Peer): void {
    const held = this.#peers.get(peer.id);
    this.#peers.set(peer.id, peer);
    if (held?.live === true && (!peer.live || held.region !== peer.region)) this.#exit(held);
    if (peer.live && (held?.live !== true || held.region !== peer.region)) {
      this.#enter(this.#region(peer.region), peer.id);
    }
  }

  delete(id: string): void {
    const held = this.#peers.get(id);
    if (held === undefined) return;
    this.#peers.delete(id);
    if (held.live) this.#exit(held);
  }

  /** The member whose log this is now, going by membership alone. */
  writerOf(origin: OriginId): Peer | undefined {
    for (const peer of this.#peers.values()) if (peer.origin === origin) return peer;
    return undefined;
  }

  /** The relay of another region for an origin, then its standby, then one more: as many as there are. */
  relays(key: string, region: string): readonly string[] {
    const members = this.#regions.get(region);
    if (members === undefined) return nobody;
    const name = `${region} ${key}`;
    const cached = this.#relays.get(name);
    if (cached?.epoch === members.epoch) return cached.ids;
    const ids = lowest(members, hashText(key), 3);
    remember(this.#relays, name, { epoch: members.epoch, ids });
    return ids;
  }

  /**
   * Whom a gateway of this region hands an origin's changes to. `lead`: it stands at the root, because it is the
   * writer, or was given the change in place of the region's relay; then it serves the root's children beside its own.
   */
  childrenOf(key: string, writerId: string, memberId: string, lead: boolean): readonly string[] {
    const name = `${key} ${memberId} ${lead ? 1 : 0}`;
    const cached = this.#children.get(name);
    if (cached?.epoch === this.#own.epoch) return cached.ids;
    const ids = this.#computeChildren(key, writerId, memberId, lead);
    remember(this.#children, name, { epoch: this.#own.epoch, ids });
    return ids;
  }

  /** Whether this gateway is the one of its region that an origin's changes come to first. */
  isFirst(key: string, writerId: string): boolean {
    return this.#place(hashText(key), writerId, this.self.id) === 0;
  }

  /** Who hands an origin's changes to this gateway inside the region; undefined for the first. */
  parent(key: string, writerId: string): string | undefined {
    const place = this.#place(hashText(key), writerId, this.self.id);
    return place === 0 ? undefined : this.#order(key, writerId)[Math.floor((place - 1) / arity)];
  }

  /** Who of a region meets those of another region after a partition: the first, then those in reserve. */
  bridges(region: string, other: string): readonly string[] {
    return this.relays(`bridge ${other}`, region);
  }

  /** The same order for all who ask with the same key. */
  shuffled(key: string, names: Iterable<string>): readonly string[] {
    const keyHash = hashText(key);
    return [...names].toSorted(
      (a, b) => rankOf(keyHash, hashText(a)) - rankOf(keyHash, hashText(b)) || (a < b ? -1 : 1),
    );
  }

  #computeChildren(key: string, writerId: string, memberId: string, lead: boolean): readonly string[] {
    const { ids } = this.#own;
    const place = this.#place(hashText(key), writerId, memberId);
    // Most places of a tree are leaves, and are known as such without sorting.
    if (!lead && place * arity + 1 >= ids.length) return nobody;
    const order = this.#order(key, writerId);
    const children = order.slice(place * arity + 1, (place + 1) * arity + 1);
    if (!lead || place === 0) return children;
    const first = order.slice(0, arity + 1).filter((id) => id !== memberId && !children.includes(id));
    return [...first, ...children];
  }

  #place(keyHash: number, writerId: string, memberId: string): number {
    if (memberId === writerId) return 0;
    const { ids, hashes } = this.#own;
    const rank = rankOf(keyHash, hashText(memberId));
    let place = 0;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i] as string;
      if (id === memberId) continue;
      if (id === writerId) place += 1;
      else {
        const other = rankOf(keyHash, hashes[i] as number);
        if (other < rank || (other === rank && id < memberId)) place += 1;
      }
    }
    return place;
  }

  #order(key: string, writerId: string): readonly string[] {
    const keyHash = hashText(key);
    const { ids, hashes } = this.#own;
    const ranked = ids.map((id, i) => ({
      id,
      rank: id === writerId ? -1 : rankOf(keyHash, hashes[i] as number),
    }));
    ranked.sort((a, b) => a.rank - b.rank || (a.id < b.id ? -1 : 1));
    return ranked.map(({ id }) => id);
  }

  #region(name: string): Region {
    let region = this.#regions.get(name);
    if (region === undefined) {
      region = { name, ids: [], hashes: [], epoch: 0 };
      this.#regions.set(name, region);
    }
    return region;
  }

  #enter(region: Region, id: string): void {
    region.ids.push(id);
    region.hashes.push(hashText(id));
    region.epoch += 1;
  }

  #exit(peer: Peer): void {
    const region = this.#region(peer.region);
    const i = region.ids.indexOf(peer.id);
    if (i < 0) return;
    const lastId = region.ids.pop() as string;
    const lastHash = region.hashes.pop() as number;
    if (i < region.ids.length) {
      region.ids[i] = lastId;
      region.hashes[i] = lastHash;
    }
    region.epoch += 1;
  }
}

function rankOf(keyHash: number, memberHash: number): number {
  return mix(keyHash, memberHash) >>> 0;
}

function remember(cache: Map<string, Cached>, name: string, cached: Cached): void {
  if (cache.size >= cachedMax) cache.clear();
  cache.set(name, cached);
}

/** The ids of the lowest ranks, in order, without sorting all. */
function lowest(region: Region, keyHash: number, count: number): readonly string[] {
  const best: { readonly id: string; readonly rank: number }[] = [];
  region.ids.forEach((id, i) => {
    const rank = rankOf(keyHash, region.hashes[i] as number);
    let at = best.length;
    while (at > 0) {
      const above = best[at - 1] as { readonly id: string; readonly rank: number };
      if (above.rank < rank || (above.rank === rank && above.id < id)) break;
      at -= 1;
    }
    if (at < count) best.splice(at, 0, { id, rank });
    if (best.length > count) best.pop();
  });
  return best.map(({ id }) => id);
}
