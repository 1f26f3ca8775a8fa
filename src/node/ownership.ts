import { unreachable } from '../kernel/assert.ts';
import { getNodeById, nodeValue } from '../state/catalog.ts';
import type { Command, CommandOutcome } from '../state/command.ts';
import { conflictById } from '../state/conflicts.ts';
import { isCatalog, Kind } from '../state/kinds.ts';
import { isGatewaysOwn } from '../state/own-node.ts';
import { ruleText } from '../state/migration-commands.ts';
import { authorityOf, type Phase, type PhaseRule } from '../state/migration.ts';
import { refused, type Refusal } from '../state/outcome.ts';
import { getSession } from '../state/sessions.ts';
import type { ReadView } from '../state/store.ts';
import { catalogKey } from '../state/topics.ts';
import { isReadOnly, type Txn, type TxnOp } from '../state/txn.ts';
import { decodeValue, type CheckValue } from '../state/values.ts';
import { externalNodes, lends, type Zone } from '../state/zones.ts';
import type { ReplicaCore } from './replica-core.ts';

/** Something that a command writes, and who decides it. */
interface Claim {
  /** Prefix of the zone, or what else it is. */
  readonly zone: string;
  /** Node id of who decides; undefined: nobody has founded the datacenter. */
  readonly owner: string | undefined;
  /** False while this gateway waits for what the owner before it logged. */
  readonly ready: boolean;
  /** The phase of the migration whose source decides it instead; left out: none. */
  readonly lent?: Phase;
  /** As the text for people names it. */
  readonly what: string;
}

type NotOwned = Extract<Refusal, { kind: 'not-owned' }>;

/**
 * One writer per register: what a command may not write here is refused whole. Undefined: all of it is this gateway's.
 * `not-owned` names the one gateway that may carry out the command; where it takes several, it is refused for good.
 */
export function ownershipRefusal(core: ReplicaCore, command: Command): CommandOutcome | undefined {
  // The common write costs one look at the zones.
  if (command.kind === 'kv-put') {
    const zone = core.zones.ofKey(command.key);
    if (zone !== undefined && core.isReady(zone) && zone.value.lent !== true) return undefined;
    const claim = claimOf(core, zone, keyText(command.key));
    return claim.lent === undefined ? notOwned(core, claim) : lentRefusal(claim);
  }
  if (command.kind === 'txn') return txnRefusal(core, command);
  const claims = claimsOf(core, command);
  const lent = claims.find((claim) => claim.lent !== undefined);
  if (lent !== undefined) return lentRefusal(lent);
  const other = claims.find((claim) => !isMine(core, claim));
  if (other === undefined) return undefined;
  const split = claims.find(({ owner }) => owner !== claims[0]?.owner);
  const first = claims[0];
  if (split === undefined || first === undefined || command.kind === 'restore') return notOwned(core, other);
  return refused(
    `${split.what} belongs to ${nameOf(core.store, split.owner)}, but ${first.what} to ` +
      `${nameOf(core.store, first.owner)}: no gateway may do all of it. Do it zone by zone`,
    409,
  );
}

/** What a migration's source decides is not written here, by whoever owns the zone. */
function lentRefusal(claim: Claim): Refusal {
  return refused(lentText(claim));
}

function lentText({ zone, what, lent }: Claim): string {
  // Somebody took the zone over who did not know of the cutover.
  if (lent !== undefined && authorityOf(lent) === 'here') {
    return (
      `${what} is in phase ${lent}, but was taken over as still lent to the source Consul: ` +
      `give the zone ${quoted(zone)} a rule of its own in phase ${lent}`
    );
  }
  return `${what} is migrating, and in phase ${lent}: the source Consul decides it, so it is not written here`;
}

function isMine(core: ReplicaCore, claim: Claim): boolean {
  return claim.owner === core.nodeId && claim.ready;
}

function notOwned(core: ReplicaCore, { zone, owner, ready }: Claim): NotOwned {
  if (owner === undefined) {
    return { kind: 'not-owned', zone, owner: '', reason: 'no gateway has founded this datacenter' };
  }
  const reason =
    owner !== core.nodeId ? 'owned by another gateway' : ready ? 'owned here' : 'handoff in progress';
  return { kind: 'not-owned', zone, owner, reason };
}

