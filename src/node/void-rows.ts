import { headOf, parseRanges } from '../crdt/seq-ranges.ts';
import { prefixEnd } from '../kernel/utf8-order.ts';
import { Kind } from '../state/kinds.ts';
import type { Row } from '../state/store.ts';
import type { ZoneValue } from '../state/values.ts';
import { externalNodes, type Zone, type Zones } from '../state/zones.ts';
import type { Origin } from './origins.ts';
import type { ReplicaCore } from './replica-core.ts';

export interface VoidRow {
  readonly row: Row;
  readonly origin: Origin;
  readonly zone: Zone;
}

/**
 * Rows that were right when they were applied, and by what is known of the zones now never should have been: what an
 * owner wrote after a takeover's fence, or under a grant that lost against another. They stay as they are until the
 * owner says what stands instead; until then nobody knows.
 */
export function voidRows(core: ReplicaCore, before: Zones): readonly VoidRow[] {
  const found = new Map<string, VoidRow>();
  const judge = (origin: Origin, row: Row): void => {
    const { kind, key, term, seq } = row;
    const verdict = core.zones.judge(kind, key, term, { origin: origin.id, seq, nodeId: origin.nodeId });
    if (verdict.kind === 'over') found.set(`${kind} ${key}`, { row, origin, zone: verdict.zone });
  };
  const look = (origin: Origin, fromSeq: number, terms: readonly number[]): void => {
    for (const row of core.store.byDots(origin.ref, fromSeq, Number.MAX_SAFE_INTEGER)) {
      if (terms.includes(row.term)) judge(origin, row);
    }
  };
  const beyond = (grant: ZoneValue, origins: readonly Origin[], terms: readonly number[]): void => {
    for (const origin of origins) {
      const fence = grant.fences?.find((each) => each.origin === origin.id);
      look(origin, fence === undefined ? 1 : headOf(parseRanges(fence.seen)) + 1, terms);
    }
  };
  const moved: Zone[] = [];
  for (const { prefix } of core.zones.list) {
    const zone = core.zones.get(prefix) as Zone;
    const { chain } = zone;
    const known = new Set(before.get(prefix)?.chain.map(({ term }) => term));
    const strangers = core.zones.strangersTo(zone).length;
    const knownZone = before.get(prefix);
    const more = knownZone === undefined || strangers > before.strangersTo(knownZone).length;
    if (strangers > 0 && (more || chain.some(({ term }) => !known.has(term)))) moved.push(zone);
    chain.forEach((grant, i) => {
      const over = chain[i + 1];
      if (known.has(grant.term) || over === undefined) return;
      if (over.lent === true && grant.lent !== true) takenBack(grant, i);
      if (grant.cause === 'taken-over') beyond(grant, core.origins.ofNode(over.ownerId), [over.term]);
    });
    /** Everybody may have passed something on, under any of the terms for which it was lent. */
    function takenBack(grant: ZoneValue, at: number): void {
      const earlier = chain.slice(at + 1);
      const end = earlier.findIndex(({ lent }) => lent !== true);
      const lent = end < 0 ? earlier : earlier.slice(0, end);
      beyond(
        grant,
        core.origins.all(),
        lent.map(({ term }) => term),
      );
    }
  }
  for (const zone of moved) {
    const { prefix } = zone.value;
    // What is lost of the root zone is looked for below, by who wrote it.
    if (prefix === '') continue;
    const strange = new Set(core.zones.strangersTo(zone).map(({ term }) => term));
    for (const row of rowsIn(core, prefix)) {
      const origin = core.origins.ofRow(row);
      if (strange.has(row.term) && origin !== undefined) judge(origin, row);
    }
  }
  const voidBefore = new Set(before.lost().map(({ prefix, term }) => `${term} ${prefix}`));
  for (const { prefix, term, ownerId, lent } of core.zones.lost()) {
    if (voidBefore.has(`${term} ${prefix}`)) continue;
    const writers = lent === true ? core.origins.all() : core.origins.ofNode(ownerId);
    for (const origin of writers) look(origin, 1, [term]);
  }
  return [...found.values()];
}

/** Rows of the registers in a zone of this prefix, those in zones below it included. */
function* rowsIn(core: ReplicaCore, prefix: string): Iterable<Row> {
  yield* core.store.range(Kind.migration, '', undefined);
  if (prefix !== externalNodes) {
    yield* core.store.range(Kind.kv, prefix, prefixEnd(prefix));
    return;
  }
  for (const kind of [Kind.node, Kind.service, Kind.check, Kind.coordinate]) {
    yield* core.store.range(kind, '', undefined);
  }
}
