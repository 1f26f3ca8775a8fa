import { checkValue } from '../state/catalog.ts';
import { Kind } from '../state/kinds.ts';
import { dropLocks } from '../state/kv.ts';
import { isSessionOver, sessionValue } from '../state/session-health.ts';
import { invalidateSessionsOfCheck, invalidateSessionsOfNode } from '../state/sessions.ts';
import type { Row } from '../state/store.ts';
import { catalogKey, keySeparator } from '../state/topics.ts';
import type { WriteScope } from '../state/write-scope.ts';
import type { Zone } from '../state/zones.ts';
import type { ReplicaCore } from './replica-core.ts';

interface Change {
  readonly before: Row | undefined;
  readonly after: Row;
}

/**
 * What this gateway has to write because of what others wrote: locks in its zones whose session ended elsewhere, its
 * own sessions whose node or check went away, and its word on what was written under terms that are over.
 */
export class Reactions {
  readonly #core: ReplicaCore;
  #changes: Change[] = [];
  #conflicts: { readonly kind: Kind; readonly key: string }[] = [];
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

  conflict(kind: Kind, key: string): void {
    this.#conflicts.push({ kind, key });
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
    for (const { kind, key } of conflicts) this.#restate(scope, kind, key);
    for (const zone of ready) this.#takeCharge(scope, zone);
  }

  /**
   * Some replicas applied what was written under a term that is over, before they knew; what it replaced there is gone.
   * The owner's word under its own term is above it, so all come to the owner's value. Where the owner is one of those
   * itself (the zone came to it since), what it holds is all that is left, and stands.
   */
  #restate(scope: WriteScope, kind: Kind, key: string): void {
    const zone = this.#core.zones.ofRegister(kind, key);
    if (zone === undefined || !this.#core.isReady(zone)) return;
    const held = scope.view.get(kind, key);
    if (held !== undefined && held.term >= zone.value.term) return;
    scope.restate(kind, key);
  }

  /** What was left undone while the zone had another owner, or none that was complete. */
  #takeCharge(scope: WriteScope, zone: Zone): void {
    for (let after = 0; this.#core.hasSetAside;) {
      const some = this.#core.store.setAside('conflicts', after, conflictsRead);
      for (const { kind, key } of some) {
        if (this.#core.zones.ofRegister(kind, key) === zone) this.#restate(scope, kind, key);
      }
      after = some.at(-1)?.id ?? after;
      if (some.length < conflictsRead) break;
    }
    for (const row of [...scope.view.indexed(Kind.kv)]) {
      if (row.value === null || row.ix === null || this.#core.zones.ofKey(row.key) !== zone) continue;
      const session = scope.view.get(Kind.session, row.ix);
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
