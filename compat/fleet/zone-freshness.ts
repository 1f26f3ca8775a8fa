import type { ZoneValue } from '../../src/state/values.ts';
import type { Freshness, ReadScope } from './port.ts';
import { isOfEveryGateway, zonesInScope } from './scopes.ts';

export interface FreshnessSource {
  /** Node id of this gateway. */
  readonly nodeId: string;
  /** Monotonic, milliseconds. */
  readonly nowMs: () => number;
  /** Another array whenever one of them changed. */
  readonly zones: () => readonly ZoneValue[];
  /** Node ids of the live members, this gateway included; another array whenever it changed. */
  readonly live: () => readonly string[];
  /**
   * When the newest proof was taken that this replica has all that the gateway wrote, on the clock of `nowMs`;
   * undefined: never since the start.
   */
  readonly provedAtMs: (nodeId: string) => number | undefined;
  /** Whether the gateway could be asked now. */
  readonly reachable: (nodeId: string) => boolean;
}

/** What is said where there never was a proof: a year. More than anybody's `max_stale`, and safe in Go's durations. */
export const neverProvedMs = 365 * 24 * 3600 * 1000;

/**
 * For how long what was found out about a scope of several gateways is kept. A proof that is kept can only be older
 * than the newest, so what is said stays true: no fresher than it is.
 */
const keptMs = 100;

const own: Freshness = { knownLeader: true, lastContactMs: 0 };
const nobody: Freshness = { knownLeader: false, lastContactMs: 0 };

interface Proof {
  readonly atMs: number;
  readonly provedAtMs: number | undefined;
  readonly knownLeader: boolean;
}

/** How fresh reads are. Every read asks: one key costs one look at the zones, and where all zones are this gateway's, none. */
export class ZoneFreshness {
  readonly #source: FreshnessSource;
  #zones: readonly ZoneValue[] | undefined;
  #live: readonly string[] | undefined;
  /** All zones, and all gateways, are this one. */
  #alone = false;
  readonly #proofs = new Map<string, Proof>();

  constructor(source: FreshnessSource) {
    this.#source = source;
  }

  of(scope: ReadScope): Freshness {
    const zones = this.#source.zones();
    const live = this.#source.live();
    if (zones !== this.#zones || live !== this.#live) this.#look(zones, live);
    if (this.#alone) return own;
    if (zones.length === 0) return nobody;
    const proof = this.#proof(scope, zones, live);
    if (proof === undefined) return own;
    const { provedAtMs, knownLeader } = proof;
    const ageMs = provedAtMs === undefined ? neverProvedMs : this.#source.nowMs() - provedAtMs;
    return { knownLeader, lastContactMs: Math.max(0, Math.ceil(ageMs)), remote: true };
  }

  #look(zones: readonly ZoneValue[], live: readonly string[]): void {
    const { nodeId } = this.#source;
    this.#zones = zones;
    this.#live = live;
    this.#alone =
      zones.length > 0 &&
      zones.every(({ ownerId }) => ownerId === nodeId) &&
      live.every((member) => member === nodeId);
    this.#proofs.clear();
  }

  /** Undefined: all of it is this gateway's own. */
  #proof(scope: ReadScope, zones: readonly ZoneValue[], live: readonly string[]): Proof | undefined {
    if (scope.kind === 'key') {
      const owner = zonesInScope(zones, scope)[0]?.ownerId;
      return owner === this.#source.nodeId ? undefined : this.#take(owner === undefined ? [] : [owner], []);
    }
    const name = scope.kind === 'prefix' ? `p${scope.prefix}` : isOfEveryGateway(scope) ? 'all' : '';
    const kept = this.#proofs.get(name);
    if (kept !== undefined && this.#source.nowMs() - kept.atMs < keptMs) return kept;
    const owners = zonesInScope(zones, scope).map(({ ownerId }) => ownerId);
    const writers = isOfEveryGateway(scope) ? live : [];
    const isOwn = (member: string): boolean => member === this.#source.nodeId;
    if (owners.length > 0 && owners.every(isOwn) && writers.every(isOwn)) return undefined;
    const proof = this.#take(owners, writers);
    // Prefixes are the clients': not more of them are kept than are asked for at a time.
    if (this.#proofs.size >= proofsMax) this.#proofs.clear();
    this.#proofs.set(name, proof);
    return proof;
  }

  /** The oldest proof among these; whether its owners can be asked. */
  #take(owners: readonly string[], writers: readonly string[]): Proof {
    const { nodeId, nowMs, provedAtMs, reachable } = this.#source;
    let oldest: number | undefined = nowMs();
    for (const member of new Set([...owners, ...writers])) {
      if (member === nodeId || oldest === undefined) continue;
      const proved = provedAtMs(member);
      oldest = proved === undefined ? undefined : Math.min(oldest, proved);
    }
    const knownLeader = owners.length > 0 && owners.every((member) => member === nodeId || reachable(member));
    return { atMs: nowMs(), provedAtMs: oldest, knownLeader };
  }
}

/** Guess. */
const proofsMax = 1024;
