import type { OriginId } from '../crdt/dot.ts';
import type { Refusal } from './outcome.ts';

// What a fleet knows of its migration: replicated registers, so that every gateway acts on the same phase (design,
// section 7).

/** In the order in which they are walked, one step at a time, either way. */
export const phases = ['passthrough', 'mirror', 'dual', 'shadow', 'local-reads', 'cutover', 'final'] as const;

export type Phase = (typeof phases)[number];

/** What a rule is about: keys below a prefix, or the catalog (one rule, whose prefix is ''). */
export type MigrationKind = 'kv' | 'catalog';

/** A rule: the phase of all keys that have this prefix, and no longer one that has a rule. */
export interface PhaseRule {
  readonly of: MigrationKind;
  readonly prefix: string;
  readonly phase: Phase;
  /** How many steps were made with this rule: each has the next number. */
  readonly step: number;
  /** The term of the zone since authority last moved: what fences writers that have not heard of it. */
  readonly term: number;
  /** Wall clock of who decided it, milliseconds since the epoch. */
  readonly sinceMs: number;
  /** Node id of who decided it. */
  readonly byNode: string;
  /** What the operator said; with `overridden` the gates that were red and passed over all the same. */
  readonly reason: string;
  readonly overridden: readonly string[];
  /** The steps before this one, newest first, at most 32. */
  readonly history: readonly PastStep[];
}

export interface PastStep {
  readonly phase: Phase;
  readonly step: number;
  readonly sinceMs: number;
  readonly byNode: string;
  readonly reason: string;
  readonly overridden: readonly string[];
}

/** The source, as the fleet agreed on it. */
export interface MigrationSource {
  /** Datacenter and node ids of its servers, as migration/source/identity.ts names it. */
  readonly id: string;
  /** How often its history was seen to be replaced by another one (a restored snapshot, a rebuilt cluster). */
  readonly timeline: number;
}

/**
 * Moves a rule to another phase. Decided by the owner of the zone that the prefix is in. The term rises, and the zone is
 * lent or taken back, where authority moves.
 */
export interface MigrationStep {
  readonly kind: 'migration-step';
  readonly of: MigrationKind;
  readonly prefix: string;
  readonly phase: Phase;
  /** The rule's step as it was seen; 0: no rule yet. Another one is refused: somebody else was faster. */
  readonly expectStep: number;
  readonly reason: string;
  readonly overridden: readonly string[];
  /** At a cutover or a way back: how far the log of every gateway counts, told by themselves after they drained. */
  readonly fences: readonly { readonly origin: OriginId; readonly seq: number }[];
}

/** Takes a rule away that is `final` or `passthrough` and lies in another one of the same phase. */
export interface MigrationForget {
  readonly kind: 'migration-forget';
  readonly of: MigrationKind;
  readonly prefix: string;
  readonly expectStep: number;
}

/** Sets the source's facts; a lower timeline than the held one of the same id is refused. */
export interface MigrationSourceSet {
  readonly kind: 'migration-source';
  readonly source: MigrationSource;
}

export type MigrationCommand = MigrationStep | MigrationForget | MigrationSourceSet;

/** `rule`: as it stands now; left out by the other commands. */
export type MigrationOutcome = { readonly kind: 'migration'; readonly rule?: PhaseRule } | Refusal;

/** Who decides writes in a phase. */
export function authorityOf(phase: Phase): 'source' | 'here' {
  return phase === 'cutover' || phase === 'final' ? 'here' : 'source';
}

/** Who answers reads in a phase. */
export function readerOf(phase: Phase): 'source' | 'here' {
  return phase === 'local-reads' || authorityOf(phase) === 'here' ? 'here' : 'source';
}

/** Whether a write is relayed at once, with the index that the source gave it. */
export function isDual(phase: Phase): boolean {
  return phase === 'dual' || phase === 'shadow' || phase === 'local-reads';
}

/** Whether reads are compared with the other side. */
export function isCompared(phase: Phase): boolean {
  return phase === 'shadow' || phase === 'local-reads';
}

/** Which way entries are copied. */
export function copyingOf(phase: Phase): 'none' | 'from-source' | 'to-source' {
  if (phase === 'passthrough' || phase === 'final') return 'none';
  return phase === 'cutover' ? 'to-source' : 'from-source';
}
