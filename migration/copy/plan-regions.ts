import { commonPrefix, sortedUnique } from '../byte-order.ts';
import { hasTrueName } from '../mirror/key-rules.ts';
import { splitRegions, type Region } from '../mirror/regions.ts';
import { ConnectionError } from '../source/connection.ts';
import type { ConsulReader } from '../source/consul-reader.ts';

/** One side's key names, for planning. */
export type NameSource = {
  /** All names under a prefix; null when they are too many for one answer. */
  readonly names: (prefix: string) => Promise<readonly string[] | null>;
  /** Names up to the next `/`; null when even these are too many. */
  readonly children: (prefix: string) => Promise<readonly string[] | null>;
};

/**
 * Plans the regions under a prefix from the names on both sides, so that a key that only one side has is
 * looked at too. Names are fetched by prefix, in pieces that fit into one answer.
 */
export async function* planRegions(
  prefix: string,
  sides: readonly NameSource[],
  namesMax: () => number,
  onNames: (count: number) => void,
): AsyncGenerator<Region, void, undefined> {
  const whole = await Promise.all(sides.map((side) => side.names(prefix)));
  if (whole.every((names) => names !== null)) {
    const names = sortedUnique(whole.flatMap((list) => list ?? []));
    onNames(names.length);
    yield* splitRegions(prefix, names, namesMax);
    return;
  }
  const parts = await Promise.all(sides.map((side) => side.children(prefix)));
  if (parts.some((names) => names === null)) {
    throw new ConnectionError('bad-answer', `too many keys directly under "${prefix}" to list them`);
  }
  const children = sortedUnique(parts.flatMap((list) => list ?? []));
  if (children[0] === prefix) {
    onNames(1);
    yield { prefix, tree: false, names: [prefix] };
    children.shift();
  }
  for (let from = 0; from < children.length;) {
    const next = children[from]?.codePointAt(prefix.length);
    let to = from + 1;
    while (to < children.length && children[to]?.codePointAt(prefix.length) === next) to += 1;
    const group = children.slice(from, to);
    const below = commonPrefix(group);
    if (hasTrueName(below)) yield* planRegions(below, sides, namesMax, onNames);
    else {
      // Nothing can be asked below it: what is known of it are these names.
      onNames(group.length);
      yield { prefix: below, tree: true, names: group };
    }
    from = to;
  }
}

export function namesOfReader(reader: ConsulReader): NameSource {
  const ask = async (prefix: string, separator?: string): Promise<readonly string[] | null> => {
    const answer = await reader.keys(prefix, separator);
    return answer.kind === 'too-large' ? null : answer.names;
  };
  return { names: (prefix) => ask(prefix), children: (prefix) => ask(prefix, '/') };
}

/** Learns how many bytes an entry takes, so that an answer stays near `bytesAim`. */
export class LeafSizer {
  readonly #bytesAim: number;
  readonly #namesCeiling: number;
  #bytesPerName = 1024;

  constructor(bytesAim: number, namesCeiling: number) {
    this.#bytesAim = bytesAim;
    this.#namesCeiling = namesCeiling;
  }

  readonly namesMax = (): number =>
    Math.max(1, Math.min(this.#namesCeiling, Math.floor(this.#bytesAim / this.#bytesPerName)));

  learn(names: number, bytes: number): void {
    if (names === 0) return;
    this.#bytesPerName = Math.max(16, this.#bytesPerName * 0.7 + (bytes / names) * 0.3);
  }
}
