/** One run of seqs, both ends included. */
export interface SeqRange {
  readonly from: number;
  readonly to: number;
}

/**
 * The seqs of one origin that a replica has seen, from 1: a sorted list of runs that do not touch. Immutable; almost
 * always one run, [1, head], so the operations are linear in the number of runs.
 */
export type SeqRanges = readonly SeqRange[];

export const noSeqs: SeqRanges = [];

/** The highest seq seen, 0 when none. */
export function headOf(ranges: SeqRanges): number {
  return ranges.at(-1)?.to ?? 0;
}

/** The highest seq up to which nothing is missing. */
export function contiguousHead(ranges: SeqRanges): number {
  const first = ranges[0];
  return first?.from === 1 ? first.to : 0;
}

export function hasSeq(ranges: SeqRanges, seq: number): boolean {
  const last = ranges.at(-1);
  if (last === undefined || seq > last.to) return false;
  return seq >= last.from || ranges.some((range) => range.from <= seq && seq <= range.to);
}

export function addRange(ranges: SeqRanges, added: SeqRange): SeqRanges {
  const last = ranges.at(-1);
  // The usual case: the next seq of a log.
  if (last !== undefined && added.from === last.to + 1) {
    return [...ranges.slice(0, -1), { from: last.from, to: added.to }];
  }
  const result: SeqRange[] = [];
  let { from, to } = added;
  for (const range of ranges) {
    if (range.to + 1 < from) result.push(range);
    else if (range.from > to + 1) {
      result.push({ from, to });
      ({ from, to } = range);
    } else {
      from = Math.min(from, range.from);
      to = Math.max(to, range.to);
    }
  }
  result.push({ from, to });
  return result;
}

export function unionRanges(a: SeqRanges, b: SeqRanges): SeqRanges {
  return b.reduce(addRange, a);
}

/** What is in `wanted` and not in `held`. */
export function missingRanges(wanted: SeqRanges, held: SeqRanges): SeqRanges {
  const missing: SeqRange[] = [];
  for (const want of wanted) {
    let { from } = want;
    for (const have of held) {
      if (have.to < from) continue;
      if (have.from > want.to) break;
      if (have.from > from) missing.push({ from, to: have.from - 1 });
      from = have.to + 1;
    }
    if (from <= want.to) missing.push({ from, to: want.to });
  }
  return missing;
}

export function countSeqs(ranges: SeqRanges): number {
  return ranges.reduce((sum, range) => sum + range.to - range.from + 1, 0);
}

/** `1-7,9`: how ranges are kept on disk. */
export function rangesText(ranges: SeqRanges): string {
  return ranges.map(({ from, to }) => (from === to ? `${from}` : `${from}-${to}`)).join(',');
}

/** What `rangesText` wrote. */
export function parseRanges(text: string): SeqRanges {
  if (text === '') return noSeqs;
  return text.split(',').map((part) => {
    const [from = '', to = from] = part.split('-');
    return { from: Number(from), to: Number(to) };
  });
}

/** What is left of ranges without the seqs above `to`. */
export function upTo(ranges: SeqRanges, to: number): SeqRanges {
  return ranges
    .filter((range) => range.from <= to)
    .map((range) => ({ ...range, to: Math.min(range.to, to) }));
}

/** Whether all of `wanted` is in `held`. */
export function coversRanges(held: SeqRanges, wanted: SeqRanges): boolean {
  return missingRanges(wanted, held).length === 0;
}
