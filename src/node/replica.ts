import type { Dot, OriginId, ReplicatedRecord } from '../crdt/dot.ts';
import type { SeqRange, SeqRanges } from '../crdt/seq-ranges.ts';
import type { Instant } from '../kernel/instant.ts';
import type { GatewayIndex } from '../kernel/stamp.ts';
import type { Cursor, MergeResult, OriginLog, Page, ReplicatedLog } from '../replication/log.ts';
import type { Command, CommandOutcome } from '../state/command.ts';
import { Kind } from '../state/kinds.ts';
import { sourceIndexOf } from '../state/lent.ts';
import type { ReadView, Row, Store } from '../state/store.ts';
import { encodeValue, type ZoneValue } from '../state/values.ts';
import { decide } from './decide.ts';
import type { MergeCounts } from './aside.ts';
import { Merging } from './merging.ts';
import { ownershipRefusal } from './ownership.ts';
import { readDots, readPage } from './reading.ts';
import { relog } from './relog.ts';
import { ReplicaCore, type ReplicaOptions } from './replica-core.ts';

export type { ReplicaOptions } from './replica-core.ts';

/** What one command did: its outcome, and the topics whose watchers must look again once it is committed. */
export interface Step {
  readonly outcome: CommandOutcome;
  readonly touched: ReadonlySet<string>;
  readonly index: GatewayIndex;
}

/** Local number of the gateway's first own origin, in every database. */
export const ownOrigin = 1;

/** Term of the zone that founds a datacenter. */
const foundingTerm = 1;

const clusterForm = /^[0-9a-f]{16}$/;

/**
 * The replicated state machine of one gateway: commands and other gateways' dots in, effects out. All of its state is
 * in the store, all of its time comes in as an argument. Whatever changes something runs inside a transaction of the
 * store, of which `flush` is the last call; if that transaction fails, the machine must be thrown away with it.
 */
export class Replica implements ReplicatedLog {
  readonly #store: Store;
  readonly #core: ReplicaCore;
  readonly #merging: Merging;
  readonly nodeId: string;

  constructor(options: ReplicaOptions) {
    this.#store = options.store;
    this.nodeId = options.nodeId;
    this.#core = new ReplicaCore(options);
    this.#merging = new Merging(this.#core);
  }

  get view(): ReadView {
    return this.#store;
  }

  /** The highest index that this gateway can have shown to anybody. */
  get highestIndex(): GatewayIndex {
    return this.#core.highest;
  }

  get origin(): OriginId {
    return this.#core.origins.own.id;
  }

  get headSeq(): number {
    return this.#core.origins.headSeq;
  }

  /** The zones in force, ordered by prefix: another array whenever one of them changed. */
  get zones(): readonly ZoneValue[] {
    return this.#core.zones.list;
  }

  /** What merging came to since the start. */
  get counts(): Readonly<MergeCounts> {
    return this.#merging.counts;
  }

  /** 16 hex digits; empty while this database belongs to no cluster. */
  get cluster(): string {
    return this.#store.getMeta('cluster') ?? '';
  }

  /**
   * Founds the datacenter: the root zone, owned by this gateway since term 1. No-op when a root zone exists, but for
   * giving the cluster its id where its founder has none yet: its database is older than clusters are.
   */
  found(nowUs: number, cluster?: string): Step | undefined {
    const held = this.#core.zones.get('')?.value;
    const founds = held === undefined || (held.ownerId === this.nodeId && held.term === foundingTerm);
    if (founds && cluster !== undefined && clusterForm.test(cluster) && this.cluster === '') {
      this.#store.setMeta('cluster', cluster);
    }
    if (held !== undefined) return undefined;
    const root: ZoneValue = { prefix: '', ownerId: this.nodeId, term: foundingTerm };
    const scope = this.#core.scope(nowUs);
    scope.putAt(Kind.zone, root.prefix, encodeValue(root), root.term);
    this.#core.finish(scope);
    this.#merging.settle(nowUs);
    return { outcome: { kind: 'catalog' }, touched: scope.touched, index: scope.index };
  }

  step(command: Command, nowUs: number): Step {
    const core = this.#core;
    const scope = core.scope(nowUs);
    const outcome = ownershipRefusal(core, command) ?? decide(core, scope, command);
    core.finish(scope);
    if (core.unsettled) this.#merging.settle(nowUs);
    return { outcome, touched: scope.touched, index: scope.index };
  }

  /** Topics touched since the last call, by whatever it was: their watchers must look again once it is committed. */
  takeTouched(): ReadonlySet<string> {
    return this.#core.takeTouched();
  }

