import type { OriginId } from '../crdt/dot.ts';
import { coversRanges, parseRanges } from '../crdt/seq-ranges.ts';
import { nextStamp, type GatewayIndex } from '../kernel/stamp.ts';
import { creatorTerm, isCatalog, Kind, ownNodeTerm } from '../state/kinds.ts';
import { ownTimeline } from '../state/own-node.ts';
import { phaseRules, PhaseTable } from '../state/migration-rules.ts';
import { authorityOf } from '../state/migration.ts';
import { mirrorTerm } from '../state/mirror.ts';
import type { Row, Store } from '../state/store.ts';
import { keySeparator, topic } from '../state/topics.ts';
import { WriteScope, type WriteRights } from '../state/write-scope.ts';
import { lends, readGrants, Zones, type Zone } from '../state/zones.ts';
import { Origins } from './origins.ts';

export interface ReplicaOptions {
  readonly store: Store;
  readonly origin: OriginId;
  /** Id of this gateway's node: what a zone's delegation names. */
  readonly nodeId: string;
  /** Its node name: what is registered under it is this gateway's own. Left out: it has no node of its own. */
  readonly nodeName?: string;
}

/**
 * What all parts of a replica share: the store, who writes logs, the zones, and the clock. Whatever changes state goes
 * through a scope of here and ends in `finish`.
 */
export class ReplicaCore {
  readonly store: Store;
  readonly nodeId: string;
  readonly origins: Origins;
  readonly #ownNode: string | undefined;
  /** Highest index that was given, which no stamp that was applied is above. */
  #highest: number;
  /** What was said of the clock to others: later stamps are above it. */
  #clock = 0;
  #zones: Zones;
  #phases: PhaseTable;
  #zonesBefore: Zones | undefined;
  /** Zones that are owned here and complete: what the owners before logged has arrived. */
  readonly #ready = new Set<Zone>();
  readonly #awaited = new Set<Zone>();
  #touched = new Set<string>();
  #collectedBelow: number;
  /** Malformed records are in quarantine. */
  hasPoison = false;
  /** Something was set aside, so that readers of dots must look. */
  hasSetAside: boolean;

