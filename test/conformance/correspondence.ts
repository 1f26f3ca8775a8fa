/**
 * What must differ between two sides, matched instead of erased. Two indexes correspond when they stand in
 * the same place of the two runs; all corresponding pairs must then be ordered alike on both sides, so that
 * "the header equals the ModifyIndex" or "the second write is above the first" is compared although no
 * number is. Ids need only be matched one to one.
 */
export class Correspondence {
  readonly #indexes: { readonly a: bigint; readonly b: bigint; readonly at: string }[] = [];
  readonly #aToB = new Map<string, string>();
  readonly #bToA = new Map<string, string>();
  readonly #ofQueries = new Map<string, readonly QueryIndex[]>();
  readonly #portsA: ReadonlyMap<string, string>;
  readonly #portsB: ReadonlyMap<string, string>;
  readonly #before: { readonly a: bigint; readonly b: bigint };

  /**
   * The ports of a side, as text -> what they are for. Indexes up to `before` are all alike: from before the
   * scenario, when each side wrote down in its own way what it is.
   */
  constructor(
    portsA: ReadonlyMap<string, string>,
    portsB: ReadonlyMap<string, string>,
    before: { readonly a: bigint; readonly b: bigint } = { a: 1n, b: 1n },
  ) {
    this.#portsA = portsA;
    this.#portsB = portsB;
    this.#before = before;
  }

  /** Why the two indexes do not correspond; undefined where they do. */
  indexes(a: string, b: string, at: string): string | undefined {
    if (!/^\d+$/.test(a) || !/^\d+$/.test(b)) return a === b ? undefined : `${a} against ${b}`;
    // Zero and one stand for "none yet", everywhere.
    if ((BigInt(a) <= 1n || BigInt(b) <= 1n) && a !== b) return `${a} against ${b}`;
    const pair = { ...this.#clamp(a, b), at };
    for (const seen of this.#indexes) {
      if (compare(pair.a, seen.a) !== compare(pair.b, seen.b)) {
        return `${a} ${sign(pair.a, seen.a)} ${seen.a}, but ${b} ${sign(pair.b, seen.b)} ${seen.b} (${seen.at})`;
      }
    }
    this.#indexes.push(pair);
    return undefined;
  }

  /**
   * As `indexes`, for the X-Consul-Index of reads other than of KV, among the answers to one query: it must be
   * higher where the answer changed. Consul takes the index of a whole table, the second side may know better
   * and keep its index for as long as it shows the same.
   */
  queryIndexes(a: string, b: string, query: string, shownByB: string): string | undefined {
    if (!/^\d+$/.test(a) || !/^\d+$/.test(b)) return a === b ? undefined : `${a} against ${b}`;
    const one = { ...this.#clamp(a, b), shownByB };
    const earlier = this.#ofQueries.get(query) ?? [];
    this.#ofQueries.set(query, [...earlier, one]);
    for (const [i, seen] of earlier.entries()) {
      const [byA, byB] = [compare(one.a, seen.a), compare(one.b, seen.b)];
      const quieter = byB === 0 && byA > 0 && shownByB === seen.shownByB;
      // Having been quiet about a change elsewhere, it may take the index of that with the next of its own.
      const wasQuiet = (before: QueryIndex): boolean => before.b === seen.b && before.a < seen.a;
      const catchesUp = byB > 0 && byA === 0 && earlier.slice(0, i).some(wasQuiet);
      if (byA !== byB && !quieter && !catchesUp) {
        return `${a} ${sign(one.a, seen.a)} ${seen.a}, but ${b} ${sign(one.b, seen.b)} ${seen.b} (an earlier answer)`;
      }
    }
    return undefined;
  }

  #clamp(a: string, b: string): { readonly a: bigint; readonly b: bigint } {
    return { a: greater(BigInt(a), this.#before.a), b: greater(BigInt(b), this.#before.b) };
  }

  /** As `indexes`, for hashes, which have no order. */
  opaque(a: string, b: string): string | undefined {
    const known = this.#aToB.get(a);
    const knownBack = this.#bToA.get(b);
    if (known === undefined && knownBack === undefined) {
      this.#aToB.set(a, b);
      this.#bToA.set(b, a);
      return undefined;
    }
    return known === b ? undefined : `${a} against ${b}, which stand for other things elsewhere`;
  }

  /** Why the two texts differ, beyond the ids and ports in them; undefined where they do not. */
  texts(a: string, b: string): string | undefined {
    if (a === b && !uuid.test(a)) return undefined;
    const partsA = this.#named(a, this.#portsA).split(splitUuid);
    const partsB = this.#named(b, this.#portsB).split(splitUuid);
    const same =
      partsA.length === partsB.length &&
      partsA.every((part, i) => {
        const other = partsB[i] ?? '';
        return uuid.test(part) && uuid.test(other) ? this.opaque(part, other) === undefined : part === other;
      });
    return same ? undefined : `${shown(a)} against ${shown(b)}`;
  }

  /** As `texts`, for numbers that are not indexes. */
  numbers(a: string, b: string): string | undefined {
    const a2 = this.#portsA.get(a) ?? a;
    const b2 = this.#portsB.get(b) ?? b;
    return a2 === b2 ? undefined : `${a} against ${b}`;
  }

  #named(text: string, ports: ReadonlyMap<string, string>): string {
    return text.replaceAll(/\b\d{5}\b/g, (port) => ports.get(port) ?? port);
  }
}

interface QueryIndex {
  readonly a: bigint;
  readonly b: bigint;
  readonly shownByB: string;
}

const uuidPattern = '[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}';
const uuid = new RegExp(uuidPattern);
const splitUuid = new RegExp(`(${uuidPattern})`);

function compare(x: bigint, y: bigint): number {
  return x < y ? -1 : Number(x > y);
}

function greater(x: bigint, y: bigint): bigint {
  return x < y ? y : x;
}

function sign(x: bigint, y: bigint): string {
  return ['<', '=', '>'][compare(x, y) + 1] ?? '?';
}

export function shown(text: string): string {
  const quoted = JSON.stringify(text);
  return quoted.length <= 400 ? quoted : `${quoted.slice(0, 390)}…" (${text.length} characters)`;
}
