import { Kind } from '../../../src/state/kinds.ts';
import type { Row } from '../../../src/state/store.ts';
import { decodeValue, type ZoneValue } from '../../../src/state/values.ts';
import { look } from './clients.ts';
import type { Fleet } from './fleet.ts';
import { rowText } from './ledger.ts';
import { sourceTimeline } from './model-source.ts';

/** Something that a gateway relayed, or may have. */
interface Logged {
  readonly origin: string;
  readonly seq: number;
  readonly row: Pick<Row, 'kind' | 'key' | 'term'>;
}

/**
 * Whether relays count, by hand from the grants: one does that was logged within the fences of the grant by which its
 * zone was taken back. Shares no code with what it judges.
 */
export class RelayLaw {
  readonly #grants: readonly ZoneValue[];
  readonly #prefixes: readonly string[];

  constructor(fleet: Fleet) {
    const rows = [...(fleet.up[0]?.store.range(Kind.zone, '', undefined) ?? [])];
    const grants = rows.flatMap(({ value }) => (value === null ? [] : [decodeValue<ZoneValue>(value)]));
    this.#grants = grants.toSorted((a, b) => a.term - b.term);
    this.#prefixes = fleet.lent.prefixes;
  }

  /** Whether it was a source's word, under a term of a time when its zone was lent. */
  isRelay({ row }: Logged): boolean {
    return this.#history(row).some(({ term, lent }) => term === row.term && lent === true);
  }

  /** A relay that came too late. */
  isOver(logged: Logged): boolean {
    if (!this.isRelay(logged)) return false;
    const { row, origin, seq } = logged;
    const takenBack = this.#history(row).find(({ term, lent }) => term > row.term && lent !== true);
    if (takenBack === undefined) return false;
    const seen = takenBack.fences?.find((fence) => fence.origin === origin)?.seen ?? '';
    return seq > Number(/\d+$/.exec(seen)?.[0] ?? 0);
  }

  #history({ kind, key }: Pick<Row, 'kind' | 'key'>): readonly ZoneValue[] {
    const prefix = kind === Kind.kv ? this.#prefixes.find((each) => key.startsWith(each)) : undefined;
    return prefix === undefined ? [] : this.#grants.filter((grant) => grant.prefix === prefix);
  }
}

/** A register that claims to be the source's word is what the source said. */
export function wordProblem({ lent }: Fleet, row: Row): string | undefined {
  if (row.kind !== Kind.kv || row.timeline !== sourceTimeline) return undefined;
  if (!lent.prefixes.some((prefix) => row.key.startsWith(prefix))) return undefined;
  const said = lent.source.textAt(row.key, row.stamp) ?? null;
  const isTrue =
    row.value === null
      ? said === null
      : said !== null &&
        lent.source.wrote(row.key, row.stamp) &&
        Buffer.from(row.value).includes(Buffer.from(said));
  return isTrue ? undefined : `${rowText(row)} is not the source's word: ${said}`;
}

/** Where the source decides and was listed at the end, everything is as it is there. */
export function lentProblems({ lent, up, excuses }: Fleet): readonly string[] {
  const [gateway] = up;
  if (gateway === undefined) return [];
  const problems: string[] = [];
  for (const prefix of lent.prefixes) {
    if (excuses.takenOver.has(prefix) || excuses.restored.has(prefix)) continue;
    if (!lent.wasCopiedLast(prefix) || !lent.isLent(gateway, prefix)) continue;
    for (const key of lent.keysOf(prefix)) {
      const { value } = look(gateway, key);
      const wanted = lent.source.get(key);
      if (value !== wanted) problems.push(`${key} is ${value}, at the source ${wanted}`);
    }
  }
  return problems.slice(0, 3);
}
