/** What may be found under a key in the end. `null`: no such key. */
type Value = string | null;

interface KeyRecord {
  /** What was acknowledged last. */
  sure: Value;
  /** What may have happened as well: nobody was told. */
  maybe: Value[];
}

interface CounterRecord {
  acknowledged: number;
  unknown: number;
  /** Numbers that were acknowledged: each is given out once. */
  given: Set<number>;
}

/** What had been acknowledged at one moment. */
export interface LedgerPage {
  readonly keys: ReadonlyMap<string, { readonly sure: Value; readonly maybe: readonly Value[] }>;
  readonly counters: ReadonlyMap<
    string,
    { readonly acknowledged: number; readonly unknown: number; readonly given: ReadonlySet<number> }
  >;
}

/** One write as it goes: exactly one of these is called. */
export interface LedgerEntry {
  /** False: that came in a fog, and says as much as no answer. */
  acknowledged(): boolean;
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
  /** What happened in the present fog. */
  readonly #foggy = new Map<string, Value[]>();
  #fogs = 0;
  #isFoggy: (key: string) => boolean = () => true;

  /** Odd while nobody can tell what an answer is worth: the data is being replaced by older data. */
  get fogs(): number {
    return this.#fogs;
  }

  /** What stands in it now, for `rewind`. */
  page(): LedgerPage {
    return {
      keys: new Map([...this.#keys].map(([key, { sure, maybe }]) => [key, { sure, maybe: [...maybe] }])),
      counters: new Map(
        [...this.#counters].map(([key, record]) => [key, { ...record, given: new Set(record.given) }]),
      ),
    };
  }

  /** From here on what is acknowledged of these keys may happen before or after the data is replaced. */
  beginFog(isMeant: (key: string) => boolean = () => true): void {
    this.#fogs += 1;
    this.#isFoggy = isMeant;
  }

  /** That data was replaced by that of a page: what was acknowledged since, before the fog, is lost by order. */
  rewind(page: LedgerPage): void {
    this.#fogs += 1;
    for (const [key, record] of this.#keys) {
      if (!this.#isFoggy(key)) continue;
      const then = page.keys.get(key);
      const inFog = this.#foggy.get(key) ?? [];
      record.sure = then?.sure ?? null;
      record.maybe = [...(then?.maybe ?? []), ...inFog];
    }
    for (const [key, record] of this.#counters) {
      if (!this.#isFoggy(key)) continue;
      const then = page.counters.get(key);
      record.acknowledged = then?.acknowledged ?? 0;
      record.unknown = (then?.unknown ?? 0) + (this.#foggy.get(key)?.length ?? 0);
      record.given = new Set(then?.given);
    }
    this.#foggy.clear();
  }

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
    const began = this.#fogs;
    const unknown = (): void => {
      record.maybe.push(value);
      if (this.#fogs % 2 === 1) this.#inFog(key, value);
    };
    return {
      acknowledged: () => {
        const isSure = !this.#isFoggy(key) || (this.#fogs === began && began % 2 === 0);
        if (isSure) record.sure = value;
        else unknown();
        return isSure;
      },
      refused: () => {},
      unknown,
    };
  }

  increment(key: string, next: number): (outcome: 'applied' | 'not-applied' | 'unknown') => void {
    const record = this.#counters.get(key) ?? { acknowledged: 0, unknown: 0, given: new Set() };
    this.#counters.set(key, record);
    const began = this.#fogs;
    return (outcome) => {
      if (outcome === 'not-applied') return;
      const isFoggy = this.#isFoggy(key) && (this.#fogs !== began || began % 2 === 1);
      if (outcome === 'unknown' || isFoggy) {
        record.unknown += 1;
        if (this.#fogs % 2 === 1) this.#inFog(key, String(next));
        return;
      }
      if (record.given.has(next)) this.problem(`${key} was counted to ${next} twice`);
      record.given.add(next);
      record.acknowledged += 1;
    };
  }

  #inFog(key: string, value: Value): void {
    const values = this.#foggy.get(key) ?? [];
    this.#foggy.set(key, values);
    values.push(value);
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
    for (const [key, value] of found) {
      const [, group] = /^(.*\/group\/\d+\/)a$/.exec(key) ?? [];
      if (group === undefined) continue;
      const whole = ['b', 'c'].every((name) => found.get(`${group}${name}`) === value);
      if (!whole) wrong.push(`${where}: ${group} is torn`);
    }
    return wrong.slice(0, problemsMax);
  }
}
