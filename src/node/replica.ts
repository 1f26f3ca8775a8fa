import type { OriginId } from '../crdt/dot.ts';
import { unreachable } from '../kernel/assert.ts';
import type { GatewayIndex } from '../kernel/stamp.ts';
import { applyCatalog } from '../state/catalog.ts';
import { collectTombstones } from '../state/collect.ts';
import type { Command, CommandOutcome } from '../state/command.ts';
import { Kind } from '../state/kinds.ts';
import { deleteKv, putKv } from '../state/kv.ts';
import { applyLocal } from '../state/local.ts';
import { applyMirror, mirrorTerm } from '../state/mirror.ts';
import type { Refusal } from '../state/outcome.ts';
import { applyRestore } from '../state/restore.ts';
import { createSession, destroySession } from '../state/sessions.ts';
import type { ReadView, Store } from '../state/store.ts';
import { applyTxn, isReadOnly } from '../state/txn.ts';
import { encodeValue, type ZoneValue } from '../state/values.ts';
import { WriteScope } from '../state/write-scope.ts';
import { readZones, zoneOf } from '../state/zones.ts';

export interface ReplicaOptions {
  readonly store: Store;
  readonly origin: OriginId;
  /** Id of this gateway's node: what a zone's delegation names. */
  readonly nodeId: string;
}

/** What one command did: its outcome, and the topics whose watchers must look again once it is committed. */
export interface Step {
  readonly outcome: CommandOutcome;
  readonly touched: ReadonlySet<string>;
  readonly index: GatewayIndex;
}

/** Local number of the gateway's own origin: the first in every database. */
export const ownOrigin = 1;

/**
 * The replicated state machine of one gateway: command in, effects out. All of its state is in the store, all of
 * its time comes in as an argument. `step` runs inside a transaction of the store; if that transaction fails, the
 * machine must be thrown away with it.
 */
export class Replica {
  readonly #store: Store;
  readonly #nodeId: string;
  readonly origin: OriginId;
  #headSeq: number;
  #highest: number;
  #zones: readonly ZoneValue[];

  constructor(options: ReplicaOptions) {
    this.#store = options.store;
    this.#nodeId = options.nodeId;
    this.origin = options.origin;
    this.#headSeq = options.store.headSeq(ownOrigin);
    this.#highest = Math.max(1, ...Object.values(Kind).map((kind) => options.store.tableIndex(kind)));
    this.#zones = readZones(options.store);
  }

  get view(): ReadView {
    return this.#store;
  }

  /** The highest index that this gateway can have shown to anybody. */
  get highestIndex(): GatewayIndex {
    return this.#highest as GatewayIndex;
  }

  get headSeq(): number {
    return this.#headSeq;
  }

  get zones(): readonly ZoneValue[] {
    return this.#zones;
  }

  /** Founds the datacenter: the root zone, owned by this gateway since term 1. No-op when a root zone exists. */
  found(nowUs: number): Step | undefined {
    if (this.#zones.some((zone) => zone.prefix === '')) return undefined;
    const root: ZoneValue = { prefix: '', ownerId: this.#nodeId, term: mirrorTerm + 1 };
    const scope = this.#scope(nowUs, root.term);
    scope.put(Kind.zone, root.prefix, encodeValue(root));
    this.#zones = [...this.#zones, root];
    return this.#finish(scope, { kind: 'catalog' });
  }

  step(command: Command, nowUs: number): Step {
    const refusal = this.#ownershipRefusal(command);
    const scope = this.#scope(nowUs);
    return this.#finish(scope, refusal ?? decide(scope, command));
  }

  #finish(scope: WriteScope, outcome: CommandOutcome): Step {
    if (scope.changed) {
      this.#highest = scope.index;
      this.#headSeq += scope.dots;
    }
    return { outcome, touched: scope.touched, index: scope.index };
  }

  #scope(nowUs: number, foundingTerm?: number): WriteScope {
    return new WriteScope({
      store: this.#store,
      origin: ownOrigin,
      headSeq: this.#headSeq,
      highest: this.#highest,
      nowUs,
      termOf: (kind, key) =>
        foundingTerm ?? zoneOf(this.#zones, kind === Kind.kv ? key : '')?.term ?? mirrorTerm + 1,
    });
  }

  /** One writer per key: a gateway that does not own the zone of what a command writes refuses it whole. */
  #ownershipRefusal(command: Command): Refusal | undefined {
    for (const key of zoneKeys(command)) {
      const zone = zoneOf(this.#zones, key);
      if (zone?.ownerId === this.#nodeId) continue;
      return {
        kind: 'not-owned',
        zone: zone?.prefix ?? '',
        owner: zone?.ownerId ?? '',
        reason: zone === undefined ? 'no gateway has founded this datacenter' : 'owned by another gateway',
      };
    }
    return undefined;
  }
}

/** The keys whose zones must be owned here. The gateway's own node, sessions and local registers are its own always. */
function zoneKeys(command: Command): readonly string[] {
  switch (command.kind) {
    case 'kv-put':
    case 'kv-delete':
      return [command.key];
    case 'kv-delete-tree':
      return [command.prefix];
    case 'txn':
      // What only reads is answered from here, as any read is.
      if (isReadOnly(command)) return [];
      return command.ops.map((op) => (op.kind === 'kv' ? op.key : ''));
    case 'catalog-register':
    case 'catalog-deregister':
    case 'coordinate-update':
    case 'mirror-apply':
    case 'restore':
      return [''];
    case 'session-create':
    case 'session-destroy':
    case 'member-health':
    case 'local':
    case 'collect-tombstones':
      return [];
    default:
      return unreachable(command);
  }
}

function decide(scope: WriteScope, command: Command): CommandOutcome {
  switch (command.kind) {
    case 'kv-put':
      return putKv(scope, command);
    case 'kv-delete':
    case 'kv-delete-tree':
      return deleteKv(scope, command);
    case 'txn':
      return applyTxn(scope, command);
    case 'session-create':
      return createSession(scope, command);
    case 'session-destroy':
      return destroySession(scope, command.id);
    case 'catalog-register':
    case 'catalog-deregister':
    case 'coordinate-update':
    case 'member-health':
      // A registration of several parts is undone whole when a later part is refused.
      return scope.attempt(() => {
        const value = applyCatalog(scope, command);
        return { keep: value.kind === 'catalog', value };
      });
    case 'local':
      return scope.attempt(() => {
        const value = applyLocal(scope, command);
        return { keep: value.kind === 'local', value };
      });
    case 'mirror-apply':
      return applyMirror(scope, command);
    case 'collect-tombstones':
      return collectTombstones(scope, command);
    case 'restore':
      return applyRestore(scope, command);
    default:
      return unreachable(command);
  }
}
