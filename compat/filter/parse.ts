import { err, ok, type Result } from '../../src/kernel/result.ts';
import { quoteGo, unquoteGo } from './go-literal.ts';

/** What an expression says, before it is known whether its selectors exist. */
export type Expression =
  | { readonly kind: 'and' | 'or'; readonly operands: readonly Expression[] }
  | { readonly kind: 'not'; readonly operand: Expression }
  | MatchExpression;

export interface MatchExpression {
  readonly kind: 'match';
  readonly selector: readonly string[];
  readonly operator: MatchOperator;
  readonly negated: boolean;
  /** The text as written, quotes removed; coerced by the type of the field. `is empty` has none. */
  readonly value: string | undefined;
}

export type MatchOperator = 'Equal' | 'In' | 'Matches' | 'Is Empty';

/** `In` is also `contains`, with its sides exchanged. */
interface SignedOperator {
  readonly operator: MatchOperator;
  readonly negated: boolean;
}

interface Parsed<T> {
  readonly value: T;
  /** Index of the first UTF-16 unit after it. */
  readonly end: number;
}

type Attempt<T> = Parsed<T> | undefined;

/** Parentheses and `not`s within each other. Consul has no limit; its parser takes minutes at a dozen. */
const nestingMax = 64;

/**
 * Parses the filter language of go-bexpr 0.1.2, the version in Consul's go.mod from 1.8 to (at least) 1.17's
 * development. What later versions of that library added (JSON pointers, `any`, `all`) is an error in those.
 *
 * The grammar is a PEG (ordered choice with backtracking), and clients see its traces: `not` is a field name
 * where no expression follows it, and an error names the farthest position reached and all that could have
 * stood there. So this is a PEG too, with the choices in the same order; but alternatives that begin alike
 * share that beginning, which makes it linear where Consul's parser is exponential in the nesting.
 *
 * The error is the text that Consul puts after `Failed to create boolean expression evaluator: `.
 */
