import type { PhaseRule } from '../../../src/state/migration.ts';
import type { Evidence } from '../../evidence/evidence.ts';
import type { CellKey, GuaranteeName } from '../../evidence/snapshot.ts';

/** What was counted of one rule since the last `flush`. */
interface RuleTally {
  reads: number;
  /** Reads that were passed over. */
  busy: number;
  readonly endpoints: Map<string, Tally>;
}

/** What was counted of one rule and endpoint since the last `flush`. */
export interface Tally {
  readonly at: CellKey;
  dropped: number;
  /** Guarantees that were checked, and held. */
  readonly kept: Record<GuaranteeName, number>;
  readonly tookMs: { readonly source: number[]; readonly here: number[] };
}

const unchecked = { readYourWrites: 0, monotonicReads: 0, indexRegressions: 0 };
const guarantees = Object.keys(unchecked) as GuaranteeName[];

/** Counts what every read adds to, so that evidence is looked up a few times a second, not with every read. */
export class Tallies {
  readonly #ofRules = new Map<PhaseRule, RuleTally>();

  ofRule(rule: PhaseRule): RuleTally {
    let tally = this.#ofRules.get(rule);
    if (tally === undefined) {
      tally = { reads: 0, busy: 0, endpoints: new Map() };
      this.#ofRules.set(rule, tally);
    }
    return tally;
  }

  of(rule: PhaseRule, endpoint: string): Tally {
    const { endpoints } = this.ofRule(rule);
    let tally = endpoints.get(endpoint);
    if (tally === undefined) {
      const { of, prefix, phase } = rule;
      const at = { of, prefix, phase, endpoint };
      tally = { at, dropped: 0, kept: { ...unchecked }, tookMs: { source: [], here: [] } };
      endpoints.set(endpoint, tally);
    }
    return tally;
  }

  flush(evidence: Evidence, nowMs: number): void {
    for (const [{ of, prefix, phase }, { reads, busy, endpoints }] of this.#ofRules) {
      const scope = { of, prefix, phase };
      if (reads > 0) evidence.read(scope, reads);
      if (busy > 0) evidence.busy(scope, busy);
      for (const { at, dropped, kept, tookMs } of endpoints.values()) {
        if (dropped > 0) evidence.dropped(at, nowMs, dropped);
        for (const which of guarantees) {
          if (kept[which] > 0) evidence.guarantee(at, which, false, nowMs, kept[which]);
        }
        for (const ms of tookMs.source) evidence.latency(at, 'source', ms);
        for (const ms of tookMs.here) evidence.latency(at, 'here', ms);
      }
    }
    // Rules are made anew when one of them changes.
    this.#ofRules.clear();
  }
}
