import { HclSyntaxError, tokenizeHcl, type HclToken } from './hcl-tokens.ts';
import { err, ok, type Result } from '../../src/kernel/result.ts';

/**
 * HCL version 1, which is what Consul's `.hcl` files are. (HCL 2, as in Terraform, is another language: it refuses
 * quoted attribute names, commas after attributes and blocks inside lists, all of which Consul's files use, and so no
 * reader of HCL 2 will do.) Grammar: https://github.com/hashicorp/hcl/tree/hcl1.
 *
 * Objects under a key come back as a list of all the blocks with that key, as in HCL's own decoder:
 * `ports { http = 1 }` is `{ports: [{http: 1}]}`, `service "web" {}` is `{service: [{web: [{}]}]}`.
 */
export type HclValue = string | number | boolean | readonly HclValue[] | HclObject;
export type HclObject = { readonly [name: string]: HclValue };

/** The blocks that stand under one key, in their order; unlike a list in brackets, one of them is an object. */
class HclBlocks extends Array<HclValue> {
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }
}

export function isHclBlocks(value: readonly unknown[]): boolean {
  return value instanceof HclBlocks;
}

/** Parses a file. The error names line and column: `At 3:7: literal not terminated`. */
export function parseHcl(source: string): Result<HclObject, string> {
  try {
    const parser = new Parser(tokenizeHcl(source));
    return ok(parser.file());
  } catch (error) {
    if (!(error instanceof HclSyntaxError)) throw error;
    const before = source.slice(0, error.at);
    const line = before.split('\n').length;
    const column = error.at - before.lastIndexOf('\n');
    return err(`At ${line}:${column}: ${error.message}`);
  }
}

class Parser {
  readonly #tokens: readonly HclToken[];
  #position = 0;

  constructor(tokens: readonly HclToken[]) {
    this.#tokens = tokens;
  }

  file(): HclObject {
    return this.#body('end');
  }

  /** Items up to the closing token, which is consumed. A comma may follow any item. */
  #body(until: 'end' | '}'): HclObject {
    const result: Record<string, HclValue> = {};
    for (;;) {
      const token = this.#next();
      if (token.kind === until) return result;
      if (token.kind === 'end') fail(token, 'object expected closing RBRACE got: EOF');
      this.#item(token, result);
      if (this.#peek().kind === ',') this.#next();
    }
  }

  #item(first: HclToken, into: Record<string, HclValue>): void {
    const names = [this.#name(first)];
    for (;;) {
      const token = this.#next();
      if (token.kind === '=') {
        if (names.length > 1) fail(token, 'nested object expected: LBRACE got: ASSIGN');
        const value = this.#value(this.#next());
        put(into, names, value);
        return;
      }
      if (token.kind === '{') {
        put(into, names, this.#body('}'));
        return;
      }
      if (token.kind !== 'name' && token.kind !== 'string') {
        fail(token, `key '${names.join(' ')}' expected start of object ('{') or assignment ('=')`);
      }
      names.push(this.#name(token));
    }
  }

  #name(token: HclToken): string {
    if (token.kind === 'name' || token.kind === 'string') return token.text;
    return fail(token, `expected: IDENT | STRING | ASSIGN | LBRACE got: ${describe(token)}`);
  }

  #value(token: HclToken): HclValue {
    switch (token.kind) {
      case 'string':
        return token.text;
      case 'number':
        return Number(token.text);
      case 'name':
        if (token.text === 'true' || token.text === 'false') return token.text === 'true';
        return fail(
          token,
          `Unknown token: ${describe(token)} ${token.text} (text must stand in double quotes)`,
        );
      case '{':
        return this.#body('}');
      case '[':
        return this.#list();
      default:
        return fail(token, `Unknown token: ${describe(token)}`);
    }
  }

  #list(): readonly HclValue[] {
    const items: HclValue[] = [];
    for (;;) {
      const token = this.#next();
      if (token.kind === ']') return items;
      if (token.kind === ',') continue; // HCL 1 takes any number of them.
      if (token.kind === 'end') fail(token, `unexpected token while parsing list: ${describe(token)}`);
      items.push(this.#value(token));
      const after = this.#next();
      if (after.kind === ']') return items;
      if (after.kind !== ',') {
        fail(after, `error parsing list, expected comma or list end, got: ${describe(after)}`);
      }
    }
  }

  #peek(): HclToken {
    return this.#tokens[this.#position] ?? fail({ kind: 'end', text: '', at: 0 }, 'unexpected EOF');
  }

  #next(): HclToken {
    const token = this.#peek();
    // The last token is the end, and it may be met again.
    if (token.kind !== 'end') this.#position++;
    return token;
  }
}

function put(into: Record<string, HclValue>, names: readonly string[], value: HclValue): void {
  const [name = '', ...labels] = names;
  let wrapped = value;
  for (const label of labels.toReversed()) wrapped = own({}, label, blocks(wrapped));
  if (typeof wrapped !== 'object' || Array.isArray(wrapped)) {
    own(into, name, wrapped);
    return;
  }
  const present = Object.hasOwn(into, name) ? into[name] : undefined;
  if (present instanceof HclBlocks) present.push(wrapped);
  else own(into, name, blocks(wrapped));
}

/** Sets a property that may be called `__proto__` without touching the prototype. */
function own(into: Record<string, HclValue>, name: string, value: HclValue): Record<string, HclValue> {
  Object.defineProperty(into, name, { value, enumerable: true, configurable: true, writable: true });
  return into;
}

function blocks(value: HclValue): HclBlocks {
  const list = new HclBlocks();
  list.push(value);
  return list;
}

function describe(token: HclToken): string {
  const names: Partial<Record<HclToken['kind'], string>> = {
    end: 'EOF',
    name: 'IDENT',
    string: 'STRING',
    number: 'NUMBER',
    '{': 'LBRACE',
    '}': 'RBRACE',
    '[': 'LBRACK',
    ']': 'RBRACK',
    '=': 'ASSIGN',
    ',': 'COMMA',
  };
  return names[token.kind] ?? token.kind;
}

function fail(token: HclToken, message: string): never {
  throw new HclSyntaxError(token.at, message);
}
