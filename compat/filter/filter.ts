import { RE2JS, RE2JSSyntaxException } from 're2js';
import { err, ok, type Result } from '../../src/kernel/result.ts';
import { parseGoBool, parseGoInteger, quoteGo } from './go-literal.ts';
import { type Expression, type MatchExpression, parseExpression } from './parse.ts';

/**
 * What a filter may select in a row, as go-bexpr derives it from Consul's Go structs. A row is the object that
 * the API answers; where a field is absent or null there, it has Go's zero value.
 */
export type FieldShape =
  | { readonly kind: 'string' | 'bool' | 'strings' }
  /** Values are numbers or, above 2^53, bigints. `min` 0 means that Go's type is unsigned. */
  | { readonly kind: 'integer'; readonly min: bigint; readonly max: bigint }
  | { readonly kind: 'map'; readonly values: FieldShape }
  /** A list of structs. A selector through it holds where it holds for any item. */
  | { readonly kind: 'structs'; readonly items: FilterShape }
  | FilterShape;

export interface FilterShape {
  readonly kind: 'struct';
  /** By the name in Go, which is the name in JSON too. What Go tags `bexpr:"-"` is not here. */
  readonly fields: Readonly<Record<string, FieldShape>>;
}

export type RowFilter = (row: unknown) => boolean;

/** Bounds that Consul does not have: there a long enough expression keeps a server busy for minutes. */
export const filterLimits = {
  /** UTF-16 units of the whole expression. A guess, far above what a person writes. */
  expressionLengthMax: 8192,
  /** Instructions of all regular expressions together; matching takes at most this many steps per character. */
  regexInstructionsMax: 2000,
  /** Regular expressions' length times what their `{n}` may multiply it by: bounds the work of compiling. */
  regexExpandedLengthMax: 500_000,
} as const;

/** Why an expression is refused. Consul 1.8.7 answers it with status 500, as text. */
export interface FilterError {
  /** What Consul answers, word for word wherever Consul has such an error. */
  readonly text: string;
  /** What it answers at `/v1/agent/checks`, where 1.8.7 looks at the fields only when it filters. */
  readonly agentChecksText: string;
}

const prefix = 'Failed to create boolean expression evaluator: ';

/** Compiles a `?filter=` expression for rows of one shape. An empty expression keeps every row. */
export function compileFilter(expression: string, shape: FilterShape): Result<RowFilter, FilterError> {
  if (expression === '') return ok(() => true);
  const { expressionLengthMax } = filterLimits;
  if (expression.length > expressionLengthMax) {
    return refuse(`The expression has ${expression.length} characters, more than ${expressionLengthMax}`);
  }
  const parsed = parseExpression(expression);
  if (!parsed.ok) return refuse(parsed.error);
  const compiled = compile(parsed.value, shape, { instructions: 0, expandedLength: 0 });
  return compiled.ok ? compiled : err({ text: prefix + compiled.error, agentChecksText: compiled.error });
}

function refuse(reason: string): Result<RowFilter, FilterError> {
  return err({ text: prefix + reason, agentChecksText: prefix + reason });
}

interface RegexBudget {
  instructions: number;
  expandedLength: number;
}

function compile(expression: Expression, shape: FilterShape, budget: RegexBudget): Result<RowFilter, string> {
  if (expression.kind === 'match') return compileMatch(expression, shape, budget);
  if (expression.kind === 'not') {
    const operand = compile(expression.operand, shape, budget);
    return operand.ok ? ok(opposite(operand.value)) : operand;
  }
  const operands: RowFilter[] = [];
  for (const operand of expression.operands) {
    const compiled = compile(operand, shape, budget);
    if (!compiled.ok) return compiled;
    operands.push(compiled.value);
  }
  if (expression.kind === 'and') return ok((row) => operands.every((holds) => holds(row)));
  return ok((row) => operands.some((holds) => holds(row)));
}

function opposite(holds: RowFilter): RowFilter {
  return (value) => !holds(value);
}

function compileMatch(
  match: MatchExpression,
  shape: FilterShape,
  budget: RegexBudget,
): Result<RowFilter, string> {
  let field: FieldShape = shape;
  const path: FieldShape[] = [];
  for (const [depth, name] of match.selector.entries()) {
    path.push(field);
    const next = fieldOf(field, name);
    if (next === undefined) {
      return err(`Selector ${quoteGo(match.selector.slice(0, depth + 1).join('.'))} is not valid`);
    }
    field = next;
  }
  const test = compileTest(field, match, budget);
  if (!test.ok) return test;
  // Where a map lacks the key. That `matches` holds there too is a quirk of go-bexpr 0.1.2 that clients see.
  const holdsWithoutKey = match.operator === 'Matches' || match.negated !== (match.operator === 'Is Empty');
  // From the end of the selector to its start, so that each step closes over the rest.
  let holds = test.value;
  for (const [depth, container] of [...path.entries()].toReversed()) {
    holds = descend(container, match.selector[depth] ?? '', holds, holdsWithoutKey);
  }
  return ok(holds);
}

function fieldOf(container: FieldShape, name: string): FieldShape | undefined {
  switch (container.kind) {
    case 'struct':
      return own(container.fields, name);
    case 'structs':
      return own(container.items.fields, name);
    case 'map':
      return container.values;
    default:
      return undefined;
  }
}

