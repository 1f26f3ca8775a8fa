import { parse as parseLossless } from 'lossless-json';
import { err, ok, type Result } from '../../src/kernel/result.ts';
import { parseGoDuration, type Nanoseconds } from './go-duration.ts';

/** JSON with integers above 2^53 kept exact as bigint: `Flags` is a uint64 and Lock flags use all of it. */
export type JsonValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [name: string]: JsonValue };

export type JsonObject = { readonly [name: string]: JsonValue };

const longDigits = /\d{16}/;
const surrogateEscape = /\\u[dD][89a-fA-F]/;

/** Nesting that no client needs, and that rendering could not take (Go refuses at 10000). */
const depthMax = 1000;

/** Parses a JSON text without losing integers. The error is a one-line reason. */
export function parseJson(text: string): Result<JsonValue, string> {
  if (isTooDeep(text)) return err('exceeded max depth');
  const wellFormed = surrogateEscape.test(text) ? replaceLoneSurrogates(text) : text;
  try {
    // Plain JSON.parse is several times as fast and exact where no number has 16 digits.
    if (!longDigits.test(wellFormed)) return ok(JSON.parse(wellFormed) as JsonValue);
    return ok(parseLossless(wellFormed, null, losslessOptions) as JsonValue);
  } catch (error) {
    if (text.trim() === '') return err('EOF');
    return err(error instanceof Error ? error.message : String(error));
  }
}

/** The last of several equal names wins, in Go as in JSON.parse. */
const losslessOptions = {
  parseNumber: exactNumber,
  onDuplicateKey: ({ newValue }: { newValue: unknown }): unknown => newValue,
};

function isTooDeep(text: string): boolean {
  // Almost always there are fewer brackets than that altogether.
  if (countUpTo(text, '[', depthMax) + countUpTo(text, '{', depthMax) <= depthMax) return false;
  let depth = 0;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (char === '[' || char === '{') depth += 1;
    else if (char === ']' || char === '}') depth -= 1;
    else if (char === '"') i = endOfString(text, i);
    if (depth > depthMax) return true;
  }
  return false;
}

/** How often `char` is there; counting ends when it is more than `max`. */
function countUpTo(text: string, char: string, max: number): number {
  let count = 0;
  for (let at = text.indexOf(char); at >= 0 && count <= max; at = text.indexOf(char, at + 1)) count += 1;
  return count;
}

function endOfString(text: string, start: number): number {
  let i = start + 1;
  while (i < text.length && text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
  return i;
}

/** An escape: a surrogate pair, a lone surrogate, or the start of any other. */
const escapes =
  /\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|u[dD][89a-fA-F][\da-fA-F]{2}|[^])/g;

/** Half of a surrogate pair is no character: Go reads U+FFFD, and keys must come back as they were stored. */
function replaceLoneSurrogates(text: string): string {
  return text.replaceAll(escapes, (escape) => (escape.length === 6 ? '\\ufffd' : escape));
}

function exactNumber(text: string): number | bigint {
  const value = Number(text);
  return /^-?\d+$/.test(text) && !Number.isSafeInteger(value) ? BigInt(text) : value;
}

/**
 * Renders compact JSON as Go's encoding/json does: `<`, `>`, `&`, U+2028 and U+2029 escaped, bigint as an
 * integer, `undefined` fields left out. `indent` is the number of spaces (`?pretty` uses 4).
 */
export function renderJson(value: unknown, indent = 0): string {
  let text: string;
  try {
    text = JSON.stringify(value, null, indent);
  } catch (error) {
    // Only a bigint makes it refuse plain data.
    if (!(error instanceof TypeError)) throw error;
    text = renderExact(value, ' '.repeat(indent), '\n') ?? 'null';
  }
  return goEscapable.test(text) ? text.replaceAll(goEscapableAll, goEscape) : text;
}

const goEscapable = /[<>&\u2028\u2029]/;
const goEscapableAll = /[<>&\u2028\u2029]/g;

/** As JSON.stringify, for plain data that holds bigints; `undefined` for what has no JSON. */
function renderExact(value: unknown, indent: string, newline: string): string | undefined {
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const inner = newline + indent;
  const parts = Array.isArray(value)
    ? value.map((item) => renderExact(item, indent, inner) ?? 'null')
    : Object.entries(value).flatMap(([name, field]) => {
        const text = renderExact(field, indent, inner);
        return text === undefined ? [] : [`${JSON.stringify(name)}:${indent === '' ? '' : ' '}${text}`];
      });
  const [open, close] = Array.isArray(value) ? ['[', ']'] : ['{', '}'];
  if (parts.length === 0) return open + close;
  return indent === ''
    ? open + parts.join(',') + close
    : `${open}${inner}${parts.join(`,${inner}`)}${newline}${close}`;
}

