/**
 * Why a text cannot be a session's id, in the words of Consul's index; undefined when it can. Consul takes any 36
 * characters that are hexadecimal once at most four dashes are left out, in either case.
 */
export function sessionIdProblem(id: string): string | undefined {
  const problem = uuidProblem(id);
  return problem === undefined ? undefined : `failed session lookup: index error: ${problem}`;
}

/** As `sessionIdProblem`, for whatever has such an id. */
export function uuidProblem(text: string): string | undefined {
  if (new TextEncoder().encode(text).length !== 36) return 'UUID must be 36 characters';
  const digits = text.replaceAll('-', '');
  const dashes = text.length - digits.length;
  if (dashes > 4) return `UUID should have maximum of 4 "-"; got ${dashes}`;
  const stranger = /[^0-9a-f]/iu.exec(digits)?.[0];
  if (stranger !== undefined) {
    const point = (stranger.codePointAt(0) as number).toString(16).toUpperCase().padStart(4, '0');
    return `Invalid UUID: encoding/hex: invalid byte: U+${point} '${stranger}'`;
  }
  return digits.length % 2 === 1 ? 'Invalid UUID: encoding/hex: odd length hex string' : undefined;
}

/** The spelling under which a session is kept; ids compare without regard to case and dashes. */
export function canonicalSessionId(id: string): string {
  const digits = id.replaceAll('-', '').toLowerCase();
  return [
    digits.slice(0, 8),
    digits.slice(8, 12),
    digits.slice(12, 16),
    digits.slice(16, 20),
    digits.slice(20),
  ].join('-');
}