function own<T>(fields: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(fields, name) ? fields[name] : undefined;
}

type Row = Readonly<Record<string, unknown>>;

function isRow(value: unknown): value is Row {
  return typeof value === 'object' && value !== null;
}

/** One step of a selector: from a container to what it holds under a name. */
function descend(container: FieldShape, name: string, holds: RowFilter, holdsWithoutKey: boolean): RowFilter {
  const inStruct: RowFilter = (value) =>
    holds(isRow(value) && Object.hasOwn(value, name) ? value[name] : undefined);
  if (container.kind === 'struct') return inStruct;
  if (container.kind === 'structs') {
    return (value) => Array.isArray(value) && value.some((item) => inStruct(item));
  }
  return (value) => (isRow(value) && Object.hasOwn(value, name) ? holds(value[name]) : holdsWithoutKey);
}

/** The operator at the end of a selector. */
function compileTest(
  field: FieldShape,
  match: MatchExpression,
  budget: RegexBudget,
): Result<RowFilter, string> {
  const test = compilePlain(field, match, budget);
  if (test !== undefined) return test.ok && match.negated ? ok(opposite(test.value)) : test;
  const base = match.operator;
  const name = match.negated ? (base === 'Is Empty' ? 'Is Not Empty' : `Not ${base}`) : base;
  return err(`Invalid match operator ${quoteGo(name)} for selector ${quoteGo(match.selector.join('.'))}`);
}

/** The operator without its negation; undefined where a field of this shape does not have it. */
function compilePlain(
  field: FieldShape,
  match: MatchExpression,
  budget: RegexBudget,
): Result<RowFilter, string> | undefined {
  const wanted = match.value ?? '';
  if (match.operator === 'Equal') return compileEqual(field, wanted, match.selector);
  if (match.operator === 'Matches') {
    return field.kind === 'string' ? compileRegex(wanted, budget) : undefined;
  }
  const within = match.operator === 'In';
  switch (field.kind) {
    case 'string':
      return within ? ok((value) => (typeof value === 'string' ? value : '').includes(wanted)) : undefined;
    case 'strings':
      return ok(within ? (value) => Array.isArray(value) && value.includes(wanted) : isEmptyList);
    case 'map':
      return ok(within ? (value) => isRow(value) && Object.hasOwn(value, wanted) : isEmptyMap);
    case 'structs':
      return within ? undefined : ok(isEmptyList);
    default:
      return undefined;
  }
}

function isEmptyList(value: unknown): boolean {
  return !Array.isArray(value) || value.length === 0;
}

function isEmptyMap(value: unknown): boolean {
  return !isRow(value) || Object.keys(value).length === 0;
}

function compileEqual(
  field: FieldShape,
  wanted: string,
  selector: readonly string[],
): Result<RowFilter, string> | undefined {
  const failed = (reason: string): Result<RowFilter, string> =>
    err(`Failed to coerce value ${quoteGo(wanted)} for selector ${quoteGo(selector.join('.'))}: ${reason}`);
  switch (field.kind) {
    case 'string':
      return ok((value) => (value ?? '') === wanted);
    case 'bool': {
      const truth = parseGoBool(wanted);
      return truth.ok ? ok((value) => (value ?? false) === truth.value) : failed(truth.error);
    }
    case 'integer': {
      const integer = parseGoInteger(wanted, field.min, field.max);
      if (!integer.ok) return failed(integer.error);
      // Rows have bigints only above 2^53, so that the two never overlap.
      const exact = Number.isSafeInteger(Number(integer.value)) ? Number(integer.value) : integer.value;
      return ok((value) => (value ?? 0) === exact);
    }
    default:
      return undefined;
  }
}

function compileRegex(pattern: string, budget: RegexBudget): Result<RowFilter, string> {
  const shown = `regular expression ${quoteGo(pattern)}`;
  budget.expandedLength += pattern.length * expansion(pattern);
  const { regexExpandedLengthMax, regexInstructionsMax } = filterLimits;
  if (budget.expandedLength > regexExpandedLengthMax) {
    return err(`The ${shown} is too large: its repetitions multiply it beyond what is compiled here`);
  }
  let regex: RE2JS;
  try {
    regex = RE2JS.compile(pattern);
  } catch (error) {
    if (!(error instanceof RE2JSSyntaxException)) throw error;
    const reason = `${error.getDescription()}: \`${error.getPattern() ?? ''}\``;
    return err(`Failed to compile ${shown}: error parsing regexp: ${reason}`);
  }
  budget.instructions += regex.programSize();
  if (budget.instructions > regexInstructionsMax) {
    return err(
      `The ${shown} is too large: ${budget.instructions} instructions so far, more than ${regexInstructionsMax}`,
    );
  }
  return ok((value) => regex.test(typeof value === 'string' ? value : ''));
}

// RE2 itself allows nested repetitions up to a product of 1,000.
const repetitionMax = 1000;

/** At most how many times its length a regular expression becomes by its `{n}` and `{n,m}`. */
function expansion(pattern: string): number {
  let times = 1;
  for (const [, low, high] of pattern.matchAll(/\{(\d+)(?:,(\d*))?\}/g)) {
    times *= Math.max(1, Number(low), Number(high ?? 0));
    if (times > repetitionMax) return repetitionMax;
  }
  return times;
}
