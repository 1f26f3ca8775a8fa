import type { ReplicatedRecord } from '../crdt/dot.ts';
import { compareVersions } from '../crdt/version.ts';
import { isReplicated, type Kind } from '../state/kinds.ts';
import { quarantineRowsMax, type Row, type SetAside, type SetAsideTable } from '../state/store.ts';
import type { Verdict, Zone } from '../state/zones.ts';
import type { Origin } from './origins.ts';
import type { Reactions } from './reactions.ts';
import { recordOf } from './reading.ts';
import type { ReplicaCore } from './replica-core.ts';

/**
 * - `malformed`: cannot be read; `beside-malformed`: was in one dot with such a record;
 * - `forked`: the same version as what is held, with other bytes;
 * - `stranger`: its writer does not own what it writes, and never did at that term.
 */
export type QuarantineReason = 'malformed' | 'beside-malformed' | 'forked' | 'stranger';

/**
 * Why a record is among the conflicts: `over`: its writer's time was over by a takeover; `undecided`: for a moment, while
 * whole state is taken over, it is not known yet whether that is so.
 */
export type ConflictReason = 'over' | 'undecided';

/** What merging has come to since the start. */
export interface MergeCounts {
  /** Registers taken over from dots. */
  applied: number;
  /** Dots under a zone's term that is not known here yet, each time they came. */
  deferred: number;
  /** Dots from a clock too far ahead, each time they came. */
  ahead: number;
  conflicts: number;
  malformed: number;
  forked: number;
  strangers: number;
  /** Registers taken over from pages, and those dropped because of one. */
  joined: number;
  dropped: number;
}

export function newCounts(): MergeCounts {
  return {
    ...{ applied: 0, deferred: 0, ahead: 0, conflicts: 0, malformed: 0, forked: 0, strangers: 0 },
    ...{ joined: 0, dropped: 0 },
  };
}

/** Where a record is kept that is not applied: why, and for a conflict under which term of its zone. */
interface Place {
  readonly table: SetAsideTable;
  readonly why: QuarantineReason | ConflictReason;
  readonly zone: string;
  readonly zoneTerm: number;
}

/** A dot of which everything that could not be read is overwritten by now, and what came beside that. */
interface Released {
  readonly origin: Origin;
  readonly seq: number;
  readonly beside: readonly SetAside[];
}

/** What came from other gateways and was not applied: the quarantine and the conflicts. */
export class Aside {
  readonly #core: ReplicaCore;
  readonly #counts: MergeCounts;
  readonly #reactions: Reactions;
  /** There may be conflicts of which it is not known yet whether they are. */
  hasUndecided: boolean;
  /** Malformed records in quarantine. */
  #poison: readonly SetAside[] = [];

  constructor(core: ReplicaCore, counts: MergeCounts, reactions: Reactions) {
    this.#core = core;
    this.#counts = counts;
    this.#reactions = reactions;
    this.hasUndecided = core.hasSetAside;
    if (core.hasSetAside) this.readPoison();
  }

