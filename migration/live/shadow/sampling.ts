/**
 * Which keys are looked at: by a hash of the key, so that a key is always looked at or never, on every gateway alike, and
 * those of a small share are among those of a greater one. `lane` makes independent choices of one key.
 */
export function isSampled(subject: string, percent: number, lane: string): boolean {
  if (percent >= 100) return true;
  return percent > 0 && hashOf(`${lane}\n${subject}`) < (percent / 100) * 4_294_967_296;
}

/** Two hashes of a text in one: of millions no two are alike by chance, and nobody reads the text from it. */
export function wideHashOf(text: string): string {
  return `${hashOf(text)}.${hashOf(text, 0x2f0b4c47, 0x9e3779b1)}`;
}

/** FNV-1a with a final mix (murmur3's): fast and even; nothing here needs it to be secret. */
function hashOf(text: string, seed = 0x811c9dc5, prime = 0x01000193): number {
  let hash = seed;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), prime);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
