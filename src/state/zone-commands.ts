import { encodeValue, type Fence, type ZoneCause, type ZoneValue } from './values.ts';
import { Kind } from './kinds.ts';
import { refused, type Refusal } from './outcome.ts';
import type { Row } from './store.ts';
import type { WriteScope } from './write-scope.ts';
import { externalNodes, grantKey, isComplete, nextTerm, type Zone, type Zones } from './zones.ts';
import type { OriginId } from '../crdt/dot.ts';

/** Gives a zone, or a longer prefix of it, to another gateway. Decided by its present owner. */
export interface ZoneDelegate {
  readonly kind: 'zone-delegate';
  readonly prefix: string;
  /** Node id. */
  readonly toNodeId: string;
  readonly reason?: string;
}

/** As a delegation, by a rule of the configuration: nothing happens where a zone of this prefix is there already. */
export interface ZonePlace {
  readonly kind: 'zone-place';
  readonly prefix: string;
  readonly toNodeId: string;
}

/**
 * Makes this gateway the owner of a zone (or of a longer prefix) whose owner is gone, or whose handoff to this one will
 * never be complete. An operator's order: what the owner wrote and nobody here had seen becomes a conflict.
 */
export interface ZoneTakeover {
  readonly kind: 'zone-takeover';
  readonly prefix: string;
  readonly reason: string;
}

export type ZoneCommand = ZoneDelegate | ZonePlace | ZoneTakeover;

/** `row`: the register of the grant; left out where nothing was to do. */
export type ZoneOutcome = { readonly kind: 'zone'; readonly row?: Row } | Refusal;

/** What a grant has to know of the gateway that makes it. */
export interface GrantContext {
  readonly zones: Zones;
  readonly nodeId: string;
  readonly origin: OriginId;
  /** Whether a zone is owned here and complete. */
  readonly isReady: (zone: Zone) => boolean;
  /** All logs of a gateway, with what was seen of them; `ownHead` is the head of this gateway's own. */
  readonly fencesOf: (nodeIds: ReadonlySet<string> | 'everybody', ownHead: number) => readonly Fence[];
}

export function applyZoneCommand(
  scope: WriteScope,
  context: GrantContext,
  command: ZoneCommand,
): ZoneOutcome {
  const { zones, nodeId } = context;
  const { prefix } = command;
  const zone = zones.enclosing(prefix);
  if (zone === undefined) return refused('no gateway has founded this datacenter', 409);
  if (!isComplete(zone))
    return refused('the history of the zone has not all arrived here yet: try again', 409);
  const isZone = zone.value.prefix === prefix;
  switch (command.kind) {
    case 'zone-place':
      if (isZone) return { kind: 'zone' };
      return grant(scope, context, zone, prefix, command.toNodeId, 'placed', '');
    case 'zone-delegate':
      if (isZone && command.toNodeId === nodeId) return { kind: 'zone' };
      return grant(scope, context, zone, prefix, command.toNodeId, 'delegated', command.reason ?? '');
    case 'zone-takeover':
      if (command.reason.trim() === '') return refused('a takeover needs a reason', 400);
      if (isZone && context.isReady(zone)) return refused('this gateway owns the zone already', 409);
      return grant(scope, context, zone, prefix, nodeId, 'taken-over', command.reason);
  }
}

/** The owner goes on under a term above this one too. */
export function raiseTerm(scope: WriteScope, context: GrantContext, zone: Zone, above: number): void {
  const { prefix, ownerId } = zone.value;
  const reason = 'something was written under a higher term';
  grant(scope, context, zone, prefix, ownerId, 'delegated', reason, above);
}

/** A grant that was decided, but not written yet. */
export interface PlannedGrant {
  /** That it is made in. */
  readonly zone: Zone;
  readonly prefix: string;
  readonly ownerId: string;
  readonly cause: ZoneCause;
  readonly lent: boolean;
  readonly term: number;
  readonly reason: string;
  /** It ends what everybody may write, not only the owners up to now. */
  readonly everybody: boolean;
}

/** The term of a grant that is made now. */
export function termFor(
  { zones, nodeId }: GrantContext,
  prefix: string,
  ownerId: string,
  { takeover = false, above = 0 } = {},
): number {
  const highest = Math.max(zones.highestTerm(prefix), above);
  return nextTerm(highest, { prefix, ownerId, byNode: nodeId, takeover });
}

function grant(
  scope: WriteScope,
  context: GrantContext,
  zone: Zone,
  prefix: string,
  ownerId: string,
  cause: ZoneCause,
  reason: string,
  above = 0,
): ZoneOutcome {
  const term = termFor(context, prefix, ownerId, { takeover: cause === 'taken-over', above });
  const lent = staysLent(zone, prefix);
  const planned = { zone, prefix, ownerId, cause, reason, term, lent, everybody: false };
  return { kind: 'zone', row: grantZone(scope, context, planned) };
}

/** What is lent to a migration's source stays so, whoever owns it. The nodes are no part of what keys are lent. */
function staysLent({ value }: Zone, prefix: string): boolean {
  return value.lent === true && (prefix === externalNodes) === (value.prefix === externalNodes);
}

export function grantZone(scope: WriteScope, context: GrantContext, planned: PlannedGrant): Row {
  const { nodeId, origin, fencesOf } = context;
  const { zone, prefix, ownerId, cause, lent, term, reason, everybody } = planned;
  const seq = scope.nextSeq;
  // Who is given a zone must have all that its owner logged up to the grant; who takes one says what there is of all
  // who ever owned it.
  const owners = cause === 'taken-over' ? zone.chain.map((link) => link.ownerId) : [nodeId];
  const value: ZoneValue = {
    prefix,
    ownerId,
    term,
    basis: { prefix: zone.value.prefix, term: zone.value.term },
    fences: fencesOf(everybody ? 'everybody' : new Set(owners), seq),
    by: { origin, seq },
    cause,
    byNode: nodeId,
    atMs: scope.nowMs,
    ...(reason === '' ? {} : { reason }),
    ...(lent ? { lent } : {}),
  };
  return scope.putAt(Kind.zone, grantKey(value), encodeValue(value), value.term);
}
