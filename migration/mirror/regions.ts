import { commonPrefix, compareBytewise } from '../byte-order.ts';

/**
 * A leaf: a piece of the key space that one answer covers. `tree` is every key that starts with `prefix`;
 * otherwise the region is the one key. Regions of a plan are disjoint and in bytewise order.
 */
export type Region = {
  readonly prefix: string;
  readonly tree: boolean;
  /** The names known in it when it was planned, sorted; new ones may have come since. */
  readonly names: readonly string[];
};

/**
 * Splits the names under `prefix` into regions of at most `namesMax()` names each, asked anew at every
 * turn, since the runner learns how large entries are. It splits where names differ, one character at a time,
 * so a flat directory of a million keys splits as well as a deep tree; a common path is one step.
 */
export function* splitRegions(
  prefix: string,
  names: readonly string[],
  namesMax: () => number,
): Generator<Region, void, undefined> {
  if (names.length === 0) return;
  if (names.length <= Math.max(1, namesMax())) {
    yield { prefix, tree: true, names };
    return;
  }
  let from = 0;
  if (names[0] === prefix) {
    yield { prefix, tree: false, names: [prefix] };
    from = 1;
  }
  while (from < names.length) {
    const next = characterAt(names[from] ?? '', prefix.length);
    let to = from + 1;
    while (to < names.length && characterAt(names[to] ?? '', prefix.length) === next) to += 1;
    const group = names.slice(from, to);
    yield* splitRegions(commonPrefix(group), group, namesMax);
    from = to;
  }
}

function characterAt(name: string, at: number): number {
  return name.codePointAt(at) ?? -1;
}

/** How far a run has come in bytewise order: everything up to and including this place is done. */
export type Position = { readonly prefix: string; readonly tree: boolean };

export function isBehind(position: Position | null, name: string): boolean {
  if (position === null) return false;
  if (position.tree && name.startsWith(position.prefix)) return true;
  return compareBytewise(name, position.prefix) <= 0;
}

/** Prefixes sorted, without those that another one contains: what they cover is then disjoint. */
export function normalisePrefixes(prefixes: readonly string[]): readonly string[] {
  const sorted = [...new Set(prefixes)].toSorted(compareBytewise);
  return sorted.filter((prefix, at) => !sorted.slice(0, at).some((earlier) => prefix.startsWith(earlier)));
}
