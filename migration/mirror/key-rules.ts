/**
 * What is odd about a key, and which keys can be asked for by URL at all. Consul cleans the decoded path of
 * a request, so keys with empty or dot segments, or a leading slash, answer a redirect to another key; a
 * non-printable character answers 400 (both seen with Consul 1.8.7). Such keys exist all the same:
 * `/v1/txn` takes any string.
 */
export type KeyOddity =
  | 'not-utf8'
  | 'non-printable'
  | 'leading-slash'
  | 'double-slash'
  | 'dot-segment'
  | 'outer-space'
  | 'refused-by-1.21.5';

/** Go's unicode.IsPrint: letters, marks, numbers, punctuation, symbols and the ASCII space. */
const nonPrintable = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u;
/** The only names that Consul 1.21.5 took (CVE-2025-11392); later versions refuse less. */
const takenBy1215 = /^[a-zA-Z0-9,_./\-?&=]+$/;
const loneSurrogate = /\p{Cs}/u;
const replacementCharacter = '\uFFFD';

export function keyOddities(key: string): readonly KeyOddity[] {
  const found: KeyOddity[] = [];
  // Go renders bytes that are not UTF-8 as U+FFFD: the key's true name is lost on the way.
  if (!hasTrueName(key)) found.push('not-utf8');
  if (nonPrintable.test(key)) found.push('non-printable');
  if (key.startsWith('/')) found.push('leading-slash');
  if (key.includes('//')) found.push('double-slash');
  if (hasDotSegment(key)) found.push('dot-segment');
  if (key !== key.trim()) found.push('outer-space');
  if (!takenBy1215.test(key)) found.push('refused-by-1.21.5');
  return found;
}

/**
 * Whether a name that was listed can be asked for. One with U+FFFD stands for bytes that nobody was told: no read of
 * it, or of a prefix that ends in it, finds the key, so finding nothing proves nothing.
 */
export function hasTrueName(key: string): boolean {
  return !key.includes(replacementCharacter) && !loneSurrogate.test(key);
}

/** Whether `/v1/kv/<key>` means this key (or prefix) and no other. The empty prefix is safe. */
export function isPathSafe(key: string): boolean {
  return (
    !key.startsWith('/') &&
    !key.includes('//') &&
    !hasDotSegment(key) &&
    !nonPrintable.test(key) &&
    !key.includes(replacementCharacter)
  );
}

/** The longest prefix of a key that can be asked for by URL. */
export function longestPathSafePrefix(key: string): string {
  let end = key.length;
  while (end > 0 && !isPathSafe(key.slice(0, end))) end -= 1;
  return key.slice(0, end);
}

/** A key's path under `/v1/kv/`, each segment percent-encoded. The key must be path-safe. */
export function encodeKeyPath(key: string): string {
  return key.split('/').map(encodeURIComponent).join('/');
}

function hasDotSegment(key: string): boolean {
  return key.includes('.') && key.split('/').some((segment) => segment === '.' || segment === '..');
}

/**
 * Node names stand before a slash in the keys of the target and as one segment in URLs: those that cannot
 * are neither copied nor compared. Consul takes any name in `/v1/catalog/register`.
 */
export function isNodeNameMirrored(name: string): boolean {
  const odd = keyOddities(name).some((oddity) => oddity !== 'refused-by-1.21.5' && oddity !== 'outer-space');
  return !odd && name !== '' && !name.includes('/');
}
