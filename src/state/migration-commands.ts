import type { OriginId } from '../crdt/dot.ts';
import { Kind } from './kinds.ts';
import { migrationSource, phaseRules, PhaseTable, ruleKey, sourceKey } from './migration-rules.ts';
import {
  authorityOf,
  phases,
  type MigrationCommand,
  type MigrationForget,
  type MigrationOutcome,
  type MigrationSourceSet,
  type MigrationStep,
  type PastStep,
  type Phase,
  type PhaseRule,
} from './migration.ts';
import { refused, type Refusal } from './outcome.ts';
import { encodeValue } from './values.ts';
import type { WriteScope } from './write-scope.ts';
import { grantZone, termFor, type GrantContext, type PlannedGrant } from './zone-commands.ts';
import { externalNodes, isComplete, zoneSeparator, type Zone } from './zones.ts';

/** What steps have to know of the gateway that decides them, beside what grants have to. */
export interface MigrationContext extends GrantContext {
  /** Of which logs something up to here has not arrived. `ownHead` is the head of this gateway's own. */
  readonly notArrived: (told: MigrationStep['fences'], ownHead: number) => readonly OriginId[];
}

/** Past steps that a rule remembers. */
const historyMax = 32;

export function applyMigrationCommand(
  scope: WriteScope,
  context: MigrationContext,
  command: MigrationCommand,
): MigrationOutcome {
  switch (command.kind) {
    case 'migration-step':
      return makeStep(scope, context, command);
    case 'migration-forget':
      return forget(scope, command);
    case 'migration-source':
      return setSource(scope, command);
  }
}

function makeStep(scope: WriteScope, context: MigrationContext, command: MigrationStep): MigrationOutcome {
  const { of, prefix, phase } = command;
  if (of === 'catalog' && prefix !== '') {
    return refused('the catalog has one rule, and its prefix is empty', 400);
  }
  if (prefix.includes(zoneSeparator)) return refused('no rule can have such a prefix', 400);
  const table = new PhaseTable(phaseRules(scope.view));
  const held = table.get(of, prefix);
  const before = held ?? (of === 'kv' ? table.enclosing(prefix) : undefined);
  const problem =
    stale(command, held) ??
    orderProblem(command, held, before?.phase) ??
    fenceProblem(scope, context, command, before?.phase);
  if (problem !== undefined) return problem;

  const plan = planGrants(context, table, command);
  if ('kind' in plan) return plan;
  const { zone, grants } = plan;
  const rule: PhaseRule = {
    ...{ of, prefix, phase },
    step: (held?.step ?? 0) + 1,
    term: grants.reduce((highest, { term }) => Math.max(highest, term), held?.term ?? zone.value.term),
    sinceMs: scope.nowMs,
    byNode: context.nodeId,
    reason: command.reason,
    overridden: command.overridden,
    history: held === undefined ? [] : [pastOf(held), ...held.history].slice(0, historyMax),
  };
  // Before the grants: it is written under the term that they end, so it must be within their fences.
  scope.put(Kind.migration, ruleKey(of, prefix), encodeValue(rule));
  for (const grant of grants) grantZone(scope, context, grant);
  return { kind: 'migration', rule };
}

function stale(
  { of, prefix, expectStep }: MigrationStep | MigrationForget,
  held: PhaseRule | undefined,
): Refusal | undefined {
  const step = held?.step ?? 0;
  if (step === expectStep) return undefined;
  const now = held === undefined ? 'it is not there' : `it is in phase ${held.phase}, step ${step}`;
  return refused(
    `${ruleText(of, prefix)} is not as it was when this was asked for (step ${expectStep}): ${now}`,
    409,
  );
}

/** `before`: the phase that the prefix is in now; undefined: no migration concerns it. */
function orderProblem(
  { of, prefix, phase }: MigrationStep,
  held: PhaseRule | undefined,
  before: Phase | undefined,
): Refusal | undefined {
  if (held !== undefined && held.phase === phase) {
    return refused(`${ruleText(of, prefix)} is in phase ${phase} already`, 409);
  }
  const from = before ?? 'passthrough';
  const distance = phases.indexOf(phase) - phases.indexOf(from);
  // A new rule may begin with the phase that it is in.
  if (Math.abs(distance) <= 1) return undefined;
  // The emergency exit: everything to the source at once, which decides everything as it is.
  if (phase === 'passthrough' && authorityOf(from) === 'source') return undefined;
  const ways = [-1, 1].map((by) => phases[phases.indexOf(from) + by]).filter((way) => way !== undefined);
  const back = authorityOf(from) === 'source' && from !== 'passthrough' ? ', or back to passthrough' : '';
  return refused(
    `phases are walked one step at a time: ${ruleText(of, prefix)} goes from ${from} to ${ways.join(' or ')}${back}`,
    409,
  );
}

function fenceProblem(
  scope: WriteScope,
  context: MigrationContext,
  { of, prefix, phase, fences }: MigrationStep,
  before: Phase | undefined,
): Refusal | undefined {
  if (before === undefined || authorityOf(before) === authorityOf(phase)) return undefined;
  const what = `the step of ${ruleText(of, prefix)} from ${before} to ${phase}`;
  if (!fences.some(({ origin }) => origin === context.origin)) {
    return refused(
      `${what} needs to know how far the log of every gateway counts, this one's among them`,
      409,
    );
  }
  const missing = context.notArrived(fences, scope.nextSeq);
  if (missing.length === 0) return undefined;
  return refused(`${what} has to wait: of ${missing.length} logs something has not arrived here yet`, 409);
}

