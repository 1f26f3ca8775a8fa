import { err, ok, type Result } from '../kernel/result.ts';

const digit = /[A-Za-z0-9+/]/;

/**
 * Padded standard base64. The error's text and position are those that Go's decoder gives, and so Consul's clients
 * see for a mistyped key: the first byte that cannot stand there, or where the last, incomplete group begins.
 */
export function decodeKey(text: string): Result<Buffer, string> {
  const wrong = wrongAt(text);
  return wrong === undefined
    ? ok(Buffer.from(text, 'base64'))
    : err(`illegal base64 data at input byte ${wrong}`);
}

/** Of groups of 4; line ends are skipped, as Go does. Positions count characters, which for base64 are bytes. */
function wrongAt(text: string): number | undefined {
  let inGroup = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text[at] as string;
    if (char === '\n' || char === '\r') continue;
    if (char === '=') return wrongPadding(text, at, inGroup);
    if (!digit.test(char)) return at;
    inGroup = (inGroup + 1) % 4;
  }
  return inGroup === 0 ? undefined : text.length - inGroup;
}

function wrongPadding(text: string, at: number, inGroup: number): number | undefined {
  if (inGroup < 2) return at;
  let next = skipLineEnds(text, at + 1);
  if (inGroup === 2) {
    if (next === text.length) return text.length;
    if (text[next] !== '=') return next - 1;
    next = skipLineEnds(text, next + 1);
  }
  return next === text.length ? undefined : next;
}

function skipLineEnds(text: string, from: number): number {
  let at = from;
  while (text[at] === '\n' || text[at] === '\r') at++;
  return at;
}
