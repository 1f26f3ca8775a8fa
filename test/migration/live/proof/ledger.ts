/** What may be found under a key in the end. `null`: no such key. */
type Value = string | null;

interface KeyRecord {
  /** What was acknowledged last. */
  sure: Value;
  /** What may have happened as well: nobody was told. */
  readonly maybe: Value[];
}

interface CounterRecord {
  acknowledged: number;
  unknown: number;
  /** Numbers that were acknowledged: each is given out once. */
  readonly given: Set<number>;
}

/** One write as it goes: exactly one of these is called. */
export interface LedgerEntry {
  acknowledged(): void;
  refused(): void;
  unknown(): void;
}

const problemsMax = 20;

/**
 * Every write that a client made and what it was told, so that the state in the end can be judged by somebody who knows
 * nothing of how it came about.
 */
export class Ledger {
  readonly problems: string[] = [];
  readonly #keys = new Map<string, KeyRecord>();
  readonly #counters = new Map<string, CounterRecord>();

  get size(): number {
    return this.#keys.size;
  }

  problem(text: string): void {
    if (this.problems.length < problemsMax) this.problems.push(text);
  }

  /** A write of a key by the one client that writes it, which waits for its answer before the next. */
  begin(key: string, value: Value): LedgerEntry {
    const record = this.#keys.get(key) ?? { sure: null, maybe: [] };
    this.#keys.set(key, record);
    return {
      acknowledged: () => {
        record.sure = value;
      },
      refused: () => {},
      unknown: () => {
        record.maybe.push(value);
      },
    };
  }

  increment(key: string, next: number): (outcome: 'applied' | 'not-applied' | 'unknown') => void {
    const record = this.#counters.get(key) ?? { acknowledged: 0, unknown: 0, given: new Set() };
    this.#counters.set(key, record);
    return (outcome) => {
      if (outcome === 'not-applied') return;
      if (outcome === 'unknown') {
        record.unknown += 1;
        return;
      }
      if (record.given.has(next)) this.problem(`${key} was counted to ${next} twice`);
      record.given.add(next);
      record.acknowledged += 1;
    };
  }

  /** Judges a whole reading of all keys that clients wrote; answers what is wrong with it. */
  judge(where: string, found: ReadonlyMap<string, string>): readonly string[] {
    const wrong: string[] = [];
    for (const [key, { sure, maybe }] of this.#keys) {
      const seen = found.get(key) ?? null;
      if (seen !== sure && !maybe.includes(seen)) {
        const allowed = [sure, ...maybe].map((value) => JSON.stringify(value)).join(' or ');
        wrong.push(`${where}: ${key} is ${JSON.stringify(seen)}, must be ${allowed}`);
      }
    }
    for (const [key, { acknowledged, unknown }] of this.#counters) {
      const seen = Number(found.get(key) ?? 0);
      if (seen < acknowledged || seen > acknowledged + unknown) {
        wrong.push(
          `${where}: ${key} is ${seen}, counted ${acknowledged} times, and perhaps ${unknown} times more`,
        );
      }
    }
    for (const key of found.keys()) {
      if (key.includes('/own/') && !this.#keys.has(key)) wrong.push(`${where}: ${key} was never written`);
    }
    return wrong.slice(0, problemsMax);
  }
}
