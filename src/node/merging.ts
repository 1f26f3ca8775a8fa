import type { Dot, OriginId, ReplicatedRecord } from '../crdt/dot.ts';
import { merge } from '../crdt/merge.ts';
import { hasSeq, type SeqRanges } from '../crdt/seq-ranges.ts';
import { must } from '../kernel/assert.ts';
import type { Instant } from '../kernel/instant.ts';
import type { MergeResult, Page } from '../replication/log.ts';
import { raiseFloors } from '../state/adopted.ts';
import { Kind } from '../state/kinds.ts';
import type { Row } from '../state/store.ts';
import { recordProblem } from '../state/well-formed.ts';
import type { WriteScope } from '../state/write-scope.ts';
import { readGrants, zoneValue, Zones, type Verdict } from '../state/zones.ts';
import { Aside, newCounts, type MergeCounts } from './aside.ts';
import { joinableRows, missingFrom } from './joining.ts';
import type { Origin } from './origins.ts';
import { Reactions } from './reactions.ts';
import { recordOf } from './reading.ts';
import type { ReplicaCore } from './replica-core.ts';
import { voidRows } from './void-rows.ts';

/**
 * A stamp further ahead of this gateway's clock is not believed: taking it over would drag this clock, and with it
 * everybody's, along for good. The dot waits (it is not seen) until the clocks agree. Setting it aside instead would
 * count it as seen, and a gateway whose own clock is a day behind would lose everybody's writes.
 */
export const aheadUsMax = 24 * 60 * 60 * 1e6;

/** The dot that a record came in. */
interface Place {
  readonly seq: number;
  /** How many other records it had. */
  readonly beside: number;
}

function placeOf({
  seq,
  records,
  size,
}: Pick<Dot, 'seq' | 'size'> & { readonly records: readonly unknown[] }): Place {
  return { seq, beside: (size ?? records.length) - 1 };
}

/** Takes over what other gateways decided, and does what follows from it here. */
export class Merging {
  readonly counts: MergeCounts = newCounts();
  readonly #core: ReplicaCore;
  readonly #reactions: Reactions;
  readonly #aside: Aside;

  constructor(core: ReplicaCore) {
    this.#core = core;
    this.#reactions = new Reactions(core);
    this.#aside = new Aside(core, this.counts, this.#reactions);
    // Whatever was not said when the last process stopped: all that this gateway owns is looked over once.
    if (core.origins.headSeq > 0) this.#reactions.zonesReady(core.readyZones());
  }

  /**
   * While set, nothing is logged because of what others wrote: a gateway that does not know yet whether its database
   * is a restored backup must not use up a number of its log. `settle` makes up for it.
   */
  quiet = false;