function goEscape(char: string): string {
  return `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** A JSON string literal with Go's escapes, for hand-built bodies on hot paths. */
export function renderJsonString(text: string): string {
  const quoted = JSON.stringify(text);
  return goEscapable.test(quoted) ? quoted.replaceAll(goEscapableAll, goEscape) : quoted;
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Go's name of a JSON value's kind, as it stands in `json: cannot unmarshal … into …`. */
export function goKind(value: JsonValue): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (typeof value === 'boolean') return 'bool';
  if (typeof value === 'bigint') return 'number';
  return typeof value;
}

/**
 * Reads fields of a JSON object as Go's decoder does: names match without regard to case, the last of
 * several spellings wins, `null` leaves the zero value, a wrong kind is an error. Unknown fields are
 * ignored, because newer clients send newer fields. Errors collect: check `problem` when done.
 */
export class GoFields {
  readonly #fields = new Map<string, JsonValue>();
  readonly #struct: string;
  #problem: string | undefined;

  constructor(value: JsonValue, struct: string) {
    this.#struct = struct;
    if (value === null) return;
    if (!isJsonObject(value)) {
      this.#problem = `json: cannot unmarshal ${goKind(value)} into Go value of type ${struct}`;
      return;
    }
    for (const name of Object.keys(value)) this.#fields.set(name.toLowerCase(), value[name] as JsonValue);
  }

  /** The first thing that was wrong, in Go's words; undefined when all fields read so far were right. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Records a problem found by the caller; the first one is kept. */
  fail(problem: string): void {
    this.#problem ??= problem;
  }

  has(...names: readonly string[]): boolean {
    return this.raw(...names) !== undefined;
  }

  /** The raw value under the first of these names that is there and not null. */
  raw(...names: readonly string[]): JsonValue | undefined {
    for (const name of names) {
      const value = this.#fields.get(name.toLowerCase());
      if (value !== undefined && value !== null) return value;
    }
    return undefined;
  }

  string(...names: readonly string[]): string {
    const value = this.raw(...names);
    if (value === undefined) return '';
    if (typeof value === 'string') return value;
    this.#mismatch(value, names, 'string');
    return '';
  }

  bool(...names: readonly string[]): boolean {
    const value = this.raw(...names);
    if (value === undefined) return false;
    if (typeof value === 'boolean') return value;
    this.#mismatch(value, names, 'bool');
    return false;
  }

  /** A Go `int`: an integer within the safe range. */
  int(...names: readonly string[]): number {
    const value = this.raw(...names);
    if (value === undefined) return 0;
    if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
    this.#mismatch(value, names, 'int');
    return 0;
  }

  float(...names: readonly string[]): number {
    const value = this.raw(...names);
    if (value === undefined) return 0;
    if (typeof value === 'number') return value;
    this.#mismatch(value, names, 'float64');
    return 0;
  }

  uint64(...names: readonly string[]): bigint {
    const value = this.raw(...names);
    if (value === undefined) return 0n;
    if (typeof value === 'bigint' && value >= 0n && value <= 0xffff_ffff_ffff_ffffn) return value;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return BigInt(value);
    this.#mismatch(value, names, 'uint64');
    return 0n;
  }

  strings(...names: readonly string[]): readonly string[] {
    const value = this.raw(...names);
    if (value === undefined) return [];
    if (Array.isArray(value) && value.every((item): item is string => typeof item === 'string')) return value;
    this.#mismatch(value, names, '[]string');
    return [];
  }

  stringMap(...names: readonly string[]): Readonly<Record<string, string>> {
    const value = this.raw(...names);
    if (value === undefined) return {};
    if (isJsonObject(value)) {
      const entries = Object.entries(value);
      if (entries.every((entry): entry is [string, string] => typeof entry[1] === 'string')) {
        return Object.fromEntries(entries);
      }
    }
    this.#mismatch(value, names, 'map[string]string');
    return {};
  }

  array(...names: readonly string[]): readonly JsonValue[] {
    const value = this.raw(...names);
    if (value === undefined) return [];
    if (Array.isArray(value)) return value;
    this.#mismatch(value, names, '[]interface {}');
    return [];
  }

  /** The fields of a nested object; undefined when it is absent or null. */
  object(struct: string, ...names: readonly string[]): GoFields | undefined {
    const value = this.raw(...names);
    if (value === undefined) return undefined;
    const fields = new GoFields(value, struct);
    if (fields.problem !== undefined) this.fail(fields.problem);
    return fields;
  }

  /** A duration: a Go duration string, or a number of nanoseconds. */
  duration(...names: readonly string[]): Nanoseconds {
    const value = this.raw(...names);
    if (value === undefined || value === '') return 0;
    if (typeof value === 'number') return value;
    if (typeof value === 'string') {
      const parsed = parseGoDuration(value);
      if (parsed.ok) return parsed.value;
      this.fail(parsed.error);
      return 0;
    }
    this.#mismatch(value, names, 'time.Duration');
    return 0;
  }

  #mismatch(value: JsonValue, names: readonly string[], type: string): void {
    this.fail(
      `json: cannot unmarshal ${goKind(value)} into Go struct field ${this.#struct}.${names[0] ?? ''} of type ${type}`,
    );
  }
}