function claimsOf(core: ReplicaCore, command: Exclude<Command, Txn>): readonly Claim[] {
  const { zones } = core;
  switch (command.kind) {
    case 'kv-put':
    case 'kv-delete':
      return [claimOf(core, zones.ofKey(command.key), keyText(command.key))];
    case 'kv-delete-tree':
      return claimsUnder(core, command.prefix);
    case 'migration-step':
    case 'migration-forget':
      return [ruleClaim(core, command)];
    case 'migration-source':
      return [owned(claimOf(core, zones.get(''), 'the source of the migration'))];
    case 'catalog-register':
      return claimsOfNode(core, command.node.node, 'write');
    case 'catalog-deregister':
      return claimsOfNode(core, command.node, 'delete');
    case 'coordinate-update':
      return claimsOfNode(core, command.coordinate.node, 'write');
    case 'session-destroy':
      return claimsOfSession(core, command.id);
    case 'zone-delegate':
    case 'zone-place': {
      const zone = zones.enclosing(command.prefix);
      // Where the rule is fulfilled there is nothing to decide.
      if (command.kind === 'zone-place' && zone?.value.prefix === command.prefix) return [];
      return [owned(claimOf(core, zone, 'the zone'))];
    }
    case 'conflict-replay': {
      const conflict = conflictById(core.store, command.id);
      if (conflict === undefined) return [];
      const zone = zones.ofRegister(conflict.kind, conflict.key);
      return [claimOf(core, zone, keyText(conflict.key), conflict.kind)];
    }
    case 'restore': {
      const all = zones.list.map(({ prefix }) => {
        const kind = prefix === externalNodes ? Kind.node : Kind.kv;
        return claimOf(core, zones.get(prefix), `the zone ${quoted(prefix)}`, kind);
      });
      return all.length > 0 ? all : [claimOf(core, undefined, '')];
    }
    // What a source Consul decides anybody may pass on, in a datacenter that there is.
    case 'mirror-apply':
      return zones.get('') === undefined ? [claimOf(core, undefined, '')] : [];
    // The gateway's own node, its sessions and its local registers are its own always.
    case 'session-create':
    case 'member-health':
    case 'local':
    case 'collect-tombstones':
    case 'zone-takeover':
    case 'conflict-mark':
    case 'conflict-drop':
      return [];
    default:
      return unreachable(command);
  }
}

function claimOf(core: ReplicaCore, zone: Zone | undefined, what: string, kind: Kind = Kind.kv): Claim {
  const value = zone?.value;
  const claim = {
    zone: value?.prefix ?? '',
    owner: value?.ownerId,
    ready: zone !== undefined && core.isReady(zone),
    what,
  };
  if (value === undefined || !lends(value, kind)) return claim;
  const rule = isCatalog(kind) ? core.phases.catalog : core.phases.ofKey(value.prefix);
  // The rule of a lent zone may be on its way.
  return { ...claim, lent: rule?.phase ?? 'mirror' };
}

/** Who owns a zone decides over the zone itself also while it is lent. */
function owned({ zone, owner, ready, what }: Claim): Claim {
  return { zone, owner, ready, what };
}

function ruleClaim(core: ReplicaCore, { of, prefix }: Pick<PhaseRule, 'of' | 'prefix'>): Claim {
  const { zones } = core;
  const zone = of === 'catalog' ? zones.ofExternalNodes() : zones.ofKey(prefix);
  return owned(claimOf(core, zone, ruleText(of, prefix)));
}

function claimsUnder(core: ReplicaCore, prefix: string): readonly Claim[] {
  const zones = core.zones.under(prefix);
  if (zones.length === 0) return [claimOf(core, undefined, '')];
  return zones.map((zone) => claimOf(core, zone, `the zone ${quoted(zone.value.prefix)}`));
}

/**
 * A node's entries. This gateway's own node is its own; a live gateway's node is that gateway's; every other one is in
 * the zone of external nodes, also that of a gateway which left or failed, so that somebody can take it out.
 */