export function parseExpression(text: string): Result<Expression, string> {
  const errors = new Set<string>();
  let farthest = 0;
  let expected = new Set<string>();
  let nesting = 0;
  let tooDeep = false;

  /** Notes what was looked for in vain. Always undefined, the failed attempt. */
  function fail(at: number, wanted: string): undefined {
    if (at < farthest) return undefined;
    if (at > farthest) expected = new Set();
    farthest = at;
    expected.add(wanted);
    return undefined;
  }

  /** An error is reported even where the parser goes on and finds another way to read the text. */
  function report(at: number, rule: string, reason: string): undefined {
    errors.add(`${position(text, at)}: rule ${quoteGo(rule)}: ${reason}`);
    return undefined;
  }

  function nested(at: number, parse: (at: number) => Attempt<Expression>): Attempt<Expression> {
    if (nesting === nestingMax) {
      tooDeep = true;
      return undefined;
    }
    nesting += 1;
    const attempt = parse(at);
    nesting -= 1;
    return attempt;
  }

  // ---- tokens: each gives the index after it, or undefined ----

  function literal(at: number, token: string): number | undefined {
    return text.startsWith(token, at) ? at + token.length : fail(at, quoteGo(token));
  }

  /** Characters of a class, `min` or more. The class is named as in the grammar, for the error. */
  function run(at: number, pattern: RegExp, name: string, min: number): number | undefined {
    pattern.lastIndex = at;
    pattern.test(text);
    const end = Math.max(at, pattern.lastIndex);
    fail(end, name);
    return end - at < min ? undefined : end;
  }

  function space(at: number): number | undefined {
    return run(at, /[ \t\r\n]*/y, '[ \\t\\r\\n]', 1);
  }

  function maybeSpace(at: number): number {
    return space(at) ?? at;
  }

  /** Words with space before, between and after them, as all operators that are words have. */
  function words(at: number, ...tokens: readonly string[]): number | undefined {
    let end = space(at);
    for (const token of tokens) {
      if (end === undefined) return undefined;
      const after = literal(end, token);
      if (after === undefined) return undefined;
      end = after;
      // `empty` alone may be followed by anything.
      if (token !== 'empty') end = space(after);
    }
    return end;
  }

  function comparison(at: number, token: string): number | undefined {
    const end = literal(maybeSpace(at), token);
    return end === undefined ? undefined : maybeSpace(end);
  }

  // ---- selectors and values ----

  function identifier(at: number): Attempt<string> {
    const first = one(at, /[a-zA-Z]/y, '[a-zA-Z]');
    if (first === undefined) return undefined;
    const end = run(first, /[a-zA-Z0-9_]*/y, '[a-zA-Z0-9_]', 0) ?? first;
    return { value: text.slice(at, end), end };
  }

  function one(at: number, pattern: RegExp, name: string): number | undefined {
    pattern.lastIndex = at;
    return pattern.test(text) ? at + 1 : fail(at, name);
  }

  function stringLiteral(at: number): Attempt<string> {
    const raw = literal(at, '`');
    const body = raw ?? literal(at, '"');
    if (body === undefined) return undefined;
    const close = text.indexOf(raw === undefined ? '"' : '`', body);
    if (close < 0) return report(text.length, 'string', 'Unterminated string literal');
    const end = close + 1;
    // A double-quoted literal ends at the first double quote: an escaped one cannot be written.
    const unquoted = unquoteGo(text.slice(at, end));
    if (unquoted.ok) return { value: unquoted.value, end };
    report(at, 'string', unquoted.error);
    return { value: '', end };
  }

  function index(at: number): Attempt<string> {
    const open = literal(at, '[');
    if (open === undefined) return undefined;
    const start = maybeSpace(open);
    const inside = stringLiteral(start);
    if (inside === undefined) return report(start, 'index', 'Invalid index');
    const after = maybeSpace(inside.end);
    const end = literal(after, ']');
    if (end === undefined) return report(after, 'index', 'Unclosed index expression');
    return { value: inside.value, end };
  }

  function step(at: number): Attempt<string> {
    const dot = literal(at, '.');
    return (dot === undefined ? undefined : identifier(dot)) ?? index(at);
  }

  function selector(at: number): Attempt<readonly string[]> {
    const first = identifier(at);
    if (first === undefined) return undefined;
    const path = [first.value];
    let end = first.end;
    for (let next = step(end); next !== undefined; next = step(end)) {
      path.push(next.value);
      end = next.end;
    }
    return { value: path, end };
  }

  function number(at: number): Attempt<string> {
    const start = literal(at, '-') ?? at;
    let end = literal(start, '0');
    if (end === undefined) {
      const first = one(start, /[1-9]/y, '[1-9]');
      if (first === undefined) return undefined;
      end = run(first, /[0-9]*/y, '[0-9]', 0) ?? first;
    }
    const dot = literal(end, '.');
    if (dot !== undefined) end = run(dot, /[0-9]*/y, '[0-9]', 1) ?? end;
    const ended = space(end) ?? endOfText(end) ?? literal(end, ')');
    if (ended === undefined) return report(end, 'number', 'Invalid number literal');
    return { value: text.slice(at, end), end };
  }

  function endOfText(at: number): number | undefined {
    return at >= text.length ? at : fail(at, 'EOF');
  }

  function value(at: number): Attempt<string> {
    const bare = selector(at);
    if (bare !== undefined) return { value: bare.value.join('.'), end: bare.end };
    return number(at) ?? stringLiteral(at);
  }

  // ---- expressions ----

  function operatorWithValue(at: number): Attempt<SignedOperator> {
    return (
      plain('Equal', comparison(at, '==')) ??
      negated('Equal', comparison(at, '!=')) ??
      plain('In', words(at, 'contains')) ??
      negated('In', words(at, 'not', 'contains')) ??
      plain('Matches', words(at, 'matches')) ??
      negated('Matches', words(at, 'not', 'matches'))
    );
  }

  function match(at: number): Attempt<Expression> {
    const first = selector(at);
    if (first !== undefined) {
      const binary = operatorWithValue(first.end);
      const operand = binary === undefined ? undefined : value(binary.end);
      if (binary !== undefined && operand !== undefined) {
        return matched(first.value, binary.value, operand.value, operand.end);
      }
      const unary =
        plain('Is Empty', words(first.end, 'is', 'empty')) ??
        negated('Is Empty', words(first.end, 'is', 'not', 'empty'));
      if (unary !== undefined) return matched(first.value, unary.value, undefined, unary.end);
    }
    const operand = value(at);
    if (operand === undefined) return undefined;
    const within = plain('In', words(operand.end, 'in')) ?? negated('In', words(operand.end, 'not', 'in'));
    if (within === undefined) return undefined;
    const container = selector(within.end);
    if (container === undefined) return report(within.end, 'match', 'Invalid selector');
    return matched(container.value, within.value, operand.value, container.end);
  }

  function parenthesized(at: number): Attempt<Expression> {
    const open = literal(at, '(');
    const inside = open === undefined ? undefined : nested(maybeSpace(open), or);
    const after = inside === undefined ? undefined : maybeSpace(inside.end);
    const close = after === undefined ? undefined : literal(after, ')');
    if (inside !== undefined && close !== undefined) return { value: inside.value, end: close };
    const bare = match(at);
    if (bare !== undefined || after === undefined) return bare;
    return report(after, 'grouping', 'Unmatched parentheses');
  }

  function not(at: number): Attempt<Expression> {
    const word = literal(at, 'not');
    const start = word === undefined ? undefined : space(word);
    const operand = start === undefined ? undefined : nested(start, not);
    // Without an operand `not` is a selector or a bare value, as in `not in Tags`.
    if (operand === undefined) return parenthesized(at);
    return { value: { kind: 'not', operand: operand.value }, end: operand.end };
  }

  function chain(
    at: number,
    kind: 'and' | 'or',
    operand: (at: number) => Attempt<Expression>,
  ): Attempt<Expression> {
    const first = operand(at);
    if (first === undefined) return undefined;
    const operands = [first.value];
    let { end } = first;
    for (;;) {
      const start = words(end, kind);
      const next = start === undefined ? undefined : operand(start);
      if (next === undefined) break;
      operands.push(next.value);
      ({ end } = next);
    }
    return { value: operands.length === 1 ? first.value : { kind, operands }, end };
  }

  function and(at: number): Attempt<Expression> {
    return chain(at, 'and', not);
  }

  function or(at: number): Attempt<Expression> {
    return chain(at, 'or', and);
  }

  function input(): Attempt<Expression> {
    const whole = or(maybeSpace(0));
    if (whole === undefined || endOfText(maybeSpace(whole.end)) === undefined) return undefined;
    return whole;
  }

  const whole = input();
  if (tooDeep) return err(`The expression is nested more than ${nestingMax} deep`);
  if (errors.size > 0) return err([...errors].join('\n'));
  if (whole !== undefined) return ok(whole.value);
  return err(`${position(text, farthest)}: no match found, expected: ${listed(expected)}`);
}

