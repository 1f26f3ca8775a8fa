/** A token of HCL 1. `text` is the decoded text of a string or heredoc, or the spelling of a name or number. */
export interface HclToken {
  readonly kind: 'name' | 'string' | 'number' | '{' | '}' | '[' | ']' | '=' | ',' | 'end';
  readonly text: string;
  /** Where it starts, in UTF-16 units from the start of the file. */
  readonly at: number;
}

/** Thrown inside the parser only; `parseHcl` turns it into a value. */
export class HclSyntaxError extends Error {
  override readonly name = 'HclSyntaxError';
  readonly at: number;

  constructor(at: number, reason: string) {
    super(reason);
    this.at = at;
  }
}

const blank = /[ \t\r\n]+|#[^\n]*|\/\/[^\n]*|\/\*[\s\S]*?\*\//y;
const name = /[\p{L}_][\p{L}\p{N}_.-]*/uy;
const number = /-?(?:0[xX][\da-fA-F]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)/y;
const heredocStart = /<<(-?)([\p{L}\p{N}_]+)\r?\n/uy;
const punctuation = '{}[]=,';

/** Splits a file into tokens, the last of which is `end`. Throws `HclSyntaxError` where it cannot. */
export function tokenizeHcl(source: string): readonly HclToken[] {
  const tokens: HclToken[] = [];
  let at = 0;

  const push = (kind: HclToken['kind'], text: string, start: number): void => {
    tokens.push({ kind, text, at: start });
  };

  for (;;) {
    at += match(blank, source, at)?.length ?? 0;
    if (match(blank, source, at) !== undefined) continue;
    const start = at;
    const char = source[at];
    if (char === undefined) {
      push('end', '', start);
      return tokens;
    }
    if (punctuation.includes(char)) {
      push(char as HclToken['kind'], char, start);
      at++;
    } else if (char === '"') {
      const string = readString(source, at);
      push('string', string.text, start);
      at = string.end;
    } else if (char === '<') {
      const heredoc = readHeredoc(source, at);
      push('string', heredoc.text, start);
      at = heredoc.end;
    } else {
      const word = match(name, source, at);
      const digits = word === undefined ? match(number, source, at) : undefined;
      if (word !== undefined) push('name', word, start);
      else if (digits !== undefined) push('number', decimalText(digits), start);
      else if (char === '/') fail(at + 1, "expected '/' for comment");
      else fail(at, 'illegal char');
      at += (word ?? digits ?? '').length;
    }
  }
}

function match(pattern: RegExp, source: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(source)?.[0];
}

/** HCL 1 writes octal with a leading zero, as C does. */
function decimalText(digits: string): string {
  const sign = digits.startsWith('-') ? '-' : '';
  const rest = digits.slice(sign.length);
  if (/^0[xX]/.test(rest)) return `${sign}${Number(rest)}`;
  if (/^0[0-7]+$/.test(rest)) return `${sign}${Number.parseInt(rest, 8)}`;
  return digits;
}

const escapes: Readonly<Record<string, string>> = {
  a: '\u0007',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '"': '"',
};
const codes = /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([0-7]{3}))/y;

/** A string in double quotes. Inside `${…}` everything stands for itself, quotes too; Consul keeps it as it is. */
function readString(source: string, start: number): { readonly text: string; readonly end: number } {
  let text = '';
  let depth = 0;
  let at = start + 1;
  for (;;) {
    const char = source[at];
    if (char === undefined || (char === '\n' && depth === 0)) fail(at, 'literal not terminated');
    if (depth === 0 && char === '"') return { text, end: at + 1 };
    if (char === '$' && source[at + 1] === '{') {
      depth++;
      text += '${';
      at += 2;
      continue;
    }
    if (depth > 0) {
      if (char === '{') depth++;
      if (char === '}') depth--;
      text += char;
      at++;
      continue;
    }
    if (char !== '\\') {
      text += char;
      at++;
      continue;
    }
    const simple = escapes[source[at + 1] ?? ''];
    codes.lastIndex = at;
    const code = simple === undefined ? codes.exec(source) : null;
    if (simple === undefined && code === null) fail(at + 1, 'illegal char escape');
    if (code === null) {
      text += simple ?? '';
      at += 2;
    } else {
      const hex = code[1] ?? code[2] ?? code[3];
      const point = hex === undefined ? Number.parseInt(code[4] ?? '0', 8) : Number.parseInt(hex, 16);
      if (point > 0x10ffff) fail(at, 'illegal char escape');
      text += String.fromCodePoint(point);
      at += code[0].length;
    }
  }
}

/** `<<EOF` keeps the lines as they are; `<<-EOF` takes the end marker's indentation off if every line has it. */
function readHeredoc(source: string, start: number): { readonly text: string; readonly end: number } {
  heredocStart.lastIndex = start;
  const head = heredocStart.exec(source);
  if (head === null) return fail(start, "heredoc expected second '<', a word and a new line");
  const [opening, dash, marker = ''] = head;
  const lines: string[] = [];
  let at = start + opening.length;
  for (;;) {
    if (at >= source.length) fail(source.length, 'heredoc not terminated');
    const newline = source.indexOf('\n', at);
    const lineEnd = newline === -1 ? source.length : newline;
    const line = source.slice(at, lineEnd);
    if (line.trim() === marker) {
      const indent = line.slice(0, line.indexOf(marker));
      const strip = dash === '-' && lines.every((each) => each.startsWith(indent));
      const text = lines.map((each) => `${strip ? each.slice(indent.length) : each}\n`).join('');
      return { text, end: lineEnd };
    }
    lines.push(line);
    at = lineEnd + 1;
  }
}

function fail(at: number, reason: string): never {
  throw new HclSyntaxError(at, reason);
}
