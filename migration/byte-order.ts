/**
 * Keys are ordered as Consul and SQLite order them: by the bytes of their UTF-8 form, which is the order
 * of code points. JavaScript's `<` compares UTF-16 units instead and differs above U+FFFF.
 */
export function compareBytewise(a: string, b: string): number {
  const shared = Math.min(a.length, b.length);
  for (let at = 0; at < shared; at += 1) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left === right) continue;
    // A surrogate stands for a code point above every other 16-bit unit.
    const leftHigh = left >= 0xd800 && left <= 0xdfff;
    const rightHigh = right >= 0xd800 && right <= 0xdfff;
    if (leftHigh !== rightHigh) return leftHigh ? 1 : -1;
    return left < right ? -1 : 1;
  }
  return Math.sign(a.length - b.length);
}

/** Sorted bytewise, each name once. */
export function sortedUnique(names: Iterable<string>): string[] {
  return [...new Set(names)].toSorted(compareBytewise);
}

/** The longest string that all names start with; never splits a surrogate pair. Names must be sorted. */
export function commonPrefix(sorted: readonly string[]): string {
  const first = sorted[0];
  const last = sorted.at(-1);
  if (first === undefined || last === undefined) return '';
  let length = 0;
  while (length < first.length && length < last.length && first[length] === last[length]) length += 1;
  const tail = first.charCodeAt(length - 1);
  if (length > 0 && length < first.length && tail >= 0xd800 && tail <= 0xdbff) length -= 1;
  return first.slice(0, length);
}
