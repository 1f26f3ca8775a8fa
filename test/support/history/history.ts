/**
 * What clients did and what came of it: the raw matter of all checks. One form for the simulator and for tests on
 * real processes. Times are of one clock (the simulation's, or the test's own); their unit does not matter.
 */
export interface Operation<Call, Result> {
  readonly id: number;
  /** Name of the gateway that was asked. */
  readonly gateway: string;
  /** What it is about: a key, as a rule. Histories are checked key by key. */
  readonly key: string;
  readonly call: Call;
  readonly invokedAt: number;
  /** Infinity: no answer came, and it may have happened, may happen still, or never. */
  readonly completedAt: number;
  /** Undefined: not known, see `completedAt`. */
  readonly result: Result | undefined;
}

/** Calls on one register whose values are never written twice. `null` is no value. */
export type RegisterCall =
  | { readonly kind: 'read' }
  | { readonly kind: 'write'; readonly value: string | null }
  /** Writes when the value is the expected one. */
  | { readonly kind: 'cas'; readonly expected: string | null; readonly value: string | null };

/** A read's value, or whether a write was applied. */
export type RegisterResult = { readonly value: string | null } | { readonly applied: boolean };

export type RegisterOperation = Operation<RegisterCall, RegisterResult>;

export type LockCall =
  | { readonly kind: 'acquire'; readonly session: string }
  | { readonly kind: 'release'; readonly session: string }
  /**
   * The lock's owner takes it from the session: which has ended, or (not `final`) is on a node that seems to have
   * failed. Nobody answers that: its result is never known.
   */
  | { readonly kind: 'invalidate'; readonly session: string; readonly final: boolean }
  /** Who holds it? */
  | { readonly kind: 'holder' };

export type LockResult = { readonly holder: string | null } | { readonly applied: boolean };

export type LockOperation = Operation<LockCall, LockResult>;

/** Collects operations; forgets those of which it is known that nothing was done. */
export class Recorder<Call, Result> {
  readonly #done: Operation<Call, Result>[] = [];
  readonly #open = new Map<number, Operation<Call, Result>>();
  #ids = 0;

  invoke(gateway: string, key: string, call: Call, now: number): number {
    const id = ++this.#ids;
    this.#open.set(id, { id, gateway, key, call, invokedAt: now, completedAt: Infinity, result: undefined });
    return id;
  }

  complete(id: number, result: Result, now: number): void {
    const operation = this.#open.get(id);
    if (operation === undefined) return;
    this.#open.delete(id);
    this.#done.push({ ...operation, completedAt: now, result });
  }

  /** It was refused, and changed nothing. */
  refused(id: number): void {
    this.#open.delete(id);
  }

  /** All operations; of those without an answer the outcome is unknown. In the order of invocation. */
  operations(): readonly Operation<Call, Result>[] {
    return [...this.#done, ...this.#open.values()].toSorted(
      (a, b) => a.invokedAt - b.invokedAt || a.id - b.id,
    );
  }
}

export function groupBy<T>(
  items: readonly T[],
  nameOf: (item: T) => string,
): ReadonlyMap<string, readonly T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const name = nameOf(item);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [item]);
    else group.push(item);
  }
  return groups;
}

export function byKey<Call, Result>(
  operations: readonly Operation<Call, Result>[],
): ReadonlyMap<string, readonly Operation<Call, Result>[]> {
  return groupBy(operations, ({ key }) => key);
}

/** One line, for a report. */
export function operationText({
  id,
  gateway,
  key,
  call,
  invokedAt,
  completedAt,
  result,
}: Operation<unknown, unknown>): string {
  const end = completedAt === Infinity ? '?' : completedAt.toFixed(3);
  return `#${id} ${gateway} ${key} [${invokedAt.toFixed(3)}, ${end}] ${JSON.stringify(call)} -> ${JSON.stringify(result) ?? 'unknown'}`;
}