  /** Writes down what was seen of logs: the last call of every transaction. */
  flush(): void {
    this.#core.origins.flush();
  }

  getMeta(name: string): string | undefined {
    return this.#store.getMeta(name);
  }

  /**
   * While set, nothing is logged because of what others wrote (locks of ended sessions, the owner's word on conflicts),
   * as long as it is not known whether this database is a restored backup. `settle` makes up for it.
   */
  set quiet(on: boolean) {
    this.#merging.quiet = on;
  }

  /** Does what is left to do because of what others wrote. */
  settle(now: Instant): void {
    this.#merging.settle(now.wallUs);
  }

  /** Something small that this gateway keeps beside its registers, in the same transaction. */
  setMeta(name: string, value: string): void {
    this.#store.setMeta(name, value);
  }

  /**
   * Goes on under a new origin, because others know more of the present one than this database does: a backup was
   * restored. What was written here above `sinceSeq` is logged again; what others have under those numbers is asked of
   * them.
   */
  remint(origin: OriginId, sinceSeq: number): void {
    relog(this.#core, origin, sinceSeq);
  }

  /** Whether a zone is owned here, and all that counts of its earlier owners' logs has arrived. */
  zoneReady({ prefix }: Pick<ZoneValue, 'prefix'>): boolean {
    const zone = this.#core.zones.get(prefix);
    return zone !== undefined && this.#core.isReady(zone);
  }

  /** Logs of which a zone that was given to this gateway still waits for something. */
  zoneAwaits({ prefix }: Pick<ZoneValue, 'prefix'>): readonly OriginId[] {
    const zone = this.#core.zones.get(prefix);
    return zone === undefined ? [] : this.#core.missing(zone);
  }

  /** Whether a row was logged by this gateway, also under an earlier origin of its own. */
  isOwnRow({ origin }: Pick<Row, 'origin'>): boolean {
    return this.#core.origins.isOwn(origin);
  }

  /** Who logged a row, by the local number that it carries. */
  writer(originRef: number): OriginLog | undefined {
    const origin = this.#core.origins.ofRow({ origin: originRef });
    return origin && this.#core.origins.log(origin.id);
  }

  origins(): Iterable<OriginLog> {
    return this.#core.origins.logs();
  }

  originLog(origin: OriginId): OriginLog | undefined {
    return this.#core.origins.log(origin);
  }

  /**
   * Who has been given zones may have overwritten what others wrote there; and a gateway what it wrote in earlier lives.
   * What is lent to a migration's source anybody may.
   */
  overwriters(origin: OriginId): readonly OriginId[] {
    const { origins, zones } = this.#core;
    const writer = origins.log(origin)?.nodeId;
    const others: OriginId[] = [];
    for (const log of origins.logs()) {
      const may = log.nodeId === writer || zones.everLent || zones.everGranted.has(log.nodeId);
      if (may && log.origin !== origin) others.push(log.origin);
    }
    return others;
  }

  introduce(origin: OriginId, nodeId: string): void {
    this.#core.origins.introduce(origin, nodeId);
  }

  merge(dot: Dot, now: Instant): MergeResult {
    return this.#merging.dot(dot, now);
  }

  isTimed({ kind, key, term, timeline, stamp }: ReplicatedRecord): boolean {
    return sourceIndexOf(this.#core.zones, { kind: kind as Kind, key, term, timeline, stamp }) === undefined;
  }

  isAwaited({ records }: Pick<Dot, 'records'>): boolean {
    return records.some(({ kind }) => kind === Kind.zone);
  }

  defers(dot: Dot, now: Instant): boolean {
    return this.#merging.defers(dot, now);
  }

  read(origin: OriginId, range: SeqRange, dotsMax: number, bytesMax: number): readonly Dot[] {
    return readDots(this.#core, origin, range, dotsMax, bytesMax);
  }

  page(from: Cursor, rowsMax: number, bytesMax: number): Page {
    return readPage(this.#core, from, rowsMax, bytesMax);
  }

  join(page: Page, context: ReadonlyMap<OriginId, SeqRanges>, now: Instant): number {
    return this.#merging.join(page, context, now);
  }

  adoptContext(context: ReadonlyMap<OriginId, SeqRanges>, now?: Instant): void {
    this.#merging.adopt(context, now?.wallUs ?? 0);
  }

  get collectedBelow(): number {
    return this.#core.collectedBelow;
  }

  readonly stampNow = (now: Instant): number => this.#core.stampNow(now.wallUs);
}
