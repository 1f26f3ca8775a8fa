import type { SeqRanges } from '../crdt/seq-ranges.ts';

// Hashes that all gateways must compute alike: who relays an origin's changes, and digests of what was seen. They guard
// against nothing but chance (the wire is authenticated), so they are chosen for speed. Changing one is a change of
// the protocol: until all gateways agree again, it costs duplicates and needless comparisons, never a lost change.

/** Murmur3's finalizer: a bijection of 32-bit integers in which every input bit moves every output bit. */
function avalanche(seed: number): number {
  let h = seed ^ (seed >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** A signed 32-bit hash of two; for one `a` no two `b` collide. */
export function mix(a: number, b: number): number {
  return avalanche(a ^ avalanche((b + 0x9e3779b9) | 0));
}

/** FNV-1a over UTF-16 units, finished with an avalanche; signed 32 bits. */
export function hashText(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return avalanche(h);
}

export function hashBytes(bytes: Uint8Array): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < bytes.length; i++) h = Math.imul(h ^ (bytes[i] as number), 0x01000193);
  return avalanche(h);
}

/** Of a whole number up to 2^53. */
export function hashNumber(seed: number, value: number): number {
  return mix(mix(seed, value | 0), Math.floor(value / 0x1_0000_0000));
}

/** 0 for nothing seen, so that origins without a dot do not tell replicas apart. */
export function hashSeen(originHash: number, seen: SeqRanges): number {
  if (seen.length === 0) return 0;
  let h = originHash;
  for (const range of seen) h = hashNumber(hashNumber(h, range.from), range.to);
  return h;
}