  constructor(options: ReplicaOptions) {
    this.store = options.store;
    this.nodeId = options.nodeId;
    this.#ownNode = options.nodeName?.toLowerCase();
    this.origins = new Origins(options.store, options.origin, options.nodeId);
    this.#highest = Math.max(1, options.store.highestIndex());
    this.#zones = new Zones(readGrants(options.store));
    this.#phases = new PhaseTable(phaseRules(options.store));
    this.#rights = {
      termOf: this.#termOf,
      timelineOf: this.#timelineOf,
      mayWrite: this.#mayWrite,
      sourceTermOf: this.#sourceTermOf,
      writerOf: this.writerOf,
      nodeId: this.nodeId,
    };
    this.#sortZones();
    this.becomeReady();
    this.#collectedBelow = Number(options.store.getMeta('collected-below') ?? 0);
    const { store } = options;
    this.hasSetAside = store.setAsideCount('quarantine').now + store.setAsideCount('conflicts').now > 0;
  }

  get collectedBelow(): number {
    return this.#collectedBelow;
  }

  /** Tombstones up to this index were dropped. */
  collected(index: number): void {
    if (index < this.#collectedBelow) return;
    this.#collectedBelow = index + 1;
    this.store.setMeta('collected-below', String(this.#collectedBelow));
  }

  get highest(): GatewayIndex {
    return this.#highest as GatewayIndex;
  }

  get zones(): Zones {
    return this.#zones;
  }

  /** The rules of a migration. */
  get phases(): PhaseTable {
    return this.#phases;
  }

  /** For what this gateway decides. */
  scope(nowUs: number): WriteScope {
    return new WriteScope({
      store: this.store,
      origin: this.origins.own.ref,
      headSeq: this.origins.headSeq,
      highest: this.#highest,
      clock: this.#clock,
      nowUs,
      rights: this.#rights,
    });
  }

  /** For what others decided: all of it is shown under one index, which is the stamp where that is above all shown. */
  mergeScope(stamp: number, nowUs: number): WriteScope {
    return new WriteScope({
      store: this.store,
      origin: this.origins.own.ref,
      headSeq: this.origins.headSeq,
      highest: this.#highest,
      nowUs,
      mergedStamp: stamp,
      rights: this.#rights,
    });
  }

  finish(scope: WriteScope): void {
    if (!scope.changed) return;
    scope.seal();
    this.#highest = Math.max(this.#highest, scope.index);
    this.origins.advance(scope.dots);
    for (const name of scope.touched) this.#touched.add(name);
    if (scope.touched.has(topic.zones)) this.reloadZones();
    if (scope.touched.has(topic.migration)) this.#phases = new PhaseTable(phaseRules(this.store));
  }

  /** Whether zones changed since `takeZonesBefore`. */
  get zonesMoved(): boolean {
    return this.#zonesBefore !== undefined;
  }

  /** Whether something may follow from what was decided: `Merging.settle`. */
  get unsettled(): boolean {
    return this.zonesMoved || this.#awaited.size > 0 || this.hasPoison;
  }

  takeTouched(): ReadonlySet<string> {
    if (this.#touched.size === 0) return nothing;
    const touched = this.#touched;
    this.#touched = new Set();
    return touched;
  }

  stampNow(nowUs: number): number {
    this.#clock = nextStamp(Math.max(this.#highest, this.#clock), nowUs);
    return this.#clock;
  }

  /** The zones as they were before they changed; undefined when they did not since the last time. */
  takeZonesBefore(): Zones | undefined {
    const before = this.#zonesBefore;
    this.#zonesBefore = undefined;
    return before;
  }

  reloadZones(): void {
    this.#zonesBefore ??= this.#zones;
    this.#zones = new Zones(readGrants(this.store));
    this.#sortZones();
  }

  /** Whether a zone is owned here, and all that its owners logged before has arrived. */
  isReady(zone: Zone): boolean {
    return this.#ready.has(zone);
  }

  /** Zones that are owned here and complete. */
  readyZones(): readonly Zone[] {
    return [...this.#ready];
  }

  /** Zones that are complete by now, and were not before. */
  becomeReady(): readonly Zone[] {
    if (this.#awaited.size === 0) return none;
    const complete = [...this.#awaited].filter((zone) => this.missing(zone).length === 0);
    for (const zone of complete) {
      this.#awaited.delete(zone);
      this.#ready.add(zone);
    }
    return complete;
  }

  /** Logs of earlier owners of a zone of which something that counts is not here. */
  missing({ chain }: Zone): readonly OriginId[] {
    // A takeover says what its taker had of all who owned the zone before: the rest is lost, or comes as a conflict.
    const takeover = chain.findIndex((grant) => grant.cause === 'taken-over');
    const links = takeover < 0 ? chain : chain.slice(0, takeover + 1);
    const fences = links.flatMap((grant) => grant.fences ?? []);
    const missing = fences.filter(({ origin, seen }) => {
      const log = this.origins.get(origin);
      return log === undefined || !coversRanges(this.origins.seenOf(log), parseRanges(seen));
    });
    return [...new Set(missing.map(({ origin }) => origin))];
  }

  /** Node id of the gateway that logged a row. */
  readonly writerOf = (row: Row): string | undefined => this.origins.ofRow(row)?.nodeId;

  /** Whether a catalog key is of this gateway's own node. */
  isOwnNode(key: string): boolean {
    if (this.#ownNode === undefined) return false;
    const end = key.indexOf(keySeparator);
    return (end < 0 ? key : key.slice(0, end)) === this.#ownNode;
  }

  readonly #termOf = (kind: Kind, key: string, held: Row | undefined): number => {
    if (kind === Kind.kv) return this.#zones.ofKey(key)?.value.term ?? 1;
    if (kind === Kind.migration) return this.#zones.ofRegister(kind, key)?.value.term ?? 1;
    if (!isCatalog(kind)) return creatorTerm;
    // What a gateway wrote of itself gives way to nothing less, also where it is taken out for it once it is gone.
    if (held?.term === ownNodeTerm || this.isOwnNode(key)) return ownNodeTerm;
    return this.#zones.ofExternalNodes()?.value.term ?? 1;
  };

  readonly #timelineOf = (kind: Kind, key: string, held: Row | undefined): number =>
    isCatalog(kind) ? ownTimeline(held, this.isOwnNode(key) ? 'gateway' : 'zone') : 0;

  readonly #mayWrite = (kind: Kind, key: string): boolean => {
    if (isCatalog(kind) && this.isOwnNode(key)) return true;
    const zone = this.#zones.ofRegister(kind, key);
    return zone === undefined || (this.#ready.has(zone) && !lends(zone.value, kind));
  };

  readonly #sourceTermOf = (kind: Kind, key: string): number | undefined => {
    const rule = kind === Kind.kv ? this.#phases.ofKey(key) : this.#phases.catalog;
    const term = this.#zones.lentTerm(kind, key);
    if (rule === undefined) return term ?? mirrorTerm;
    // Before the first step nothing is lent yet; at a cutover zone and rule change together, but may come one by one.
    if (rule.phase === 'passthrough') return term ?? mirrorTerm;
    return authorityOf(rule.phase) === 'source' ? term : undefined;
  };

  /** One for all scopes: making them must cost little. */
  readonly #rights: WriteRights;

  /** What was ready stays so while its history is the same. */
  #sortZones(): void {
    const before = new Set([...this.#ready].map(({ value }) => `${value.term} ${value.prefix}`));
    this.#ready.clear();
    this.#awaited.clear();
    for (const { prefix } of this.#zones.list) {
      const zone = this.#zones.get(prefix);
      if (zone?.value.ownerId !== this.nodeId) continue;
      const known = before.has(`${zone.value.term} ${prefix}`) || zone.value.fences === undefined;
      (known ? this.#ready : this.#awaited).add(zone);
    }
  }
}

const nothing: ReadonlySet<string> = new Set();
const none: readonly Zone[] = [];
