import { operationText, type Operation } from './history.ts';
import type { Model } from './models.ts';

/** `unknown` is not a pass: the search was given up. */
export type Linearizability =
  | { readonly kind: 'linearizable' }
  | { readonly kind: 'violated'; readonly explanation: string }
  | { readonly kind: 'unknown'; readonly steps: number };

interface Entry {
  /** Index of the operation. */
  readonly of: number;
  /** The end of an operation; undefined at an end itself and where the end is not known. */
  readonly end: Entry | undefined;
  readonly isEnd: boolean;
  before: Entry | undefined;
  after: Entry | undefined;
}

/**
 * Is there an order of the operations in which each takes effect between its invocation and its end, and which a
 * sequential object could have gone through? Wing and Gong's search (1993) with Lowe's memory of configurations that
 * were seen (2017). An operation without an end may take effect at any time after its invocation, or never.
 */
export function checkLinearizable<State, Call, Result>(
  model: Model<State, Call, Result>,
  operations: readonly Operation<Call, Result>[],
  stepsMax = 2_000_000,
): Linearizability {
  const head = listOf(operations);
  const taken = new Taken(operations.length);
  const twins = twinsOf(operations);
  const seen = new Set<string>();
  const stack: { readonly entry: Entry; readonly state: State }[] = [];
  let state = model.initial;
  let entry = head.after;
  let deepest = 0;
  let deepestAt = '';
  for (let steps = 0; ; steps++) {
    if (steps > stepsMax) return { kind: 'unknown', steps };
    // All that have an end have taken effect.
    if (entry === undefined) return { kind: 'linearizable' };
    const twin = twins[entry.of];
    if (!entry.isEnd && twin !== undefined && !taken.has(twin)) {
      entry = entry.after;
      continue;
    }
    if (!entry.isEnd) {
      const operation = operations[entry.of] as Operation<Call, Result>;
      const next = model.step(state, operation.call, operation.result);
      // What nobody was told of, and what changes nothing, need not have happened.
      const idle = entry.end === undefined && next !== undefined && model.text(next) === model.text(state);
      if (next !== undefined && !idle) {
        taken.add(entry.of);
        const configuration = `${taken.text()} ${model.text(next)}`;
        if (!seen.has(configuration)) {
          seen.add(configuration);
          stack.push({ entry, state });
          state = next;
          lift(entry);
          entry = head.after;
          continue;
        }
        taken.remove(entry.of);
      }
      entry = entry.after;
      continue;
    }
    // An operation ended before the search let it take effect: go back.
    if (stack.length >= deepest) {
      deepest = stack.length;
      deepestAt = explain(operations, stack, entry, model.text(state));
    }
    const last = stack.pop();
    if (last === undefined) return { kind: 'violated', explanation: deepestAt };
    state = last.state;
    taken.remove(last.entry.of);
    unlift(last.entry);
    entry = last.entry.after;
  }
}

/**
 * Of operations that nobody was told the end of, and that are the same, it does not matter which one took effect: each
 * is tried only after the one that was begun before it.
 */
function twinsOf(operations: readonly Operation<unknown, unknown>[]): readonly (number | undefined)[] {
  const twins: (number | undefined)[] = operations.map(() => undefined);
  const last = new Map<string, number>();
  const open = operations
    .map((operation, of) => ({ operation, of }))
    .filter(({ operation }) => !isKnown(operation))
    .toSorted((a, b) => a.operation.invokedAt - b.operation.invokedAt || a.of - b.of);
  for (const { operation, of } of open) {
    const call = JSON.stringify(operation.call);
    twins[of] = last.get(call);
    last.set(call, of);
  }
  return twins;
}

function isKnown({ result, completedAt }: Operation<unknown, unknown>): boolean {
  return result !== undefined && completedAt !== Infinity;
}

function explain<Call, Result>(
  operations: readonly Operation<Call, Result>[],
  stack: readonly { readonly entry: Entry }[],
  stuck: Entry,
  state: string,
): string {
  const order = stack
    .slice(-5)
    .map(({ entry }) => `  ${operationText(operations[entry.of] as Operation<Call, Result>)}`);
  return [
    `the longest order found (${stack.length} of ${operations.length} operations) ends with`,
    ...order,
    `then the state is ${state}, and this cannot have happened:`,
    `  ${operationText(operations[stuck.of] as Operation<Call, Result>)}`,
  ].join('\n');
}

/** Beginnings and ends in the order of time; at one time beginnings come first, so that touching ones overlap. */
function listOf(operations: readonly Operation<unknown, unknown>[]): Entry {
  const entries: { readonly at: number; readonly entry: Entry }[] = [];
  operations.forEach((operation, of) => {
    const end: Entry | undefined = isKnown(operation)
      ? { of, end: undefined, isEnd: true, before: undefined, after: undefined }
      : undefined;
    entries.push({
      at: operation.invokedAt,
      entry: { of, end, isEnd: false, before: undefined, after: undefined },
    });
    if (end !== undefined) entries.push({ at: operation.completedAt, entry: end });
  });
  entries.sort(
    (a, b) => a.at - b.at || Number(a.entry.isEnd) - Number(b.entry.isEnd) || a.entry.of - b.entry.of,
  );
  const head: Entry = { of: -1, end: undefined, isEnd: false, before: undefined, after: undefined };
  let last = head;
  for (const { entry } of entries) {
    last.after = entry;
    entry.before = last;
    last = entry;
  }
  return head;
}

function lift(entry: Entry): void {
  unlink(entry);
  if (entry.end !== undefined) unlink(entry.end);
}

function unlift(entry: Entry): void {
  if (entry.end !== undefined) relink(entry.end);
  relink(entry);
}

function unlink(entry: Entry): void {
  if (entry.before !== undefined) entry.before.after = entry.after;
  if (entry.after !== undefined) entry.after.before = entry.before;
}

function relink(entry: Entry): void {
  if (entry.before !== undefined) entry.before.after = entry;
  if (entry.after !== undefined) entry.after.before = entry;
}

/** A set of operations with a short text: nearly always all up to a place, and a few behind it. */
class Taken {
  readonly #words: Uint32Array;
  #full = 0;

  constructor(size: number) {
    this.#words = new Uint32Array(Math.ceil(size / 32) + 1);
  }

  add(index: number): void {
    this.#words[index >> 5] = (this.#words[index >> 5] as number) | (1 << (index & 31));
    while (this.#words[this.#full] === 0xffff_ffff) this.#full += 1;
  }

  remove(index: number): void {
    const word = index >> 5;
    this.#words[word] = (this.#words[word] as number) & ~(1 << (index & 31));
    this.#full = Math.min(this.#full, word);
  }

  has(index: number): boolean {
    return ((this.#words[index >> 5] as number) & (1 << (index & 31))) !== 0;
  }

  text(): string {
    let end = this.#words.length;
    while (end > this.#full && this.#words[end - 1] === 0) end -= 1;
    return `${this.#full}:${this.#words.subarray(this.#full, end).join(',')}`;
  }
}