  /** Sets a write of an owner whose time was over aside, unless it is there already. */
  conflict(origin: Origin, seq: number, record: ReplicatedRecord, zone: Zone, nowUs: number): void {
    const place: Place = {
      ...{ table: 'conflicts', why: 'over' },
      ...{ zone: zone.value.prefix, zoneTerm: zone.value.term },
    };
    if (!this.#keep(place, origin, seq, record, nowUs)) return;
    this.#counts.conflicts += 1;
    this.#reactions.conflict({ kind: record.kind as Kind, key: record.key, term: record.term });
  }

  quarantine(
    why: QuarantineReason,
    origin: Origin,
    seq: number,
    record: ReplicatedRecord,
    nowUs: number,
  ): void {
    if (!this.#keep({ table: 'quarantine', why, zone: '', zoneTerm: 0 }, origin, seq, record, nowUs)) return;
    if (why === 'malformed') this.#counts.malformed += 1;
    if (why === 'forked') this.#counts.forked += 1;
    if (why === 'stranger') this.#counts.strangers += 1;
  }

  /**
   * What a record of a higher term replaces may turn out to have been written under a term that was over, once all
   * grants between the two are known here: until then it is kept.
   */
  keepReplaced(held: Row, record: ReplicatedRecord, by: Origin, seq: number, nowUs: number): void {
    const origin = this.#core.origins.ofRow(held);
    if (origin === undefined || held.term === 0 || held.term >= record.term) return;
    const verdicts = [this.#judge(record, by, seq), this.#judge(held, origin, held.seq)];
    if (verdicts.every(({ kind }) => kind !== 'unknown')) return;
    const place: Place = { table: 'conflicts', why: 'undecided', zone: '', zoneTerm: 0 };
    this.#keep(place, origin, held.seq, recordOf(held), nowUs);
  }

  /** Whether what is held, under a higher term than a record, was written when that term was over. */
  isVoid(held: Row, record: ReplicatedRecord): boolean {
    const origin = held.term > record.term ? this.#core.origins.ofRow(held) : undefined;
    return origin !== undefined && this.#judge(held, origin, held.seq).kind === 'over';
  }

  /** Takes over what another replica set aside. */
  passedOn(origin: Origin, seq: number, record: ReplicatedRecord, nowUs: number): void {
    const verdict = this.#judge(record, origin, seq);
    if (verdict.kind === 'over') this.conflict(origin, seq, record, verdict.zone, nowUs);
    // The other one may know more of zones, and this one will: it is looked at again then.
    const place: Place = { table: 'conflicts', why: 'undecided', zone: '', zoneTerm: 0 };
    if (verdict.kind === 'unknown' || verdict.kind === 'legitimate')
      this.#keep(place, origin, seq, record, nowUs);
  }

  /** Judges the conflicts anew, now that zones moved: takes those off that turned out to be right, and answers them. */
  acquitted(nowUs: number): readonly { readonly conflict: SetAside; readonly origin: Origin }[] {
    const { store, origins } = this.#core;
    const right: { conflict: SetAside; origin: Origin }[] = [];
    this.hasUndecided = false;
    for (let after = 0; this.#core.hasSetAside;) {
      const some = store.setAside('conflicts', after, conflictsRead);
      for (const conflict of some) {
        after = conflict.id;
        const origin = origins.get(conflict.origin);
        if (origin === undefined) continue;
        const verdict = this.#judge(conflict, origin, conflict.seq);
        if (verdict.kind === 'legitimate' && !this.#isReplacedByUnknown(conflict)) {
          store.removeSetAside('conflicts', conflict.id);
          right.push({ conflict, origin });
        } else if (verdict.kind === 'over' && conflict.why === 'undecided') {
          store.removeSetAside('conflicts', conflict.id);
          this.conflict(origin, conflict.seq, recordOf(conflict), verdict.zone, nowUs);
        } else if (conflict.why === 'undecided') {
          this.hasUndecided = true;
        }
      }
      if (some.length < conflictsRead) break;
    }
    return right;
  }

  readPoison(): void {
    this.#poison = this.#core.store
      .setAside('quarantine', 0, quarantineRowsMax)
      .filter(({ why, kind }) => why === 'malformed' && isReplicated(kind));
    this.#core.hasPoison = this.#poison.length > 0;
  }

  isOverwritten(record: ReplicatedRecord | SetAside): boolean {
    if (!isReplicated(record.kind as Kind)) return false;
    const held = this.#core.store.get(record.kind as Kind, record.key);
    return held !== undefined && compareVersions(held, record) > 0;
  }

  /** Drops the malformed records that are overwritten by now. */
  overwritten(): readonly Released[] {
    const { store, origins } = this.#core;
    const over = this.#poison.filter((poison) => this.isOverwritten(poison));
    if (over.length === 0) return [];
    for (const { id } of over) store.removeSetAside('quarantine', id);
    this.readPoison();
    return over.flatMap(({ origin: id, seq }) => {
      const left = store.setAsideByDots('quarantine', id, seq, seq);
      const origin = origins.get(id);
      if (origin === undefined || left.some(({ why }) => why === 'malformed')) return [];
      return [{ origin, seq, beside: left.filter(({ why }) => why === 'beside-malformed') }];
    });
  }

  release(records: readonly SetAside[]): void {
    for (const { id } of records) this.#core.store.removeSetAside('quarantine', id);
  }

  #judge(record: ReplicatedRecord, { id: origin, nodeId }: Origin, seq: number): Verdict {
    return this.#core.zones.judge(record.kind, record.key, record.term, { origin, seq, nodeId });
  }

  /** What is held in its place came with whole state, and the zone that it was written in did not come yet. */
  #isReplacedByUnknown({ kind, key }: SetAside): boolean {
    const held = this.#core.store.get(kind, key);
    const origin = held && this.#core.origins.ofRow(held);
    return (
      held !== undefined && origin !== undefined && this.#judge(held, origin, held.seq).kind === 'unknown'
    );
  }

  /** Answers false where it is kept already. */
  #keep(place: Place, origin: Origin, seq: number, record: ReplicatedRecord, atUs: number): boolean {
    const { store } = this.#core;
    const { table, ...why } = place;
    const there = store
      .setAsideByDots(table, origin.id, seq, seq)
      .some(({ kind, key }) => kind === record.kind && key === record.key);
    if (there) return false;
    const { key, value, ix } = record;
    store.putSetAside(table, {
      ...{ ...why, atUs, origin: origin.id, seq, key, value, ix, replayed: false },
      // Of a malformed record these may be anything; the table takes whole numbers.
      kind: whole(record.kind) as Kind,
      term: whole(record.term),
      timeline: whole(record.timeline),
      stamp: whole(record.stamp),
      born: whole(record.born),
    });
    this.#core.hasSetAside = true;
    this.hasUndecided ||= place.why === 'undecided';
    return true;
  }
}

const conflictsRead = 200;

function whole(value: number): number {
  return Number.isSafeInteger(value) ? value : 0;
}
