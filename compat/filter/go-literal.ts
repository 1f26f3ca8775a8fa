import { err, ok, type Result } from '../../src/kernel/result.ts';

/**
 * Go's strconv as far as filter expressions show it to clients: what a quoted string, an integer or a boolean
 * may look like, and the texts of the errors. Source: the Go documentation of `strconv`, checked against
 * Consul 1.8.7.
 */

const shortEscapes: ReadonlyMap<string, string> = new Map([
  ['a', '\u0007'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['v', '\v'],
  ['\\', '\\'],
  ['"', '"'],
]);

// In a double-quoted literal: a byte by \x41 or \101, a code point by \u or \U, or one of the short escapes.
const escape = /\\(?:x([0-9a-fA-F]{2})|([0-7]{3})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([abfnrtv\\"]))/y;

/** Go's `strconv.Unquote` for a literal in double quotes or backticks, quotes included. The error is Go's. */
export function unquoteGo(literal: string): Result<string, string> {
  const body = literal.slice(1, -1);
  if (literal.startsWith('`')) return ok(body.replaceAll('\r', ''));
  if (!body.includes('\\')) return body.includes('\n') ? err(invalidSyntax) : ok(body);
  let text = '';
  // Escaped bytes above 0x7f are pieces of UTF-8 and become text only together with their neighbours.
  let bytes = '';
  for (let at = 0; at < body.length;) {
    let char = body.charAt(at);
    let width = 1;
    let byte: number | undefined;
    if (char === '\n') return err(invalidSyntax);
    if (char === '\\') {
      escape.lastIndex = at;
      const found = escape.exec(body);
      if (found === null) return err(invalidSyntax);
      width = found[0].length;
      const [, hex, octal, short16, long32, letter] = found;
      const code = parseInt(hex ?? short16 ?? long32 ?? octal ?? '0', octal === undefined ? 16 : 8);
      if (letter !== undefined) char = shortEscapes.get(letter) ?? '';
      else if (short16 === undefined && long32 === undefined) byte = code;
      else if (code > 0x10ffff) return err(invalidSyntax);
      // Half a surrogate pair is no character: Go 1.14 takes the replacement character for it.
      else char = code >= 0xd800 && code <= 0xdfff ? '\ufffd' : String.fromCodePoint(code);
    }
    if (byte !== undefined) {
      if (byte > 0xff) return err(invalidSyntax);
      if (byte >= 0x80) {
        bytes += `%${byte.toString(16)}`;
        at += width;
        continue;
      }
      char = String.fromCharCode(byte);
    }
    text += decodeBytes(bytes) + char;
    bytes = '';
    at += width;
  }
  return ok(text + decodeBytes(bytes));
}

const invalidSyntax = 'invalid syntax';

function decodeBytes(percentEncoded: string): string {
  try {
    return decodeURIComponent(percentEncoded);
  } catch {
    return '\ufffd'.repeat(percentEncoded.length / 3);
  }
}

// Go quotes what it does not count as printable: everything of these categories but the plain space.
const unprintable = /[\p{C}\p{Z}"\\]/gu;

const shortNames: ReadonlyMap<string, string> = new Map(
  [...shortEscapes].map(([letter, char]) => [char, `\\${letter}`]),
);

/** Go's `%q`. */
export function quoteGo(text: string): string {
  return `"${text.replaceAll(unprintable, (char) => {
    if (char === ' ') return char;
    const short = shortNames.get(char);
    if (short !== undefined) return short;
    const code = char.codePointAt(0) ?? 0;
    if (code < 0x20) return `\\x${code.toString(16).padStart(2, '0')}`;
    if (code < 0x10000) return `\\u${code.toString(16).padStart(4, '0')}`;
    return `\\U${code.toString(16).padStart(8, '0')}`;
  })}"`;
}

// Base 0 of Go: prefixes choose the base, underscores may stand between digits and after the prefix.
const integer = /^(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO]?(?:_?[0-7])+|[1-9](?:_?[0-9])*|0)$/;

/** Go's `strconv.ParseInt(text, 0, bits)`, or `ParseUint` where `min` is 0. The error is Go's. */
export function parseGoInteger(text: string, min: bigint, max: bigint): Result<bigint, string> {
  const signed = min < 0n;
  const digits = signed ? text.replace(/^[+-]/, '') : text;
  const fail = (reason: string): Result<bigint, string> =>
    err(`strconv.${signed ? 'ParseInt' : 'ParseUint'}: parsing ${quoteGo(text)}: ${reason}`);
  if (!integer.test(digits)) return fail(invalidSyntax);
  const plain = digits.replaceAll('_', '').replace(/^0[oO]?(?=[0-7])/, '0o');
  const value = text.startsWith('-') ? -BigInt(plain) : BigInt(plain);
  return value < min || value > max ? fail('value out of range') : ok(value);
}

const truths = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const falsehoods = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);

/** Go's `strconv.ParseBool`. The error is Go's. */
export function parseGoBool(text: string): Result<boolean, string> {
  if (truths.has(text)) return ok(true);
  if (falsehoods.has(text)) return ok(false);
  return err(`strconv.ParseBool: parsing ${quoteGo(text)}: ${invalidSyntax}`);
}
