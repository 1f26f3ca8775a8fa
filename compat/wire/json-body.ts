import { err, ok, type Result } from '../../src/kernel/result.ts';
import { parseJson, type JsonValue } from './go-json.ts';

/**
 * Reads a body as Go's `json.NewDecoder(body).Decode` does: the first JSON value counts, what follows it does not
 * matter. The error is Go's text (`EOF`, `unexpected EOF`, `invalid character 'x' after array element`, …), which
 * Consul passes on to clients.
 */
export function decodeJsonBody(body: Uint8Array): Result<JsonValue, string> {
  const text = decoder.decode(body);
  const whole = parseJson(text);
  if (whole.ok) return whole;
  const end = firstValueEnd(body);
  if (!end.ok) return end;
  const first = parseJson(decoder.decode(body.subarray(0, end.value)));
  return first.ok ? first : err(whole.error);
}

/** Go keeps a byte order mark, and then does not know it. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** What the scanner is in the middle of, innermost last. */
type Open = 'object' | 'array';

/** Where the first value ends, or what a Go decoder says is wrong with it. */
function firstValueEnd(bytes: Uint8Array): Result<number, string> {
  const scan = new Scan(bytes);
  const open: Open[] = [];
  scan.space();
  if (scan.atEnd) return err('EOF');
  let expects: 'value' | 'first-element' | 'key' | 'first-key' | 'after-value' = 'value';
  for (;;) {
    scan.space();
    switch (expects) {
      case 'value':
      case 'first-element': {
        const char = scan.peek();
        if (expects === 'first-element' && char === ']') {
          scan.take();
          open.pop();
          expects = 'after-value';
        } else if (char === '{') {
          scan.take();
          open.push('object');
          expects = 'first-key';
        } else if (char === '[') {
          scan.take();
          open.push('array');
          expects = 'first-element';
        } else {
          if (!scan.scalar()) return err(scan.problem);
          expects = 'after-value';
        }
        break;
      }
      case 'key':
      case 'first-key':
        if (expects === 'first-key' && scan.peek() === '}') {
          scan.take();
          open.pop();
          expects = 'after-value';
          break;
        }
        if (scan.peek() !== '"') return err(scan.unexpected('looking for beginning of object key string'));
        if (!scan.string()) return err(scan.problem);
        scan.space();
        if (scan.peek() !== ':') return err(scan.unexpected('after object key'));
        scan.take();
        expects = 'value';
        break;
      case 'after-value': {
        const inside = open.at(-1);
        if (inside === undefined) return ok(scan.at);
        const char = scan.peek();
        if (char === ',') {
          scan.take();
          expects = inside === 'object' ? 'key' : 'value';
        } else if (char === (inside === 'object' ? '}' : ']')) {
          scan.take();
          open.pop();
        } else {
          return err(
            scan.unexpected(inside === 'object' ? 'after object key:value pair' : 'after array element'),
          );
        }
        break;
      }
    }
  }
}

/** A cursor over the bytes. Each reader answers whether it could; `problem` then says why not. */
class Scan {
  readonly #bytes: Uint8Array;
  at = 0;
  problem = '';

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get atEnd(): boolean {
    return this.at >= this.#bytes.length;
  }

  peek(): string {
    return this.atEnd ? '' : String.fromCharCode(this.#bytes[this.at] as number);
  }

  take(): void {
    this.at += 1;
  }

  space(): void {
    while (!this.atEnd && ' \t\r\n'.includes(this.peek())) this.take();
  }

  unexpected(context: string): string {
    return this.atEnd ? 'unexpected EOF' : `invalid character ${quoteByte(this.peek())} ${context}`;
  }

  scalar(): boolean {
    const char = this.peek();
    if (char === '"') return this.string();
    if (char === '-' || isDigit(char)) return this.#number();
    for (const word of ['true', 'false', 'null']) if (char === word[0]) return this.#word(word);
    return this.#fail('looking for beginning of value');
  }

  string(): boolean {
    this.take();
    for (;;) {
      if (this.atEnd) return this.#fail('');
      const char = this.peek();
      if (char === '"') {
        this.take();
        return true;
      }
      if (char < ' ') return this.#fail('in string literal');
      this.take();
      if (char === '\\' && !this.#escape()) return false;
    }
  }

  #escape(): boolean {
    const char = this.peek();
    if (char === '' || !'"\\/bfnrtu'.includes(char)) return this.#fail('in string escape code');
    this.take();
    if (char !== 'u') return true;
    for (let i = 0; i < 4; i++) {
      if (!/^[0-9a-fA-F]$/.test(this.peek())) return this.#fail('in \\u hexadecimal character escape');
      this.take();
    }
    return true;
  }

  #word(word: string): boolean {
    for (const char of word) {
      if (this.peek() !== char) return this.#fail(`in literal ${word} (expecting '${char}')`);
      this.take();
    }
    return true;
  }

  #number(): boolean {
    if (this.peek() === '-') {
      this.take();
      if (!isDigit(this.peek())) return this.#fail('in numeric literal');
    }
    if (this.peek() === '0') this.take();
    else this.#digits();
    if (this.peek() === '.') {
      this.take();
      if (!isDigit(this.peek())) return this.#fail('after decimal point in numeric literal');
      this.#digits();
    }
    if (this.peek() === 'e' || this.peek() === 'E') {
      this.take();
      if (this.peek() === '+' || this.peek() === '-') this.take();
      if (!isDigit(this.peek())) return this.#fail('in exponent of numeric literal');
      this.#digits();
    }
    return true;
  }

  #digits(): void {
    while (isDigit(this.peek())) this.take();
  }

  #fail(context: string): false {
    this.problem = this.unexpected(context);
    return false;
  }
}

function isDigit(char: string): boolean {
  return char >= '0' && char <= '9';
}

/** Go's quoted form of one byte. */
function quoteByte(char: string): string {
  if (char === "'") return String.raw`'\''`;
  if (char === '"') return `'"'`;
  const code = char.charCodeAt(0);
  const short: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' };
  const written = short[char] ?? (code < 0x20 || code === 0x7f ? `\\x${hex(code, 2)}` : undefined);
  if (written !== undefined) return `'${written}'`;
  return code >= 0x80 && code < 0xa1 ? `'\\u${hex(code, 4)}'` : `'${char}'`;
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0');
}