/** What a step grants: all zones that the rule is about, and no other rule below it. */
function planGrants(
  context: MigrationContext,
  table: PhaseTable,
  command: MigrationStep,
): { readonly zone: Zone; readonly grants: readonly PlannedGrant[] } | Refusal {
  const { of, prefix, phase } = command;
  const { zones } = context;
  const zone = of === 'catalog' ? zones.ofExternalNodes() : zones.ofKey(prefix);
  if (zone === undefined) return refused('no gateway has founded this datacenter', 409);
  const grants: PlannedGrant[] = [];
  const plan = (from: Zone, at: string, wanted: boolean | undefined): void => {
    const isNew = from.value.prefix !== at;
    const before =
      from.value.lent === true && (at === externalNodes) === (from.value.prefix === externalNodes);
    const lent = wanted ?? before;
    if (isNew || lent !== before) grants.push(plannedGrant(context, command, from, at, lent));
  };
  // In passthrough nobody copies, but it stays the source that decides what it was lent.
  const wanted = phase === 'passthrough' ? undefined : authorityOf(phase) === 'source';
  plan(zone, of === 'catalog' ? externalNodes : prefix, wanted);
  if (of === 'catalog' || wanted === undefined) return { zone, grants };

  for (const below of zones.under(prefix)) {
    if (below === zone) continue;
    const rule = table.ofKey(below.value.prefix);
    if (rule === undefined || rule.prefix.length <= prefix.length) plan(below, below.value.prefix, wanted);
  }
  // The catalog has a rule of its own, and so must have its zone.
  if (prefix === '' && zones.get(externalNodes) === undefined) plan(zone, externalNodes, false);
  const foreign = grants.find((grant) => !context.isReady(grant.zone) || !isComplete(grant.zone));
  if (foreign === undefined) return { zone, grants };
  const name = JSON.stringify(foreign.zone.value.prefix);
  return refused(
    `the zone ${name} lies below ${JSON.stringify(prefix)} and belongs to another gateway ` +
      `(${foreign.zone.value.ownerId}): delegate it to this one, or give it a rule of its own first`,
    409,
  );
}

function plannedGrant(
  context: MigrationContext,
  { phase, reason }: MigrationStep,
  zone: Zone,
  prefix: string,
  lent: boolean,
): PlannedGrant {
  const takesBack = zone.value.lent === true && !lent;
  const ownerId = context.nodeId;
  const planned = { zone, prefix, ownerId, lent } as const;
  return {
    ...planned,
    cause: lent ? 'lent' : takesBack ? 'taken-back' : 'placed',
    term: termFor(context, prefix, ownerId),
    reason: `migration: ${phase}${reason === '' ? '' : `: ${reason}`}`,
    // Whoever passed on what the source decided: what they logged later counts no more.
    everybody: takesBack,
  };
}

function forget(scope: WriteScope, command: MigrationForget): MigrationOutcome {
  const { of, prefix } = command;
  const table = new PhaseTable(phaseRules(scope.view));
  const held = table.get(of, prefix);
  const problem = stale(command, held);
  if (problem !== undefined) return problem;
  if (held === undefined) return refused(`${ruleText(of, prefix)} is not there`, 404);
  const around = of === 'kv' ? table.enclosing(prefix) : undefined;
  const isOver = held.phase === 'final' || held.phase === 'passthrough';
  if (!isOver || around?.phase !== held.phase) {
    const other =
      around === undefined ? 'it lies in no other rule' : `the rule around it is in ${around.phase}`;
    return refused(
      `${ruleText(of, prefix)} goes only where it is final or passthrough and lies in a rule of the same phase: ` +
        `it is in ${held.phase}, and ${other}`,
      409,
    );
  }
  scope.delete(Kind.migration, ruleKey(of, prefix));
  return { kind: 'migration' };
}

function setSource(scope: WriteScope, { source }: MigrationSourceSet): MigrationOutcome {
  const held = migrationSource(scope.view);
  // What is held of the old one has its timelines: what another one decides must be above them, too.
  if (held !== undefined && source.timeline < held.timeline + (source.id === held.id ? 0 : 1)) {
    const what = source.id === held.id ? 'the source' : `another source than ${held.id}`;
    return refused(`timeline ${source.timeline} is over for ${what}: the last one was ${held.timeline}`, 409);
  }
  scope.put(Kind.migration, sourceKey, encodeValue(source));
  return { kind: 'migration' };
}

function pastOf({ phase, step, sinceMs, byNode, reason, overridden }: PhaseRule): PastStep {
  return { phase, step, sinceMs, byNode, reason, overridden };
}

/** A rule as texts for people name it. */
export function ruleText(of: PhaseRule['of'], prefix: string): string {
  return of === 'catalog' ? 'the rule of the catalog' : `the rule ${JSON.stringify(prefix)}`;
}
