import type { EvidenceSnapshot, SweepEvidence } from '../../evidence/snapshot.ts';
import { Kind } from '../../../src/state/kinds.ts';
import { sourceIndexOf } from '../../../src/state/lent.ts';
import { sourceKey } from '../../../src/state/migration-rules.ts';
import type { MigrationKind, PhaseRule } from '../../../src/state/migration.ts';
import type { ReadView, Row } from '../../../src/state/store.ts';
import type { Zones } from '../../../src/state/zones.ts';
import { prefixEnd } from '../../../src/kernel/utf8-order.ts';
import { isGatewayKey } from '../shadow/ignore.ts';

/** What a count asks of the gateway. */
export interface ChangedContext {
  readonly view: ReadView;
  readonly zones: () => Zones;
  /** The rule that decides a key. */
  readonly ruleOf: (key: string) => PhaseRule | undefined;
  readonly monoMs: () => number;
  /** Lets others have their turn. */
  readonly turn: () => Promise<void>;
}

/** All rows of a page are held in memory, with their values. */
const pageRows = 256;
/** A count is used again for so many times as long as it took: it costs at most so small a share of a core. */
const keptFactor = 50;
const kindsOf: Readonly<Record<MigrationKind, readonly Kind[]>> = {
  kv: [Kind.kv],
  catalog: [Kind.node, Kind.service, Kind.check],
};

/** Evidence without sweeps of a history of the source that another one has replaced since: they say nothing of this one. */
export function ofThisHistory(
  view: ReadView,
  evidence: EvidenceSnapshot,
  timeline: number,
): EvidenceSnapshot {
  const replacedMs = timeline === 0 ? 0 : (view.get(Kind.migration, sourceKey)?.stamp ?? 0) / 1000;
  const parts = evidence.parts.map((part) => ({
    ...part,
    sweeps: part.sweeps.filter(({ startedMs }) => startedMs >= replacedMs),
  }));
  return { ...evidence, parts };
}

/**
 * How many entries of each rule changed since its newest sweep: rows, tombstones too, that the source gave a greater index
 * than the sweep looked through, or that this fleet decided after it began. Each of them came here by the tail or by a
 * dual write, or was written here.
 */
export class ChangedSinceSweep {
  readonly #context: ChangedContext;
  readonly #kept = new Map<
    string,
    { readonly sweep: SweepEvidence; readonly untilMs: number; readonly count: number }
  >();

  constructor(context: ChangedContext) {
    this.#context = context;
  }

  /** Null: not known, since none of the rules was swept, or nobody copies what a swept one is about. */
  async count(evidence: EvidenceSnapshot, rules: readonly PhaseRule[]): Promise<number | null> {
    const sweeps = evidence.parts.flatMap((part) => part.sweeps);
    let sum: number | null = null;
    for (const rule of rules) {
      const sweep = newestOf(sweeps, rule);
      if (sweep === undefined) continue;
      if (rule.phase === 'passthrough' || sweep.throughIndex === 0) return null;
      // oxlint-disable-next-line no-await-in-loop -- one after the other is gentle
      sum = (sum ?? 0) + (await this.#of(rule, sweep));
    }
    return sum;
  }

  async #of(rule: PhaseRule, sweep: SweepEvidence): Promise<number> {
    const { monoMs } = this.#context;
    const name = `${rule.of} ${rule.prefix}`;
    const kept = this.#kept.get(name);
    const startMs = monoMs();
    if (kept !== undefined && isSame(kept.sweep, sweep) && startMs < kept.untilMs) return kept.count;
    let count = 0;
    // oxlint-disable-next-line no-await-in-loop -- as above
    for (const kind of kindsOf[rule.of]) count += await this.#ofKind(kind, rule, sweep);
    const endMs = monoMs();
    this.#kept.set(name, { sweep, count, untilMs: endMs + (endMs - startMs) * keptFactor });
    return count;
  }

  async #ofKind(kind: Kind, rule: PhaseRule, sweep: SweepEvidence): Promise<number> {
    const { view, zones, ruleOf, turn } = this.#context;
    const end = kind === Kind.kv ? prefixEnd(rule.prefix) : undefined;
    let count = 0;
    for (let from = rule.prefix; ;) {
      let rows = 0;
      for (const row of view.range(kind, from, end, pageRows)) {
        rows += 1;
        from = `${row.key}\0`;
        if (kind === Kind.kv) {
          const own = ruleOf(row.key);
          // Another rule lies in this one and decides it.
          if (own?.of !== rule.of || own.prefix !== rule.prefix || isGatewayKey(row.key)) continue;
        }
        if (isSince(zones(), row, sweep)) count += 1;
      }
      if (rows < pageRows) return count;
      // oxlint-disable-next-line no-await-in-loop -- one page after the other
      await turn();
    }
  }
}

function isSince(zones: Zones, row: Row, { throughIndex, startedMs }: SweepEvidence): boolean {
  const index = sourceIndexOf(zones, row);
  return index === undefined ? row.stamp > startedMs * 1000 : index > throughIndex;
}

function newestOf(sweeps: readonly SweepEvidence[], rule: PhaseRule): SweepEvidence | undefined {
  return sweeps
    .filter(({ of, prefix }) => of === rule.of && prefix === rule.prefix)
    .toSorted((a, b) => b.finishedMs - a.finishedMs)[0];
}

function isSame(a: SweepEvidence, b: SweepEvidence): boolean {
  return a.finishedMs === b.finishedMs && a.throughIndex === b.throughIndex;
}