function plain(operator: MatchOperator, end: number | undefined): Attempt<SignedOperator> {
  return end === undefined ? undefined : { value: { operator, negated: false }, end };
}

function negated(operator: MatchOperator, end: number | undefined): Attempt<SignedOperator> {
  return end === undefined ? undefined : { value: { operator, negated: true }, end };
}

function matched(
  selector: readonly string[],
  signed: SignedOperator,
  value: string | undefined,
  end: number,
): Parsed<Expression> {
  return { value: { kind: 'match', selector, ...signed, value }, end };
}

/** Where it is as Consul says it: line, column in code points, byte. A newline is column 0 of the next line. */
function position(text: string, at: number): string {
  let line = 1;
  let column = 1;
  let offset = 0;
  for (const char of text.slice(0, at)) {
    const code = char.codePointAt(0) ?? 0;
    offset += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    column += 1;
    if (char === '\n') {
      line += 1;
      column = 1;
    }
  }
  return text.startsWith('\n', at) ? `${line + 1}:0 (${offset})` : `${line}:${column} (${offset})`;
}

function listed(expected: ReadonlySet<string>): string {
  const names = [...expected].filter((name) => name !== 'EOF').toSorted((a, b) => (a < b ? -1 : 1));
  if (expected.has('EOF')) names.push('EOF');
  const last = names.pop();
  return names.length === 0 ? (last ?? '') : `${names.join(', ')} or ${last}`;
}
