/** 95 % interval of a rate, by Wilson's score. `[0, 1]` for an empty sample: nothing is known then. */
export function wilson95(hits: number, of: number): readonly [low: number, high: number] {
  if (of === 0) return [0, 1];
  const z = 1.959_963_984_540_054;
  const rate = hits / of;
  const square = z * z;
  const scale = 1 / (1 + square / of);
  const centre = scale * (rate + square / (2 * of));
  const half = scale * z * Math.sqrt((rate * (1 - rate)) / of + square / (4 * of * of));
  return [hits === 0 ? 0 : Math.max(0, centre - half), hits === of ? 1 : Math.min(1, centre + half)];
}

/** Upper bound of a rate at 95 %: zero of n is not zero but 3/n (rule of three). */
export function upperBound95(hits: number, of: number): number {
  if (of === 0) return 1;
  return hits === 0 ? Math.min(1, 3 / of) : wilson95(hits, of)[1];
}
