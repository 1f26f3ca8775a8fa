import { sumCells } from '../../evidence/sums.ts';
import type { EvidenceSnapshot } from '../../evidence/snapshot.ts';
import { phases, type MigrationKind, type Phase, type PhaseRule } from '../../../src/state/migration.ts';
import type { PartContext } from '../ports.ts';
import { gateFacts, type FactParts } from './facts.ts';
import { gatesOf, type Gate } from './gates.ts';

/** A rule as somebody sees it who thinks of its next step. */
export interface RuleLook {
  readonly kind: MigrationKind;
  readonly prefix: string;
  /** The step of the rule that was looked at. */
  readonly step: number;
  /** Gates of the way on, and after a cutover of the way back as well. */
  readonly ways: readonly { readonly to: Phase; readonly gates: readonly Gate[] }[];
  /** Compared reads of all gateways; null: none so far. */
  readonly reads: ReadsCompared | null;
  /** The newest full comparison; null: none so far. */
  readonly sweep: SweepSeen | null;
}

interface ReadsCompared {
  readonly compared: number;
  /** Differences that stayed, by kind where there are any. */
  readonly persistent: number;
  readonly kinds: Readonly<Record<string, number>>;
  readonly transient: number;
  /** Not settled yet. */
  readonly open: number;
}

interface SweepSeen {
  readonly atMs: number;
  readonly compared: number;
  readonly persistent: number;
  /** Why it ended early; empty: it did not. */
  readonly failure: string;
}

export interface Looks {
  readonly atMs: number;
  readonly rules: readonly RuleLook[];
}

/** Many pages may ask: all of them are told what one look found. Guess. */
const keptMs = 3000;

/** Looks at the gates of every rule without making a step: for pages that follow a migration. */
export class GateLooks {
  readonly #context: PartContext;
  readonly #parts: FactParts;
  readonly #evidence: () => Promise<EvidenceSnapshot>;
  #last: { readonly of: string; readonly dueMs: number; readonly looks: Looks } | undefined;
  #running: Promise<Looks> | undefined;

  constructor(context: PartContext, parts: FactParts, evidence: () => Promise<EvidenceSnapshot>) {
    this.#context = context;
    this.#parts = parts;
    this.#evidence = evidence;
  }

  async look(): Promise<Looks> {
    const { gateway, phases: rules } = this.#context;
    const last = this.#last;
    if (last?.of === stepsOf(rules.rules) && gateway.monoMs() < last.dueMs) return last.looks;
    this.#running ??= this.#lookNow().finally(() => (this.#running = undefined));
    return this.#running;
  }

  /** After an order things are not as they were. */
  forget(): void {
    this.#last = undefined;
  }

  async #lookNow(): Promise<Looks> {
    const { gateway, phases: rules } = this.#context;
    const of = stepsOf(rules.rules);
    const evidence = await this.#evidence();
    const looked: RuleLook[] = [];
    // oxlint-disable-next-line no-await-in-loop -- one after the other is gentle to the source
    for (const rule of rules.rules) looked.push(await this.#ofRule(rule, evidence));
    const looks = { atMs: gateway.clock.now(), rules: looked };
    this.#last = { of, dueMs: gateway.monoMs() + keptMs, looks };
    return looks;
  }

  async #ofRule(rule: PhaseRule, evidence: EvidenceSnapshot): Promise<RuleLook> {
    const { of, prefix, step, phase } = rule;
    const ways: { to: Phase; gates: readonly Gate[] }[] = [];
    for (const to of waysOf(phase)) {
      const before = { phase, rule: step === 0 ? undefined : rule };
      // oxlint-disable-next-line no-await-in-loop -- two at most
      const facts = await gateFacts(this.#context, this.#parts, { of, prefix, to, without: [] }, before);
      ways.push({ to, gates: gatesOf(facts) });
    }
    return { ...{ kind: of, prefix, step, ways }, ...comparedOf(rule, evidence) };
  }
}

/** What was looked at is another thing once one of them is made. */
function stepsOf(rules: readonly PhaseRule[]): string {
  return JSON.stringify(rules.map(({ of, prefix, step }) => [of, prefix, step]));
}

function waysOf(phase: Phase): readonly Phase[] {
  if (phase === 'cutover') return ['final', 'local-reads'];
  const next = phases[phases.indexOf(phase) + 1];
  return next === undefined ? [] : [next];
}

function comparedOf(
  { of, prefix }: PhaseRule,
  { parts }: EvidenceSnapshot,
): Pick<RuleLook, 'reads' | 'sweep'> {
  const isOwn = (each: { readonly of: string; readonly prefix: string }): boolean =>
    each.of === of && each.prefix === prefix;
  const { counts, kinds } = sumCells(parts.flatMap(({ cells }) => cells.filter(isOwn)));
  const stayed = Object.entries(kinds).filter(([, { persistent }]) => persistent > 0);
  const sweep = parts
    .flatMap(({ sweeps }) => sweeps.filter(isOwn))
    .toSorted((a, b) => b.finishedMs - a.finishedMs)[0];
  return {
    reads:
      counts.compared === 0
        ? null
        : {
            ...{ compared: counts.compared, persistent: counts.persistent, transient: counts.transient },
            open: counts.open,
            kinds: Object.fromEntries(stayed.map(([kind, { persistent }]) => [kind, persistent])),
          },
    sweep:
      sweep === undefined
        ? null
        : {
            ...{ atMs: sweep.finishedMs, compared: sweep.compared, persistent: sweep.persistent },
            failure: sweep.failure,
          },
  };
}