function claimsOfNode(core: ReplicaCore, node: string, to: 'write' | 'delete'): readonly Claim[] {
  const key = catalogKey(node);
  if (core.isOwnNode(key)) return [];
  const row = core.store.get(Kind.node, key);
  const gateway = row?.value && isGatewaysOwn(row) ? row.ix : null;
  if (gateway && gateway !== core.nodeId && (to === 'write' || isUp(core.store, node))) {
    return [{ zone: `node ${node}`, owner: gateway, ready: true, what: `node ${quoted(node)}` }];
  }
  const claim = claimOf(core, core.zones.ofExternalNodes(), 'the catalog of external nodes', Kind.node);
  // A migration's source has no word on what a gateway registered for itself.
  return [gateway ? owned(claim) : claim];
}

function isUp(view: ReadView, node: string): boolean {
  const row = view.get(Kind.memberHealth, catalogKey(node, 'serfHealth'));
  return Boolean(row?.value) && decodeValue<CheckValue>(row?.value as Uint8Array).status !== 'critical';
}

/** A session belongs to the gateway that made it. */
function claimsOfSession(core: ReplicaCore, id: string): readonly Claim[] {
  const row = getSession(core.store, id);
  const owner = row && core.writerOf(row);
  if (owner === undefined || owner === core.nodeId) return [];
  return [{ zone: `session ${id}`, owner, ready: true, what: `session ${id}` }];
}

/** A transaction is atomic under one owner; reads in it count, as they must see what that owner has. */
function txnRefusal(core: ReplicaCore, txn: Txn): CommandOutcome | undefined {
  // What only reads is answered from here, as any read is.
  if (isReadOnly(txn)) return undefined;
  const claims = txn.ops.flatMap((op, opIndex) =>
    claimsOfOp(core, op).map((claim) => ({ ...claim, opIndex })),
  );
  const lent = claims.find((claim) => claim.lent !== undefined);
  if (lent !== undefined) {
    return { kind: 'txn', results: [], errors: [{ opIndex: lent.opIndex, what: lentText(lent) }] };
  }
  const other = claims.find((claim) => !isMine(core, claim));
  const first = claims[0];
  if (other === undefined || first === undefined) return undefined;
  const split = claims.find(({ owner }) => owner !== first.owner);
  if (split === undefined) return notOwned(core, other);
  const what =
    `${split.what} belongs to ${nameOf(core.store, split.owner)}, but ${first.what} to ` +
    `${nameOf(core.store, first.owner)}: a transaction needs all of its keys under one owner`;
  return { kind: 'txn', results: [], errors: [{ opIndex: split.opIndex, what }] };
}

function claimsOfOp(core: ReplicaCore, op: TxnOp): readonly Claim[] {
  switch (op.kind) {
    case 'kv': {
      if (op.verb !== 'delete-tree' && op.verb !== 'get-tree') {
        return [claimOf(core, core.zones.ofKey(op.key), keyText(op.key))];
      }
      return claimsUnder(core, op.key);
    }
    case 'node':
      return claimsInTxn(core, op.node.node, op.verb);
    case 'service':
      return claimsInTxn(core, op.service.node, op.verb);
    case 'check':
      return claimsInTxn(core, op.check.node, op.verb);
    case 'unknown':
      return [];
  }
}

function claimsInTxn(core: ReplicaCore, node: string, verb: string): readonly Claim[] {
  const claims = claimsOfNode(core, node, verb.startsWith('delete') ? 'delete' : 'write');
  if (claims.length > 0) return claims;
  return [{ zone: `node ${node}`, owner: core.nodeId, ready: true, what: `node ${quoted(node)}` }];
}

function keyText(key: string): string {
  return `key ${quoted(key)}`;
}

function quoted(text: string): string {
  return JSON.stringify(text === externalNodes ? 'external nodes' : text);
}

function nameOf(view: ReadView, id: string | undefined): string {
  if (id === undefined) return 'nobody';
  const row = getNodeById(view, id);
  return row === undefined ? id : `${nodeValue(row).node} (${id})`;
}
