import { Kind } from '../../../src/state/kinds.ts';
import type { PhaseRule } from '../../../src/state/migration.ts';
import type { GatewayPort } from '../gateway-port.ts';
import type { PhaseFacts } from './phases.ts';

/** Rows looked at for data of this fleet's own: what was mirrored before stands at term 0. */
const looksMax = 10_000;

/**
 * Until a fleet with a source has written its first rules, everything goes to the source all the same, as the rules
 * will say: nobody shall find keys missing for the while. Where a fleet has data of its own, nothing is assumed.
 */
export class ProvisionalRules {
  readonly #gateway: GatewayPort;
  readonly #hasSource: boolean;
  #ownData: boolean | undefined;

  constructor(gateway: GatewayPort, hasSource: boolean) {
    this.#gateway = gateway;
    this.#hasSource = hasSource;
  }

  /** Keys that this fleet decided itself, before anybody spoke of a source: a migration would hide them. */
  get hasOwnData(): boolean {
    this.#ownData ??= this.#look();
    return this.#ownData;
  }

  over(facts: PhaseFacts): PhaseFacts {
    if (facts.rules.length > 0 || !this.#hasSource || this.hasOwnData) return facts;
    // Another one may have rules that are not here yet.
    if (this.#gateway.ownerOf('') !== this.#gateway.nodeId) return facts;
    return { ...facts, rules: [provisional('kv'), provisional('catalog')] };
  }

  #look(): boolean {
    for (const row of this.#gateway.view.range(Kind.kv, '', undefined, looksMax)) {
      if (row.value !== null && row.term > 0) return true;
    }
    return false;
  }
}

function provisional(of: PhaseRule['of']): PhaseRule {
  return {
    ...{ of, prefix: '', phase: 'passthrough', step: 0, term: 0, sinceMs: 0, byNode: '' },
    ...{ reason: 'until the first rules are written', overridden: [], history: [] },
  };
}
