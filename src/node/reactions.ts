import { checkValue } from '../state/catalog.ts';
import { Kind } from '../state/kinds.ts';
import { dropLocks } from '../state/kv.ts';
import { isSessionOver, sessionValue } from '../state/session-health.ts';
import { invalidateSessionsOfCheck, invalidateSessionsOfNode } from '../state/sessions.ts';
import type { Row, SetAside } from '../state/store.ts';
import { catalogKey, keySeparator } from '../state/topics.ts';
import type { WriteScope } from '../state/write-scope.ts';
import { raiseTerm } from '../state/zone-commands.ts';
import { lends, type Zone } from '../state/zones.ts';
import { grantContext } from './grants.ts';
import type { ReplicaCore } from './replica-core.ts';

interface Change {
  readonly before: Row | undefined;
  readonly after: Row;
}

/** A register of which a record was set aside, and the term of that record. */
type Overruled = Pick<SetAside, 'kind' | 'key' | 'term'>;

/**
 * What this gateway has to write because of what others wrote: locks in its zones whose session ended elsewhere, its
 * own sessions whose node or check went away, and its word on what was written under terms that are over.
 */
export class Reactions {
  readonly #core: ReplicaCore;
  #changes: Change[] = [];
  #conflicts: Overruled[] = [];
  #ready: Zone[] = [];

  constructor(core: ReplicaCore) {
    this.#core = core;
  }

  get pending(): boolean {
    return this.#changes.length + this.#conflicts.length + this.#ready.length > 0;
  }

  /** A register was taken over from another gateway. */
  note(before: Row | undefined, after: Row): void {
    switch (after.kind) {
      case Kind.session:
      case Kind.node:
        if (after.value === null) this.#changes.push({ before, after });
        return;
      case Kind.check:
        if (after.value === null || checkValue(after).status === 'critical')
          this.#changes.push({ before, after });
        return;
      default:
        return;
    }
  }

  conflict(overruled: Overruled): void {
    this.#conflicts.push(overruled);
  }

  /** These zones are this gateway's now, and complete. */
  zonesReady(zones: readonly Zone[]): void {
    this.#ready.push(...zones);
  }

  run(scope: WriteScope): void {
    const changes = this.#changes;
    const conflicts = this.#conflicts;
    const ready = this.#ready;
    this.#changes = [];
    this.#conflicts = [];
    this.#ready = [];
    for (const change of changes) follow(scope, change);
    this.#overrule(scope, conflicts);
    for (const { value } of ready) {
      // As it is now: it may have moved on since.
      const zone = this.#core.zones.get(value.prefix);
      if (zone !== undefined && this.#core.isReady(zone)) this.#takeCharge(scope, zone);
    }
  }

  /**
   * Some replicas applied what was written under a term that is over, before they knew; what it replaced there is gone.
   * The owner's word under its own term is above it, so all come to the owner's value. Where the owner is one of those
   * itself (the zone came to it since), what it holds is all that is left, and stands.
   *
   * A term that is over may be above the owner's, where the zone was taken out of another one while that changed hands
   * elsewhere: then the owner grants its zone to itself once more, under a term above both.
   */
  #overrule(scope: WriteScope, conflicts: readonly Overruled[]): void {
    const outdone = new Map<Zone, number>();
    for (const { kind, key, term } of conflicts) {
      const zone = this.#core.zones.ofRegister(kind, key);
      if (zone === undefined || !this.#core.isReady(zone)) continue;
      if (term >= zone.value.term) outdone.set(zone, Math.max(term, outdone.get(zone) ?? 0));
    }
    for (const { kind, key } of conflicts) {
      const zone = this.#core.zones.ofRegister(kind, key);
      if (zone === undefined || !this.#core.isReady(zone) || outdone.has(zone)) continue;
      const held = scope.view.get(kind, key);
      if (held !== undefined && held.term >= zone.value.term) continue;
      if (lends(zone.value, kind)) this.#give(scope, zone, kind, key, held);
      else scope.restate(kind, key);
    }
    // Once the new term is in force, all conflicts of the zone are looked at again: `#takeCharge`.
    for (const [zone, above] of outdone) raiseTerm(scope, grantContext(this.#core), zone, above);
  }

  /**
   * The owner's word on what it has lent: all come to what it holds, below whatever the source says of it. (The first
   * version of the zone's term: its one writer is the owner, which says it once.)
   */
  #give(scope: WriteScope, { value }: Zone, kind: Kind, key: string, held: Row | undefined): void {
    const version = { term: value.term, timeline: 0, stamp: 0 };
    scope.adopt(kind, key, version, held?.value ?? null, held?.ix ?? null, held?.born ?? 0);
  }

  /** What was left undone while the zone had another owner, or none that was complete. */
  #takeCharge(scope: WriteScope, zone: Zone): void {
    const { store, zones } = this.#core;
    const conflicts: Overruled[] = [];
    for (let after = 0; this.#core.hasSetAside;) {
      const some = store.setAside('conflicts', after, conflictsRead);
      for (const { kind, key, term, why } of some) {
        if (why === 'over' && zones.ofRegister(kind, key) === zone) conflicts.push({ kind, key, term });
      }
      after = some.at(-1)?.id ?? after;
      if (some.length < conflictsRead) break;
    }
    this.#overrule(scope, conflicts);
    for (const row of [...store.indexed(Kind.kv)]) {
      if (row.value === null || row.ix === null || zones.ofKey(row.key) !== zone) continue;
      const session = store.get(Kind.session, row.ix);
      // One that never came here may be on its way.
      if (session !== undefined && isSessionOver(scope, session)) {
        dropLocks(scope, row.ix, session.value === null ? undefined : sessionValue(session));
      }
    }
  }
}

const conflictsRead = 200;

function follow(scope: WriteScope, { before, after }: Change): void {
  const [node = '', part = ''] = after.key.split(keySeparator);
  switch (after.kind) {
    case Kind.session:
      dropLocks(scope, after.key, before?.value ? sessionValue(before) : undefined);
      return;
    case Kind.node:
      scope.delete(Kind.memberHealth, catalogKey(node, 'serfHealth'));
      invalidateSessionsOfNode(scope, node);
      return;
    case Kind.check:
      invalidateSessionsOfCheck(scope, node, part);
      return;
    default:
      return;
  }
}