  /** See `ReplicatedLog.merge`. */
  dot(dot: Dot, now: Instant): MergeResult {
    const { origins } = this.#core;
    const origin = must(origins.get(dot.origin), 'a dot of an origin that was not introduced');
    // What comes of our own log was ours; where it was not, a backup was restored, and replication tells by the head.
    if (origin === origins.own || hasSeq(origin.seen, dot.seq)) return 'seen';
    if (!this.#apply(origin, placeOf(dot), dot.records, now.wallUs)) return 'deferred';
    origins.markSeen(origin, { from: dot.seq, to: dot.seq });
    this.settle(now.wallUs);
    return 'applied';
  }

  /** See `ReplicatedLog.defers`. */
  defers({ origin: id, seq, records }: Dot, now: Instant): boolean {
    const origin = must(this.#core.origins.get(id), 'a dot of an origin that was not introduced');
    const zones = this.#zonesWith(records);
    const writer = { origin: id, seq, nodeId: origin.nodeId };
    return records.some((record) => {
      if (recordProblem(record) !== undefined) return false;
      if (record.stamp > now.wallUs + aheadUsMax) return true;
      return zones.judge(record.kind, record.key, record.term, writer).kind === 'unknown';
    });
  }

  /** See `ReplicatedLog.join`. */
  join(page: Page, context: ReadonlyMap<OriginId, SeqRanges>, now: Instant): number {
    const core = this.#core;
    const { aside = [] } = page;
    const rows = joinableRows(core, page).filter((row) => row.stamp <= now.wallUs + aheadUsMax);
    const missing = missingFrom(core, page, context);
    const stamp = rows.reduce((highest, row) => Math.max(highest, row.stamp), 0);
    const scope = core.mergeScope(stamp, now.wallUs);
    let joined = 0;
    for (const row of rows) {
      const origin = must(core.origins.get(row.origin), 'a row of an origin that was not introduced');
      const problem = recordProblem(row);
      if (problem !== undefined) {
        this.#aside.quarantine('malformed', origin, row.seq, row, now.wallUs);
        continue;
      }
      const verdict = core.zones.judge(row.kind, row.key, row.term, { ...row, nodeId: origin.nodeId });
      if (this.#record(scope, origin, row, row, verdict, now.wallUs)) joined += 1;
    }
    for (const held of missing) this.#drop(scope, held);
    for (const row of aside) {
      const origin = must(core.origins.get(row.origin), 'a row of an origin that was not introduced');
      if (recordProblem(row) === undefined) this.#aside.passedOn(origin, row.seq, row, now.wallUs);
    }
    core.finish(scope);
    this.counts.joined += joined;
    this.counts.dropped += missing.length;
    this.settle(now.wallUs);
    return joined + missing.length;
  }

  /** See `ReplicatedLog.adoptContext`. */
  adopt(context: ReadonlyMap<OriginId, SeqRanges>, nowUs: number): void {
    const { origins } = this.#core;
    for (const [id, seen] of context) {
      const origin = must(origins.get(id), 'an origin that was not introduced');
      if (origin === origins.own) continue;
      for (const range of seen) origins.markSeen(origin, range);
    }
    // At the end of a walk over whole state all zones have come.
    if (this.#aside.hasUndecided) this.#acquit(nowUs);
    this.settle(nowUs);
  }

  /** What follows from what was merged or decided: in one scope of this gateway's own, in the same transaction. */
  settle(nowUs: number): void {
    const core = this.#core;
    const before = core.takeZonesBefore();
    if (before !== undefined) this.#zonesMoved(before, nowUs);
    this.#reactions.zonesReady(core.becomeReady());
    if (this.#reactions.pending && !this.quiet) {
      const scope = core.scope(nowUs);
      this.#reactions.run(scope);
      core.finish(scope);
    }
    if (core.zonesMoved) this.settle(nowUs);
    if (core.hasPoison) this.#releasePoison(nowUs);
  }

  /** Applies the records of one dot together; false where one of them has to wait. */
  #apply(origin: Origin, place: Place, records: readonly ReplicatedRecord[], wallUs: number): boolean {
    const core = this.#core;
    const { seq } = place;
    const whole = this.#withoutPoison(origin, seq, records, wallUs);
    if (whole === undefined || whole.length === 0) return true;
    const stamp = whole.reduce((highest, record) => Math.max(highest, record.stamp), 0);
    if (stamp > wallUs + aheadUsMax) {
      this.counts.ahead += 1;
      return false;
    }
    const zones = this.#zonesWith(whole);
    const writer = { origin: origin.id, seq, nodeId: origin.nodeId };
    const verdicts: Verdict[] = [];
    for (const record of whole) {
      const verdict = zones.judge(record.kind, record.key, record.term, writer);
      if (verdict.kind === 'unknown') {
        this.counts.deferred += 1;
        return false;
      }
      verdicts.push(verdict);
    }
    const scope = core.mergeScope(stamp, wallUs);
    whole.forEach((record, i) => {
      if (this.#record(scope, origin, place, record, verdicts[i] as Verdict, wallUs))
        this.counts.applied += 1;
    });
    core.finish(scope);
    return true;
  }

  /** The zones as they will be with the grants in this dot. */
  #zonesWith(records: readonly ReplicatedRecord[]): Zones {
    const grants = records.filter(({ kind, value }) => kind === Kind.zone && value !== null);
    if (grants.length === 0) return this.#core.zones;
    return new Zones([...readGrants(this.#core.store), ...grants.map((grant) => zoneValue(grant as Row))]);
  }

  /**
   * A dot is applied all at once or not at all: one record that cannot be read sets its whole dot aside. Undefined:
   * that was done. But a malformed record that was overwritten since is as if it had never been: later, and from
   * others, the dot comes without it, and all must come to the same.
   */
  #withoutPoison(
    origin: Origin,
    seq: number,
    records: readonly ReplicatedRecord[],
    nowUs: number,
  ): readonly ReplicatedRecord[] | undefined {
    const malformed = records.filter((record) => recordProblem(record) !== undefined);
    if (malformed.length === 0) return records;
    for (const record of malformed) this.#aside.quarantine('malformed', origin, seq, record, nowUs);
    const rest = records.filter((record) => !malformed.includes(record));
    if (malformed.every((record) => this.#aside.isOverwritten(record))) return rest;
    for (const record of rest) this.#aside.quarantine('beside-malformed', origin, seq, record, nowUs);
    this.#aside.readPoison();
    return undefined;
  }

  /** What came beside malformed records that are overwritten by now goes on. */
  #releasePoison(nowUs: number): void {
    const released = this.#aside.overwritten();
    if (released.length === 0) return;
    for (const { origin, seq, beside } of released) {
      // Where its zone is not known yet it stays where it is, and comes with whole state or an audit.
      if (this.#apply(origin, placeOf({ seq, records: beside }), beside.map(recordOf), nowUs))
        this.#aside.release(beside);
    }
    this.settle(nowUs);
  }

  /** Answers whether the register changed here. */
  #record(
    scope: WriteScope,
    origin: Origin,
    place: Place,
    record: ReplicatedRecord,
    verdict: Verdict,
    nowUs: number,
  ): boolean {
    const { seq } = place;
    switch (verdict.kind) {
      case 'legitimate':
      // Of a page only: the state of the other replica is what it believes, and it knows a zone that this one does not.
      case 'unknown':
        return this.#take(scope, origin, place, record, nowUs);
      case 'over':
        this.#aside.conflict(origin, seq, record, verdict.zone, nowUs);
        return false;
      case 'stranger':
        this.#aside.quarantine('stranger', origin, seq, record, nowUs);
        return false;
    }
  }

  #take(
    scope: WriteScope,
    origin: Origin,
    { seq, beside }: Place,
    record: ReplicatedRecord,
    nowUs: number,
  ): boolean {
    const core = this.#core;
    const held = core.store.get(record.kind as Kind, record.key);
    const outcome = merge(held, record);
    if (outcome.kind === 'duplicate') {
      if (held !== undefined) this.#sameFromTwo(held, origin, seq);
      return false;
    }
    // What should never have been there gives way to what is right, also where its version is the greater one.
    if (outcome.kind === 'older' && !(held !== undefined && this.#aside.isVoid(held, record))) return false;
    if (outcome.kind === 'conflict' && held !== undefined) {
      const heldOrigin = core.origins.ofRow(held);
      // It was proved deleted (`WriteScope.dropped`), and a straggler brings it again.
      if (heldOrigin === undefined) return false;
      if (!outcome.incomingWins) {
        this.#aside.quarantine('forked', origin, seq, record, nowUs);
        return false;
      }
      this.#aside.quarantine('forked', heldOrigin, held.seq, recordOf(held), nowUs);
    }
    core.origins.persist(origin);
    if (held !== undefined) {
      this.#aside.keepReplaced(held, record, origin, seq, nowUs);
      core.origins.rowGoes(held.origin);
    }
    const row = scope.merged(record, { origin: origin.ref, seq, beside }, held);
    raiseFloors(scope, held, row);
    this.#reactions.note(held, row);
    return true;
  }

  /**
   * Two gateways passed on the same word of a source. All replicas keep the same dot of the two, else each of them could
   * tell a third one that nothing is left of the dot that it does not keep.
   */
  #sameFromTwo(held: Row, origin: Origin, seq: number): void {
    const { origins, store } = this.#core;
    const heldOrigin = origins.ofRow(held);
    if (heldOrigin === undefined || heldOrigin.id < origin.id) return;
    if (heldOrigin === origin && held.seq <= seq) return;
    origins.persist(origin);
    origins.rowGoes(held.origin);
    store.put({ ...held, origin: origin.ref, seq });
  }

  #drop(scope: WriteScope, held: Row): void {
    this.#core.origins.rowGoes(held.origin);
    if (held.value === null) {
      scope.forget(held.kind, held.key);
      return;
    }
    scope.dropped(held);
    this.#reactions.note(held, { ...held, value: null });
  }

  /** Zones have other owners or another history: what was right may be over now, and the other way round. */
  #zonesMoved(before: Zones, nowUs: number): void {
    for (const { row, origin, zone } of voidRows(this.#core, before)) {
      this.#aside.conflict(origin, row.seq, recordOf(row), zone, nowUs);
    }
    this.#acquit(nowUs);
  }

  #acquit(nowUs: number): void {
    for (const { conflict, origin } of this.#aside.acquitted(nowUs)) {
      const scope = this.#core.mergeScope(conflict.stamp, nowUs);
      this.#take(scope, origin, { seq: conflict.seq, beside: 0 }, recordOf(conflict), nowUs);
      this.#core.finish(scope);
    }
  }
}
